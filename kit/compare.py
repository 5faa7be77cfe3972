"""Compare submissions with each other, joined by id, and with answers where there are some.

    python -m kit.compare submissions/*.csv

shows how often each pair agrees, beyond chance (kappa), with similar files side by side; in which classes and in which of
mask, gender and age they differ; and the class counts, beside those out of fold. `--answers FILE` adds macro-F1; `--show 40`
draws the photos that they differ on; `--vote FILE` writes the hard vote of them all as a submission; `--json` prints all of it
for a program, with every flip if `--all-flips`. Runs' folders instead of files are compared out of fold.

    python -m kit.compare --record effb4_5fold-hflip --public .7631
    python -m kit.compare --board

enters what the competition's site said of a submission into `submissions/leaderboard.csv`, where kit.ensemble logs each one,
and shows that log: whether the out-of-fold score predicts the public one, and what picking the best of many comes to by chance.
"""

import itertools
import json
import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kit import __version__, board
from kit.console import Parser, command, say, show_table
from kit.data import eval_images, find_data, info_csv, train_images
from kit.errors import KitError, problem
from kit.labels import CLASS_NAMES, NUM_CLASSES, TASKS, decode
from kit.metrics import Interval, People, say_interval, score, show_interval
from kit.submission import check_place, distribution_p, expected_of, paired_draws, record_of
from kit.tables import (Plan, file_hash, read_answers, read_board, read_info, read_plan, refuse_existing, refuse_input,
                        write_submission, writing)

_SHOWN = 5  # flips told of a pair, but for --all-flips
# The pairs of classes that differ in a task.
_DIFFER = {task: np.not_equal.outer(part, part) for task, part in zip(TASKS, decode(np.arange(NUM_CLASSES)))}
_TESTED = 10  # files of which every pair is tested
_PAIRS = 10  # pairs told one by one; of more the matrix alone is shown


@dataclass(frozen=True)
class Predictions:
    """Predicted `classes` (files, N) of the photos `ids`, by files' `names`; `truth` and `person` are (N,) where known.

    `chosen` are the names of runs whose epochs were chosen on the fold that they are scored on; None of files.
    """

    names: list[str]
    ids: list[str]
    classes: np.ndarray
    truth: np.ndarray | None = None
    person: np.ndarray | None = None
    chosen: list[str] | None = None


def read_files(files: Sequence[Path], answers: Path | None = None) -> Predictions:
    """Read submissions, joined by id in the first one's order, and answers.

    Answers may have a column `person`. Raises `KitError` where two files do not have the same ids.
    """
    names, tables = _names(files), [read_answers(path) for path in files]
    ids = pd.Index(tables[0]["ImageID"])
    classes = np.stack([_joined(path, table, files[0], ids) for path, table in zip(files, tables)])
    if answers is None:
        return Predictions(names, ids.tolist(), classes)
    table = read_answers(answers)
    where = pd.Index(table["ImageID"]).get_indexer(ids)
    truth = _joined(answers, table, files[0], ids)
    return Predictions(names, ids.tolist(), classes, truth, table["person"].to_numpy()[where] if "person" in table else None)


def read_runs(runs: Sequence[Path], plan: Plan) -> Predictions:
    """The predictions of runs, out of fold, of the photos that all of them have."""
    from kit.members import Engine, find_members, named_apart, oof_probs
    members = find_members(runs, plan, [], allow_missing=True)
    oof = oof_probs(members, plan, Path(), "none", Engine())
    names = named_apart(members)
    return Predictions(names, oof.photos["image"].tolist(), oof.probs.argmax(axis=2),
                       oof.photos["label"].to_numpy(), oof.photos["person"].to_numpy(),
                       [name for name, m in zip(names, members) if any(c.card.chosen_on_fold for c in m.checkpoints)])


def compare(files: Sequence[Path], answers: Path | None = None, all_flips: bool = False) -> dict[str, Any]:
    """Compare submission files, any order of rows, with each other and with answers: see `compare_files`."""
    return compare_files(files, read_files(files, answers), all_flips)


def compare_files(files: Sequence[Path], read: Predictions, all_flips: bool = False) -> dict[str, Any]:
    """What `compare_classes` tells of files that were `read`, and what the records beside them do.

    A file with a record has `oof_counts` (18,), what was predicted out of fold, and `oof_p`, how likely counts that differ as
    much are by chance. Without answers `apart` is by the records' out-of-fold scores.
    """
    result = compare_classes(read.names, read.classes, read.truth, read.person, all_flips)
    for name, path in zip(read.names, files):
        expected = expected_of(path, None)
        if expected is not None:
            file = result["files"][name]
            file |= {"oof_counts": expected.counts.tolist(), "oof_p": distribution_p(np.array(file["counts"]), expected)}
    if read.truth is None:
        scored = {name: found for name, path in zip(read.names, files) if (found := _out_of_fold(path))}
        result["apart"] = least_alike(result, scored)
    return result


def compare_classes(names: Sequence[str], classes: np.ndarray, truth: np.ndarray | None = None,
                    person: np.ndarray | None = None, all_flips: bool = False) -> dict[str, Any]:
    """Compare predicted classes (files, N) as plain values; `truth` and `person` are (N,).

    `files`: by name, `counts` (18,). `order`: the names, similar ones side by side. `pairs`: `a`, `b`, `photos`, `agreement`
    (0..1), `kappa` (Cohen's: agreement beyond that of chance, 1 at most), `differ`, how many of these differ in `mask`,
    `gender` and `age`, `flips`: `from`, `to`, `photos`, the most frequent first, five of them unless `all_flips`, and
    `other_flips`, how many more there are. With `truth`, `true_counts` are its own, `by` says whether intervals are by people
    or, where those are not known, by photos, which makes them too narrow, and `effective` how many of these they rest on; files
    have `scores` and `interval`, and pairs of ten files or fewer `gain` (b's macro-F1 over a's), `gain_interval` and `p`, of a
    paired permutation test; `apart` are the files that are strong and least alike (`least_alike`). Intervals are None where
    they would rest on too few.
    """
    result: dict[str, Any] = {"files": {}, "order": [names[i] for i in alike_first(classes)], "pairs": []}
    people, draws = None, []
    if truth is not None:
        people = People(np.arange(len(truth)) if person is None else person, truth)
        result |= {"by": "photos" if person is None else "people", "effective": people.effective}
        result["true_counts"] = np.bincount(truth, minlength=NUM_CLASSES).tolist()
        draws = [people.macro(own) for own in classes]
    for n, (name, own) in enumerate(zip(names, classes)):
        result["files"][name] = {"counts": np.bincount(own, minlength=NUM_CLASSES).tolist()}
        if truth is not None and people is not None:
            result["files"][name] |= {"scores": asdict(score(truth, own)), "interval": _plain(people.interval(draws[n]))}
    for i, j in itertools.combinations(range(len(names)), 2):
        a, b = classes[i], classes[j]
        table = np.bincount(a * NUM_CLASSES + b, minlength=NUM_CLASSES**2).reshape(NUM_CLASSES, NUM_CLASSES)
        flips = np.where(np.eye(NUM_CLASSES, dtype=bool), 0, table).ravel()
        kinds = int(np.count_nonzero(flips))
        order = np.argsort(-flips, kind="stable")[:kinds if all_flips else min(kinds, _SHOWN)].tolist()
        pair: dict[str, Any] = {"a": names[i], "b": names[j], "photos": len(a), "agreement": float(np.trace(table) / len(a)),
                                "kappa": kappa(table), "differ": int(flips.sum())}
        pair |= {task: int(table[differ].sum()) for task, differ in _DIFFER.items()}
        if people is not None and len(names) <= _TESTED:
            scores = [result["files"][names[k]]["scores"]["f1"] for k in (i, j)]
            pair |= {"gain": scores[1] - scores[0], "gain_interval": _plain(people.interval(draws[j] - draws[i])),
                     "p": people.paired_p(a, b)}
        pair["flips"] = [{"from": f // NUM_CLASSES, "to": f % NUM_CLASSES, "photos": int(flips[f])} for f in order]
        pair["other_flips"] = kinds - len(order)
        result["pairs"].append(pair)
    scored = {name: (file["scores"]["f1"], (file["interval"] or [None])[0])
              for name, file in result["files"].items() if "scores" in file}
    return result | {"apart": least_alike(result, scored)}


def _plain(interval: Interval | None) -> list[float] | None:
    return list(interval) if interval else None


def _out_of_fold(path: Path) -> tuple[float, float | None] | None:
    """The out-of-fold macro-F1 of a submission, and the lower end of its interval, by the record beside it."""
    try:
        oof = (record_of(path) or {})["oof"]
        return float(oof["f1"]), float(oof["interval"][0]) if oof["interval"] is not None else None
    except (KeyError, TypeError, ValueError, IndexError):
        return None


def least_alike(result: dict[str, Any], scored: dict[str, tuple[float, float | None]]) -> list[dict[str, Any]] | None:
    """The two and the three files that are strong and least alike, by `kappa`, the mean of their pairs: worth a blend.

    Strong is what is not clearly worse than the best: its score, the first of `scored`, lies within the best one's interval,
    whose lower end is the second; None where the best one has no interval. Of more than 20 such files the 20 best are looked at.
    """
    if len(scored) < 3:
        return []
    low = max(scored.values(), key=lambda own: own[0])[1]
    if low is None:
        return None
    strong = sorted((name for name, (f1, _) in scored.items() if f1 >= low), key=lambda name: -scored[name][0])[:20]
    of = {frozenset((pair["a"], pair["b"])): pair["kappa"] for pair in result["pairs"]}
    found = []
    for size in (2, 3):
        sets = [(float(np.mean([of[frozenset(two)] for two in itertools.combinations(chosen, 2)])), chosen)
                for chosen in itertools.combinations(strong, size)]
        if sets:
            mean, chosen = min(sets)
            found.append({"files": list(chosen), "kappa": mean})
    return found


def kappa(table: np.ndarray) -> float:
    """Cohen's kappa from the counts (18, 18) of two labellings: 1 where they always agree, 0 where no more than by chance."""
    shares = table / table.sum()
    chance = float(shares.sum(axis=0) @ shares.sum(axis=1))
    return float((np.trace(shares) - chance) / (1 - chance)) if chance < 1 else 1.0


def alike_first(classes: np.ndarray) -> list[int]:
    """An order of submissions (files, N) in which similar ones stand together: the leaves of their average-linkage tree."""
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import pdist
    if len(classes) < 3:
        return list(range(len(classes)))
    differ = pdist(classes, "hamming")
    return [int(i) for i in leaves_list(linkage(differ, "average", optimal_ordering=True))]


def _votes(classes: np.ndarray) -> np.ndarray:
    """How many of submissions (files, N) say each class: (N, 18)."""
    votes = np.zeros((classes.shape[1], NUM_CLASSES), np.int64)
    for own in classes:
        votes[np.arange(len(own)), own] += 1
    return votes


def vote(classes: np.ndarray) -> np.ndarray:
    """The hard vote (N,) of submissions (files, N); of classes with equal votes the one that the earliest file has."""
    votes = _votes(classes)
    tied = np.take_along_axis(votes, classes.T, axis=1) == votes.max(axis=1, keepdims=True)  # (N, files)
    winner: np.ndarray = classes[tied.argmax(axis=1), np.arange(classes.shape[1])]
    return winner


def write_vote(files: Sequence[Path], read: Predictions, data: Path, out: Path, force: bool = False,
               command_line: str = "") -> None:
    """Write the hard vote of submissions as one, with a record of their hashes beside it.

    Raises `KitError` where their ids are not those of `info.csv`, or the place is taken.
    """
    check_place(out, data, files, force)
    order = read_info(info_csv(data))
    where = pd.Index(read.ids).get_indexer(pd.Index(order))
    if len(read.ids) != len(order) or (where < 0).any():
        raise problem(files[0], f"has other ids than {info_csv(data)}", remedy="vote on submissions to this competition")
    winner = vote(read.classes[:, where])
    board.add(out, write_submission(out, order, winner, info_csv(data), {
        "kit": __version__, "command": command_line, "vote": True, "photos": len(order),
        "members": [{"name": name, "sha256": file_hash(path)} for name, path in zip(read.names, files)],
        "counts": np.bincount(winner, minlength=NUM_CLASSES).tolist()}, force))


def most_differing(classes: np.ndarray, number: int) -> np.ndarray:
    """The rows of photos that files (files, N) differ on, at most `number`: most at odds first, and alike flips together.

    How much they are at odds is the entropy of their votes; of two files it is the same everywhere, and the most frequent flips
    come first.
    """
    shares = _votes(classes) / len(classes)
    entropy = -(shares * np.log(np.maximum(shares, 1e-12))).sum(axis=1).round(9)
    _, kind, count = np.unique(classes, axis=1, return_inverse=True, return_counts=True)
    rows = np.flatnonzero(entropy > 0)
    order = np.lexsort((rows, kind.ravel()[rows], -count[kind.ravel()[rows]], -entropy[rows]))
    found: np.ndarray = rows[order][:number]
    return found


def check_sheet(out: Path, data: Path, files: Sequence[Path], force: bool) -> None:
    """Raise `KitError` unless a contact sheet may be written to `out`."""
    if out.suffix.lower() not in (".jpg", ".jpeg", ".png"):
        raise problem(out, "is no name for a picture", remedy="let --sheet end in .jpg or .png")
    refuse_input(out, data, *files)
    if not force:
        refuse_existing(out)


def write_flips(files: Sequence[Path], read: Predictions, data: Path, root: Path, number: int, out: Path,
                force: bool = False) -> int:
    """Draw the photos below `root` that files differ on, at most `number`, on a contact sheet; how many are on it.

    Under each photo stands which files, by their numbers, say what, and the truth where it is known. Without a photo to show
    nothing is written.
    """
    from kit.sheet import contact_sheet, thumbnails
    check_sheet(out, data, files, force)
    rows = most_differing(read.classes, number)
    if not len(rows):
        return 0
    captions = []
    for i in rows.tolist():
        said = read.classes[:, i]
        lines = [f"{CLASS_NAMES[c]}: {','.join(str(n + 1) for n in np.flatnonzero(said == c))}"
                 for c in dict.fromkeys(said.tolist())]
        truth = [f"true {CLASS_NAMES[read.truth[i]]}"] if read.truth is not None else []
        captions.append([*truth, *lines, *read.ids[i].split("/")])
    ids = [read.ids[i] for i in rows.tolist()]
    unsafe = [name for name in ids if os.path.isabs(name) or ".." in Path(name).parts]
    if unsafe:
        raise problem(files[0], "has ids that are no names of photos", unsafe, "compare submissions to one competition")
    lost = [name for name in ids if not (root / name).is_file()]
    if lost:
        raise problem(root, "lacks photos that are to be shown", lost, "name the competition's folder with --data")
    sheet = contact_sheet(thumbnails(root, ids), captions, 8)
    with writing(out, force) as temporary:
        sheet.save(temporary, "PNG" if out.suffix.lower() == ".png" else "JPEG", quality=88)
    return len(rows)


def _names(files: Sequence[Path]) -> list[str]:
    """The files' stems; whole paths where two stems are the same."""
    places = [path.resolve() for path in files]
    first = {place: i for i, place in reversed(list(enumerate(places)))}
    twice = [str(path) for i, (path, place) in enumerate(zip(files, places)) if first[place] < i]
    if twice:
        raise problem(twice[0], "the same file twice", twice, "name each file once")
    stems = [path.stem for path in files]
    return [str(path) if stems.count(path.stem) > 1 else path.stem for path in files]


def _joined(path: Path, table: pd.DataFrame, first: Path, ids: pd.Index) -> np.ndarray:
    """A file's classes in the order of `ids`, the ids of the file `first`."""
    own = pd.Index(table["ImageID"])
    where = np.arange(len(ids)) if own.equals(ids) else own.get_indexer(ids)
    if (where < 0).any() or len(own) != len(ids):  # ids are unique
        missing, extra = ids[where < 0], own[~own.isin(ids)]
        what, found = ("lacks ids of", missing) if len(missing) else ("has ids that are not in", extra)
        raise problem(path, f"{what} {first}", list(found), "compare submissions to one competition")
    classes: np.ndarray = table["ans"].to_numpy()[where]
    return classes


def show(result: dict[str, Any]) -> None:
    """Print what `compare` found."""
    files, pairs = result["files"], result["pairs"]
    if "by" in result:
        show_table(f"Against the truth (95 % interval by {result['by']}"
                   + (", too narrow: a column `person` in the answers tells better)" if result["by"] == "photos" else ")"),
                   ["file", "macro-F1", "95 %", "accuracy", *TASKS],
                   [[name, f"{file['scores']['f1']:.3f}", show_interval(file["interval"]),
                     *(f"{file['scores'][key]:.3f}" for key in ("accuracy", *TASKS))] for name, file in files.items()])
        if not all(file["interval"] for file in files.values()):
            say(say_interval(None, result["effective"], of=result["by"]))
        say()
    tested = [pair for pair in pairs if "p" in pair]
    if tested:
        show_table("Macro-F1 of the second over the first, and p of a paired permutation test",
                   ["pair", "gain", "95 %", "p"],
                   [[f"{p['a']} | {p['b']}", f"{p['gain']:+.4f}", show_interval(p["gain_interval"], "+.4f"),
                     f"{p['p']:.3f}"] for p in tested])
        say()
    if result.get("chosen_on_fold"):
        others = len(files) > len(result["chosen_on_fold"])
        say(f"epochs chosen on the fold they are scored on: {', '.join(result['chosen_on_fold'])}; such scores are a little too "
            "good" + (", and p of a gain over a run whose epochs were not is too small" if others and tested else ""))
        say()
    if len(pairs) > 1:
        order = result["order"]
        of = {frozenset((p["a"], p["b"])): p for p in pairs}
        show_table("Agreement in percent, and below the diagonal kappa, similar files side by side",
                   ["file", *(str(n + 1) for n in range(len(order)))],
                   [[f"{n + 1} {a}", *("-" if a == b else f"{100 * of[frozenset((a, b))]['agreement']:.1f}" if m > n
                                       else f"{of[frozenset((a, b))]['kappa']:.3f}" for m, b in enumerate(order))]
                    for n, a in enumerate(order)])
        say()
    for apart in result["apart"] or []:
        say(f"strong and least alike: {', '.join(apart['files'])} (kappa {apart['kappa']:.3f})")
    if result["apart"] is None:
        say("strong and least alike: cannot be told, for the best score has no interval that others could lie in")
    if result["apart"] != []:
        say()
    few = pairs if len(pairs) <= _PAIRS else []
    if few:
        show_table("Pairs: the share of photos with the same class, kappa, and how many differ, and in what",
                   ["pair", "agree", "kappa", "differ", *TASKS],
                   [[f"{p['a']} | {p['b']}", f"{p['agreement']:.2%}", f"{p['kappa']:.3f}", p["differ"],
                     *(p[task] for task in TASKS)] for p in few])
        say()
    for pair in few:
        if pair["flips"]:
            say(f"{pair['a']} -> {pair['b']}: " + ", ".join(
                f"{f['photos']} {CLASS_NAMES[f['from']]} -> {CLASS_NAMES[f['to']]}" for f in pair["flips"])
                + (f", {pair['other_flips']} other flips" if pair["other_flips"] else ""))
    say()
    _show_counts(result)


def _show_counts(result: dict[str, Any]) -> None:
    """Print the class counts, and beside them what the out-of-fold predictions come to for as many photos."""
    files = result["files"]
    recorded = any("oof_counts" in file for file in files.values())

    def cell(file: dict[str, Any], c: int) -> str:
        if "oof_counts" not in file:
            return f"{file['counts'][c]}"
        return f"{file['counts'][c]} ({file['oof_counts'][c] * sum(file['counts']) / sum(file['oof_counts']):.0f})"
    show_table("Class counts" + (" (in brackets: what the out-of-fold predictions come to; p: of differing so by chance)"
                                 if recorded else ""),
               ["class", *(["true"] if "true_counts" in result else []), *files],
               [[f"{c:2d} {CLASS_NAMES[c]}", *([result["true_counts"][c]] if "true_counts" in result else []),
                 *(cell(file, c) for file in files.values())] for c in range(NUM_CLASSES)],
               ["p", *([""] if "true_counts" in result else []),
                *(f"{file['oof_p']:.2g}" if "oof_p" in file else "-" for file in files.values())] if recorded else [])


def show_board(summary: dict[str, Any]) -> None:
    """Print the leaderboard log and what it tells."""
    def number(value: Any, form: str = ".4f") -> str:
        return format(value, form) if value != "" else "-"
    show_table("The leaderboard log, the best out-of-fold score first",
               ["submission", "made", "OOF", "95 %", "public", "private"],
               [[row["submission"], row["made"], number(row["oof"]),
                 show_interval((row["low"], row["high"]) if row["low"] != "" else None) if row["oof"] != "" else "-",
                 number(row["public"]), number(row["private"])] for row in summary["rows"]])
    say()
    if "correlation" in summary:
        low, high = summary["interval"]
        say(f"correlation of the out-of-fold with the public score: {summary['correlation']:.2f} (95 % interval {low:.2f} to "
            f"{high:.2f})")
    else:
        say("no correlation yet: it needs four submissions that differ and have both scores (--record NAME --public SCORE)")
    if summary.get("outside"):
        say(f"outside of what the others say: {', '.join(summary['outside'])}")
    if "picked_from" in summary:
        say(f"the best of {summary['picked_from']} public scores is {summary['best_above']:.4f} above their mean"
            + (f"; picking the best of so many equally good ones would make {summary['by_chance']:.4f} of noise"
               if "by_chance" in summary else
               "; what picking the best makes of noise is left out, for not all of them have a record beside the log with paired "
               "draws: of the same photos out of fold, by one plan"))


@command
def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    parser = Parser(prog="kit.compare", description=__doc__)
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE.csv|RUN", help="submissions, or runs' folders")
    parser.add_argument("--plan", type=Path, default=Path("runs/folds.csv"),
                        help="for runs: the fold plan (default: runs/folds.csv)")
    parser.add_argument("--answers", type=Path, metavar="FILE", help="a CSV ImageID,ans with the true classes")
    parser.add_argument("--vote", type=Path, metavar="OUT.csv",
                        help="write their hard vote as a submission; of classes with equal votes that of the earliest file")
    parser.add_argument("--show", type=int, metavar="N", help="draw up to N photos that they differ on, on a contact sheet")
    parser.add_argument("--sheet", type=Path, metavar="FILE", help="for --show: the picture (default: flips.jpg)")
    parser.add_argument("--data", help="for --vote and --show: the competition's folder (default: $KIT_DATA, then data/)")
    parser.add_argument("--force", action="store_true", help="for --vote and --show: overwrite an existing file")
    parser.add_argument("--record", metavar="NAME", help="enter the site's scores of a submission into the leaderboard log")
    parser.add_argument("--public", type=float, metavar="SCORE", help="for --record: its public macro-F1")
    parser.add_argument("--private", type=float, metavar="SCORE", help="for --record: its private macro-F1")
    parser.add_argument("--board", action="store_true", help="show the leaderboard log, the best out-of-fold score first")
    parser.add_argument("--log", type=Path, default=Path("submissions") / board.NAME, metavar="FILE",
                        help=f"the leaderboard log (default: submissions/{board.NAME})")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--all-flips", action="store_true",
                        help=f"for --json: every flip of each pair, not the {_SHOWN} most frequent ones alone")
    args = parser.parse_intermixed_args(argv)
    if args.all_flips and (not args.json or args.board or args.record is not None):
        raise KitError("--all-flips: is for --json of a comparison; leave it out")
    entered = {what: value for what in ("public", "private") if (value := getattr(args, what)) is not None}
    if args.record is not None or args.board:
        if args.files or args.vote or args.answers:
            raise KitError("kit.compare: --record and --board are of the log alone; leave the files out")
        if args.record is not None:
            if not entered:
                raise KitError("--record: say what the site said, with --public or --private")
            row = board.record(args.log, args.record, entered)
            say(f"{row['submission']}: " + ", ".join(f"{what} {value:g}" for what, value in entered.items()))
        if args.board:
            rows = read_board(args.log)
            draws = paired_draws([row for row in rows if row["public"] != ""], args.log.parent)
            summary = board.summary(rows, draws)
            if args.json:
                print(json.dumps(summary, indent=1, ensure_ascii=False))
            else:
                show_board(summary)
        return
    if entered:
        raise KitError("--public and --private: are of --record NAME")
    if len(args.files) > 1:
        args.files = [path for path in args.files if path.name != board.NAME]  # of submissions/*.csv
    if not args.files:
        raise KitError("kit.compare: name submissions, or --board, or --record NAME")
    if len(args.files) == 1 and args.answers is None:
        raise KitError(f"{args.files[0]}: there is nothing to compare it with; name a second submission or --answers FILE")
    if args.plan != parser.get_default("plan") and not any(path.is_dir() for path in args.files):
        raise KitError("--plan: is for runs, which are compared out of fold; leave it out")
    for option, of in (("data", "--vote or --show"), ("force", "--vote or --show"), ("sheet", "--show")):
        if getattr(args, option) and not (args.show is not None or args.vote and of != "--show"):
            raise KitError(f"--{option}: is for {of}; leave it out")
    if args.show is not None and args.show < 1:
        raise KitError(f"--show {args.show}: take 1 or more")
    if args.show is not None and len(args.files) == 1:
        raise KitError(f"{args.files[0]}: there is no other file to differ from; name a second submission, or leave --show out")
    runs = [path for path in args.files if path.is_dir()]
    if runs:
        if len(runs) < len(args.files) or args.answers or args.vote:
            raise KitError(f"{runs[0]}: runs are compared out of fold, with other runs alone; leave files, --answers and --vote "
                           "out")
        read = read_runs(runs, read_plan(args.plan))
        if len(read.names) < 2:
            raise KitError(f"{runs[0]}: is one run with the others; name another run to compare it with")
        result = compare_classes(read.names, read.classes, read.truth, read.person, args.all_flips)
        result["chosen_on_fold"] = read.chosen
    else:
        read = read_files(args.files, args.answers)
        result = compare_files(args.files, read, args.all_flips)
    words = shlex.join(["python", "-m", "kit.compare", *map(str, sys.argv[1:] if argv is None else argv)])
    if args.show is not None:
        check_sheet(args.sheet or Path("flips.jpg"), find_data(args.data), args.files, args.force)  # before the vote is written
    if args.vote:
        write_vote(args.files, read, find_data(args.data, "eval/info.csv"), args.vote, args.force, words)
    told = []
    if args.show is not None:
        data, sheet = find_data(args.data), args.sheet or Path("flips.jpg")
        root = train_images(data) if runs else eval_images(data)
        shown = write_flips(args.files, read, data, root, args.show, sheet, args.force)
        told.append(f"wrote {sheet}: {shown} photos that they differ on; "
                    + ", ".join(f"{n + 1} is {name}" for n, name in enumerate(read.names)) if shown else
                    "they differ on no photo, so that there is none to show")
    if args.json:
        print(json.dumps(result, indent=1, ensure_ascii=False))
        return
    show(result)
    if args.vote:
        told.append(f"wrote {args.vote}, the hard vote of {len(args.files)} files, and {args.vote.with_suffix('.json')}")
    for line in told:
        say(line)


if __name__ == "__main__":
    sys.exit(main())
