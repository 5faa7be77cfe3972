"""Average the weights of a fold's own checkpoints into one network, which costs no more than one to run.

    python -m kit.train recipes/effb4_5fold.py --fold all --keep-epochs 3
    python -m kit.soup runs/effb4_5fold

makes `runs/effb4_5fold_soup`, a run whose folds have the mean of the weights that `--keep-epochs` kept, and its out-of-fold
probabilities. The last epochs are not chosen on the fold, so that their mean's score flatters nobody. Checkpoint files may be
named instead, all of one fold. (Wortsman et al., Model soups, 2022.)
"""

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kit.console import Parser, Progress, command, say
from kit.data import find_data, train_images
from kit.errors import problem
from kit.members import FOLD_FOLDER, Engine, fold_ids, near
from kit.metrics import Scores, score
from kit.pixels import Photos
from kit.tables import Fold, Plan, Probs, file_hash, oof_key, read_plan, refuse_existing, refuse_input, write_probs
from kit.versions import warn_versions

if TYPE_CHECKING:
    from kit.checkpoint import Card


def ingredients(paths: Sequence[Path], last: int = 0) -> dict[Path, list[Path]]:
    """The checkpoints to average, by the folder of their fold: a run's and a fold's kept epochs, the `last` ones, and files."""
    found: dict[Path, list[Path]] = {}
    for path in paths:
        if path.is_file():
            found.setdefault(path.parent, []).append(path)
            continue
        if not path.is_dir():
            raise problem(path, f"there is no such run or checkpoint{near(path)}", remedy="name a run's folder")
        folders = sorted({kept.parent for kept in [*path.glob("epoch*.safetensors"), *path.glob("fold*/epoch*.safetensors")]})
        if not folders:
            raise problem(path, "has no kept epochs", remedy="train it with python -m kit.train RECIPE --keep-epochs 3")
        for folder in folders:
            kept = sorted(folder.glob("epoch*.safetensors"))
            found.setdefault(folder, []).extend(kept[-last:] if last else kept)
    return found


def check_ingredients(paths: Sequence[Path], plan: Plan) -> "list[Card]":
    """The cards of one fold's checkpoints; raises `KitError` where they are fewer than two, or of different folds or recipes."""
    from kit.checkpoint import read_card
    cards = [read_card(path) for path in paths]
    hashes = [file_hash(path) for path in paths]
    other = [str(path) for i, path in enumerate(paths) if hashes[i] in hashes[:i]]
    if other:
        raise problem(other[0], "the same checkpoint twice", other, "name each one once")
    other = [str(path) for path, card in zip(paths, cards) if card.plan != plan.hash]
    if other:
        raise problem(other[0], "was trained on another fold plan", other, "name its plan with --plan")
    if len(paths) < 2:
        raise problem(paths[0], "is one checkpoint alone", remedy="name two or more of its fold, or train with --keep-epochs 3")
    other = [f"{path}, fold {card.fold}" for path, card in zip(paths, cards) if card.fold != cards[0].fold]
    if other:
        raise problem(paths[0], f"is of fold {cards[0].fold}, and others are not", other, "average within a fold: across folds "
                      "the network would have seen every person in training, and no out-of-fold score were left; kit.ensemble "
                      "averages the folds' probabilities")
    other = [str(path) for path, card in zip(paths, cards) if (card.recipe, card.limit) != (cards[0].recipe, cards[0].limit)]
    if other:
        raise problem(paths[0], "was trained by another recipe than others", other, "average the epochs of one training; "
                      "kit.ensemble averages probabilities of different ones")
    return cards


def check_place(paths: Sequence[Path], out: Path, data: Path, force: bool) -> None:
    """Raise `KitError` unless a soup of the checkpoints `paths` may be made in the folder `out`."""
    files = Fold(out)
    refuse_input(files.best, data)
    if files.metrics.exists() or files.last.exists() or out.resolve() in [path.resolve().parent for path in paths]:
        raise problem(out, "is the folder of a training, which no soup may replace", remedy="choose another --out")
    if not force:
        refuse_existing(files.best, files.oof)


def soup(paths: Sequence[Path], plan: Plan, data: Path, out: Path, engine: Engine = Engine(), force: bool = False) -> Scores:
    """Average the weights of one fold's checkpoints into the fold's folder `out`, and score it on the fold's photos."""
    from kit.checkpoint import load, save
    from kit.device import choose_device
    from kit.fast import ready
    from kit.predict import predict
    from kit.views import make_views
    cards, files = check_ingredients(paths, plan), Fold(out)
    warn_versions(out, cards[-1].versions)
    check_place(paths, out, data, force)
    networks = [load(path) for path in paths]
    states = [network.body.state_dict() for network in networks]
    mixed, card = networks[-1], cards[-1]
    # Batch norm's running means and variances are averaged as the weights are, as timm's moving average does it. That suits
    # the last epochs of one training, which are close; those of SWA, far apart, need a pass over the training photos.
    mixed.body.load_state_dict({name: sum(state[name].double() for state in states).div(len(states)).to(value.dtype)
                                if value.is_floating_point() else value for name, value in states[-1].items()})
    device, ids = choose_device(engine.device), fold_ids(plan, card.fold)
    loader = engine.loader(Photos(train_images(data), ids, [card.geometry]), device)
    network = ready(mixed.to(device), device)
    with Progress(f"fold {card.fold}", len(ids)) as progress:
        probs, _ = predict([network], loader, make_views("none"), device, progress)
    truth = plan.photos.set_index("image").loc[ids, "label"].to_numpy()
    scores = score(truth, probs[0, 0].argmax(axis=1))
    # What was chosen on the fold, by its best epoch or by when training ended, flatters the mean's score as well.
    # Other kept epochs than the best were chosen by that alone.
    chosen = any(c.chosen_on_fold if p.name == "best.safetensors" else c.recipe["patience"] for p, c in zip(paths, cards))
    save(files.best, mixed, dataclasses.replace(card, select="best" if chosen else "soup", averaged=True, score=scores.f1))
    key = oof_key(files.best, plan, card.fold, network.way.name)
    write_probs(files.oof, Probs(np.array(ids, dtype=np.str_), probs[0, 0], key), force=True)
    say(f"{out}: the mean of epochs {' '.join(str(c.epoch) for c in cards)}: {scores.line()}; alone "
        f"{' '.join(f'{c.score:.3f}' for c in cards)}")
    return scores


@command
def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    parser = Parser(prog="kit.soup", description=__doc__)
    parser.add_argument("members", nargs="+", type=Path, metavar="RUN|CHECKPOINT", help="a run's folder, or files of one fold")
    parser.add_argument("--last", type=int, default=0, metavar="N", help="average the last N kept epochs (default: all)")
    parser.add_argument("--out", type=Path, help="the run to make (default: RUN_soup)")
    parser.add_argument("--data", help="the competition's folder (default: $KIT_DATA, then data/)")
    parser.add_argument("--plan", type=Path, default=Path("runs/folds.csv"), help="the fold plan (default: runs/folds.csv)")
    parser.add_argument("--device", help="cpu, cuda or cuda:1 (default: the first GPU, else the CPU)")
    parser.add_argument("--workers", type=int, help="loader processes (default: by the machine)")
    parser.add_argument("--force", action="store_true", help="overwrite an existing soup")
    args = parser.parse_intermixed_args(argv)
    if args.last < 0 or args.last == 1:
        raise problem("--last", f"{args.last} epochs make no mean", remedy="take 2 or more")
    if args.workers is not None and args.workers < 0:
        raise problem("--workers", str(args.workers), remedy="take 0 or more")
    plan, data = read_plan(args.plan), find_data(args.data)
    groups = ingredients(args.members, args.last)
    if any(path.is_file() for path in args.members):
        if args.last:
            raise problem("--last", "chooses among the epochs of a run, and files are named", remedy="leave it out")
        # Files are one soup, wherever they lie, so that a mix of folds is told and not parted in silence.
        groups = {next(iter(groups)): [path for paths in groups.values() for path in paths]}
    jobs = []
    for folder, paths in groups.items():
        fold = check_ingredients(paths, plan)[0].fold
        place = folder.resolve()
        if args.out is None and not FOLD_FOLDER.fullmatch(place.name):
            raise problem(paths[0], "lies in no fold of a run, which would give the soup its place", remedy="name one with --out")
        run = args.out or place.parent.with_name(f"{place.parent.name}_soup")
        jobs.append((paths, run / f"fold{fold}"))
    twice = [str(out) for i, (_, out) in enumerate(jobs) if out in [other for _, other in jobs[:i]]]
    if twice:
        raise problem(twice[0], "would be made twice", twice, "take one run at a time with --out")
    for paths, out in jobs:
        check_place(paths, out, data, args.force)
    engine = Engine(args.device, args.workers)
    for paths, out in jobs:
        soup(paths, plan, data, out, engine, args.force)


if __name__ == "__main__":
    sys.exit(main())
