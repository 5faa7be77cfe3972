"""The options that commands share, with one wording each, and the types of their values."""

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

DEFAULT_PLAN: Final = Path("runs/folds.csv")


def whole_number(least: int, most: int | None = None) -> Callable[[str], int]:
    """A type for `add_argument`: whole numbers from `least` up, or in `least`..`most`."""
    numbers = f"{least} or more" if most is None else f"{least} to {most}"

    def convert(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r}: take a whole number, {numbers}") from None
        if number < least or (most is not None and number > most):
            raise argparse.ArgumentTypeError(f"{number}: take {numbers}")
        return number

    return convert


def gpu_number(text: str) -> float:
    """A number of GPUs: a share of one, or a whole number."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < 1e4 or (number > 1 and number != int(number)):
        raise argparse.ArgumentTypeError(f"{text}: take a share of a GPU, or a whole number")
    return number


_OPTIONS: Final[dict[str, dict[str, Any]]] = {
    "data": {"help": "the competition's folder (default: $KIT_DATA, then data/)"},
    "plan": {
        "type": Path,
        "default": DEFAULT_PLAN,
        "help": f"the fold plan (default: {DEFAULT_PLAN})",
    },
    "runs": {"type": Path, "default": Path("runs"), "help": "where runs lie (default: runs)"},
    "device": {"help": "cpu, cuda or cuda:1 (default: the first GPU, else the CPU)"},
    "workers": {"type": whole_number(0), "help": "loader processes (default: by the machine)"},
    "cache_dir": {
        "type": lambda text: Path(os.path.expanduser(text)),
        "metavar": "DIR",
        "help": "where pixel caches lie (default: $KIT_CACHE, then RUNS/pixels)",
    },
    "force": {"action": "store_true", "help": "overwrite existing files"},
    "cluster": {
        "nargs": "?",
        "const": "",
        "metavar": "ADDRESS",
        "help": "work on the Ray cluster at ADDRESS, such as box1:6379; local is a new one of this "
        "machine, for this command (without it: $RAY_ADDRESS, else one that runs here, else local)",
    },
    "gpus": {
        "type": gpu_number,
        "metavar": "N",
        "help": "GPUs of a task of the cluster, such as 1 or .5 (default: 1 where it has any)",
    },
    "task_cpus": {
        "type": whole_number(1),
        "metavar": "N",
        "help": "cores of a task of the cluster (default: a node's cores by its GPUs)",
    },
    "retries": {
        "type": whole_number(0),
        "metavar": "N",
        "help": "how often what was killed elsewhere is started again (default: 3)",
    },
}


def add_options(parser: argparse.ArgumentParser, *names: str, **helps: str) -> None:
    """Add the common options `names`, and those of `helps` with a help text of their own.

    The names are `data`, `plan`, `runs`, `device`, `workers`, `cache_dir` and `force`; those
    of other places are added by `add_place_options`.
    """
    for name in [*names, *helps]:
        settings = _OPTIONS[name] | ({"help": helps[name]} if name in helps else {})
        if name == "cache_dir" and (folder := os.environ.get("KIT_CACHE")):
            settings["default"] = Path(os.path.expanduser(folder))
        parser.add_argument(f"--{name.replace('_', '-')}", **settings)


def add_place_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of where a command's jobs run, which `kit.scale.place` reads."""
    several = "cpu, cuda or cuda:1; several, as cuda:0,cuda:1, work side by side (default: the "
    names = ("workers", "cluster", "gpus", "task_cpus", "retries")
    add_options(parser, device=several + "first GPU, else the CPU)")
    add_options(parser, *names)


def first_device(given: str | None) -> str | None:
    """The first of the devices of `--device`: of several each job is given its own."""
    return given and given.split(",")[0]


def data_words(args: argparse.Namespace) -> list[str]:
    """The words of `--data` and `--plan` that a next command needs, too."""
    words = ["--data", args.data] * (args.data is not None)
    return words + ["--plan", str(args.plan)] * (args.plan != DEFAULT_PLAN)


def add_flags(parser: argparse.ArgumentParser, **helps: str) -> None:
    """Add options without a value, each with its help text: `no_score` is `--no-score`."""
    for name, text in helps.items():
        parser.add_argument(f"--{name.replace('_', '-')}", action="store_true", help=text)
