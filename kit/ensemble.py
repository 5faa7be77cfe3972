"""Blend members' probabilities over folds and views of each photo, score it honestly, and write a checked submission.

    python -m kit.ensemble runs/effb4_5fold --tta hflip
    python -m kit.ensemble runs/effb4_5fold runs/resnet50_5fold theirs.csv --blend greedy --decide bias
    python -m kit.ensemble --check submissions/effb4_5fold-hflip.csv

MEMBER is a run's folder, with a checkpoint for each fold; one fold's folder, or a checkpoint file; or another team's
probabilities, a CSV (ids, then the classes 0 to 17) or an .npz (ids, probs), with its out-of-fold ones in it, or beside it in
NAME.oof.csv. Whatever is fitted to out-of-fold probabilities is scored nested, and used only if it pays. Test probabilities
are kept beside each checkpoint, keyed by checkpoint, photos, view and precision, so that a second ensemble runs no network.
Networks run in the precision that is fastest here; in 16 bits, photos whose class is a close call are run again in fp32.
"""

import contextlib
import dataclasses
import os
import re
import shlex
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from kit import __version__, board
from kit.blend import BLENDS, DECISIONS, FITTED, Rule, decide, distinct, uniform
from kit.console import Parser, Progress, command, duration, say, show_table, warn
from kit.data import eval_images, find_data, info_csv, read_eval
from kit.early import (ROUNDING_CONFIDENCE, ROUNDING_SHARE, Settled, drifts, exact_margins, fit_margins, leads,
                       remaining_weights, rounding_sample, run, sample_size, settle)
from kit.errors import KitError, problem
from kit.labels import CLASS_NAMES, NUM_CLASSES
from kit.members import (FOLD_FOLDER, PROBABILITY_FILES, Checkpoint, Engine, Member, Passes, find_members, named_apart, near,
                         only_files, oof_beside, oof_probs, predict_passes, read_members, ways_of)
from kit.metrics import Scores, say_interval, show_interval
from kit.profile import profiled, stage
from kit.standing import Standing, judge
from kit.submission import check_place, check_submission, check_writable, expected_of
from kit.tables import (Plan, Probs, file_hash, plan_json, read_foreign_probs, read_info, read_json, read_plan, refuse_existing,
                        refuse_input, write_foreign_probs, write_submission)
from kit.versions import check_pixels, versions, warn_versions

LINEAR: Final = ("mean", *FITTED)
# What is shown of a record's out-of-fold score.
_SHOWN: Final = {"f1", "accuracy", "mask", "gender", "age", "interval", "effective", "folds", "photos", "people", "candidates",
                 "used", "classes", "tasks", "true_counts", "predicted_counts", "log_loss", "mean_log_loss", "members"}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What an ensemble is: views, whether they are scored, blend, decision, and whether photos are decided early.

    `agree` is the share of photos that must have the full run's class, `None` for all. `score` False is for members without
    out-of-fold probabilities.
    """

    tta: str = "none"
    force_views: bool = False
    score_tta: bool = False
    blend: str = "mean"
    decision: str = "argmax"
    force_blend: bool = False
    score: bool = True
    fast: bool = False
    agree: float | None = None


def check_settings(settings: Settings) -> None:
    """Raise for settings that do not go together."""
    if not settings.score and (settings.blend in FITTED or settings.decision != "argmax" or settings.score_tta):
        raise KitError("--no-score: a fitted blend or decision, and --score-tta, need out-of-fold probabilities; leave one out")
    if settings.fast and settings.blend not in LINEAR:
        raise KitError(f"--fast: of a {settings.blend} blend it cannot be told early what the members to come can change; take "
                       f"--blend {', '.join(LINEAR)}")
    if settings.score_tta and settings.tta == "none":
        raise KitError("--score-tta: there is no view to score; name some with --tta")
    if settings.force_blend and settings.blend not in FITTED and settings.decision == "argmax":
        raise KitError("--force-blend: nothing is fitted; name what is to be, with --blend or --decide")
    if settings.agree is not None and not 0.5 <= settings.agree < 1:
        raise KitError(f"--agree {settings.agree:g}: take a share from 0.5 to below 1, such as .998; --fast alone changes no "
                       "class")


# ---------------------------------------------------------------- probabilities to classes

@dataclass(frozen=True)
class Outcome:
    """The classes (N,) of the photos, and how they came about: seconds a view, passes of networks, early decisions.

    `blended` (N, 18) are the sums that were decided, which of photos that were decided early are of fewer passes.
    """

    classes: np.ndarray
    blended: np.ndarray
    views: dict[str, float]
    record: dict[str, Any]


def blend_in_full(members: Sequence[Member], rule: Rule, data: Path, ids: Sequence[str], settings: Settings,
                  engine: Engine) -> Outcome:
    """Run every checkpoint with every view on every photo, what is kept from before excepted, and decide."""
    from kit.views import make_views
    views = list(make_views(settings.tta, settings.force_views))
    checkpoints = [(m, c) for m, member in enumerate(members) for c in member.checkpoints]
    found: dict[tuple[int, str], Probs] = {}
    computed = 0
    if checkpoints:
        found, computed = predict_passes([c for _, c in checkpoints], eval_images(data), ids, settings.tta, engine,
                                         settings.force_views)
    # In the order that `Passes` has, view by view; each member's mean over its folds and views.
    passes = [(m, table) for view in views for m, member in enumerate(members) for table in (
        [found[c, view] for c, (owner, _) in enumerate(checkpoints) if owner == m]
        + [member.test for _ in range(1) if member.test is not None and view == "plain"])]
    blended = _blended(rule, [m for m, _ in passes], (table.at(ids) for _, table in passes), len(ids))
    seconds = {view: sum(found[c, view].seconds for c in range(len(checkpoints))) for view in views}
    record: dict[str, Any] = {"passes": len(checkpoints) * len(views), "passes_computed": computed}
    if _rounded(members, engine):
        exact = _exact(members, data, ids, settings, engine)

        def again(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            sums = _blended(rule, exact.owners, exact.ask_all(rows), len(rows))
            return sums, sums
        before = decide(blended, rule.gains)
        with contextlib.closing(exact), stage("close calls in fp32"), Progress("close calls in fp32", len(ids)) as progress:
            drawn = rounding_sample(len(ids))
            settled = settle(again, blended, rule.gains, leads(blended, rule.gains, np.zeros(len(ids))), drawn, progress)
        blended = settled.total
        record["close"] = _close(settled, len(drawn), before, decide(blended, rule.gains), exact)
    return Outcome(decide(blended, rule.gains), blended, seconds, record)


def _blended(rule: Rule, owners: Sequence[int] | np.ndarray, tables: Iterable[np.ndarray], photos: int) -> np.ndarray:
    """The blend (N, 18) of passes' probabilities, each (N, 18) and of the member that owns it."""
    shares = np.bincount(owners)
    if rule.blend in LINEAR:
        blended = np.zeros((photos, NUM_CLASSES))
        for m, table in zip(owners, tables):
            blended += rule.weights[m] / shares[m] * table.astype(np.float64)
        return blended
    means = np.zeros((len(shares), photos, NUM_CLASSES))
    for m, table in zip(owners, tables):
        means[m] += table.astype(np.float64) / shares[m]
    return rule.probs(means)


def _rounded(members: Sequence[Member], engine: Engine) -> bool:
    """Whether some network runs in 16 bits, so that close calls may not be those of fp32."""
    return any(way.precision.itemsize < 4 for way in ways_of(members, engine).values())


def _exact(members: Sequence[Member], data: Path, ids: Sequence[str], settings: Settings, engine: Engine) -> Passes:
    """The same passes in fp32, for close calls."""
    return Passes(members, data, ids, settings.tta, dataclasses.replace(engine, exact=True), settings.force_views, few=True)


def _close(settled: Settled, drawn: int, before: np.ndarray, after: np.ndarray, exact: Passes) -> dict[str, Any]:
    """What a record says of close calls: photos run again, how many of them `drawn` at random, and what `settle` has proven."""
    return {"photos": settled.photos, "drawn": drawn, "changed": int((after != before).sum()), "error": round(settled.error, 4),
            "confidence": ROUNDING_CONFIDENCE, "share": ROUNDING_SHARE, "passes_computed": round(exact.computed / len(after), 2)}


def blend_early(members: Sequence[Member], rule: Rule, data: Path, ids: Sequence[str], settings: Settings, engine: Engine,
                strengths: Sequence[float], remake: bool = False) -> Outcome:
    """The same classes from fewer passes: the strongest members first, and a photo only until its class is decided.

    The same for the same probabilities: a network's own rounding may differ with the photos that share a batch. With
    `settings.agree`, all but a bounded number of the same classes; its margins are fitted to a random sample. What is kept from
    before changes the order of passes, but never that of `agree`, so that its classes can be made again (`remake`).
    """
    passes = Passes(members, data, ids, settings.tta, engine, settings.force_views)
    weights, count, photos = passes.weights(rule), len(passes.sources), len(ids)
    by_view = {view: v for v, view in enumerate(passes.views)}
    needed = int(np.isnan(passes.probs[:, :, 0]).sum())
    known, margins, record = passes.known.copy(), exact_margins(count), dict[str, Any]()
    if settings.agree is not None and known.all() and not remake:
        warn("--agree: all passes are kept from before, so that there is nothing to save; the classes are the full run's")
        settings = dataclasses.replace(settings, agree=None)
        record["settings"] = vars(settings) | {"used": rule.blend}
    # What needs no network comes first, for it costs nothing.
    order = sorted(range(count), key=lambda p: (settings.agree is None and not known[p], by_view[passes.sources[p][2]],
                                                -strengths[passes.sources[p][0]]))
    exact = _exact(members, data, ids, settings, engine) if _rounded(members, engine) else None
    rank = np.argsort(order)

    def again(rows: np.ndarray, done: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """In fp32 the sums of the passes that each of the photos has `done`, and of all."""
        assert exact is not None
        same, whole = np.zeros((2, len(rows), NUM_CLASSES))
        for p, probs in enumerate(exact.ask_all(rows)):
            share = weights[p] * probs.astype(np.float64)
            same[rank[p] < done] += share[rank[p] < done]
            whole += share
        return same, whole

    with contextlib.closing(passes), Progress(f"{count} passes, as far as needed", count * photos) as progress:
        if settings.agree is not None:
            fitting, tested = sample_size(photos, settings.agree)
            sample = np.random.default_rng(0).choice(photos, fitting + tested, replace=False)
            rows = np.sort(sample)
            for p in order:
                passes.ask(p, rows, progress)
            probs = passes.probs[np.array(order)[:, None], sample]
            whole_sums = np.tensordot(weights[order], probs.astype(np.float64), 1)
            if exact is not None:
                with stage("close calls in fp32"):
                    whole_sums = settle(lambda at: again(sample[at], np.full(len(at), count)), whole_sums, rule.gains, leads(
                        whole_sums, rule.gains, np.zeros(len(sample))), rounding_sample(len(sample))).total
            margins = fit_margins(probs, weights[order], rule.gains, sample, fitting, photos, settings.agree,
                                  decide(whole_sums, rule.gains))
            record["agree"] = {"share": settings.agree, "sample": len(sample), "fitted_on": fitting, "tested_on": tested,
                               "differ": margins.differ, "allowed": margins.allowed,
                               "margins": margins.after.round(6).tolist()}
        slack, drawn = 0.0, np.zeros(0, np.int64)
        if exact is not None and settings.agree is None:
            # What is decided by less than 16 bits move a lead would have to be run again in full.
            drawn = rounding_sample(photos)
            rough = np.tensordot(weights, passes.ask_all(drawn).astype(np.float64), 1)
            with stage("close calls in fp32"):
                slack = 2 * float(drifts(rough, again(drawn, np.full(len(drawn), count))[1], rule.gains).max())
        elif exact is not None:
            drawn = np.sort(sample[rounding_sample(len(sample))])  # of the sample, whose passes are known in fp32 already
        total, taken = run(lambda p, rows: passes.ask(order[p], rows, progress), weights[order], rule.gains, margins, photos,
                           slack)
    # All passes of a photo are summed in the order of the full run, so that sums are rounded alike.
    whole = np.flatnonzero(taken == count)
    total[whole] = 0
    for p in range(count):
        total[whole] += weights[p] * passes.probs[p, whole].astype(np.float64)
    networks = sum(isinstance(source, Checkpoint) for _, source, _ in passes.sources)
    record |= {"passes": networks, "passes_computed": round(passes.computed / photos, 2),
               "saved": 1 - passes.computed / needed if needed else 0.0,
               "decided_after": np.bincount(taken, minlength=count + 1)[1:].tolist()}
    if exact is not None:
        before = decide(total, rule.gains)
        # Of what was decided early for sure, the passes to come count against the leader; a margin has allowed for them.
        left = np.append(remaining_weights(weights[order]), 0)[taken - 1] * (settings.agree is None)
        with contextlib.closing(exact), stage("close calls in fp32"), Progress("close calls in fp32", photos) as progress:
            settled = settle(lambda rows: again(rows, taken[rows]), total, rule.gains, leads(total, rule.gains, left), drawn,
                             progress)
        total = settled.total
        record["close"] = _close(settled, len(drawn), before, decide(total, rule.gains), exact)
    return Outcome(decide(total, rule.gains), total, dict.fromkeys(passes.views, 0.0), record)


# ---------------------------------------------------------------- the whole

def ensemble(paths: Sequence[Path], plan: Plan | None, data: Path, out: Path | None, settings: Settings = Settings(),
             engine: Engine = Engine(), allow_missing: bool = False, force: bool = False,
             command_line: str = "", save_probs: Path | None = None) -> tuple[Path, dict[str, Any]]:
    """Ensemble members into a submission, and its record beside it (`.json`): the submission's path, and the record.

    `out` None is a name in `submissions/` by members, views, blend and decision. Files of probabilities need neither photos nor,
    without a score, a plan. `save_probs` is a file for the blended probabilities, as `_save_probs` says.
    """
    check_settings(settings)
    if out is not None:
        check_place(out, data, paths, force)
    if save_probs is not None:
        _check_save(save_probs, out, settings, data, paths, force)
    started = time.monotonic()
    ids = read_info(info_csv(data)) if only_files(paths) else read_eval(data)
    if settings.agree is not None:
        sample_size(len(ids), settings.agree)
    members = find_members(paths, plan, ids, allow_missing)
    # Before anything long: what is asked for is most likely what will be written.
    check_place(out or Path("submissions") / f"{default_name(members, settings)}.csv", data, _inputs(members), force)
    standing: Standing | None = None
    if settings.score:
        if plan is None:
            raise KitError("a score needs the fold plan, which has the labels: name it with --plan, or --no-score")
        oof = oof_probs(members, plan, data, settings.tta if settings.score_tta else "none", engine, settings.force_views)
        copies = _copies(members, oof.probs, ids)
        oof, members = oof.without(copies), [member for m, member in enumerate(members) if m not in copies]
        standing = judge(oof, settings.blend, settings.decision, settings.force_blend)
        if standing.kept_mean:
            warn(_kept_mean(standing))
    rule = standing.rule if standing else uniform(settings.blend, len(members))
    if rule.blend == "vote":
        engine = dataclasses.replace(engine, exact=True)  # a close call of one member turns its whole vote
    used = dataclasses.replace(settings, blend=rule.blend,
                               decision=standing.record["used"][1] if standing else settings.decision)
    if out is None:
        out = Path("submissions") / f"{default_name(members, used)}.csv"
        check_place(out, data, _inputs(members), force)
    if save_probs is not None:
        _check_save(save_probs, out, settings, data, _inputs(members), force)
    record = {"kit": __version__, "command": command_line, "settings": vars(settings) | {"used": rule.blend},
              "plan": plan.hash if plan else "", "versions": dict(versions()), "batch_size": engine.batch_size,
              "ways": {name: way.describe() for name, way in ways_of(members, engine).items()},
              "temperature": rule.temperature, "biases": rule.biases.tolist(),
              "members": _describe(members, rule, standing, out), "oof": standing.record if standing else None}

    def save(outcome: Outcome) -> None:
        if save_probs is not None:
            _save_probs(save_probs, Probs(np.array(ids, dtype=np.str_), rule.calibrated(outcome.blended)),
                        Probs(oof.photos["image"].to_numpy().astype(np.str_), standing.probs) if standing else None, plan, force)
    return out, _finish(members, rule, data, ids, out, settings, engine, record, started, force, before=save)


def _check_save(path: Path, out: Path | None, settings: Settings, data: Path, inputs: Sequence[Path], force: bool) -> None:
    """Raise `KitError` unless probabilities may be written to `path`, and out-of-fold ones beside it."""
    if path.suffix not in PROBABILITY_FILES or path.name == board.NAME:
        raise problem(path, "is no name for probabilities", remedy="let --save-probs end in .csv or .npz")
    if settings.fast:
        raise KitError("--save-probs: needs every pass of every photo; leave --fast and --agree out")
    for place in (path, oof_beside(path)):
        refuse_input(place, data, *inputs)
        if out is not None and place.resolve() in (out.resolve(), out.with_suffix(".json").resolve()):
            raise problem(place, "is the submission's own name", remedy="choose another one for --save-probs")
        if not force:
            refuse_existing(place)
        elif place.exists():
            read_foreign_probs(place)  # raises for what is no file of probabilities, and would be replaced by one
        check_writable(place)


def _save_probs(path: Path, test: Probs, oof: Probs | None, plan: Plan | None, force: bool) -> None:
    """Write blended probabilities as a member for others: of the photos to predict, and out of fold.

    A CSV has the latter in `<stem>.oof.csv` beside it, an `.npz` has both. They are at the fitted temperature and with the fitted
    biases, those out of fold nested, so that the score of such a member is that of the ensemble.
    """
    if oof is not None and plan is not None and len(oof.ids) < len(plan.photos):
        warn(f"{path}: only {len(oof.ids):,} of {len(plan.photos):,} training photos have out-of-fold probabilities, so that "
             "none are written; ensembles with this file need --no-score")
        oof = None
    if oof is None or path.suffix == ".npz":
        oof_beside(path).unlink(missing_ok=True)  # of what --force replaces
    else:
        write_foreign_probs(oof_beside(path), oof, force)
    if oof is not None and path.suffix == ".npz":
        test = Probs(np.concatenate([test.ids, oof.ids]), np.concatenate([test.probs, oof.probs]))
    write_foreign_probs(path, test, force)


def again(source: Path, plan: Plan | None, data: Path, out: Path | None, engine: Engine = Engine(), force: bool = False,
          command_line: str = "") -> tuple[Path, dict[str, Any]]:
    """Make the submission of a record again: the same bytes, or a `KitError` and no file.

    Members are looked for where the record says, seen from its own folder, and must have the same hashes. Every network runs
    again: what is kept from before would only prove that it was kept.
    """
    from kit.fast import read_way
    started = time.monotonic()
    remedy = "name the .json beside a submission that kit.ensemble has written"
    if not source.is_file():
        raise problem(source, f"there is no such file{near(source)}", remedy=remedy)
    record, folder = read_json(source), source.resolve().parent
    try:
        settings = Settings(**{key: value for key, value in record["settings"].items() if key != "used"})
        rule = Rule(record["settings"]["used"], np.array([float(m["weight"]) for m in record["members"]]),
                    float(record["temperature"]), np.array(record["biases"], dtype=np.float64))
        files = [[(folder / file["path"], str(file["sha256"])) for file in m["files"]] for m in record["members"]]
        names, wanted = [m["name"] for m in record["members"]], record["sha256"]
        ways = {name: read_way(way) for name, way in record["ways"].items()}
        engine = dataclasses.replace(engine, ways=ways, batch_size=engine.batch_size or record["batch_size"], fresh=True)
        made_with = {str(name): str(version) for name, version in record["versions"].items()}
        strengths = record["oof"] and [float(m["f1"]) for m in record["oof"]["members"]]
        whole = (rule.blend in BLENDS and rule.biases.shape == (NUM_CLASSES,) and np.isfinite(rule.biases).all()
                 and bool(np.isclose(rule.weights.sum(), 1)) and (rule.weights >= 0).all() and 0 < rule.temperature < np.inf)
        if engine.batch_size is not None and not (isinstance(engine.batch_size, int) and engine.batch_size > 0):
            raise ValueError("its batch size is damaged")
        if not whole or not all(files) or not re.fullmatch("[0-9a-f]{64}", wanted):
            raise ValueError("its rule is damaged")
        if strengths is not None and (len(strengths) != len(files) or not _can_be_shown(record["oof"])):
            raise ValueError("its out-of-fold score is damaged")
        if not all(isinstance(file["chosen_on_fold"], bool) for m in record["members"] for file in m["files"] if "fold" in file):
            raise ValueError("its members are damaged")
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise problem(source, f"is no record of a submission ({type(error).__name__}: {error})", remedy=remedy) from error
    check_pixels(source, made_with)
    warn_versions(source, made_with)
    out = out or source.with_suffix(".csv")
    flat = [file for own in files for file in own]
    ids = read_info(info_csv(data)) if only_files([path for path, _ in flat]) else read_eval(data)
    check_place(out, data, [path for path, _ in flat], force)
    for what, bad in (("members that are not where they were", [str(path) for path, _ in flat if not path.exists()]),
                      ("members that are not the files they were",
                       [str(path) for path, digest in flat if path.exists() and file_hash(path) != digest])):
        if bad:
            raise problem(source, what, bad, "put them back")
    members = [read_members(name, [path for path, _ in own], plan, ids) for name, own in zip(names, files)]
    check_place(out, data, _inputs(members), force)
    described = [m | {"files": [{**file, "path": _seen_from(folder / file["path"], out)} for file in m["files"]]}
                 for m in record["members"]]
    new = record | {"kit": __version__, "versions": dict(versions()), "members": described, "remade_by": command_line}
    return out, _finish(members, rule, data, ids, out, settings, engine, new, started, force, wanted)


def _can_be_shown(oof: dict[str, Any]) -> bool:
    """True if a record's out-of-fold score has all that `show_record` shows of it."""
    scored = [oof, *oof["members"], *oof["classes"], *oof["tasks"].values(), *oof["candidates"]]
    intervals = [row["interval"] for row in scored if row["interval"] is not None]
    return (_SHOWN <= oof.keys() and isinstance(oof["effective"], (int, float))
            and all(len(pair) == 2 and all(isinstance(end, (int, float)) for end in pair) for pair in intervals))


def _inputs(members: Sequence[Member]) -> list[Path]:
    """The files and folders of members, which no submission may lie over or in."""
    return [*(file for m in members for file in m.files),
            *(c.path.parent if c.path.name == "best.safetensors" else c.path for m in members for c in m.checkpoints)]


def _copies(members: Sequence[Member], probs: np.ndarray, ids: Sequence[str]) -> list[int]:
    """The members to leave out: files whose probabilities are those of a file before it, out of fold and for the submission."""
    names, first = named_apart(members), distinct(probs)
    left_out = []
    for m in set(range(len(members))) - set(first):
        alike = next(k for k in first if len(distinct(probs[[k, m]])) == 1)
        ours, theirs = members[m].test, members[alike].test
        if ours is not None and theirs is not None and len(distinct(np.stack([theirs.at(ids), ours.at(ids)]))) == 1:
            left_out.append(m)
        warn(f"{names[m]}: has the same {'' if m in left_out else 'out-of-fold '}probabilities as {names[alike]}, and "
             + ("is left out" if m in left_out else "counts beside it"))
    return left_out


def _finish(members: Sequence[Member], rule: Rule, data: Path, ids: Sequence[str], out: Path, settings: Settings,
            engine: Engine, record: dict[str, Any], started: float, force: bool,
            wanted: str = "", before: Callable[[Outcome], None] | None = None) -> dict[str, Any]:
    """From members and rule to the written submission and its completed record; `before` is called before it is written."""
    strengths = [m["f1"] for m in record["oof"]["members"]] if record["oof"] else [0.0] * len(members)
    heard = np.flatnonzero(rule.weights > 0).tolist()  # the others change nothing, and are not run
    members, rule = [members[m] for m in heard], dataclasses.replace(rule, weights=rule.weights[heard])
    if settings.fast:
        outcome = blend_early(members, rule, data, ids, settings, engine, [strengths[m] for m in heard], bool(wanted))
    else:
        outcome = blend_in_full(members, rule, data, ids, settings, engine)
    record = record | {"photos": len(ids), "views": outcome.views, **outcome.record,
                       "counts": np.bincount(outcome.classes, minlength=NUM_CLASSES).tolist(),
                       "seconds": round(time.monotonic() - started, 1)}
    with stage("write"):
        if before is not None:
            before(outcome)
        record = write_submission(out, ids, outcome.classes, info_csv(data), record, force, wanted)
        board.add(out, record)
    return record


def _seen_from(path: Path, out: Path) -> str:
    """A member's path as seen from the submission's folder, so that both can move together."""
    return Path(os.path.relpath(path.absolute(), out.resolve().parent)).as_posix()


def _describe(members: Sequence[Member], rule: Rule, standing: Standing | None, out: Path) -> list[dict[str, Any]]:
    """The members as the record has them: files and their hashes, weight, and the networks' weights and GFLOP a photo."""
    from kit.models import cost
    rows: list[dict[str, Any]] = []
    for name, member, weight in zip(named_apart(members), members, rule.weights.tolist()):
        files = [{"path": _seen_from(c.path, out), "sha256": c.hash, "fold": c.card.fold, "epoch": c.card.epoch,
                  "select": c.card.select, "chosen_on_fold": c.card.chosen_on_fold, "score": c.card.score}
                 for c in member.checkpoints]
        files += [{"path": _seen_from(file, out), "sha256": file_hash(file)} for file in member.files]
        costs = [cost(c.card.model, c.card.geometry, c.card.head, c.card.cosine) for c in member.checkpoints]
        rows.append({"name": name, "weight": weight, "files": files, "parameters": sum(p for p, _ in costs),
                     "gflop": round(sum(g for _, g in costs), 3)})
    return rows


def _kept_mean(standing: Standing) -> str:
    oof = standing.record
    tested = oof["tested"]
    return (f"{' + '.join(oof['asked'])} is not used, but {tested['over']}: its nested gain over that, {tested['gain']:+.4f}, "
            f"{'is not above chance' if tested['interval'] else 'cannot be told from chance'} "
            f"({say_interval(tested['interval'], oof['effective'], '+.4f', ' to ')}); --force-blend uses it all the same")


def default_name(members: Sequence[Member], settings: Settings) -> str:
    """The submission's name: members, views, and blend and decision where they are not the plain ones."""
    def one(member: Member) -> str:
        folds = [c.path.parent.name for c in member.checkpoints]
        single = len(folds) == 1 and FOLD_FOLDER.fullmatch(folds[0])
        return f"{member.name}-{folds[0]}" if single else member.name
    names = list(map(one, members))
    name = "_".join(names) if len("_".join(names)) < 100 else f"{names[0]}_and_{len(names) - 1}_more"
    return "-".join([name, settings.tta, *[settings.blend] * (settings.blend != "mean"),
                     *[settings.decision] * (settings.decision != "argmax"),
                     *([f"agree{settings.agree:g}"] if settings.agree is not None else [])])


# ---------------------------------------------------------------- what a person sees

def show_record(record: dict[str, Any]) -> None:
    """Print an ensemble: members, blends, views, classes, and the out-of-fold score with its interval and the folds' spread."""
    oof, settings = record["oof"], record["settings"]
    scored = oof["members"] if oof else [{}] * len(record["members"])
    full = oof is not None and len(scored) > 1 and bool(scored[0]["correlations"])
    show_table("Members (macro-F1 out of fold, 95 % interval, log-loss; cost of a photo, one view; correlation of errors)",
               ["member", "folds", "macro-F1", "95 %", "log-loss", "M weights", "GFLOP",
                *([str(m + 1) for m in range(len(scored))] if full else ["correlation"]), "weight"],
               [[f"{n + 1} {row['name']}", sum("fold" in file for file in row["files"]) or "-",
                 *([f"{s['f1']:.3f}", show_interval(s["interval"]), f"{s['log_loss']:.3f}"] if s else ["-"] * 3),
                 f"{row['parameters'] / 1e6:.1f}" if row["parameters"] else "-", f"{row['gflop']:.2f}" if row["gflop"] else "-",
                 *([f"{r:.2f}" for r in s["correlations"]] if full
                   else [f"{s['correlation']:.2f}" if s and len(scored) > 1 else "-"]),
                 f"{row['weight']:.3f}"] for n, (row, s) in enumerate(zip(record["members"], scored))])
    say()
    if oof and len(oof["candidates"]) > 1:
        show_table("Blend and decision: macro-F1 in-sample and nested (fitted without the fold's people), and over the mean",
                   ["", "in-sample", "nested", "gap", "95 %", "over the mean", "95 %", ""],
                   [[c["name"], f"{c['in_sample']:.3f}", f"{c['nested']:.3f}", f"{c['in_sample'] - c['nested']:+.3f}",
                     show_interval(c["interval"]), f"{c['gain']:+.3f}", show_interval(c["gain_interval"], "+.3f"),
                     "used" if c["name"] == " + ".join(oof["used"]) else ""] for c in oof["candidates"]])
        say()
    if len(record["views"]) > 1:
        gains = oof.get("views", {}) if oof else {}
        show_table("Views" + (": seconds for the submission; macro-F1 out of fold, alone and added to the others, by the mean"
                              if gains else ": seconds for the submission; --score-tta tells what each is worth"),
                   ["view", "seconds", *(["alone", "adds", "95 %"] if gains else [])],
                   [[view, f"{record['views'][view]:.1f}" if record["views"].get(view) else "-",
                     *([f"{gains[view]['alone']:.3f}", f"{gains[view]['adds']:+.4f}",
                        show_interval(gains[view]["interval"], "+.3f")] if gains else [])] for view in record["views"]])
        say()
    _show_classes(record)
    files = [file for member in record["members"] for file in member["files"] if "fold" in file]
    n = len(files)
    computed = f"{record['passes_computed']:g} of {record['passes']} passes computed, the others kept from before or not needed"
    say(f"{', '.join(m['name'] for m in record['members'])}: {n} checkpoint{'s'[:n != 1]}; views: {', '.join(record['views'])}; "
        f"{computed}; {duration(record['seconds'])}")
    if record["ways"]:
        say("networks run in " + "; ".join(f"{way['precision']}, {way['photos']} photos at once ({name})"
                                           for name, way in record["ways"].items()))
    if "close" in record:
        close = record["close"]
        say(f"close calls: {close['photos']:,} photos were run again in fp32 ({close['passes_computed']:g} passes), "
            f"{close['drawn']:,} drawn at random and the closest ones; 16 bits moved no lead of theirs by more than "
            f"{close['error']:.3f}, and every photo with a lead below twice that is among them; {close['changed']} got another "
            "class")
        if close["photos"] < record["photos"]:
            say(f"(with {close['confidence']:.0%} confidence at most {close['share']:.0%} of all leads are moved further than "
                "any of those drawn; that no other class differs is likely, and not proven: --exact runs all in fp32)")
    if "saved" in record:
        say(f"decided early: {record['saved']:.1%} of the passes not known before saved; photos decided after each pass: "
            + " ".join(map(str, record["decided_after"])))
    if "agree" in record:
        agree = record["agree"]
        say(f"with 95 % confidence at most {agree['allowed']} of {record['photos']:,} classes differ from the full run: of "
            f"{agree['sample']:,} photos run in full, {agree['fitted_on']:,} gave the margins "
            f"({' '.join(f'{m:.2f}' for m in agree['margins'])}), and {agree['differ']} of the other {agree['tested_on']:,} "
            "differ")
    if oof is None:
        say("no out-of-fold score: --no-score", style="bold")
        return
    folds = list(oof["folds"].values())
    scores = Scores(*(oof[name] for name in ("f1", "accuracy", "mask", "gender", "age")))
    say(f"temperature {record['temperature']:.2f}: log-loss {oof['log_loss']:.3f} nested, the mean's {oof['mean_log_loss']:.3f}")
    say(f"out of fold, pooled over {oof['photos']:,} photos: {scores.line()}", style="bold")
    say(f"{say_interval(oof['interval'], oof['effective'])}, from {oof['people']:,} people"
        + ("" if oof["interval"] else " in all")
        + (f"; by fold: {' '.join(f'{f:.3f}' for f in folds)} (spread {max(folds) - min(folds):.3f}, standard deviation "
           f"{np.std(folds, ddof=1):.3f})" if len(folds) > 1 else ""))
    chosen = "each fold's kept epoch was chosen on it, so this is a little too good, while " if any(
        file["chosen_on_fold"] for file in files) else ""
    unscored = "" if settings["score_tta"] or settings["tta"] == "none" else ", nor any view but the plain one"
    say(f"(each photo by the checkpoint that did not train on it; {chosen}the folds' mean is not in it{unscored})")


def _show_classes(record: dict[str, Any]) -> None:
    oof = record["oof"]
    if oof is None:
        return show_table("Class counts", ["class", "submission"],
                          [[f"{c:2d} {CLASS_NAMES[c]}", n] for c, n in enumerate(record["counts"])], ["photos", record["photos"]])
    share = record["photos"] / oof["photos"]
    show_table("Classes (out of fold: people, F1, 95 % interval, photos true and predicted; submission: predicted, and scaled)",
               ["class", "people", "F1", "95 %", "true", "predicted", "submission", "scaled"],
               [[f"{c:2d} {CLASS_NAMES[c]}", own["people"], f"{own['f1']:.3f}", show_interval(own["interval"]),
                 oof["true_counts"][c], oof["predicted_counts"][c], count, f"{count / share:.0f}"]
                for c, (count, own) in enumerate(zip(record["counts"], oof["classes"]))]
               + [[task, "", f"{own['f1']:.3f}", show_interval(own["interval"]), "", "", "", ""]
                  for task, own in oof["tasks"].items()],
               ["photos", "", "", "", oof["photos"], oof["photos"], record["photos"], oof["photos"]])
    say()


@command
def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    parser = Parser(prog="kit.ensemble", description=__doc__)
    parser.add_argument("members", nargs="*", type=Path, metavar="MEMBER",
                        help="a run's folder, one fold's, a checkpoint, or a file of probabilities")
    parser.add_argument("--data", help="the competition's folder (default: $KIT_DATA, then data/)")
    parser.add_argument("--plan", type=Path, default=Path("runs/folds.csv"), help="the fold plan (default: runs/folds.csv)")
    parser.add_argument("--tta", default="none", metavar="none|hflip|fivecrop|scale|shift|bright|hflip+scale...",
                        help="views of each photo, the plain one always among them, + for products (default: none)")
    parser.add_argument("--force-views", action="store_true", help="take views upside down and at right angles, too")
    parser.add_argument("--score-tta", action="store_true", help="score the views out of fold, too: what each of them adds")
    parser.add_argument("--blend", choices=list(BLENDS), default="mean",
                        help="; ".join(f"{name}: {text}" for name, text in BLENDS.items()) + " (default: mean)")
    parser.add_argument("--decide", choices=list(DECISIONS), default="argmax", dest="decision",
                        help="; ".join(f"{name}: {text}" for name, text in DECISIONS.items()) + " (default: argmax)")
    parser.add_argument("--force-blend", action="store_true",
                        help="use a fitted blend or decision whose gain is not above chance")
    parser.add_argument("--no-score", action="store_true",
                        help="do without an out-of-fold score, for members that have none")
    parser.add_argument("--fast", action="store_true", help="stop a photo as soon as no member to come can change its class")
    parser.add_argument("--agree", type=float, metavar="SHARE",
                        help="stop earlier: with 95 %% confidence such a share of classes, say .998, is that of the full run")
    parser.add_argument("--from", type=Path, metavar="FILE.json", dest="source",
                        help="make a record's submission again, to the byte: every network runs again")
    parser.add_argument("--check", type=Path, nargs="+", metavar="FILE.csv",
                        help="check submissions, whoever made them; write nothing")
    parser.add_argument("--out", type=Path,
                        help="default: submissions/<members>-<tta>.csv, with blend and decision if not the plain ones")
    parser.add_argument("--save-probs", type=Path, metavar="FILE.csv|.npz",
                        help="write the blended probabilities, too, out of fold as well: a member for others")
    parser.add_argument("--allow-missing-folds", action="store_true", help="take a run with the folds that are there")
    parser.add_argument("--device", help="cpu, cuda or cuda:1 (default: the first GPU, else the CPU)")
    parser.add_argument("--workers", type=int, help="loader processes (default: by the machine)")
    parser.add_argument("--batch-size", type=int, help="photos a batch, for a GPU of little memory")
    parser.add_argument("--exact", action="store_true", help="run networks in fp32, whatever is faster")
    parser.add_argument("--profile", action="store_true",
                        help="tell where the time went, and write a trace beside the submission")
    parser.add_argument("--force", action="store_true", help="overwrite an existing submission")
    args = parser.parse_intermixed_args(argv)
    if [bool(args.members), args.source is not None, args.check is not None].count(True) != 1:
        raise KitError("kit.ensemble: name members, such as runs/effb4_5fold, or --from FILE.json, or --check FILE.csv: one of "
                       "the three")
    for name in ("workers", "batch_size"):
        value = getattr(args, name)
        if value is not None and value < (name == "batch_size"):
            raise KitError(f"--{name.replace('_', '-')} {value}: take {int(name == 'batch_size')} or more")
    which = "--check" if args.check is not None else "--from" if args.source is not None else ""
    of_place = ["members", "check", "data", "plan"]
    of_place += ["source", "out", "device", "workers", "batch_size", "force"] * (which == "--from")
    idle = [name for name, value in vars(args).items() if which and name not in of_place and value != parser.get_default(name)]
    if idle:
        option = "--decide" if idle[0] == "decision" else "--" + idle[0].replace("_", "-")
        said = which == "--from" and idle[0] not in ("save_probs", "profile")
        raise KitError(f"{which}: takes no {option}{', for the record says it' * said}; leave it out")
    data = find_data(args.data, "eval/info.csv")
    if args.check is not None:
        return show_checks(args.check, info_csv(data), args.plan)
    words = shlex.join(["python", "-m", "kit.ensemble", *map(str, sys.argv[1:] if argv is None else argv)])
    for place in (args.out, *([args.save_probs, oof_beside(args.save_probs)] if args.save_probs is not None else [])):
        if place is not None:
            refuse_input(place, data, args.plan, plan_json(args.plan))
    engine = Engine(args.device, args.workers, args.batch_size, args.exact)
    # The labels are in the plan: without a score, files of probabilities need none.
    needless = ((args.no_score or args.source is not None) and only_files(args.members)
                and args.plan == parser.get_default("plan") and not args.plan.exists())
    plan = None if needless else read_plan(args.plan)
    device = None
    if args.profile:
        from kit.device import choose_device
        device = choose_device(args.device)
    with profiled(device) as profile:
        if args.source is not None:
            out, record = again(args.source, plan, data, args.out, engine, args.force, words)
        else:
            settings = Settings(tta=args.tta, force_views=args.force_views, score_tta=args.score_tta, blend=args.blend,
                                decision=args.decision, force_blend=args.force_blend, score=not args.no_score,
                                fast=args.fast or args.agree is not None, agree=args.agree)
            out, record = ensemble(args.members, plan, data, args.out, settings, engine, args.allow_missing_folds, args.force,
                                   words, args.save_probs)
    show_record(record)
    if profile is not None:
        profile.write(out.with_suffix(".profile"))
    if args.save_probs is not None:
        beside = oof_beside(args.save_probs)
        say(f"wrote {args.save_probs}" + (f" and {beside}" if beside.exists() else "") + ", a member for others")
    say(f"wrote {out} (checked against info.csv: same ids, same order, whole numbers 0..17) and {out.with_suffix('.json')}")
    for line in check_submission(out, info_csv(data), expected_of(out, plan)):
        warn(line)


def show_checks(paths: Sequence[Path], info: Path, plan_path: Path) -> None:
    """Check submissions and say what was found; raises `KitError` where the competition would refuse one, after all of them."""
    plan = None
    if plan_path.exists():
        try:
            plan = read_plan(plan_path)
        except KitError as error:
            warn(f"without the plan's labels: {error}")
    refused: list[str] = []
    for path in [path for path in paths if len(paths) == 1 or path.name != board.NAME]:  # of submissions/*.csv
        try:
            if not path.is_file():
                raise problem(path, f"there is no such file{near(path)}", remedy="name a submission")
            expected = expected_of(path, plan)
            warnings = check_submission(path, info, expected)
        except KitError as error:
            refused.append(str(error))
            continue
        say(f"{path}: would pass: same ids as {info}, same order, whole numbers 0..17"
            + (f"; class counts held against {expected.source}" if expected else ""))
        for line in warnings:
            warn(line)
    for line in refused[1:]:
        warn(line)
    if refused:
        raise KitError(refused[0])


if __name__ == "__main__":
    sys.exit(main())
