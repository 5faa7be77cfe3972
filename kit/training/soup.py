"""The mean of the weights of a fold's own checkpoints."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from kit.data.folder import DataFolder
from kit.data.loader import PhotoDataset
from kit.data.plan import Plan
from kit.data.targets import targets
from kit.inference.autotune import prepare
from kit.inference.engine import Compute
from kit.inference.oof import fold_ids
from kit.inference.predict import predict
from kit.inference.views import make_views
from kit.models.checkpoint import CheckpointInfo, load, read_checkpoint_info, save
from kit.models.network import Network
from kit.results.probs import Probs, read_probs, write_probs
from kit.results.run import Fold, oof_key, oof_precision
from kit.scoring.metrics import Scores, decided, score
from kit.system.console import Progress, say
from kit.system.device import choose_device
from kit.system.disk import check_output, file_hash, near
from kit.system.errors import problem
from kit.system.versions import warn_versions


def ingredients(paths: Sequence[Path], last: int = 0) -> dict[Path, list[Path]]:
    """The checkpoints to average, by the folder of their fold.

    They are the kept epochs of runs and folds, the `last` ones of them (0: all), and files.
    """
    checkpoints: dict[Path, list[Path]] = {}
    for path in paths:
        if path.is_file():
            checkpoints.setdefault(path.parent, []).append(path)
            continue
        if not path.is_dir():
            raise problem(
                path,
                f"there is no such run or checkpoint{near(path)}",
                remedy="name a run's folder",
            )
        epochs = [*path.glob("epoch*.safetensors"), *path.glob("fold*/epoch*.safetensors")]
        if not epochs:
            raise problem(
                path,
                "has no kept epochs",
                remedy="train it with python -m kit.train RECIPE --keep-epochs 3",
            )
        for folder in sorted({epoch.parent for epoch in epochs}):
            files = Fold(folder).epochs
            checkpoints.setdefault(folder, []).extend(files[-last:] if last else files)
    return checkpoints


def check_ingredients(paths: Sequence[Path], plan: Plan) -> list[CheckpointInfo]:
    """The metadata of one fold's checkpoints.

    Raises `KitError` if they are fewer than two, or of different folds or recipes.
    """
    infos, hashes = [read_checkpoint_info(path) for path in paths], [file_hash(p) for p in paths]
    first, group = infos[0], plan.competition.group
    twice = [str(path) for i, path in enumerate(paths) if hashes[i] in hashes[:i]]
    foreign = [str(path) for path, info in zip(paths, infos) if info.plan != plan.hash]
    folds = [f"{p}, fold {info.fold}" for p, info in zip(paths, infos) if info.fold != first.fold]
    trained = [(info.recipe, info.limit) for info in infos]
    recipes = [str(path) for path, recipe in zip(paths, trained) if recipe != trained[0]]
    _check_names(paths, infos)
    if twice:
        raise problem(twice[0], "the same checkpoint twice", twice, "name each one once")
    if foreign:
        what = "was trained on another fold plan"
        raise problem(foreign[0], what, foreign, "name its plan with --plan")
    if len(paths) < 2:
        raise problem(
            paths[0],
            "is one checkpoint alone",
            remedy="name two or more of its fold, or train with --keep-epochs 3",
        )
    if folds:
        raise problem(
            paths[0],
            f"is of fold {first.fold}, and others are not",
            folds,
            f"average within a fold: across folds the network would have seen every {group} in "
            "training, and no out-of-fold score would be left; kit.ensemble averages the folds' "
            "probabilities",
        )
    if recipes:
        raise problem(
            paths[0],
            "was trained by another recipe than others",
            recipes,
            "average the epochs of one training; kit.ensemble averages probabilities of different "
            "ones",
        )
    return infos


def _check_names(paths: Sequence[Path], infos: Sequence[CheckpointInfo]) -> None:
    """Raise `KitError` for a kept epoch that lies under the name of another one."""
    for path, info in zip(paths, infos):
        name = Fold(path.parent).epoch(info.epoch).name
        if path.name.startswith("epoch") and path.name != name:
            raise problem(
                path,
                f"holds epoch {info.epoch}, which is {name}",
                remedy="put a copy of its own epoch back, or name other checkpoints",
            )


def check_place(paths: Sequence[Path], out: Path, data: DataFolder, force: bool) -> None:
    """Raise `KitError` unless a soup of the checkpoints `paths` may be made in the folder `out`.

    What is there of the same soup, which was killed, may stay.
    """
    files = Fold(out)
    if (
        files.metrics.exists()
        or files.last.exists()
        or out.resolve() in [path.resolve().parent for path in paths]
    ):
        raise problem(
            out,
            "is the folder of a training, which no soup may replace",
            remedy="choose another --out",
        )
    if not force and files.best.exists() and is_mean(files.best, paths):
        force = True
    for path in (files.best, files.oof):
        check_output(path, inputs=data.inputs, force=force)


def is_mean(best: Path, paths: Sequence[Path]) -> bool:
    """True if a checkpoint has the mean of others' weights, bit by bit."""
    made, mean = load(best).body.state_dict(), average([load(path) for path in paths]).body
    weights = mean.state_dict()
    return made.keys() == weights.keys() and all(torch.equal(made[n], weights[n]) for n in made)


def average(networks: Sequence[Network]) -> Network:
    """The last of several networks of one architecture, with the mean of their weights.

    Batch norm's running means and variances are averaged as the weights are, as timm's moving
    average does it. That suits the last epochs of one training, which are close; those of SWA, far
    apart, need a pass over the training photos.
    """
    states = [network.body.state_dict() for network in networks]
    networks[-1].body.load_state_dict(
        {
            name: sum(state[name].double() for state in states).div(len(states)).to(value.dtype)
            if value.is_floating_point()
            else value
            for name, value in states[-1].items()
        }
    )
    return networks[-1]


def soup(
    paths: Sequence[Path],
    plan: Plan,
    data: DataFolder,
    out: Path,
    compute: Compute = Compute(),
    force: bool = False,
) -> Scores:
    """Write the mean of a fold's checkpoints into the folder `out`; its scores on the fold.

    Its out-of-fold probabilities are written, too. One that was made before stays as it is.
    """
    infos, files = check_ingredients(paths, plan), Fold(out)
    info = infos[-1]
    warn_versions(out, info.versions)
    check_place(paths, out, data, force)
    ids = fold_ids(plan, info.fold)
    truth = targets(plan.photos.set_index("image").loc[ids], plan.competition)
    if not force and (probs := _made_before(files, ids, plan, info.fold)) is not None:
        say(f"{out}: made before, skipped")
        return score(truth, decided(probs, plan.competition), plan.competition, probs)
    mean, device = average([load(path) for path in paths]), choose_device(compute.device)
    read = plan.competition.read
    photos = PhotoDataset(data.train_images, ids, [info.geometry], read=read)
    loader = compute.loader(photos, device)
    network = prepare(mean.to(device), device)
    with Progress(f"fold {info.fold}", len(ids)) as progress:
        probs = predict([network], loader, make_views("none"), device, progress)[0][0, 0]
    scores = score(truth, decided(probs, plan.competition), plan.competition, probs)
    select = "best" if _chosen_on_fold(paths, infos) else "soup"
    save(
        files.best,
        mean,
        dataclasses.replace(info, select=select, averaged=True, score=scores.score),
    )
    key = oof_key(files.best, plan, info.fold, network.mode.name)
    write_probs(files.oof, Probs(np.array(ids, dtype=np.str_), probs, key), force=True)
    epochs, alone = " ".join(str(i.epoch) for i in infos), " ".join(f"{i.score:.3f}" for i in infos)
    say(f"{out}: the mean of epochs {epochs}: {scores.line()}; alone {alone}")
    return scores


def _made_before(files: Fold, ids: Sequence[str], plan: Plan, fold: int) -> np.ndarray | None:
    """The out-of-fold probabilities (N, C) of a soup that is there already; None if they are not.

    Its checkpoint was compared by `check_place`.
    """
    if not files.best.exists() or not files.oof.exists():
        return None
    table = read_probs(files.oof)
    made = oof_precision(table.key, files.best, plan, fold) is not None
    return table.at(ids) if made else None


def _chosen_on_fold(paths: Sequence[Path], infos: Sequence[CheckpointInfo]) -> bool:
    """True if one of the checkpoints was chosen on the fold: the mean's score flatters, too.

    It was chosen by its best epoch, or by when training ended. Other kept epochs than the best were
    chosen by when training ended alone.
    """
    return any(
        info.chosen_on_fold if path.name == "best.safetensors" else info.recipe["patience"]
        for path, info in zip(paths, infos)
    )
