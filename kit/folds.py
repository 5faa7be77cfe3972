"""Plan folds: every person in one fold, all 18 classes balanced, look-alike people kept together.

    python -m kit.folds --data DIR

writes `runs/folds.csv`, the one authority on training labels and split, which all recipes share, and `runs/folds.json`
with what made it. The same data, seed and corrections give the same file on any machine.
"""

import hashlib
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from kit import __version__
from kit.audit import Audit, audit_photos
from kit.console import Parser, command, say, show_table, warn
from kit.data import apply_corrections, eval_images, find_data, fingerprint, read_eval, read_layout, train_images
from kit.errors import KitError, problem
from kit.labels import AGES, CLASS_NAMES, GENDERS, NUM_CLASSES, decode, encode
from kit.tables import (PLAN_COLUMNS, Plan, file_hash, plan_json, read_corrections, refuse_existing, refuse_input,
                        write_plan)

_SHOWN = 10  # links and corrections printed; folds.json has all


def assign_folds(photos: pd.DataFrame, folds: int, seed: int, linked: Sequence[tuple[str, str]] = ()) -> np.ndarray:
    """The fold (0..folds-1) of each photo: int64 (N,).

    `photos` has `person, age, label`; `linked` are pairs of people who must share a fold. Every person lies in one fold.
    Within each gender x age stratum the folds' numbers of people differ by at most one, so that per class the photos
    differ by at most what one person makes (linked people, who move as one, can make it more; `imbalance` tells). Ages
    in years are spread evenly as well, and fold sizes differ as little as the strata allow.

    Nothing but hashes of seed and person decides ties: the result is the same on any machine, whatever the row order.
    Raises `KitError` where a stratum has fewer people than there are folds.
    """
    if folds < 2:
        raise KitError(f"--folds {folds}: there must be at least 2 folds")
    code, names = pd.factorize(photos["person"])
    first = np.full(len(names), -1)
    first[code[::-1]] = np.arange(len(code))[::-1]
    _, gender, age = decode(photos["label"].to_numpy())
    stratum = (encode(np.zeros_like(gender), gender, age))[first]
    years = photos["age"].to_numpy()[first]
    # A hash of each name is the shuffle: no random generator whose stream a library may change, and no row order.
    shuffled = np.array([_hash(f"{seed}/{name}") for name in names], dtype=np.uint64)
    fold = np.full(len(names), -1)
    people = np.zeros((folds, 6), dtype=np.int64)  # per fold and stratum
    tie = np.array([_hash(f"{seed}/fold/{f}") for f in range(folds)], dtype=np.uint64)

    groups = _groups(names, linked, shuffled)
    _check_strata(stratum, folds, groups)
    for group in groups:
        own = np.bincount(stratum[group], minlength=6)
        # The fold where the group's strata are thinnest, then the emptiest.
        cost = [(int((people[f] * own).sum()), int(people[f].sum()), int(tie[f])) for f in range(folds)]
        choice = cost.index(min(cost))
        fold[group] = choice
        people[choice] += own
    for s in range(6):
        single = np.flatnonzero((stratum == s) & (fold < 0))
        single = single[np.lexsort((shuffled[single], years[single]))]
        people[:, s] += (extra := _fill(people[:, s], people.sum(axis=1), len(single), tie))
        fold[single] = _deal(extra, seed, s)
    return fold[code]


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def _check_strata(stratum: np.ndarray, folds: int, groups: Sequence[np.ndarray]) -> None:
    count = np.bincount(stratum, minlength=6)
    # Linked people move as one, so that a group stands for one person in each stratum it is in.
    apart = count - sum((np.maximum(np.bincount(stratum[g], minlength=6) - 1, 0) for g in groups), np.zeros(6, np.int64))
    small = [int(s) for s in np.argsort(apart, kind="stable") if 0 < apart[s] < folds]
    if small:
        s, n = small[0], int(apart[small[0]])
        who = f"{n} {'people are' if n > 1 else 'person is'} {GENDERS[s // 3]} and {AGES[s % 3]}"
        linked = f" ({count[s]}, but the leak audit keeps some together)" if count[s] > n else ""
        raise KitError(f"--folds {folds}: only {who}{linked}, so some folds would have none of that class; "
                       + (f"take --folds {n} or fewer" if n > 1 else "add people of that class, or take them out of train.csv"))


def _groups(names: pd.Index, linked: Sequence[tuple[str, str]], shuffled: np.ndarray) -> list[np.ndarray]:
    """People connected by links, as arrays of their positions; the largest group first, then by the shuffle."""
    where = {name: i for i, name in enumerate(names)} if linked else {}
    parent: dict[int, int] = {}

    def top(i: int) -> int:
        while parent.setdefault(i, i) != i:
            i = parent[i]
        return i

    for a, b in linked:
        parent[top(where[a])] = top(where[b])
    groups: dict[int, list[int]] = {}
    for i in parent:
        groups.setdefault(top(i), []).append(i)
    return sorted((np.array(g) for g in groups.values()), key=lambda g: (-len(g), int(shuffled[g].min())))


def _fill(have: np.ndarray, total: np.ndarray, n: int, tie: np.ndarray) -> np.ndarray:
    """How many of `n` single people each fold gets, so that `have` plus them is as even as can be: int64 (folds,)."""
    level = np.maximum(have.max() - have, 0)
    extra = level + (n - level.sum()) // len(have) if n >= level.sum() else np.zeros_like(have)
    for _ in range(n - int(extra.sum())):
        f = np.lexsort((tie, total + extra, have + extra))[0]
        extra[f] += 1
    return extra


def _deal(extra: np.ndarray, seed: int, stratum: int) -> np.ndarray:
    """The folds of a stratum's people in order of age, each fold's share spread evenly over that order: int64 (sum,)."""
    at = [(np.arange(n) + _hash(f"{seed}/deal/{stratum}/{f}") / 2**64) / max(n, 1) for f, n in enumerate(extra)]
    return np.repeat(np.arange(len(extra)), extra)[np.argsort(np.concatenate(at), kind="stable")]


def class_counts(photos: pd.DataFrame) -> np.ndarray:
    """Photos per fold and class: int64 (folds, 18)."""
    fold, label = photos["fold"].to_numpy(), photos["label"].to_numpy()
    folds = int(fold.max()) + 1
    return np.bincount(fold * NUM_CLASSES + label, minlength=folds * NUM_CLASSES).reshape(folds, NUM_CLASSES)


def imbalance(photos: pd.DataFrame) -> list[str]:
    """The classes in which the largest and smallest fold differ by more than one person's photos, as lines for a person."""
    one = photos.groupby(["person", "label"], sort=False).size().groupby("label").max()
    counts = class_counts(photos)
    spread = counts.max(axis=0) - counts.min(axis=0)
    return [f"class {c} ({CLASS_NAMES[c]}): {counts[:, c].min()} to {counts[:, c].max()} photos a fold"
            for c in one.index if spread[c] > one[c]]


def plan_folds(data: Path, out: Path, folds: int = 5, seed: int = 42, corrections: Path | None = None,
               audit: bool = True, force: bool = False) -> tuple[Plan, list[str]]:
    """Plan the folds of a competition folder and write them to `out`; the plan, and remarks for a person."""
    refuse_input(out, data, *([corrections] if corrections else []))
    if not force:
        refuse_existing(out, plan_json(out))
    fixes = read_corrections(corrections) if corrections else []
    layout = read_layout(data, fixes)
    photos, applied = apply_corrections(layout, fixes, corrections or out)
    photos = photos.sort_values("image", ignore_index=True)
    assign_folds(photos, folds, seed)  # too many folds are told before the photos are read, which takes a while
    found, test_remarks = _audit(data, photos) if audit else (Audit([], [], []), [])
    owner = dict(zip(photos["image"], photos["person"])) if found.links else {}
    photos["fold"] = assign_folds(photos, folds, seed, [(owner[link.a], owner[link.b]) for link in found.links])
    absent = [CLASS_NAMES[c] for c in np.flatnonzero(class_counts(photos).sum(axis=0) == 0)]
    remarks = layout.remarks + test_remarks + imbalance(photos)
    if absent:
        remarks.append(f"{len(absent)} of 18 classes have no photo, the first: {absent[0]}; each counts 0 in macro-F1")
    meta = {"kit": __version__, "seed": seed, "folds": folds, "people": photos["person"].nunique(), "photos": len(photos),
            "data": fingerprint(train_images(data), photos["image"].tolist()),
            "train.csv": file_hash(data / "train" / "train.csv"), "corrections": applied,
            "audit": {"done": audit, "links": [link.record() for link in found.links],
                      "test": [link.record() for link in found.test], "damaged": found.damaged}}
    return write_plan(out, photos[list(PLAN_COLUMNS)], meta, force), remarks


def _audit(data: Path, photos: pd.DataFrame) -> tuple[Audit, list[str]]:
    """The leak audit of training and test photos, and remarks on the test photos, none of which stops a plan."""
    root, ids, remarks = eval_images(data), list[str](), list[str]()
    try:
        ids = read_eval(data)
    except KitError as error:
        remarks.append(f"the audit leaves the test photos out: {error}")
    found = audit_photos(train_images(data), photos["image"].tolist(), photos["person"].tolist(), root, ids)
    if found.damaged:
        remarks.append(str(problem(root, "damaged test photos, at which kit.ensemble will stop", found.damaged,
                                   "unpack the data again before that")))
    if found.test:
        remarks.append(str(problem(root, "test photos that are training photos, too", [
            f"{link.b}, which is {link.a} ({link.kind}, {link.score:.2f})" for link in found.test],
            "their scores are no guide to those of other photos; folds.json has all")))
    return found, remarks


def show_plan(plan: Plan) -> None:
    """Print a plan: photos per class and fold, people, and what the audit and the corrections did."""
    counts = class_counts(plan.photos)
    people = plan.photos.drop_duplicates("person").groupby("fold").size()
    show_table(f"Photos per class and fold, seed {plan.meta['seed']}", ["class", *(f"fold {f}" for f in range(plan.k)), "all"],
               [[f"{c:2d} {CLASS_NAMES[c]}", *counts[:, c], counts[:, c].sum()] for c in range(NUM_CLASSES)],
               ["people", *(people[f] for f in range(plan.k)), people.sum()])
    links = plan.meta["audit"]["links"]
    if not plan.meta["audit"]["done"]:
        say("leak audit: left out (--no-audit), so look-alike people may lie in different folds")
    elif not links:
        say(f"leak audit: {len(plan.photos):,} photos read, none the same or near-identical under two people")
    else:
        say(f"leak audit: {len(links)} pairs of people share a photo or a near-identical one; each pair is kept in one fold")
        for link in links[:_SHOWN]:
            say(f"  {link['a']}  {link['b']}  {link['kind']} ({link['score']:.2f})")
    for fix in plan.meta["corrections"][:_SHOWN]:
        say(f"corrected {fix['path']}: {fix['field']} {fix['old']} -> {fix['new']}")
    hidden = max(0, len(links) - _SHOWN) + max(0, len(plan.meta["corrections"]) - _SHOWN)
    if hidden:
        say(f"  and {hidden} more, in folds.json")


@command
def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    parser = Parser(prog="kit.folds", description=__doc__)
    parser.add_argument("--data", help="the competition's folder (default: $KIT_DATA, then data/)")
    parser.add_argument("--folds", type=int, default=5, help="number of folds (default: 5)")
    parser.add_argument("--seed", type=int, default=42, help="seed of the split (default: 42)")
    parser.add_argument("--corrections", type=Path, metavar="FILE", help="label fixes: a CSV path,field,value")
    parser.add_argument("--out", type=Path, default=Path("runs/folds.csv"), help="default: runs/folds.csv")
    parser.add_argument("--no-audit", action="store_true", help="do not read the photos for the leak audit")
    parser.add_argument("--force", action="store_true", help="overwrite an existing plan")
    args = parser.parse_args(argv)
    if args.out.suffix != ".csv":
        raise problem(args.out, "is no name for a plan", remedy="let --out end in .csv")
    plan, remarks = plan_folds(find_data(args.data), args.out, args.folds, args.seed, args.corrections,
                               not args.no_audit, args.force)
    show_plan(plan)
    for remark in remarks:
        warn(remark)
    place = "" if args.out == Path("runs/folds.csv") else f" --plan {shlex.quote(str(args.out))}"
    say(f"wrote {args.out} and {plan_json(args.out)}; next: python -m kit.train recipes/effb4_5fold.py --fold all{place}")


if __name__ == "__main__":
    sys.exit(main())
