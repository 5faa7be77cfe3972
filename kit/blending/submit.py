"""From members to a checked submission and its record."""

import dataclasses
import os
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from kit import __version__
from kit.blending.classify import Outcome, blend_early, blend_in_full
from kit.blending.margins import sample_size
from kit.blending.rule import BLENDS, Rule, distinct_members, uniform_rule
from kit.blending.select import BlendSelection, select_blend
from kit.blending.settings import Settings, check_settings
from kit.competitions.mask import NUM_CLASSES
from kit.data.folder import data_places, info_csv, read_eval, read_info
from kit.data.plan import Plan
from kit.inference.engine import Compute
from kit.inference.member import Member, unique_names
from kit.inference.member_files import only_files, oof_path
from kit.inference.members import find_members, inference_modes, read_members
from kit.inference.oof import oof_probs
from kit.inference.runtime import read_mode
from kit.models.network import cost
from kit.results import leaderboard as board
from kit.results.check import check_place
from kit.results.probs import PROBABILITY_FILES, Probs, read_foreign_probs, write_foreign_probs
from kit.results.run import FOLD_FOLDER
from kit.results.submission import write_submission
from kit.scoring.bootstrap import say_interval
from kit.system.console import warn
from kit.system.disk import check_output, file_hash, near, read_json
from kit.system.errors import KitError, problem
from kit.system.profiler import stage
from kit.system.versions import check_pixels, versions, warn_versions

# What is shown of a record's out-of-fold score.
_SHOWN: Final = {
    "f1",
    "accuracy",
    "mask",
    "gender",
    "age",
    "interval",
    "effective",
    "folds",
    "photos",
    "people",
    "candidates",
    "used",
    "classes",
    "tasks",
    "true_counts",
    "predicted_counts",
    "log_loss",
    "mean_log_loss",
    "members",
}


def ensemble(
    paths: Sequence[Path],
    plan: Plan | None,
    data: Path,
    out: Path | None,
    settings: Settings = Settings(),
    engine: Compute = Compute(),
    allow_missing: bool = False,
    force: bool = False,
    command_line: str = "",
    save_probs: Path | None = None,
) -> tuple[Path, dict[str, Any]]:
    """Ensemble members into a submission, and its record beside it (`.json`): the submission's
    path, and the record.

    `out` None is a name in `submissions/` by members, views, blend and decision. Files of
    probabilities need neither photos nor, without a score, a plan. `save_probs` is a file for the
    blended probabilities, as `_save_probs` says.
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
    check_place(
        out or Path("submissions") / f"{default_name(members, settings)}.csv",
        data,
        _inputs(members),
        force,
    )
    standing: BlendSelection | None = None
    if settings.score:
        if plan is None:
            raise KitError(
                "a score needs the fold plan, which has the labels: name it with --plan, or "
                "--no-score"
            )
        oof = oof_probs(
            members,
            plan,
            data,
            settings.tta if settings.score_tta else "none",
            engine,
            settings.force_views,
        )
        copies = _copies(members, oof.probs, ids)
        oof, members = (
            oof.without(copies),
            [member for m, member in enumerate(members) if m not in copies],
        )
        standing = select_blend(oof, settings.blend, settings.decision, settings.force_blend)
        if standing.kept_mean:
            warn(_kept_mean(standing))
    rule = standing.rule if standing else uniform_rule(settings.blend, len(members))
    if rule.blend == "vote":
        engine = dataclasses.replace(
            engine, exact=True
        )  # a close call of one member turns its whole vote
    used = dataclasses.replace(
        settings,
        blend=rule.blend,
        decision=standing.record["used"][1] if standing else settings.decision,
    )
    if out is None:
        out = Path("submissions") / f"{default_name(members, used)}.csv"
        check_place(out, data, _inputs(members), force)
    if save_probs is not None:
        _check_save(save_probs, out, settings, data, _inputs(members), force)
    record = {
        "kit": __version__,
        "command": command_line,
        "settings": vars(settings) | {"used": rule.blend},
        "plan": plan.hash if plan else "",
        "versions": dict(versions()),
        "batch_size": engine.batch_size,
        "ways": {name: way.describe() for name, way in inference_modes(members, engine).items()},
        "temperature": rule.temperature,
        "biases": rule.biases.tolist(),
        "members": _describe(members, rule, standing, out),
        "oof": standing.record if standing else None,
    }

    def save(outcome: Outcome) -> None:
        if save_probs is not None:
            _save_probs(
                save_probs,
                Probs(np.array(ids, dtype=np.str_), rule.calibrated(outcome.blended)),
                Probs(oof.photos["image"].to_numpy().astype(np.str_), standing.probs)
                if standing
                else None,
                plan,
                force,
            )

    return out, _finish(
        members, rule, data, ids, out, settings, engine, record, started, force, before=save
    )


def _check_save(
    path: Path,
    out: Path | None,
    settings: Settings,
    data: Path,
    inputs: Sequence[Path],
    force: bool,
) -> None:
    """Raise `KitError` unless probabilities may be written to `path`, and out-of-fold ones beside
    it.
    """
    if path.name == board.NAME:
        raise problem(
            path, "is no name for probabilities, but the leaderboard log's", remedy="choose another"
        )
    if settings.fast:
        raise KitError(
            "--save-probs: needs every pass of every photo; leave --fast and --agree out"
        )
    for place in (path, oof_path(path)):
        if out is not None and place.resolve() in (
            out.resolve(),
            out.with_suffix(".json").resolve(),
        ):
            raise problem(
                place, "is the submission's own name", remedy="choose another one for --save-probs"
            )
        check_output(
            place,
            "probabilities",
            suffixes=sorted(PROBABILITY_FILES),
            option="--save-probs",
            inputs=[*data_places(data), *inputs],
            force=force,
        )
        if place.exists():
            # Raises for what is no file of probabilities, and would be replaced by one.
            read_foreign_probs(place)


def _save_probs(path: Path, test: Probs, oof: Probs | None, plan: Plan | None, force: bool) -> None:
    """Write blended probabilities as a member for others: of the photos to predict, and out of
    fold.

    A CSV has the latter in `<stem>.oof.csv` beside it, an `.npz` has both. They are at the fitted
    temperature and with the fitted biases, those out of fold nested, so that the score of such a
    member is that of the ensemble.
    """
    if oof is not None and plan is not None and len(oof.ids) < len(plan.photos):
        warn(
            f"{path}: only {len(oof.ids):,} of {len(plan.photos):,} training photos have "
            "out-of-fold probabilities, so that "
            "none are written; ensembles with this file need --no-score"
        )
        oof = None
    if oof is None or path.suffix == ".npz":
        oof_path(path).unlink(missing_ok=True)  # of what --force replaces
    else:
        write_foreign_probs(oof_path(path), oof, force)
    if oof is not None and path.suffix == ".npz":
        test = Probs(np.concatenate([test.ids, oof.ids]), np.concatenate([test.probs, oof.probs]))
    write_foreign_probs(path, test, force)


def reproduce(
    source: Path,
    plan: Plan | None,
    data: Path,
    out: Path | None,
    engine: Compute = Compute(),
    force: bool = False,
    command_line: str = "",
) -> tuple[Path, dict[str, Any]]:
    """Make the submission of a record again: the same bytes, or a `KitError` and no file.

    Members are looked for where the record says, seen from its own folder, and must have the same
    hashes. Every network runs again: what is kept from before would only prove that it was kept.
    """
    started = time.monotonic()
    remedy = "name the .json beside a submission that kit.ensemble has written"
    if not source.is_file():
        raise problem(source, f"there is no such file{near(source)}", remedy=remedy)
    record, folder = read_json(source), source.resolve().parent
    try:
        settings = Settings(
            **{key: value for key, value in record["settings"].items() if key != "used"}
        )
        rule = Rule(
            record["settings"]["used"],
            np.array([float(m["weight"]) for m in record["members"]]),
            float(record["temperature"]),
            np.array(record["biases"], dtype=np.float64),
        )
        files = [
            [(folder / file["path"], str(file["sha256"])) for file in m["files"]]
            for m in record["members"]
        ]
        names, wanted = [m["name"] for m in record["members"]], record["sha256"]
        ways = {name: read_mode(way) for name, way in record["ways"].items()}
        engine = dataclasses.replace(
            engine, ways=ways, batch_size=engine.batch_size or record["batch_size"], fresh=True
        )
        made_with = {str(name): str(version) for name, version in record["versions"].items()}
        strengths = record["oof"] and [float(m["f1"]) for m in record["oof"]["members"]]
        whole = (
            rule.blend in BLENDS
            and rule.biases.shape == (NUM_CLASSES,)
            and np.isfinite(rule.biases).all()
            and bool(np.isclose(rule.weights.sum(), 1))
            and (rule.weights >= 0).all()
            and 0 < rule.temperature < np.inf
        )
        if engine.batch_size is not None and not (
            isinstance(engine.batch_size, int) and engine.batch_size > 0
        ):
            raise ValueError("its batch size is damaged")
        if not whole or not all(files) or not re.fullmatch("[0-9a-f]{64}", wanted):
            raise ValueError("its rule is damaged")
        if strengths is not None and (
            len(strengths) != len(files) or not _can_be_shown(record["oof"])
        ):
            raise ValueError("its out-of-fold score is damaged")
        if not all(
            isinstance(file["chosen_on_fold"], bool)
            for m in record["members"]
            for file in m["files"]
            if "fold" in file
        ):
            raise ValueError("its members are damaged")
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise problem(
            source, f"is no record of a submission ({type(error).__name__}: {error})", remedy=remedy
        ) from error
    check_pixels(source, made_with)
    warn_versions(source, made_with)
    out = out or source.with_suffix(".csv")
    flat = [file for own in files for file in own]
    ids = read_info(info_csv(data)) if only_files([path for path, _ in flat]) else read_eval(data)
    check_place(out, data, [path for path, _ in flat], force)
    for what, bad in (
        (
            "members that are not where they were",
            [str(path) for path, _ in flat if not path.exists()],
        ),
        (
            "members that are not the files they were",
            [str(path) for path, digest in flat if path.exists() and file_hash(path) != digest],
        ),
    ):
        if bad:
            raise problem(source, what, bad, "put them back")
    members = [
        read_members(name, [path for path, _ in own], plan, ids) for name, own in zip(names, files)
    ]
    check_place(out, data, _inputs(members), force)
    described = [
        m
        | {
            "files": [
                {**file, "path": _seen_from(folder / file["path"], out)} for file in m["files"]
            ]
        }
        for m in record["members"]
    ]
    new = record | {
        "kit": __version__,
        "versions": dict(versions()),
        "members": described,
        "remade_by": command_line,
    }
    return out, _finish(
        members, rule, data, ids, out, settings, engine, new, started, force, wanted
    )


def _can_be_shown(oof: dict[str, Any]) -> bool:
    """True if a record's out-of-fold score has all that `show_record` shows of it."""
    scored = [oof, *oof["members"], *oof["classes"], *oof["tasks"].values(), *oof["candidates"]]
    intervals = [row["interval"] for row in scored if row["interval"] is not None]
    return (
        _SHOWN <= oof.keys()
        and isinstance(oof["effective"], (int, float))
        and all(
            len(pair) == 2 and all(isinstance(end, (int, float)) for end in pair)
            for pair in intervals
        )
    )


def _inputs(members: Sequence[Member]) -> list[Path]:
    """The files and folders of members, which no submission may lie over or in."""
    return [
        *(file for m in members for file in m.files),
        *(
            c.path.parent if c.path.name == "best.safetensors" else c.path
            for m in members
            for c in m.checkpoints
        ),
    ]


def _copies(members: Sequence[Member], probs: np.ndarray, ids: Sequence[str]) -> list[int]:
    """The members to leave out: files whose probabilities are those of a file before it, out of
    fold and for the submission.
    """
    names, first = unique_names(members), distinct_members(probs)
    left_out = []
    for m in set(range(len(members))) - set(first):
        alike = next(k for k in first if len(distinct_members(probs[[k, m]])) == 1)
        ours, theirs = members[m].test, members[alike].test
        if (
            ours is not None
            and theirs is not None
            and len(distinct_members(np.stack([theirs.at(ids), ours.at(ids)]))) == 1
        ):
            left_out.append(m)
        warn(
            f"{names[m]}: has the same {'' if m in left_out else 'out-of-fold '}probabilities as "
            f"{names[alike]}, and " + ("is left out" if m in left_out else "counts beside it")
        )
    return left_out


def _finish(
    members: Sequence[Member],
    rule: Rule,
    data: Path,
    ids: Sequence[str],
    out: Path,
    settings: Settings,
    engine: Compute,
    record: dict[str, Any],
    started: float,
    force: bool,
    wanted: str = "",
    before: Callable[[Outcome], None] | None = None,
) -> dict[str, Any]:
    """From members and rule to the written submission and its completed record; `before` is called
    before it is written.
    """
    strengths = (
        [m["f1"] for m in record["oof"]["members"]] if record["oof"] else [0.0] * len(members)
    )
    active_members = np.flatnonzero(
        rule.weights > 0
    ).tolist()  # the others change nothing, and are not run
    members, rule = (
        [members[m] for m in active_members],
        dataclasses.replace(rule, weights=rule.weights[active_members]),
    )
    if settings.fast:
        outcome = blend_early(
            members,
            rule,
            data,
            ids,
            settings,
            engine,
            [strengths[m] for m in active_members],
            bool(wanted),
        )
    else:
        outcome = blend_in_full(members, rule, data, ids, settings, engine)
    record = record | {
        "photos": len(ids),
        "views": outcome.views,
        **outcome.record,
        "counts": np.bincount(outcome.classes, minlength=NUM_CLASSES).tolist(),
        "seconds": round(time.monotonic() - started, 1),
    }
    with stage("write"):
        if before is not None:
            before(outcome)
        record = write_submission(out, ids, outcome.classes, info_csv(data), record, force, wanted)
        board.add(out, record)
    return record


def _seen_from(path: Path, out: Path) -> str:
    """A member's path as seen from the submission's folder, so that both can move together."""
    return Path(os.path.relpath(path.absolute(), out.resolve().parent)).as_posix()


def _describe(
    members: Sequence[Member], rule: Rule, standing: BlendSelection | None, out: Path
) -> list[dict[str, Any]]:
    """The members as the record has them: files and their hashes, weight, and the networks' weights
    and GFLOP a photo.
    """
    rows: list[dict[str, Any]] = []
    for name, member, weight in zip(unique_names(members), members, rule.weights.tolist()):
        files = [
            {
                "path": _seen_from(c.path, out),
                "sha256": c.hash,
                "fold": c.card.fold,
                "epoch": c.card.epoch,
                "select": c.card.select,
                "chosen_on_fold": c.card.chosen_on_fold,
                "score": c.card.score,
            }
            for c in member.checkpoints
        ]
        files += [
            {"path": _seen_from(file, out), "sha256": file_hash(file)} for file in member.files
        ]
        costs = [
            cost(c.card.model, c.card.geometry, c.card.head, c.card.cosine)
            for c in member.checkpoints
        ]
        rows.append(
            {
                "name": name,
                "weight": weight,
                "files": files,
                "parameters": sum(p for p, _ in costs),
                "gflop": round(sum(g for _, g in costs), 3),
            }
        )
    return rows


def _kept_mean(standing: BlendSelection) -> str:
    oof = standing.record
    tested = oof["tested"]
    return (
        f"{' + '.join(oof['asked'])} is not used, but {tested['over']}: its nested gain over "
        f"that, {tested['gain']:+.4f}, "
        f"{'is not above chance' if tested['interval'] else 'cannot be told from chance'} "
        f"({say_interval(tested['interval'], oof['effective'], '+.4f', ' to ')}); --force-blend "
        "uses it all the same"
    )


def default_name(members: Sequence[Member], settings: Settings) -> str:
    """The submission's name: members, views, and blend and decision where they are not the plain
    ones.
    """

    def one(member: Member) -> str:
        folds = [c.path.parent.name for c in member.checkpoints]
        single = len(folds) == 1 and FOLD_FOLDER.fullmatch(folds[0])
        return f"{member.name}-{folds[0]}" if single else member.name

    names = list(map(one, members))
    name = (
        "_".join(names) if len("_".join(names)) < 100 else f"{names[0]}_and_{len(names) - 1}_more"
    )
    return "-".join(
        [
            name,
            settings.tta,
            *[settings.blend] * (settings.blend != "mean"),
            *[settings.decision] * (settings.decision != "argmax"),
            *([f"agree{settings.agree:g}"] if settings.agree is not None else []),
        ]
    )
