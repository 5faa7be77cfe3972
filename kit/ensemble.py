"""Average the softmax of all folds' checkpoints over views of each photo, and write a checked submission.

    python -m kit.ensemble runs/effb4_5fold --tta hflip

RUN is a run's folder, with a checkpoint for each fold, or one fold's folder, `runs/effb4_5fold/fold0`. Probabilities are
kept beside each checkpoint, keyed by checkpoint, photos, view and precision, so that a second ensemble runs no network.
"""

import json
import re
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kit import __version__
from kit.blend import mean, pool
from kit.console import Parser, Progress, command, duration, say, show_table, warn
from kit.data import content_hash, eval_images, find_data, info_csv, read_eval
from kit.errors import KitError, problem
from kit.labels import CLASS_NAMES, NUM_CLASSES
from kit.metrics import Scores, score
from kit.pixels import PIXELS_VERSION, Photos, batches_of, default_workers, make_loader
from kit.tables import (Fold, Plan, Probs, file_hash, oof_key, read_metrics, read_plan, read_probs, refuse_existing,
                        refuse_input, text_hash, write_json, write_probs, write_submission)
from kit.views import make_views

if TYPE_CHECKING:
    from kit.checkpoint import Card


@dataclass(frozen=True)
class Member:
    """A checkpoint of an ensemble: its run's folder, its files, and what it says of itself."""

    run: Path
    files: Fold
    card: "Card"
    hash: str


def find_members(runs: Sequence[Path], plan: Plan, allow_missing: bool = False) -> list[Member]:
    """The checkpoints of runs and single folds, in order.

    Raises `KitError` for a folder without one, a checkpoint of another plan, one named twice, and, unless allowed, a
    run without a checkpoint for each fold.
    """
    from kit.checkpoint import read_card
    members: list[Member] = []
    for run in runs:
        single = (run / "best.safetensors").exists()
        folders = [run] if single else [run / f"fold{k}" for k in range(plan.k)]
        there = [folder for folder in folders if (folder / "best.safetensors").exists()]
        if not there:
            raise problem(run, "holds no checkpoint" if run.is_dir() else "there is no such run",
                          remedy="train it with python -m kit.train RECIPE --fold all")
        missing = [folder.name for folder in folders if folder not in there]
        if missing and not allow_missing:
            raise problem(run, "folds without a checkpoint", missing, "train them with python -m kit.train RECIPE --fold "
                          f"{','.join(name[4:] for name in missing)}, or --allow-missing-folds")
        for folder in there:
            files = Fold(folder)
            card = read_card(files.best)
            if card.plan != plan.hash:
                raise problem(files.best, "was trained on another fold plan", remedy="name its plan with --plan, or train it "
                              "again on this one")
            if not single and folder.name != f"fold{card.fold}":
                raise problem(files.best, f"is the checkpoint of fold {card.fold}", remedy="move it to its own folder")
            if card.limit:
                raise problem(files.best, f"is of a trial on {card.limit} photos", remedy="train the recipe without --limit")
            members.append(Member(run.resolve().parent if single else run.resolve(), files, card, file_hash(files.best)))
            epochs = len(read_metrics(files.metrics))
            if files.last.exists() or (epochs < card.recipe["epochs"] and not card.recipe["patience"]):
                warn(f"{folder}: training is not finished ({epochs} of {card.recipe['epochs']} epochs)")
    repeated = [str(m.files.best) for i, m in enumerate(members) if m.hash in {o.hash for o in members[:i]}]
    if repeated:
        raise problem(repeated[0], "the same checkpoint twice", repeated, "name each run once")
    return members


def weigh(members: Sequence[Member]) -> np.ndarray:
    """Each member's weight in the mean, (members,), summing to 1: runs count alike, and the folds within a run.

    The out-of-fold score weighs runs alike too, whatever folds they have, so that it is of the same ensemble.
    """
    folds = [sum(m.run == other.run for other in members) for m in members]
    return np.array([1 / n for n in folds]) / len({m.run for m in members})


def read_oof(member: Member, plan: Plan) -> Probs:
    """A member's out-of-fold probabilities, for exactly its fold's photos; raises `KitError` for stale ones."""
    fold = member.card.fold
    ids = plan.photos.loc[plan.photos["fold"] == fold, "image"]
    remedy = f"python -m kit.train RECIPE --fold {fold} makes it again"
    if not member.files.oof.exists():
        raise problem(member.files.oof, "is not there", remedy=remedy)
    oof = read_probs(member.files.oof)
    if oof.key != oof_key(member.files.best, plan, fold) or set(oof.ids) != set(ids):
        raise problem(member.files.oof, "belongs to another checkpoint than the one beside it", remedy=remedy)
    return oof


@dataclass(frozen=True)
class Oof:
    """The out-of-fold standing of an ensemble: `scores` pooled over `photos` photos, macro-F1 by fold, class counts (18,)."""

    scores: Scores
    folds: dict[int, float]
    photos: int
    true_counts: np.ndarray
    predicted_counts: np.ndarray


def score_oof(members: Sequence[Member], plan: Plan) -> Oof:
    """Score the mean of the runs' pooled out-of-fold probabilities, on the photos that all of the runs have."""
    runs: dict[Path, list[Probs]] = {}
    for member in members:
        runs.setdefault(member.run, []).append(read_oof(member, plan))
    pooled = [pool(folds) for folds in runs.values()]
    common = set(pooled[0].ids).intersection(*(p.ids for p in pooled[1:]))
    photos = plan.photos[plan.photos["image"].isin(common)]
    if photos.empty:
        raise KitError("the runs' folds have no photo in common, so that their ensemble has no out-of-fold score; "
                       "name whole runs")
    truth, fold = photos["label"].to_numpy(), photos["fold"].to_numpy()
    predicted = mean(pooled, photos["image"].tolist()).argmax(axis=1)
    by_fold = {int(k): score(truth[fold == k], predicted[fold == k]).f1 for k in np.unique(fold)}
    return Oof(score(truth, predicted), by_fold, len(photos), np.bincount(truth, minlength=NUM_CLASSES),
               np.bincount(predicted, minlength=NUM_CLASSES))


def predict_members(members: Sequence[Member], data: Path, ids: Sequence[str], tta: str, device_name: str | None = None,
                    workers: int | None = None, batch_size: int = 32) -> tuple[list[Probs], int]:
    """Each member's and view's probabilities for the photos `ids`, members first, and how many of them a network computed.

    What was kept from before is read; photos are decoded once for all that is missing.
    """
    import torch

    from kit.checkpoint import load
    from kit.predict import choose_device, choose_precision, predict
    views, device = make_views(tta), choose_device(device_name)
    photos = content_hash(eval_images(data), ids)
    paths: dict[tuple[int, str], Path] = {}
    keys: dict[tuple[int, str], str] = {}
    found: dict[tuple[int, str], Probs] = {}
    for m, member in enumerate(members):
        for view in views:
            key = json.dumps({"checkpoint": member.hash, "photos": photos, "crop": member.card.crop, "size": member.card.size,
                              "view": view, "pixels": PIXELS_VERSION,
                              "precision": str(choose_precision(device, member.card.parameters)).removeprefix("torch.")})
            path = member.files.folder / f"probs-{text_hash(key)[:16]}.npz"
            paths[m, view], keys[m, view] = path, key
            if path.exists():
                try:
                    kept = read_probs(path)
                except KitError as error:
                    warn(f"computed again: {error}")
                    continue
                if kept.key == key and set(kept.ids) == set(ids):
                    found[m, view] = kept
    lacking = {view: [m for m in range(len(members)) if (m, view) not in found] for view in views}
    absent = sorted({m for ms in lacking.values() for m in ms})
    computed = 0
    if absent:
        # Every missing view of every member that lacks one: a pass too many where only some lack a view, and one decode.
        todo = {view: transform for view, transform in views.items() if lacking[view]}
        computed = len(absent) * len(todo)
        networks = [load(members[m].files.best, device) for m in absent]
        workers = default_workers(device.type) if workers is None else workers
        pixels = Photos(eval_images(data), ids, list(dict.fromkeys(network.geometry for network in networks)))
        loader = make_loader(pixels, batches_of(len(ids), batch_size), workers, device)
        with Progress(f"{len(absent)} checkpoints x {len(todo)} views", len(ids)) as progress:
            try:
                probs = predict(networks, loader, todo, device, progress)
            except torch.OutOfMemoryError as error:
                raise KitError(f"the memory of {device} is too small for {batch_size} photos a batch; take a smaller "
                               "--batch-size, or another --device") from error
        for n, m in enumerate(absent):
            for v, view in enumerate(todo):
                found[m, view] = Probs(np.array(ids, dtype=np.str_), probs[n, v], keys[m, view])
                try:
                    write_probs(paths[m, view], found[m, view], force=True)
                except KitError as error:
                    warn(f"probabilities are not kept: {error}")
    return [found[m, view] for m in range(len(members)) for view in views], computed


def ensemble(runs: Sequence[Path], plan: Plan, data: Path, out: Path, tta: str = "none", allow_missing: bool = False,
             device: str | None = None, workers: int | None = None, batch_size: int = 32, force: bool = False,
             command_line: str = "") -> dict[str, Any]:
    """Ensemble runs into the submission `out` and its record beside it (`.json`); the record, with the `oof` in it."""
    record_path = out.with_suffix(".json")
    if out.suffix != ".csv":
        raise problem(out, "is no name for a submission", remedy="let --out end in .csv")
    refuse_input(out, data, *runs)
    if not force:
        refuse_existing(out, record_path)
    views = list(make_views(tta))
    members = find_members(runs, plan, allow_missing)
    weights = weigh(members)
    ids = read_eval(data)
    oof = score_oof(members, plan)
    started = time.monotonic()
    probs, computed = predict_members(members, data, ids, tta, device, workers, batch_size)
    seconds = time.monotonic() - started
    classes = mean(probs, ids, np.repeat(weights, len(views))).argmax(axis=1)
    write_submission(out, ids, classes, info_csv(data), force)
    record = {
        "kit": __version__, "command": command_line, "blend": "mean", "views": views, "plan": plan.hash, "photos": len(ids),
        "members": [{"run": m.run.name, "fold": m.card.fold, "epoch": m.card.epoch, "select": m.card.select,
                     "score": m.card.score, "sha256": m.hash, "weight": weight} for m, weight in zip(members, weights.tolist())],
        "oof": {"photos": oof.photos, **asdict(oof.scores), "folds": oof.folds, "true_counts": oof.true_counts.tolist(),
                "predicted_counts": oof.predicted_counts.tolist()},
        "counts": np.bincount(classes, minlength=NUM_CLASSES).tolist(), "passes_computed": computed,
        "seconds": round(seconds, 1), "sha256": file_hash(out)}
    write_json(record_path, record, force=True)
    return record


def show_record(record: dict[str, Any]) -> None:
    """Print an ensemble: members and views, the class counts, and the pooled out-of-fold score with the folds' spread."""
    oof, n = record["oof"], len(record["members"])
    share = record["photos"] / oof["photos"]
    show_table("Class counts (out of fold: true, predicted; submission: predicted, and scaled to the out-of-fold photos)",
               ["class", "true", "predicted", "submission", "scaled"],
               [[f"{c:2d} {CLASS_NAMES[c]}", oof["true_counts"][c], oof["predicted_counts"][c], count, f"{count / share:.0f}"]
                for c, count in enumerate(record["counts"])],
               ["photos", oof["photos"], oof["photos"], record["photos"], oof["photos"]])
    folds = list(oof["folds"].values())
    say(f"{n} checkpoint{'s'[:n > 1]} of {', '.join(dict.fromkeys(m['run'] for m in record['members']))}; views: "
        f"{', '.join(record['views'])}; {record['passes_computed']} of {n * len(record['views'])} passes computed, the others "
        f"kept from before; {duration(record['seconds'])}")
    scores = Scores(*(oof[name] for name in ("f1", "accuracy", "mask", "gender", "age")))
    say(f"out of fold, pooled over {oof['photos']:,} photos: {scores.line()}", style="bold")
    if len(folds) > 1:
        say(f"by fold: {' '.join(f'{f:.3f}' for f in folds)} (spread {max(folds) - min(folds):.3f}, standard deviation "
            f"{np.std(folds, ddof=1):.3f})")
    chosen = ("each fold's best epoch was chosen on it, so this is a little too good, while "
              if any(m["select"] == "best" for m in record["members"]) else "")
    say(f"(each photo by the checkpoint that did not train on it, plain view; {chosen}the folds' mean and the views are not in "
        "it)")


@command
def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    parser = Parser(prog="kit.ensemble", description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="a run's folder, or one fold's")
    parser.add_argument("--data", help="the competition's folder (default: $KIT_DATA, then data/)")
    parser.add_argument("--plan", type=Path, default=Path("runs/folds.csv"), help="the fold plan (default: runs/folds.csv)")
    parser.add_argument("--tta", default="none", metavar="none|hflip|bright|hflip+bright",
                        help="views of each photo, the plain one always among them (default: none)")
    parser.add_argument("--out", type=Path, help="default: submissions/<runs>-<tta>.csv")
    parser.add_argument("--allow-missing-folds", action="store_true", help="take a run with the folds that are there")
    parser.add_argument("--device", help="cpu, cuda or cuda:1 (default: the first GPU, else the CPU)")
    parser.add_argument("--workers", type=int, help="loader processes (default: by the machine)")
    parser.add_argument("--batch-size", type=int, default=32, help="photos a batch (default: 32)")
    parser.add_argument("--force", action="store_true", help="overwrite an existing submission")
    args = parser.parse_args(argv)
    for name in ("workers", "batch_size"):
        value = getattr(args, name)
        if value is not None and value < (name == "batch_size"):
            raise KitError(f"--{name.replace('_', '-')} {value}: take {int(name == 'batch_size')} or more")
    out = args.out or Path("submissions") / f"{default_name(args.runs)}-{args.tta}.csv"
    words = sys.argv[1:] if argv is None else argv
    refuse_input(out, find_data(args.data), args.plan)
    record = ensemble(args.runs, read_plan(args.plan), find_data(args.data), out, args.tta, args.allow_missing_folds,
                      args.device, args.workers, args.batch_size, args.force,
                      shlex.join(["python", "-m", "kit.ensemble", *map(str, words)]))
    show_record(record)
    say(f"wrote {out} (checked against info.csv: same ids, same order, whole numbers 0..17) and {out.with_suffix('.json')}")


def default_name(runs: Sequence[Path]) -> str:
    """The submission's name for runs and single folds: `effb4_5fold`, `effb4_5fold-fold0`, `a_b`."""
    def one(run: Path) -> str:
        run = run.resolve()
        return f"{run.parent.name}-{run.name}" if re.fullmatch(r"fold\d+", run.name) else run.name
    return "_".join(map(one, runs))


if __name__ == "__main__":
    sys.exit(main())
