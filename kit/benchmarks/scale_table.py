"""What several workers at once gain, as a table, and what to do about it."""

from collections.abc import Mapping
from typing import Final

import numpy as np

from kit.benchmarks.timing import Table, ratio_text

TRAINING: Final = "training"
INFERENCE: Final = "inference, from files"
DECODING: Final = "decode, crop, resize"
CORES: Final = "multiply in caches, GFLOP/s"
MEMORY: Final = "copy memory, GB/s"
STAGES: Final = (TRAINING, INFERENCE, DECODING, CORES, MEMORY)
_GOOD: Final = 0.9  # an efficiency that needs no reason
_GAIN: Final = 1.1  # a gain that is worth a second worker
# The rates (rounds,) of each part of the work by its case: "1", "2" and so on are one-threaded
# workers at once, "1 with 2 threads" is one worker that has all cores.
Rates = Mapping[str, Mapping[str, np.ndarray]]


def scale_table(title: str, rates: Rates, gpus: int) -> Table:
    """The table of rates, with what each number of workers gains over one, and advice."""
    rows = []
    for stage, cases in rates.items():
        for name, values in cases.items():
            spread = f"{np.median(values):,.1f} ({values.min():,.1f} {values.max():,.1f})"
            share = f"{efficiency(cases, name):.0%}" if name.isdecimal() else ""
            rows.append([stage, name, spread, ratio_text(values, cases["1"]), share])
    return Table(
        title,
        ["", "workers", "photos/s, or as named", "times one", "efficiency"],
        rows,
        f"{advice(rates[TRAINING], gpus)}\n{limit(rates)}",
        {
            "per_second": {
                stage: {name: float(np.median(values)) for name, values in cases.items()}
                for stage, cases in rates.items()
            },
            "efficiency": {
                stage: {name: efficiency(cases, name) for name in cases if name.isdecimal()}
                for stage, cases in rates.items()
            },
        },
    )


def efficiency(cases: Mapping[str, np.ndarray], name: str) -> float:
    """The rate of so many workers, over as many times the rate of one: the rounds' median."""
    return float(np.median(cases[name] / cases["1"])) / int(name)


def advice(training: Mapping[str, np.ndarray], gpus: int) -> str:
    """How many folds to train at once, by the rates (rounds,) of training.

    Several at once are compared with one that has the whole machine.
    """
    several = {name: values for name, values in training.items() if name.isdecimal()}
    best = max(several, key=lambda name: float(np.median(several[name])))
    alone = {name: values for name, values in training.items() if name not in several}
    alone |= {"1": several["1"]}
    one = max(alone, key=lambda name: float(np.median(alone[name])))
    gain = float(np.median(several[best] / alone[one]))
    number = int(best)
    if number == 1 or gain < _GAIN:
        most = max(several, key=int)
        gain = float(np.median(several[most] / alone[one]))
        return (
            f"no gain: {most} workers at once give {gain:.2f} times one{one[1:]}; train folds one "
            "after another"
        )
    if not gpus:
        how = f"--device with cpu {number} times, as cpu,cpu"
    elif number <= gpus:
        how = "--device " + ",".join(f"cuda:{n}" for n in range(number))
    else:
        how = f"--cluster --gpus {gpus / number:g}"
    return (
        f"{number} workers give {gain:.2f} times one{one[1:]}: train {number} folds at once, {how}"
    )


def limit(rates: Rates) -> str:
    """What training loses with the most workers, and which of its parts lose as well."""
    most = max((name for name in rates[TRAINING] if name.isdecimal()), key=int)
    shares = {stage: efficiency(cases, most) for stage, cases in rates.items()}
    if int(most) == 1:
        return "one worker is all that this machine has room for"
    if shares[TRAINING] >= _GOOD:
        return f"no limit up to {most} workers: training keeps {shares[TRAINING]:.0%} of each"
    if shares[CORES] < _GOOD:
        reason = "the cores are not their own: other programs, two to a unit, or a lower clock"
    elif min(shares[MEMORY], shares[DECODING]) >= _GOOD:
        reason = "none of these is the limit; caches, or a GPU's bus, may be"
    elif shares[MEMORY] <= shares[DECODING]:
        reason = "the bandwidth of memory is the likely limit"
    else:
        reason = "reading photos is the likely limit: storage"
    return (
        f"training keeps {shares[TRAINING]:.0%} of each of {most} workers, the cores alone "
        f"{shares[CORES]:.0%}, memory alone {shares[MEMORY]:.0%}, decoding {shares[DECODING]:.0%}: "
        f"{reason}"
    )
