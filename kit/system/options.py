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


_OPTIONS: Final[dict[str, dict[str, Any]]] = {
    "data": {"help": "the competition's folder (default: $KIT_DATA, then data/)"},
    "plan": {
        "type": Path,
        "default": DEFAULT_PLAN,
        "help": f"the fold plan (default: {DEFAULT_PLAN})",
    },
    "device": {"help": "cpu, cuda or cuda:1 (default: the first GPU, else the CPU)"},
    "workers": {"type": whole_number(0), "help": "loader processes (default: by the machine)"},
    "cache_dir": {
        "type": lambda text: Path(text).expanduser(),
        "metavar": "DIR",
        "help": "where pixel caches lie (default: $KIT_CACHE, then RUNS/pixels)",
    },
    "force": {"action": "store_true", "help": "overwrite existing files"},
}


def add_options(parser: argparse.ArgumentParser, *names: str, **helps: str) -> None:
    """Add the common options `names`, and those of `helps` with a help text of their own.

    The names are `data`, `plan`, `device`, `workers`, `cache_dir` and `force`.
    """
    for name in [*names, *helps]:
        settings = _OPTIONS[name] | ({"help": helps[name]} if name in helps else {})
        if name == "cache_dir" and (folder := os.environ.get("KIT_CACHE")):
            settings["default"] = Path(folder).expanduser()
        parser.add_argument(f"--{name.replace('_', '-')}", **settings)


def add_flags(parser: argparse.ArgumentParser, **helps: str) -> None:
    """Add options without a value, each with its help text: `no_score` is `--no-score`."""
    for name, text in helps.items():
        parser.add_argument(f"--{name.replace('_', '-')}", action="store_true", help=text)
