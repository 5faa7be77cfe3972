"""Average the weights of a fold's own checkpoints into one network, which costs no more than one to run.

    python -m kit.train recipes/effb4_5fold.py --fold all --keep-epochs 3
    python -m kit.soup runs/effb4_5fold

makes `runs/effb4_5fold_soup`, a run whose folds have the mean of the weights that `--keep-epochs` kept, and its out-of-fold
probabilities. Nothing is chosen on the fold, so that its score flatters nobody. Checkpoint files may be named instead, all of
one fold. (Wortsman et al., Model soups, 2022; Izmailov et al., Averaging weights leads to wider optima, 2018.)
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
from kit.members import Engine, fold_ids
from kit.metrics import Scores, score
from kit.pixels import Photos, batches_of, default_workers, make_loader
from kit.tables import Fold, Plan, Probs, oof_key, read_plan, refuse_existing, write_probs

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
            raise problem(path, "there is no such run or checkpoint", remedy="name a run's folder")
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


def soup(paths: Sequence[Path], plan: Plan, data: Path, out: Path, engine: Engine = Engine(), force: bool = False) -> Scores:
    """Average the weights of one fold's checkpoints into the fold's folder `out`, and score it on the fold's photos."""
    from kit.checkpoint import load, save
    from kit.predict import choose_device, predict
    from kit.views import make_views
    cards, files = check_ingredients(paths, plan), Fold(out)
    if not force:
        refuse_existing(files.best, files.oof)
    networks = [load(path) for path in paths]
    states = [network.body.state_dict() for network in networks]
    mixed, card = networks[-1], cards[-1]
    # Counts of batches stay the last one's; running means and variances are averaged as the weights are, like an EMA's.
    mixed.body.load_state_dict({name: sum(state[name].double() for state in states).div(len(states)).to(value.dtype)
                                if value.is_floating_point() else value for name, value in states[-1].items()})
    device, ids = choose_device(engine.device), fold_ids(plan, card.fold)
    workers = default_workers(device.type) if engine.workers is None else engine.workers
    photos = Photos(train_images(data), ids, [card.geometry])
    loader = make_loader(photos, batches_of(len(ids), engine.batch_size), workers, device)
    with Progress(f"fold {card.fold}", len(ids)) as progress:
        probs, _ = predict([mixed.to(device)], loader, make_views("none"), device, progress)
    truth = plan.photos.set_index("image").loc[ids, "label"].to_numpy()
    scores = score(truth, probs[0, 0].argmax(axis=1))
    save(files.best, mixed, dataclasses.replace(card, select="soup", averaged=True, score=scores.f1))
    write_probs(files.oof, Probs(np.array(ids, dtype=np.str_), probs[0, 0], oof_key(files.best, plan, card.fold)), force=True)
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
        # Files are one soup, wherever they lie, so that a mix of folds is told and not parted in silence.
        groups = {next(iter(groups)): [path for paths in groups.values() for path in paths]}
    jobs = []
    for folder, paths in groups.items():
        fold = check_ingredients(paths, plan)[0].fold
        run = args.out or folder.resolve().parent.with_name(f"{folder.resolve().parent.name}_soup")
        jobs.append((paths, run / f"fold{fold}"))
    if not args.force:
        refuse_existing(*(Fold(out).best for _, out in jobs))
    engine = Engine(args.device, args.workers)
    for paths, out in jobs:
        soup(paths, plan, data, out, engine, args.force)


if __name__ == "__main__":
    sys.exit(main())
