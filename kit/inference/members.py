"""The members of an ensemble: runs, checkpoints, and other teams' probability files."""

import dataclasses
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from kit.competition import Competition
from kit.data.plan import Plan
from kit.data.recorded import recorded_competition, same_competition
from kit.inference.engine import Compute
from kit.inference.member import Checkpoint, Member
from kit.inference.member_files import only_files, oof_path, read_member_file
from kit.inference.runtime import InferenceMode
from kit.models.checkpoint import CheckpointInfo, read_checkpoint_info
from kit.results.probs import PROBABILITY_FILES, read_key
from kit.results.run import FOLD_FOLDER, Fold, belongs, read_metrics
from kit.system.console import warn
from kit.system.device import choose_device
from kit.system.disk import file_hash, near
from kit.system.errors import problem
from kit.system.versions import warn_versions

RunKey = tuple[Path, str]  # a run's folder, and a recipe's name for a bare checkpoint


def inference_modes(members: Sequence[Member], compute: Compute) -> dict[str, InferenceMode]:
    """The mode in which each architecture among members runs, by its name."""
    device = choose_device(compute.device)
    checkpoints = [c for member in members for c in member.checkpoints]
    return {c.architecture.name: compute.mode(c.architecture, device) for c in checkpoints}


def find_members(
    paths: Sequence[Path],
    plan: Plan | None,
    ids: Sequence[str],
    allow_missing: bool = False,
    competition: Competition | None = None,
) -> list[Member]:
    """The members that paths name, in order.

    A path is a run's folder, a single fold's, a checkpoint, or a file of probabilities. Single
    folds of one run are one member. `ids` are the photos to predict; a file must have exactly
    these. Without a plan, paths must be files, of a `competition`, and their out-of-fold
    probabilities are not read. Raises `KitError` for a folder without a checkpoint, a checkpoint of
    another plan or competition, one named twice, and, unless allowed, a run without a checkpoint
    for each fold.
    """
    runs: dict[tuple[RunKey, int], list[Checkpoint]] = {}
    files: dict[Path, Member] = {}
    order: list[tuple[RunKey, int] | Path] = []
    for path in paths:
        if only_files([path]):
            if path.resolve() in files:
                raise problem(path, "the same file twice", remedy="name each member once")
            if any(oof_path(other).resolve() == path.resolve() for other in paths):
                continue  # a glob has taken it with the file that it belongs to
            beside = oof_path(path) if oof_path(path).exists() else None
            files[path.resolve()] = read_member_file(path, plan, ids, beside, competition)
            order.append(path.resolve())
            continue
        for key, checkpoint in _find_checkpoints(path, _needed(path, plan), allow_missing):
            # A second checkpoint of a fold is of a second member.
            of_run = [c for (other, _), run in runs.items() if other == key for c in run]
            number = sum(c.info.fold == checkpoint.info.fold for c in of_run)
            runs.setdefault((key, number), []).append(checkpoint)
            order.append((key, number))
    _check_different([checkpoint for run in runs.values() for checkpoint in run])
    members = []
    for place in dict.fromkeys(order):
        if isinstance(place, Path):
            members.append(files[place])
        else:
            (folder, recipe), _ = place
            members.append(Member(recipe or folder.name, tuple(runs[place])))
    for member in members:
        if len({json.dumps(c.info.recipe, sort_keys=True) for c in member.checkpoints}) > 1:
            warn(f"{member.name}: its folds were trained by different recipes")
        _warn_versions(member)
    return members


def read_members(
    name: str,
    files: Sequence[Path],
    plan: Plan | None,
    ids: Sequence[str],
    competition: Competition,
) -> Member:
    """The member that a record names by its files: checkpoints, or probabilities."""
    if files[0].suffix in PROBABILITY_FILES:
        beside = files[1] if len(files) > 1 else None
        member = read_member_file(files[0], plan, ids, beside, competition)
        return dataclasses.replace(member, name=name)
    member = Member(name, tuple(_read_checkpoint(path, _needed(path, plan)) for path in files))
    _warn_versions(member)
    return member


def _needed(path: Path, plan: Plan | None) -> Plan:
    """The plan that a checkpoint needs."""
    if plan is None:
        what = "needs the fold plan it was trained on"
        raise problem(path, what, remedy="name it with --plan")
    return plan


def _check_different(checkpoints: Sequence[Checkpoint]) -> None:
    """Raise `KitError` for a checkpoint that is named twice."""
    hashes = [c.hash for c in checkpoints]
    repeated = [str(c.path) for i, c in enumerate(checkpoints) if c.hash in hashes[:i]]
    if repeated:
        raise problem(repeated[0], "the same checkpoint twice", repeated, "name each run once")


def _warn_versions(member: Member) -> None:
    """Warn once of each set of other versions that a member's checkpoints were trained with."""
    for versions in {json.dumps(c.info.versions, sort_keys=True) for c in member.checkpoints}:
        warn_versions(member.name, json.loads(versions))


def _find_checkpoints(
    path: Path, plan: Plan, allow_missing: bool
) -> Iterable[tuple[RunKey, Checkpoint]]:
    """The checkpoints of a path, each with the key of the run that it is of."""
    of_fold = path.name == "best.safetensors" and FOLD_FOLDER.fullmatch(path.resolve().parent.name)
    if path.suffix == ".safetensors" and path.is_file() and not of_fold:
        checkpoint = _read_checkpoint(path, plan)
        return [((path.resolve().parent, checkpoint.info.recipe["name"]), checkpoint)]
    run = path.parent if of_fold else path
    if not (run / "best.safetensors").exists():
        folders = _fold_folders(run, plan, allow_missing)
        return [((run.resolve(), ""), _fold_checkpoint(folder, plan)) for folder in folders]
    place = run.resolve()
    place = place.parent if FOLD_FOLDER.fullmatch(place.name) else place
    return [((place, ""), _fold_checkpoint(run, plan, single=True))]


def _fold_folders(run: Path, plan: Plan, allow_missing: bool) -> list[Path]:
    """The folders of a run's folds that have a checkpoint."""
    folders = [run / f"fold{k}" for k in range(plan.k)]
    present = [folder for folder in folders if (folder / "best.safetensors").exists()]
    if not present:
        loose = sorted(run.glob("*.safetensors")) if run.is_dir() else []
        what = "holds no checkpoint" if run.is_dir() else f"there is no such run{near(run)}"
        train = "train it with python -m kit.train RECIPE --fold all"
        remedy = f"name the files in it, such as {loose[0]}" if loose else train
        raise problem(run, what, remedy=remedy)
    missing = [folder.name for folder in folders if folder not in present]
    if missing and not allow_missing:
        numbers = ",".join(name[4:] for name in missing)
        remedy = f"train them with python -m kit.train RECIPE --fold {numbers}"
        remedy += ", or --allow-missing-folds"
        raise problem(run, "folds without a checkpoint", missing, remedy)
    return present


def _fold_checkpoint(folder: Path, plan: Plan, single: bool = False) -> Checkpoint:
    """The checkpoint of a fold's folder; a `single` fold's folder may have any name."""
    files = Fold(folder)
    checkpoint = _read_checkpoint(files.best, plan)
    info = checkpoint.info
    if not single and folder.name != f"fold{info.fold}":
        what = f"is the checkpoint of fold {info.fold}"
        raise problem(files.best, what, remedy="move it to its own folder")
    if not (files.last.exists() or belongs(read_key(files.oof), checkpoint.hash)):
        what = "is damaged, or not the checkpoint that oof.npz beside it is of"
        again = files.remedy(info.fold, "oof.npz again, if that is wrong")
        raise problem(files.best, what, remedy=f"put a copy back; {again}")
    epochs, wanted = len(read_metrics(files.metrics, checkpoint.origin)), info.recipe["epochs"]
    # A soup has no metrics.
    whole = epochs >= wanted or info.recipe["patience"] or not files.metrics.exists()
    if files.last.exists() or not whole:
        warn(f"{folder}: training is not finished ({epochs} of {wanted} epochs)")
    return checkpoint


def _read_checkpoint(path: Path, plan: Plan) -> Checkpoint:
    """A checkpoint, read and checked."""
    info = read_checkpoint_info(path)
    _check_checkpoint(path, info, plan)
    return Checkpoint(path, info, file_hash(path))


def _check_checkpoint(path: Path, info: CheckpointInfo, plan: Plan) -> None:
    """Raise `KitError` for a checkpoint of another competition or plan, or of a trial."""
    competition = recorded_competition(info.competition)
    if not same_competition(competition, plan.competition):
        raise problem(
            path,
            f"was trained for another competition ({competition.name}) than the fold plan's "
            f"({plan.competition.name})",
            remedy="name its plan with --plan",
        )
    if info.plan != plan.hash:
        raise problem(
            path,
            "was trained on another fold plan",
            remedy="name its plan with --plan, or train it again on this one",
        )
    if info.fold >= plan.k:
        what = f"is of fold {info.fold}, and the plan has {plan.k}"
        raise problem(path, what, remedy="train the fold again")
    if info.limit:
        what = f"is of a trial on {info.limit} photos"
        raise problem(path, what, remedy="train the recipe without --limit")
