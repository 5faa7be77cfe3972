"""What to do follows from the rates, and so does where the gain ends."""

import numpy as np
import pytest

from kit.benchmarks.scale_table import (
    CORES,
    DECODING,
    MEMORY,
    STAGES,
    TRAINING,
    advice,
    efficiency,
    limit,
    scale_table,
)


def rates(*medians):
    """Rates of three rounds with these medians."""
    numbers = np.array([0.9, 1.0, 1.2])
    names = ("1", "2", "1 with 2 threads")
    return {name: rate * numbers for name, rate in zip(names, medians)}


def test_efficiency_is_the_rate_over_as_many_times_one():
    assert efficiency(rates(10, 19), "2") == pytest.approx(0.95)
    assert efficiency(rates(10, 19), "1") == 1


def test_several_are_compared_with_one_that_has_all_cores():
    line = advice(rates(10, 19, 12.5), 0)
    assert line.startswith("2 workers give 1.52 times one with 2 threads: train 2 folds at once")
    assert line.endswith("--device with cpu 2 times, as cpu,cpu")
    assert "1.90 times one: train" in advice(rates(10, 19, 8), 0)
    line = advice(rates(10, 19, 18), 0)
    assert line.startswith("no gain: 2 workers at once give 1.06 times one with 2 threads")
    assert advice(rates(10, 7), 0).startswith("no gain: 2 workers at once give 0.70 times one;")


def test_gpus_are_named_and_one_is_shared_out():
    assert advice(rates(10, 19), 2).endswith("--device cuda:0,cuda:1")
    assert advice(rates(10, 14), 1).endswith("--cluster --gpus 0.5")
    assert "one after another" in advice(rates(10, 10.5), 1)


@pytest.mark.parametrize(
    "training, cores, memory, decoding, words",
    [
        (19, 19, 19, 19, "no limit up to 2 workers: training keeps 95%"),
        (14, 12, 19, 19, "the cores are not their own"),
        (14, 19, 11, 19, "the bandwidth of memory is the likely limit"),
        (14, 19, 19, 11, "storage"),
        (14, 19, 19, 19, "none of these is the limit"),
    ],
)
def test_what_loses_as_training_does_is_named(training, cores, memory, decoding, words):
    both = {TRAINING: training, CORES: cores, MEMORY: memory, DECODING: decoding}
    assert words in limit({stage: rates(10, rate) for stage, rate in both.items()})


def test_one_worker_has_no_limit_to_tell():
    assert "one worker is all" in limit({stage: rates(10) for stage in STAGES})


def test_a_row_has_the_spread_and_the_ratio_to_one():
    table = scale_table("title", {stage: rates(10, 18, 12) for stage in STAGES}, 0)
    row = ["1", "10.0 (9.0 12.0)", "1.00 (1.00 1.00)", "100%"]
    assert table.rows[0] == [TRAINING, *row]
    assert table.rows[1][2:] == ["18.0 (16.2 21.6)", "1.80 (1.80 1.80)", "90%"]
    assert table.rows[2][1:] == ["1 with 2 threads", "12.0 (10.8 14.4)", "1.20 (1.20 1.20)", ""]
    assert table.numbers["efficiency"][TRAINING] == {"1": 1.0, "2": pytest.approx(0.9)}
    assert len(table.summary.splitlines()) == 2
