"""The mean of a fold's own checkpoints' weights."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kit.data.folder import data_places, train_images
from kit.data.loader import PhotoDataset
from kit.data.plan import Plan
from kit.inference.autotune import prepare
from kit.inference.engine import Compute
from kit.inference.oof import fold_ids
from kit.inference.predict import predict
from kit.inference.views import make_views
from kit.models.checkpoint import CheckpointInfo, load, read_checkpoint_info, save
from kit.results.probs import Probs, write_probs
from kit.results.run import Fold, oof_key
from kit.scoring.metrics import Scores, score
from kit.system.console import Progress, say
from kit.system.device import choose_device
from kit.system.disk import check_output, file_hash, near
from kit.system.errors import problem
from kit.system.versions import warn_versions


def ingredients(paths: Sequence[Path], last: int = 0) -> dict[Path, list[Path]]:
    """The checkpoints to average, by the folder of their fold: a run's and a fold's kept epochs,
    the `last` ones, and files.
    """
    found: dict[Path, list[Path]] = {}
    for path in paths:
        if path.is_file():
            found.setdefault(path.parent, []).append(path)
            continue
        if not path.is_dir():
            raise problem(
                path,
                f"there is no such run or checkpoint{near(path)}",
                remedy="name a run's folder",
            )
        folders = sorted(
            {
                kept.parent
                for kept in [
                    *path.glob("epoch*.safetensors"),
                    *path.glob("fold*/epoch*.safetensors"),
                ]
            }
        )
        if not folders:
            raise problem(
                path,
                "has no kept epochs",
                remedy="train it with python -m kit.train RECIPE --keep-epochs 3",
            )
        for folder in folders:
            kept = sorted(folder.glob("epoch*.safetensors"))
            found.setdefault(folder, []).extend(kept[-last:] if last else kept)
    return found


def check_ingredients(paths: Sequence[Path], plan: Plan) -> list[CheckpointInfo]:
    """The cards of one fold's checkpoints; raises `KitError` where they are fewer than two, or of
    different folds or recipes.
    """
    cards = [read_checkpoint_info(path) for path in paths]
    hashes = [file_hash(path) for path in paths]
    other = [str(path) for i, path in enumerate(paths) if hashes[i] in hashes[:i]]
    if other:
        raise problem(other[0], "the same checkpoint twice", other, "name each one once")
    other = [str(path) for path, card in zip(paths, cards) if card.plan != plan.hash]
    if other:
        raise problem(
            other[0], "was trained on another fold plan", other, "name its plan with --plan"
        )
    if len(paths) < 2:
        raise problem(
            paths[0],
            "is one checkpoint alone",
            remedy="name two or more of its fold, or train with --keep-epochs 3",
        )
    other = [
        f"{path}, fold {card.fold}"
        for path, card in zip(paths, cards)
        if card.fold != cards[0].fold
    ]
    if other:
        raise problem(
            paths[0],
            f"is of fold {cards[0].fold}, and others are not",
            other,
            "average within a fold: across folds "
            "the network would have seen every person in training, and no out-of-fold score were "
            "left; kit.ensemble "
            "averages the folds' probabilities",
        )
    other = [
        str(path)
        for path, card in zip(paths, cards)
        if (card.recipe, card.limit) != (cards[0].recipe, cards[0].limit)
    ]
    if other:
        raise problem(
            paths[0],
            "was trained by another recipe than others",
            other,
            "average the epochs of one training; "
            "kit.ensemble averages probabilities of different ones",
        )
    return cards


def check_place(paths: Sequence[Path], out: Path, data: Path, force: bool) -> None:
    """Raise `KitError` unless a soup of the checkpoints `paths` may be made in the folder `out`."""
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
    for path in (files.best, files.oof):
        check_output(path, inputs=data_places(data), force=force)


def soup(
    paths: Sequence[Path],
    plan: Plan,
    data: Path,
    out: Path,
    engine: Compute = Compute(),
    force: bool = False,
) -> Scores:
    """Average the weights of one fold's checkpoints into the fold's folder `out`, and score it on
    the fold's photos.
    """
    cards, files = check_ingredients(paths, plan), Fold(out)
    warn_versions(out, cards[-1].versions)
    check_place(paths, out, data, force)
    networks = [load(path) for path in paths]
    states = [network.body.state_dict() for network in networks]
    mixed, card = networks[-1], cards[-1]
    # Batch norm's running means and variances are averaged as the weights are, as timm's moving
    # average does it. That suits the last epochs of one training, which are close; those of SWA,
    # far apart, need a pass over the training photos.
    mixed.body.load_state_dict(
        {
            name: sum(state[name].double() for state in states).div(len(states)).to(value.dtype)
            if value.is_floating_point()
            else value
            for name, value in states[-1].items()
        }
    )
    device, ids = choose_device(engine.device), fold_ids(plan, card.fold)
    loader = engine.loader(PhotoDataset(train_images(data), ids, [card.geometry]), device)
    network = prepare(mixed.to(device), device)
    with Progress(f"fold {card.fold}", len(ids)) as progress:
        probs, _ = predict([network], loader, make_views("none"), device, progress)
    truth = plan.photos.set_index("image").loc[ids, "label"].to_numpy()
    scores = score(truth, probs[0, 0].argmax(axis=1))
    # What was chosen on the fold, by its best epoch or by when training ended, flatters the mean's
    # score as well. Other kept epochs than the best were chosen by that alone.
    chosen = any(
        c.chosen_on_fold if p.name == "best.safetensors" else c.recipe["patience"]
        for p, c in zip(paths, cards)
    )
    save(
        files.best,
        mixed,
        dataclasses.replace(
            card, select="best" if chosen else "soup", averaged=True, score=scores.f1
        ),
    )
    key = oof_key(files.best, plan, card.fold, network.way.name)
    write_probs(files.oof, Probs(np.array(ids, dtype=np.str_), probs[0, 0], key), force=True)
    say(
        f"{out}: the mean of epochs {' '.join(str(c.epoch) for c in cards)}: {scores.line()}; "
        "alone "
        f"{' '.join(f'{c.score:.3f}' for c in cards)}"
    )
    return scores
