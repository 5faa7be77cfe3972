"""An error is one readable line, with the nearest name for a misspelt one."""

import numpy as np
import pytest
import torch

from kit.system.errors import KitError, did_you_mean, memory_ran_out, problem


def test_an_error_is_one_line_with_count_and_first():
    assert (
        str(problem("a.csv", "is wrong", ["x", "y"], "mend it"))
        == "a.csv: is wrong (2 found, the first: x); mend it"
    )
    assert "\n" not in str(KitError("a\nb"))


def test_what_cannot_be_printed_is_escaped_and_examples_are_cut():
    assert str(KitError("a\x1b[31m b")) == "a\\x1b[31m b"
    line = str(problem("a.csv", "is wrong", ["x" * 100_000]))
    assert line.startswith("a.csv: is wrong (1 found: xxx") and len(line) < 400


@pytest.mark.parametrize("allocate", [np.zeros, torch.zeros, bytearray])
def test_memory_that_ran_out_is_known_whoever_says_so(allocate):
    with pytest.raises((MemoryError, RuntimeError)) as error:
        allocate(2**55)
    assert memory_ran_out(error.value)
    assert not memory_ran_out(RuntimeError("shapes do not fit"))


def test_the_nearest_name():
    assert did_you_mean("hflp", ["none", "hflip"]) == " (did you mean hflip?)"
    assert (
        did_you_mean("effb", {"effb4": "recipes/effb4.py"}) == " (did you mean recipes/effb4.py?)"
    )
    assert did_you_mean("vote", ["none", "hflip"]) == ""
    assert did_you_mean("hflip", ["hflip"]) == ""  # it is known, and something else is wrong
    assert did_you_mean("abcd", ["abxy"], cutoff=0.4) and not did_you_mean("abcd", ["abxy"])
