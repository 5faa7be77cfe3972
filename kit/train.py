"""Train one recipe on the folds of a plan: a checkpoint, out-of-fold probabilities and metrics for each fold.

    python -m kit.train recipes/effb4_5fold.py --fold 0

writes `runs/effb4_5fold/fold0/`: `best.safetensors` (the weights of the epoch with the best macro-F1 on the whole fold),
`oof.npz` (their probabilities for the fold's photos), `metrics.csv` (a row an epoch). `last.pt` lies there until the
fold is finished: the same command continues from its last whole epoch. A finished fold is skipped.
"""

import hashlib
import json
import math
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kit import __version__
from kit.console import Parser, Progress, command, duration, say, warn
from kit.data import Photos, batches_of, default_workers, find_data, fingerprint, make_loader, one_pass, train_images
from kit.errors import KitError, problem
from kit.labels import CLASS_NAMES
from kit.metrics import Scores, score
from kit.recipe import Recipe, check_augment, load_recipe
from kit.tables import (Fold, Plan, Probs, file_hash, locked, oof_key, read_metrics, read_plan, read_probs, write_metrics,
                        write_probs)

_KEPT_BYTES = 2**29  # of fitted photos a process keeps in memory: 7,900 at 160 x 120


class EpochBatches:
    """A batch sampler: each epoch a shuffle of 0..n-1, as lists of (index, seed of its augmentation).

    Order and seeds follow from `seed`, `fold` and `epoch` alone, so that a continued run equals an uninterrupted one.
    The last, smaller batch is left out (batch norm would see too few), unless it is the only one.
    """

    def __init__(self, n: int, batch_size: int, seed: int, fold: int) -> None:
        self.n, self.size, self.stream, self.epoch = n, min(batch_size, n), f"{seed}/{fold}", 0

    def __len__(self) -> int:
        return self.n // self.size

    def seed(self, what: object) -> int:
        """A seed of this epoch for `what`: 0..2**32-1.

        By SHA-256: a checksum such as CRC-32 is linear, so that sorting by it puts the same photos side by side in
        every epoch.
        """
        return int.from_bytes(hashlib.sha256(f"{self.stream}/{self.epoch}/{what}".encode()).digest()[:4], "big")

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        order = np.argsort([self.seed(i) for i in range(self.n)], kind="stable")
        for start in range(0, len(self) * self.size, self.size):
            yield [(int(i), self.seed(f"augment/{i}")) for i in order[start:start + self.size]]


def learning_rate(recipe: Recipe, epoch: float) -> float:
    """The learning rate after `epoch` (a fraction counts) epochs: linear warm-up to `recipe.lr`, then a cosine to zero."""
    if epoch < recipe.warmup:
        return recipe.lr * epoch / recipe.warmup
    return recipe.lr * 0.5 * (1 + math.cos(math.pi * (epoch - recipe.warmup) / max(recipe.epochs - recipe.warmup, 1e-9)))


def check_data(data: Path, plan: Plan) -> None:
    """Raise unless a folder still holds the photos that were planned."""
    if file_hash(data / "train" / "train.csv") != plan.meta.get("train.csv"):
        warn(f"{data / 'train' / 'train.csv'} is not what it was when the folds were planned: the plan's labels are used; to use "
             "the new ones, plan again with python -m kit.folds --force")
    if fingerprint(train_images(data), plan.photos["image"].tolist()) != plan.meta.get("data"):
        raise problem(train_images(data), "holds other photos than the fold plan was made from",
                      remedy="name the planned folder with --data, or plan again with python -m kit.folds --force")


def _standing(recipe: Recipe, plan: Plan, fold: int, files: Fold) -> dict[str, Any] | None:
    """What a fold's folder holds: None if nothing to continue from, `{}` if it is finished, else the state to go on from.

    `last.pt` is written before an epoch's other files and removed after the last one's: where it is, the fold is not
    finished. Raises `KitError` if the fold was trained with another recipe, plan or fold, with the difference, or if a file
    of it has gone.
    """
    from kit.checkpoint import load_state, read_card
    if files.last.exists():
        state = load_state(files.last)
        theirs, plan_hash, its_fold = json.loads(state["recipe"]), state["plan"], state["fold"]
    elif files.best.exists():
        card = read_card(files.best)
        state, theirs, plan_hash, its_fold = {}, card.recipe, card.plan, card.fold
    else:
        return None
    ours = recipe.describe()
    differ = [f"{key} was {theirs.get(key)!r}, is {ours.get(key)!r}" for key in ours | theirs if theirs.get(key) != ours.get(key)]
    differ = [line if len(line) < 150 else f"{line.split(' was ')[0]} was another" for line in differ]
    if differ or plan_hash != plan.hash:
        raise problem(files.folder, "was trained with another " + (f"recipe: {differ[0]}" if differ else "fold plan"),
                      differ if len(differ) > 1 else (), "give the recipe another name, or --force to train it anew")
    if its_fold != fold:
        raise problem(files.folder, f"holds files of fold {its_fold}", remedy="move them back, or --force to train it anew")
    epochs = len(read_metrics(files.metrics))
    if not state and epochs < recipe.epochs:
        raise problem(files.folder, f"has metrics of {epochs} of {recipe.epochs} epochs, and no last.pt to go on from",
                      remedy="--force to train it anew")
    return state


def _mend_oof(files: Fold, plan: Plan, fold: int, data: Path, device_name: str | None, workers: int | None) -> None:
    """Make a finished fold's out-of-fold probabilities again where they are gone or damaged.

    Raises `KitError` where it is the checkpoint that is not what they were made from.
    """
    from kit.checkpoint import load, read_card
    from kit.predict import choose_device, predict
    from kit.views import make_views
    try:
        key = read_probs(files.oof).key
    except KitError:
        warn(f"{files.oof} is gone or damaged; making it again")
    else:
        if key != oof_key(files.best, plan, fold):
            raise problem(files.best, "is not the file that oof.npz beside it was made from: it was changed or is damaged",
                          remedy="put the right one back, or train the fold again with --force")
        return
    device, card = choose_device(device_name), read_card(files.best)
    valid = plan.photos[plan.photos["fold"] == fold]
    loader = make_loader(Photos(train_images(data), valid["image"].tolist(), [card.geometry]), batches_of(len(valid), 32),
                         default_workers(device.type) if workers is None else workers, device)
    probs = predict([load(files.best, device)], loader, make_views("none"), device)[0, 0]
    saved, again = _best(read_metrics(files.metrics))["val_loss"], _log_loss(probs, valid["label"].to_numpy())
    if abs(again - saved) > 0.05:  # far more than another device's rounding makes
        raise problem(files.best, f"has the loss {again:.3f}, not the {saved:.3f} it was saved with: it is damaged",
                      remedy="train the fold again with --force")
    _write_oof(files, plan, fold, valid, probs)


def _write_oof(files: Fold, plan: Plan, fold: int, valid: pd.DataFrame, probs: np.ndarray) -> None:
    """Write the out-of-fold probabilities of `files.best` for the fold's photos `valid`."""
    ids = valid["image"].to_numpy().astype(np.str_)
    write_probs(files.oof, Probs(ids, probs, oof_key(files.best, plan, fold)), force=True)


def _log_loss(probs: np.ndarray, truth: np.ndarray) -> float:
    """The mean of -log p(true class) over probabilities (N, 18)."""
    return float(-np.log(np.maximum(probs[np.arange(len(truth)), truth], 1e-12)).mean(dtype=np.float64))


def _best(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The best epoch of a run's metrics: the first of equals."""
    return max(rows, key=lambda row: row["val_f1_macro"])


def _scores(row: dict[str, Any]) -> Scores:
    return Scores(*(row[c] for c in ("val_f1_macro", "val_acc", "val_f1_mask", "val_f1_gender", "val_f1_age")))


def train_fold(recipe: Recipe, plan: Plan, data: Path, fold: int, runs: Path, device_name: str | None = None,
               workers: int | None = None, force: bool = False) -> Scores:
    """Train one fold of a recipe, or go on with it, and return the scores of its best epoch on the fold's photos.

    Writes into `runs/<recipe>/fold<fold>`, as the module says. The best epoch is chosen on the photos it is scored on,
    so its score is a little too good.
    """
    import torch
    from timm.optim import create_optimizer_v2  # type: ignore[attr-defined]

    from kit.checkpoint import Card, read_card, save, save_state
    from kit.models import build
    from kit.predict import autocast, choose_device, choose_precision, predict, to_device
    from kit.views import make_views

    files = Fold(runs / recipe.name / f"fold{fold}")
    state = None if force else _standing(recipe, plan, fold, files)
    if state == {}:
        _mend_oof(files, plan, fold, data, device_name, workers)
        row = _best(read_metrics(files.metrics))
        say(f"{files.folder}: finished before, skipped (best epoch {row['epoch']:.0f}, {_scores(row).line()})")
        return _scores(row)
    device = choose_device(device_name)
    workers = default_workers(device.type) if workers is None else workers
    check_augment(recipe)
    held = (plan.photos["fold"] == fold).to_numpy()
    train, valid = plan.photos[~held], plan.photos[held]
    labels = torch.tensor(train["label"].to_numpy(), device=device)
    truth = valid["label"].to_numpy()

    network = build(recipe).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = create_optimizer_v2(network.body, opt="adamw", lr=recipe.lr, weight_decay=recipe.weight_decay)
    scaler = torch.amp.GradScaler(device.type, enabled=choose_precision(device) == torch.float16)
    criterion = torch.nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing)
    batches = EpochBatches(len(train), recipe.batch_size, recipe.seed, fold)
    # Only where one process sees them all: workers would each keep some, and seldom the right ones.
    room = _KEPT_BYTES if workers == 0 else 0
    seen, unseen = (Photos(train_images(data), part["image"].tolist(), [recipe.geometry], augment, keep=room)
                    for part, augment in ((train, recipe.augment), (valid, None)))
    loader = make_loader(seen, batches, workers, device)
    valid_loader = make_loader(unseen, batches_of(len(valid), 32), workers, device)

    def kept(row: dict[str, Any]) -> bool:
        return (files.best.exists() and files.oof.exists() and read_card(files.best).epoch == row["epoch"]
                and read_probs(files.oof).key == oof_key(files.best, plan, fold))

    rows: list[dict[str, Any]] = []
    if state is not None:
        network.body.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        if state["scaler"]:  # empty where the epochs before were not trained in fp16
            scaler.load_state_dict(state["scaler"])
        rows = state["rows"]
        if _best(rows) is not rows[-1] and not kept(_best(rows)):
            raise problem(files.best, f"of the best epoch, {_best(rows)['epoch']}, or oof.npz beside it, is gone or damaged",
                          remedy="put it back, or train the fold again with --force")
    elif force:
        # Only now: until here a typo or a missing weights file would have cost what was there.
        for path in (files.last, files.best, files.oof, files.metrics, *files.folder.glob("probs-*.npz")):
            path.unlink(missing_ok=True)

    def validate(progress: Progress) -> np.ndarray:
        network.eval()
        return predict([network], valid_loader, make_views("none"), device, progress)[0, 0]

    def keep(row: dict[str, Any], probs: np.ndarray) -> None:
        save(files.best, network, Card(
            model=recipe.model, crop=recipe.crop, size=recipe.size, mean=network.statistics[0], std=network.statistics[1],
            classes=CLASS_NAMES, recipe=recipe.describe(), fold=fold, plan=plan.hash, epoch=row["epoch"],
            score=row["val_f1_macro"], kit=__version__))
        _write_oof(files, plan, fold, valid, probs)

    size = sum(p.numel() for p in network.parameters()) / 1e6
    say(f"{files.folder}: {recipe.model}, {size:.1f} M parameters, {len(train):,} photos to train, {len(valid):,} to validate, "
        f"{device}, {str(choose_precision(device)).removeprefix('torch.')}, {workers} workers"
        + (f"; going on after epoch {len(rows)}" if rows else ""))

    with Progress(f"fold {fold}", (recipe.epochs - len(rows)) * (len(batches) * batches.size + len(valid))) as progress:
        if rows and _best(rows) is rows[-1] and not kept(rows[-1]):
            keep(rows[-1], validate(progress))  # the interruption came between last.pt and these
        for epoch in range(len(rows), recipe.epochs):
            started = time.monotonic()
            batches.epoch = epoch
            torch.manual_seed(batches.seed("network"))  # dropout and stochastic depth, on every device
            network.train()
            total = torch.zeros((), device=device)
            waited, rate = 0.0, 0.0
            best = f", best {_best(rows)['val_f1_macro']:.3f}" if rows else ""
            asked = time.monotonic()
            for step, (at, (photos,)) in enumerate(one_pass(loader)):
                waited += time.monotonic() - asked
                rate = learning_rate(recipe, epoch + (step + 0.5) / len(batches))
                for group in optimizer.param_groups:
                    group["lr"] = rate
                with autocast(device):
                    loss = criterion(network(to_device(photos, device)), labels[at.to(device)])
                optimizer.zero_grad(set_to_none=True)
                scaler.scale(loss).backward()
                scaler.step(optimizer)
                scaler.update()
                total += loss.detach()
                # Reading the loss waits for the GPU, so the bar shows it only now and then.
                loss_note = f"loss {float(total) / (step + 1):.3f}" if step % 10 == 0 else None
                progress.advance(len(at), loss_note and f"epoch {epoch + 1}/{recipe.epochs}, {loss_note}{best}")
                asked = time.monotonic()
            train_loss = float(total) / len(batches)
            seconds = time.monotonic() - started
            if not math.isfinite(train_loss):
                raise KitError(f"{files.folder}: the training loss of epoch {epoch + 1} is not a finite number; lower lr in the "
                               "recipe (the epochs before are kept)")
            probs = validate(progress)
            scores = score(truth, probs.argmax(axis=1))
            rows.append({
                "epoch": epoch + 1, "lr": rate, "train_loss": train_loss,
                "val_loss": _log_loss(probs, truth),
                "val_acc": scores.accuracy, "val_f1_macro": scores.f1, "val_f1_mask": scores.mask, "val_f1_gender": scores.gender,
                "val_f1_age": scores.age, "time_data": waited / len(batches), "time_step": seconds / len(batches)})
            # First of all, so that whatever interrupts the writing of the others, the next start makes them from it.
            save_state(files.last, {"recipe": json.dumps(recipe.describe()), "plan": plan.hash, "fold": fold, "rows": rows,
                                    "network": network.body.state_dict(), "optimizer": optimizer.state_dict(),
                                    "scaler": scaler.state_dict()})
            improved = _best(rows) is rows[-1]
            if improved:
                keep(rows[-1], probs)
            write_metrics(files.metrics, rows)
            progress.say(f"  epoch {epoch + 1:2d}/{recipe.epochs}  loss {train_loss:.3f}  val loss {rows[-1]['val_loss']:.3f}  "
                         f"{scores.line()}  {duration(time.monotonic() - started)}" + ("  best so far" if improved else ""))
    write_metrics(files.metrics, rows)
    files.last.unlink(missing_ok=True)
    return _scores(_best(rows))


def chosen_folds(text: str, k: int) -> list[int]:
    """The folds of `--fold`: `all`, one number, or several with commas."""
    if text == "all":
        return list(range(k))
    parts = text.split(",")
    if not all(part.isdecimal() and int(part) < k for part in parts):
        raise KitError(f"--fold {text}: the plan has the folds 0 to {k - 1}; take one, several as 0,2, or all")
    return list(dict.fromkeys(map(int, parts)))


def train(recipe: Recipe, plan: Plan, data: Path, folds: Sequence[int], runs: Path, device: str | None = None,
          workers: int | None = None, force: bool = False) -> list[Scores]:
    """Train several folds one after another; the scores of each one's best epoch."""
    import torch
    check_data(data, plan)
    for fold in folds if not force else ():
        _standing(recipe, plan, fold, Fold(runs / recipe.name / f"fold{fold}"))  # told now, not after the folds before it
    done = []
    for fold in folds:
        try:
            with locked(runs / recipe.name / f"fold{fold}"):
                done.append(train_fold(recipe, plan, data, fold, runs, device, workers, force))
        except torch.OutOfMemoryError as error:
            raise KitError(f"recipe {recipe.name}: the GPU's memory is too small for batch_size={recipe.batch_size} at "
                           f"{recipe.size[0]} x {recipe.size[1]}; lower batch_size") from error
        except KeyboardInterrupt:
            rest = ",".join(map(str, folds[folds.index(fold) + 1:]))
            warn("stopped; the same command goes on after the last whole epoch" if not force else
                 f"stopped in fold {fold}; --fold {fold} without --force goes on after its last whole epoch"
                 + (f", and --fold {rest} --force trains the rest anew" if rest else ""))
            raise
    return done


@command
def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    parser = Parser(prog="kit.train", description=__doc__)
    parser.add_argument("recipe", type=Path, help="a recipe file, such as recipes/effb4_5fold.py")
    parser.add_argument("--fold", default="0", metavar="0|0,2|all", help="which folds to train (default: 0)")
    parser.add_argument("--data", help="the competition's folder (default: $KIT_DATA, then data/)")
    parser.add_argument("--plan", type=Path, default=Path("runs/folds.csv"), help="the fold plan (default: runs/folds.csv)")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where runs lie (default: runs)")
    parser.add_argument("--device", help="cpu, cuda or cuda:1 (default: the first GPU, else the CPU)")
    parser.add_argument("--workers", type=int, help="loader processes (default: by the machine)")
    parser.add_argument("--force", action="store_true", help="train anew over what is there")
    args = parser.parse_args(argv)
    if args.workers is not None and args.workers < 0:
        raise KitError(f"--workers {args.workers}: take 0 or more")
    recipe, data, plan = load_recipe(args.recipe), find_data(args.data), read_plan(args.plan)
    folds = chosen_folds(args.fold, plan.k)
    started = time.monotonic()
    done = train(recipe, plan, data, folds, args.runs, args.device, args.workers, args.force)
    for fold, scores in zip(folds, done):
        say(f"fold {fold}: {scores.line()}, its best epoch")
    words = ["python", "-m", "kit.ensemble", str(args.runs / recipe.name), "--tta", "hflip"]
    words += ["--data", args.data] * (args.data is not None)
    words += ["--plan", str(args.plan)] * (args.plan != Path("runs/folds.csv"))
    say(f"{duration(time.monotonic() - started)}; next: {shlex.join(words)}")


if __name__ == "__main__":
    sys.exit(main())
