"""Loops are timed in turns, and in processes of their own, whose errors are told."""

import numpy as np
import pytest

from kit.benchmarks.timing import SeparateProcess, in_turns, ratio_text, self_timed_in_turns
from kit.system.errors import KitError


def test_loops_are_measured_in_turns():
    order = []
    loops = {name: (lambda name=name: order.append(name) or name.upper()) for name in "abc"}
    times, results = in_turns(loops, 3, "test")
    assert "".join(order) == "abccbaabc" and results == {"a": "A", "b": "B", "c": "C"}
    assert all(values.shape == (3,) and (values > 0).all() for values in times.values())


def test_a_ratio_is_the_median_of_the_rounds_ratios():
    assert ratio_text(np.array([2.0, 9.0, 4.0]), np.array([1.0, 3.0, 4.0])) == "2.00 (1.00 3.00)"


def test_loops_that_time_themselves_are_run_in_turns_too():
    order = []
    loops = {name: (lambda name=name: order.append(name) or (2.0, ord(name))) for name in "ab"}
    values = self_timed_in_turns(loops, 2, "test")
    assert "".join(order) == "abba" and values["b"].tolist() == [[2, 98], [2, 98]]


def make_loops(text):
    import os

    return {
        "say": lambda: text,
        "pid": os.getpid,
        "fail": lambda: 1 / 0,
        "die": lambda: os._exit(3),
    }


def make_nothing():
    raise ValueError("no photos")


def test_other_loops_run_in_a_process_of_their_own():
    import os

    other = SeparateProcess(make_loops, "hello")
    try:
        assert (
            list(other.loops) == ["say", "pid", "fail", "die"] and other.loops["say"]() == "hello"
        )
        assert other.loops["pid"]() == other._process.pid != os.getpid()
        with pytest.raises(RuntimeError, match="ZeroDivisionError: division by zero"):
            other.loops["fail"]()
    finally:
        other.close()
    assert not other._process.is_alive()
    with pytest.raises(RuntimeError, match="ValueError: no photos"):
        SeparateProcess(make_nothing)
    other = SeparateProcess(make_loops, "hello")
    with pytest.raises(KitError, match="has ended, most likely for memory"):
        other.loops["die"]()
    with pytest.raises(KitError, match="has ended"):
        other.loops["say"]()
    other.close()
