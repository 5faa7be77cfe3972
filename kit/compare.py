"""Compare submissions with each other, joined by id, and with answers where there are some.

    python -m kit.compare submissions/*.csv

shows how often each pair agrees, in which classes and in which of mask, gender and age they differ, and the class counts.
`--answers FILE` adds macro-F1; `--json` prints all of it for a program.
"""

import itertools
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kit.console import Parser, command, say, show_table
from kit.errors import KitError, problem
from kit.labels import CLASS_NAMES, NUM_CLASSES, TASKS, decode
from kit.metrics import score
from kit.tables import read_answers

_SHOWN = 5  # flips printed for a pair; --json has all


def compare(files: Sequence[Path], answers: Path | None = None) -> dict[str, Any]:
    """Compare submission files, any order of rows, as plain values.

    `files`: by name, `counts` (18,) and, with answers, `scores`. `pairs`: `a`, `b`, `photos`, `agreement` (0..1), `differ`,
    how many of these differ in `mask`, `gender` and `age`, and `flips`: `from`, `to`, `photos`, the most frequent first.
    Raises `KitError` where two files do not have the same ids.
    """
    names = _names(files)
    tables = [read_answers(path) for path in files]
    ids = pd.Index(tables[0]["ImageID"])
    classes = [_joined(path, table, files[0], ids) for path, table in zip(files, tables)]
    result: dict[str, Any] = {"files": {}, "pairs": []}
    truth = _joined(answers, read_answers(answers), files[0], ids) if answers else None
    for name, own in zip(names, classes):
        result["files"][name] = {"counts": np.bincount(own, minlength=NUM_CLASSES).tolist()}
        if truth is not None:
            result["files"][name]["scores"] = asdict(score(truth, own))
    for (name_a, a), (name_b, b) in itertools.combinations(zip(names, classes), 2):
        other = a != b
        flips = np.bincount(a[other] * NUM_CLASSES + b[other], minlength=NUM_CLASSES**2)
        order = np.argsort(-flips, kind="stable")[:np.count_nonzero(flips)]
        pair: dict[str, Any] = {"a": name_a, "b": name_b, "photos": len(ids), "agreement": float(np.mean(~other)),
                                "differ": int(other.sum())}
        pair |= {task: int((x != y).sum()) for task, x, y in zip(TASKS, decode(a), decode(b))}
        pair["flips"] = [{"from": int(f) // NUM_CLASSES, "to": int(f) % NUM_CLASSES, "photos": int(flips[f])} for f in order]
        result["pairs"].append(pair)
    return result


def _names(files: Sequence[Path]) -> list[str]:
    """The files' stems; whole paths where two stems are the same."""
    twice = [str(f) for i, f in enumerate(files) if f.resolve() in {o.resolve() for o in files[:i]}]
    if twice:
        raise problem(twice[0], "the same file twice", twice, "name each file once")
    stems = [path.stem for path in files]
    return [str(path) if stems.count(path.stem) > 1 else path.stem for path in files]


def _joined(path: Path, table: pd.DataFrame, first: Path, ids: pd.Index) -> np.ndarray:
    """A file's classes in the order of `ids`, the ids of the file `first`."""
    where = pd.Index(table["ImageID"]).get_indexer(ids)
    missing = ids[where < 0]
    extra = table["ImageID"][~table["ImageID"].isin(ids)]
    for what, found in (("lacks ids of", missing), ("has ids that are not in", extra)):
        if len(found):
            raise problem(path, f"{what} {first}", list(found), "compare submissions to one competition")
    classes: np.ndarray = table["ans"].to_numpy()[where]
    return classes


def show(result: dict[str, Any]) -> None:
    """Print what `compare` found."""
    files, pairs = result["files"], result["pairs"]
    if any("scores" in file for file in files.values()):
        show_table("Against the answers", ["file", "macro-F1", "accuracy", *TASKS],
                   [[name, *(f"{file['scores'][key]:.3f}" for key in ("f1", "accuracy", *TASKS))]
                    for name, file in files.items()])
        say()
    if pairs:
        show_table("Pairs: the share of photos with the same class, and how many differ, and in what",
                   ["pair", "agree", "differ", *TASKS],
                   [[f"{p['a']} | {p['b']}", f"{p['agreement']:.2%}", p["differ"], *(p[task] for task in TASKS)] for p in pairs])
        say()
    for pair in pairs:
        if pair["flips"]:
            say(f"{pair['a']} -> {pair['b']}: " + ", ".join(
                f"{f['photos']} {CLASS_NAMES[f['from']]} -> {CLASS_NAMES[f['to']]}" for f in pair["flips"][:_SHOWN])
                + (f", {len(pair['flips']) - _SHOWN} other flips" if len(pair["flips"]) > _SHOWN else ""))
    say()
    show_table("Class counts", ["class", *files], [[f"{c:2d} {CLASS_NAMES[c]}", *(file["counts"][c] for file in files.values())]
                                                   for c in range(NUM_CLASSES)])


@command
def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    parser = Parser(prog="kit.compare", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE.csv", help="submissions")
    parser.add_argument("--answers", type=Path, metavar="FILE", help="a CSV ImageID,ans with the true classes")
    parser.add_argument("--json", action="store_true", help="print JSON")
    args = parser.parse_intermixed_args(argv)
    if len(args.files) == 1 and args.answers is None:
        raise KitError(f"{args.files[0]}: there is nothing to compare it with; name a second submission or --answers FILE")
    result = compare(args.files, args.answers)
    if args.json:
        print(json.dumps(result, indent=1, ensure_ascii=False))
    else:
        show(result)


if __name__ == "__main__":
    sys.exit(main())
