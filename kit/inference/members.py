"""The members of an ensemble, runs and other teams' probability files, and their probabilities,
joined by id.
"""

import dataclasses
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from kit.data.plan import Plan
from kit.inference.engine import Compute, architecture_name
from kit.inference.member import Checkpoint, Member
from kit.inference.member_files import only_files, oof_path, read_member_file
from kit.inference.runtime import InferenceMode
from kit.models.checkpoint import CheckpointInfo, read_checkpoint_info
from kit.results.probs import PROBABILITY_FILES
from kit.results.run import FOLD_FOLDER, Fold, read_metrics
from kit.system.console import warn
from kit.system.device import choose_device
from kit.system.disk import file_hash, near
from kit.system.errors import problem
from kit.system.versions import warn_versions


def inference_modes(members: Sequence[Member], engine: Compute) -> dict[str, InferenceMode]:
    """The way in which each architecture among members runs."""
    device = choose_device(engine.device)
    return {
        architecture_name(c.card): engine.way(c.card, device)
        for member in members
        for c in member.checkpoints
    }


def find_members(
    paths: Sequence[Path], plan: Plan | None, ids: Sequence[str], allow_missing: bool = False
) -> list[Member]:
    """The members that paths name, in order: folders of runs, of single folds, checkpoints, and
    probability files.

    Single folds of one run are one member. `ids` are the photos to predict, which a file must have,
    all and only. Without a plan there can be files alone, whose out-of-fold probabilities are not
    read. Raises `KitError` for a folder without a checkpoint, one of another plan, one named twice,
    and, unless allowed, a run without a checkpoint for each fold.
    """
    runs: dict[tuple[Path, str, int], list[Checkpoint]] = {}
    files: dict[Path, Member] = {}
    order: list[tuple[Path, str, int] | Path] = []
    for path in paths:
        if only_files([path]):
            if path.resolve() in files:
                raise problem(path, "the same file twice", remedy="name each member once")
            if any(oof_path(other).resolve() == path.resolve() for other in paths):
                continue  # a glob has taken it with its own
            beside = oof_path(path)
            files[path.resolve()] = read_member_file(
                path, plan, ids, beside if beside.exists() else None
            )
            order.append(path.resolve())
            continue
        if plan is None:
            raise problem(
                path, "needs the fold plan it was trained on", remedy="name it with --plan"
            )
        for (place, recipe), checkpoint in _find_checkpoints(path, plan, allow_missing):
            # A second checkpoint of a fold is of a second member.
            own = [c for key, run in runs.items() if key[:2] == (place, recipe) for c in run]
            number = sum(c.card.fold == checkpoint.card.fold for c in own)
            runs.setdefault((place, recipe, number), []).append(checkpoint)
            order.append((place, recipe, number))
    found = [checkpoint for run in runs.values() for checkpoint in run]
    repeated = [
        str(c.path) for i, c in enumerate(found) if c.hash in {other.hash for other in found[:i]}
    ]
    if repeated:
        raise problem(repeated[0], "the same checkpoint twice", repeated, "name each run once")
    members = [
        files[key] if isinstance(key, Path) else Member(key[1] or key[0].name, tuple(runs[key]))
        for key in dict.fromkeys(order)
    ]
    for member in members:
        if len({json.dumps(c.card.recipe, sort_keys=True) for c in member.checkpoints}) > 1:
            warn(f"{member.name}: its folds were trained by different recipes")
        _warn_versions(member)
    return members


def _warn_versions(member: Member) -> None:
    """Warn once of each set of other versions that a member's checkpoints were trained with."""
    for theirs in {json.dumps(c.card.versions, sort_keys=True) for c in member.checkpoints}:
        warn_versions(member.name, json.loads(theirs))


def _find_checkpoints(
    path: Path, plan: Plan, allow_missing: bool
) -> Iterable[tuple[tuple[Path, str], Checkpoint]]:
    """The checkpoints of a path, each with the folder and, for a bare file, the recipe's name, that
    make it one's run.
    """
    of_fold = path.name == "best.safetensors" and FOLD_FOLDER.fullmatch(path.resolve().parent.name)
    if path.suffix == ".safetensors" and path.is_file() and not of_fold:
        card = read_checkpoint_info(path)
        _check_checkpoint(path, card, plan)
        return [
            ((path.resolve().parent, card.recipe["name"]), Checkpoint(path, card, file_hash(path)))
        ]
    run = path.parent if of_fold else path
    single = (run / "best.safetensors").exists()
    folders = [run] if single else [run / f"fold{k}" for k in range(plan.k)]
    there = [folder for folder in folders if (folder / "best.safetensors").exists()]
    if not there:
        loose = sorted(run.glob("*.safetensors")) if run.is_dir() else []
        raise problem(
            run,
            "holds no checkpoint" if run.is_dir() else f"there is no such run{near(run)}",
            remedy=f"name the files in it, such as {loose[0]}"
            if loose
            else "train it with python -m kit.train RECIPE --fold all",
        )
    missing = [folder.name for folder in folders if folder not in there]
    if missing and not allow_missing:
        raise problem(
            run,
            "folds without a checkpoint",
            missing,
            "train them with python -m kit.train RECIPE --fold "
            f"{','.join(name[4:] for name in missing)}, or --allow-missing-folds",
        )
    found = []
    for folder in there:
        files = Fold(folder)
        card = read_checkpoint_info(files.best)
        _check_checkpoint(files.best, card, plan)
        if not single and folder.name != f"fold{card.fold}":
            raise problem(
                files.best,
                f"is the checkpoint of fold {card.fold}",
                remedy="move it to its own folder",
            )
        epochs = len(read_metrics(files.metrics))
        whole = (
            epochs >= card.recipe["epochs"] or card.recipe["patience"] or not files.metrics.exists()
        )  # a soup has none
        if files.last.exists() or not whole:
            warn(f"{folder}: training is not finished ({epochs} of {card.recipe['epochs']} epochs)")
        key = (
            run.resolve().parent
            if single and FOLD_FOLDER.fullmatch(run.resolve().name)
            else run.resolve(),
            "",
        )
        found.append((key, Checkpoint(files.best, card, file_hash(files.best))))
    return found


def read_members(name: str, files: Sequence[Path], plan: Plan | None, ids: Sequence[str]) -> Member:
    """The member that a record names by its files: checkpoints, or a file of
    probabilities first.
    """
    if files[0].suffix in PROBABILITY_FILES:
        return dataclasses.replace(read_member_file(files[0], plan, ids, *files[1:2]), name=name)
    checkpoints = tuple(
        Checkpoint(path, read_checkpoint_info(path), file_hash(path)) for path in files
    )
    for checkpoint in checkpoints:
        _check_checkpoint(checkpoint.path, checkpoint.card, plan)
    member = Member(name, checkpoints)
    _warn_versions(member)
    return member


def _check_checkpoint(path: Path, card: CheckpointInfo, plan: Plan | None) -> None:
    if plan is None:
        raise problem(path, "needs the fold plan it was trained on", remedy="name it with --plan")
    if card.plan != plan.hash:
        raise problem(
            path,
            "was trained on another fold plan",
            remedy="name its plan with --plan, or train it again on this one",
        )
    if card.limit:
        raise problem(
            path, f"is of a trial on {card.limit} photos", remedy="train the recipe without --limit"
        )
