"""Train one recipe on the folds of a plan: a checkpoint, out-of-fold probabilities and metrics for each fold.

    python -m kit.train recipes/effb4_5fold.py --fold 0
    python -m kit.train recipes/effb4_5fold.py --dry-run
    python -m kit.train --list

writes `runs/effb4_5fold/fold0/`: `best.safetensors` (the weights of the epoch that the recipe's `select` says, by default the
last one), `oof.npz` (their probabilities for the fold's photos), `metrics.csv` (a row an epoch). `last.pt` lies there until
the fold is finished, written every epoch and every `--save-minutes`, and before Ctrl+C or SIGTERM end the training: the same
command goes on from there, on a CPU to the same weights, byte for byte, as without the interruption. A finished fold is skipped.

On a CPU, trainings that are started side by side share its cores: each new one counts the others and takes as many threads as
are its share, unless OMP_NUM_THREADS says how many.
"""

import contextlib
import dataclasses
import hashlib
import json
import math
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from kit.console import Parser, Progress, Stop, command, duration, say, show_table, warn
from kit.data import check_data, find_data, train_images
from kit.errors import KitError, problem
from kit.labels import NUM_CLASSES
from kit.metrics import Scores, log_loss, score
from kit.pixels import Cache, Photos, batches_of, cached, cores, default_workers, loader_killed, make_loader, one_pass
from kit.profile import stage
from kit.recipe import CHOICES, Recipe, check_augment, load_recipe, shipped_recipe
from kit.tables import (Fold, Plan, Probs, locked, oof_key, oof_precision, read_metrics, read_plan, read_probs, write_metrics,
                        write_probs)
from kit.track import TRACKERS, open_tracker
from kit.versions import versions, warn_versions

if TYPE_CHECKING:
    import torch

    from kit.learn import EpochBatches, Learner

_VALID_BATCH = 32
# How often a GPU is asked whether the losses are finite: asking waits for it.
_CHECK_STEPS = 10


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
    if state:
        return state
    rows = read_metrics(files.metrics)
    if not _over(recipe, rows):
        raise problem(files.folder, f"has metrics of {len(rows)} of {recipe.epochs} epochs, and no last.pt to go on from",
                      remedy="--force to train it anew")
    return state


def _mend_oof(row: dict[str, Any], plan: Plan, data: Path, fold: int, files: Fold, device_name: str | None,
              workers: int | None) -> None:
    """Make the out-of-fold probabilities of a fold's kept epoch `row` again where they are gone or damaged.

    Raises `KitError` where it is the checkpoint that is not what they were made from.
    """
    from kit.checkpoint import load, read_card
    from kit.device import choose_device
    from kit.fast import ready
    from kit.predict import predict
    from kit.views import make_views
    try:
        key = read_probs(files.oof).key
    except KitError:
        warn(f"{files.oof} is gone or damaged; making it again")
    else:
        if oof_precision(key, files.best, plan, fold) is None:
            raise problem(files.best, "is not the file that oof.npz beside it was made from: it was changed or is damaged",
                          remedy="put the right one back, or train the fold again with --force")
        return
    device, card = choose_device(device_name), read_card(files.best)
    valid = _limited(plan.photos[plan.photos["fold"] == fold], card.limit)
    workers = default_workers(device.type) if workers is None else workers
    loader = make_loader(Photos(train_images(data), valid["image"].tolist(), [card.geometry]),
                         batches_of(len(valid), min(_VALID_BATCH, card.recipe["batch_size"])), workers, device)
    network = ready(load(files.best, device), device)
    probs = predict([network], loader, make_views("none"), device)[0][0, 0]
    saved, again = row["val_loss"], log_loss(probs, valid["label"].to_numpy())
    if abs(again - saved) > 0.05:  # far more than another device's rounding makes
        raise problem(files.best, f"has the loss {again:.3f}, not the {saved:.3f} it was saved with: it is damaged",
                      remedy="train the fold again with --force")
    _write_oof(files, plan, fold, valid, probs, network.way.name)


def _write_oof(files: Fold, plan: Plan, fold: int, valid: pd.DataFrame, probs: np.ndarray, precision: str) -> None:
    """Write the out-of-fold probabilities of `files.best` for the fold's photos `valid`, computed in a precision."""
    ids = valid["image"].to_numpy().astype(np.str_)
    write_probs(files.oof, Probs(ids, probs, oof_key(files.best, plan, fold, precision)), force=True)


def _best(recipe: Recipe, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The best epoch of a run's metrics by the recipe's `monitor`: the first of equals."""
    return min(rows, key=lambda row: row["val_loss"] if recipe.monitor == "loss" else -row["val_f1_macro"])


def _chosen(recipe: Recipe, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The epoch whose weights are kept."""
    return _best(recipe, rows) if recipe.select == "best" else rows[-1]


def _over(recipe: Recipe, rows: Sequence[dict[str, Any]]) -> bool:
    """Whether training ends after these epochs: they are all, or too many without a better one."""
    if not rows:
        return False
    return len(rows) >= recipe.epochs or 0 < recipe.patience <= len(rows) - _best(recipe, rows)["epoch"]


def _outcome(recipe: Recipe, rows: Sequence[dict[str, Any]]) -> str:
    """What a finished fold has come to: the chosen epoch and, where it was chosen on the fold, the last one beside it."""
    row = _chosen(recipe, rows)
    text = f"epoch {row['epoch']:.0f} of {len(rows)}, {_scores(row).line()}"
    if row is not rows[-1]:
        text += f"; the last epoch {rows[-1]['val_f1_macro']:.3f}"
    return text


def _scores(row: dict[str, Any]) -> Scores:
    return Scores(*(row[c] for c in ("val_f1_macro", "val_acc", "val_f1_mask", "val_f1_gender", "val_f1_age")))


def _limited(photos: pd.DataFrame, limit: int) -> pd.DataFrame:
    """At most `limit` of the photos (0: all), the same ones every time, drawn over all of them."""
    if not limit or len(photos) <= limit:
        return photos
    digests = photos["image"].map(lambda image: hashlib.sha256(image.encode()).hexdigest())
    return photos.loc[digests.sort_values().index[:limit].sort_values()]


@dataclass(frozen=True)
class _Parts:
    """What a fold is trained and validated on, as rows of the plan; training labels as the recipe wants them."""

    train: pd.DataFrame
    valid: pd.DataFrame
    labels: np.ndarray

    @property
    def counts(self) -> np.ndarray:
        """The training photos a class, (18,)."""
        return np.bincount(self.labels, minlength=NUM_CLASSES)


def _split(recipe: Recipe, plan: Plan, fold: int, limit: int) -> _Parts:
    from kit.learn import training_labels
    held = (plan.photos["fold"] == fold).to_numpy()
    train = plan.photos[~held]
    taken, _ = training_labels(recipe, train["label"].to_numpy(), train["age"].to_numpy())
    train = _limited(train[taken], limit)
    if len(train) < 2:
        raise KitError(f"recipe {recipe.name}: {len(train)} photos are left to train on; drop fewer ages")
    _, labels = training_labels(recipe, train["label"].to_numpy(), train["age"].to_numpy())
    return _Parts(train, _limited(plan.photos[held], limit), labels)


def _loaders(recipe: Recipe, parts: _Parts, root: Path, cache: Cache | None, batches: "EpochBatches", workers: int,
             device: "torch.device", at_once: int = 0) -> tuple[Any, Any]:
    """The loaders of training and validation; the latter in batches of `at_once`, or, for 0, of what training is known to fit."""
    seen, unseen = (Photos(root, part["image"].tolist(), [recipe.geometry], augment, cache)
                    for part, augment in ((parts.train, recipe.augment), (parts.valid, None)))
    return (make_loader(seen, batches, workers, device),
            make_loader(unseen, batches_of(len(parts.valid), at_once or min(_VALID_BATCH, recipe.batch_size)), workers, device))


def _steps(loader: Any) -> Iterator[list[tuple[Any, Any]]]:
    """The rest of an epoch: the batches of each step, as (indices, photos)."""
    passing, batches = one_pass(loader), loader.batch_sampler
    for sizes in batches.sizes[batches.start:]:
        with stage("data"):
            batches_of_step = [(at, photos) for at, (photos,) in (next(passing) for _ in sizes)]
        yield batches_of_step


def _device_name(learner: "Learner") -> str:
    from kit.device import precision_name
    return f"{learner.device}, {precision_name(learner.precision)}"


@dataclass
class _Position:
    """How far a fold's training is: whole epochs as `rows`, and the current one's steps, loss and seconds so far."""

    rows: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    step: int = 0
    loss: float = 0.0
    seconds: float = 0.0
    waited: float = 0.0


def train_fold(recipe: Recipe, plan: Plan, data: Path, fold: int, runs: Path, device_name: str | None = None,
               workers: int | None = None, force: bool = False, limit: int = 0, pixels: Path | None = None,
               save_minutes: float = 10, track: str | None = None, must_track: bool = True, keep_epochs: int = 0) -> Scores:
    """Train one fold of a recipe, or go on with it, and return the scores of the epoch whose weights are kept.

    Writes into `runs/<recipe>/fold<fold>`, as the module says. With `select="best"`, and with `patience`, the epoch is chosen on
    the photos it is scored on, so that its score is a little too good. `pixels` is the folder of the pixel cache; without it
    photos are decoded in every epoch. A tracker that does not start is an error, unless it is not a must. The weights of the
    last `keep_epochs` epochs are kept, too, for `kit.soup`.
    """
    import torch

    from kit.checkpoint import make_card, read_card, save, save_state
    from kit.device import choose_device, precision_name, share_threads
    from kit.fast import measured_way
    from kit.learn import EpochBatches, Learner, learning_rate
    from kit.models import count_parameters
    from kit.predict import predict
    from kit.views import make_views

    files = Fold(runs / recipe.name / f"fold{fold}")
    state = None if force else _standing(recipe, plan, fold, files)
    if state == {}:
        finished = read_metrics(files.metrics)
        _mend_oof(_chosen(recipe, finished), plan, data, fold, files, device_name, workers)
        say(f"{files.folder}: finished before, skipped ({_outcome(recipe, finished)})")
        if keep_epochs and not files.epochs:
            warn(f"{files.folder}: its epochs were not kept; --keep-epochs needs it to be trained anew, with --force")
        return _scores(_chosen(recipe, finished))
    device = choose_device(device_name)
    workers = default_workers(device.type) if workers is None else workers
    check_augment(recipe)
    threads = share_threads(state["threads"] if state else None)
    if state and state["threads"] != threads and device.type == "cpu":
        warn(f"{files.folder}: began with {state['threads']} threads and goes on with {threads}: its sums are rounded otherwise")
    parts, root = _split(recipe, plan, fold, limit), train_images(data)
    truth, labels, images = parts.valid["label"].to_numpy(), torch.from_numpy(parts.labels), parts.train["image"].to_numpy()
    at_once = 0
    if device.type == "cuda":  # before the learner takes memory; four times a batch of training, or less, fits without gradients
        architecture = recipe.model, recipe.geometry, recipe.head, recipe.loss == "ldam"
        at_once = min(measured_way(*architecture, device).photos, 4 * recipe.batch_size)
    learner = Learner(recipe, parts.counts, device)

    def kept(row: dict[str, Any]) -> bool:
        try:
            return (files.best.exists() and files.oof.exists() and read_card(files.best).epoch == row["epoch"]
                    and oof_precision(read_probs(files.oof).key, files.best, plan, fold) is not None)
        except KitError:
            return False

    now = _Position()
    resumed = state is not None
    if state is not None:
        warn_versions(files.last, state["versions"], training=True)
    if resumed and files.epochs and not keep_epochs:
        warn(f"{files.folder}: --keep-epochs was given before and is not now: the epochs from here on are not kept")
    if state is not None:
        try:
            learner.restore(state["learner"])
        except (RuntimeError, ValueError, KeyError) as error:
            raise problem(files.last, f"does not fit the recipe's network and optimizer ({str(error)[:120]})",
                          remedy="train with the versions of torch and timm it was made with, or anew with --force") from error
        now = _Position(state["rows"], state["step"], state["loss"], state["seconds"], state["waited"])
        chosen = _chosen(recipe, now.rows) if now.rows else None
        if chosen and (chosen is not now.rows[-1] or now.step) and not kept(chosen):
            if not files.best.exists() or read_card(files.best).epoch != chosen["epoch"]:
                raise problem(files.best, f"is not that of the kept epoch, {chosen['epoch']}: it is gone or damaged",
                              remedy="put it back, or train the fold again with --force")
            _mend_oof(chosen, plan, data, fold, files, device_name, workers)
    del state  # twice the weights, and more
    # Of all folds' photos, so that they share it; a trial does not build it.
    cache = cached(pixels, root, plan.photos["image"].tolist(), recipe.geometry, build=not limit) if pixels else None
    batches = EpochBatches(recipe, parts.labels, fold)
    loader, valid_loader = _loaders(recipe, parts, root, cache, batches, workers, device, at_once)
    tracker = open_tracker(track, files.folder, recipe.describe(), fold, now.rows, must_track)

    def validate(progress: Progress) -> np.ndarray:
        with stage("validation"):
            return predict([learner.used.eval()], valid_loader, make_views("none"), device, progress)[0][0, 0]

    def keep(row: dict[str, Any], probs: np.ndarray) -> None:
        save(files.best, learner.used, make_card(recipe, learner.used, fold, plan.hash, row["epoch"], row["val_f1_macro"], limit))
        _write_oof(files, plan, fold, parts.valid, probs, precision_name(learner.precision))

    def keep_epoch(row: dict[str, Any]) -> None:
        if not keep_epochs:
            return  # and leave what an earlier start kept
        path = files.epoch(row["epoch"])
        if not path.exists():
            save(path, learner.used, make_card(recipe, learner.used, fold, plan.hash, row["epoch"], row["val_f1_macro"], limit))
        for stale in files.epochs[:-keep_epochs]:
            stale.unlink()

    recent: list[tuple[int, np.ndarray, torch.Tensor]] = []  # steps whose loss has not been looked at

    def check() -> None:
        losses = torch.stack([loss for _, _, loss in recent]).cpu() if recent else torch.zeros(0)
        for (step, at, _), loss in zip(recent, losses):
            if not math.isfinite(loss):
                files.bad_batch.write_text("".join(f"{image}\n" for image in images[at]), encoding="utf-8")
                raise problem(files.folder, f"the training loss of epoch {len(now.rows) + 1}, step {step + 1}, is not a finite "
                              f"number, for the photos listed in {files.bad_batch.name}", images[at].tolist(),
                              "lower lr or set clip in the recipe, and start with --force")
        if learner.stalled:
            raise problem(files.folder, f"the gradients overflow in every step of epoch {len(now.rows) + 1}",
                          remedy="lower lr or set clip in the recipe, and start with --force")
        now.loss += float(losses.sum(dtype=torch.float64))
        recent.clear()

    saved, fresh = time.monotonic(), not resumed

    def clear() -> None:
        """Remove what another training left, as soon as this one can be saved.

        Not sooner: a typo, a damaged photo, a batch too large or a full disk would have cost what was there. Not later: whatever
        lies beside a last.pt is taken for its own, even if this process is killed in between.
        """
        kept = [path for prefix in ("probs", "part", "oof") for path in files.folder.glob(f"{prefix}-*.npz")]
        for path in (files.last, files.best, files.oof, files.metrics, *files.epochs, *kept):
            path.unlink(missing_ok=True)

    def save_now() -> None:
        nonlocal saved, fresh
        check()  # weights that have diverged are not worth keeping
        save_state(files.last, {
            "recipe": json.dumps(recipe.describe()), "plan": plan.hash, "fold": fold, "versions": dict(versions()),
            "threads": threads, "learner": learner.state(), **{f.name: getattr(now, f.name) for f in dataclasses.fields(now)}},
            clear if fresh else None)
        fresh = False
        saved = time.monotonic()

    def train_epoch(progress: Progress) -> None:
        batches.epoch, batches.start = len(now.rows), now.step
        best = f", best {_best(recipe, now.rows)['val_f1_macro']:.3f}" if now.rows else ""
        asked = time.monotonic()
        for step in _steps(loader):  # a stop ends the waiting for photos, which may be long, but not a step
            fetched = time.monotonic()
            with stop.held():
                rate = learning_rate(recipe, len(now.rows) + (now.step + 0.5) / batches.steps)
                loss = learner.step([(photos, labels[at]) for at, photos in step], rate, batches.seed(f"step/{now.step}"))
                recent.append((now.step, torch.cat([at for at, _ in step]).numpy(), loss))
                now.step += 1
                note = None
                if device.type == "cpu" or len(recent) >= _CHECK_STEPS or now.step == batches.steps:
                    check()
                    note = f"epoch {len(now.rows) + 1}/{recipe.epochs}, loss {now.loss / now.step:.3f}{best}"
                progress.advance(sum(len(at) for at, _ in step), note)
                now.waited += fetched - asked
                now.seconds += time.monotonic() - asked
                if not stop.asked and time.monotonic() - saved >= save_minutes * 60:
                    with stage("write"):
                        save_now()
            asked = time.monotonic()

    def end_epoch(progress: Progress, probs: np.ndarray) -> None:
        scores, epoch = score(truth, probs.argmax(axis=1)), len(now.rows) + 1
        row = {"epoch": epoch, "lr": learning_rate(recipe, epoch - 0.5 / batches.steps), "train_loss": now.loss / batches.steps,
               "val_loss": log_loss(probs, truth), "val_acc": scores.accuracy, "val_f1_macro": scores.f1,
               "val_f1_mask": scores.mask, "val_f1_gender": scores.gender, "val_f1_age": scores.age,
               "time_data": now.waited / batches.steps, "time_step": now.seconds / batches.steps}
        seconds = now.seconds
        now.rows.append(row)
        now.step, now.loss, now.seconds, now.waited = 0, 0.0, 0.0, 0.0
        # First of all, so that whatever interrupts the writing of the others, the next start makes them from it.
        save_now()
        chosen = _chosen(recipe, now.rows) is row
        if chosen:
            keep(row, probs)
        keep_epoch(row)
        write_metrics(files.metrics, now.rows)
        tracker.log(row)
        progress.say(f"  epoch {epoch:2d}/{recipe.epochs}  loss {row['train_loss']:.3f}  val loss {row['val_loss']:.3f}  "
                     f"{scores.line()}  {duration(seconds)}" + ("  best so far" if chosen and recipe.select == "best" else ""))

    left = (recipe.epochs - len(now.rows)) * (len(parts.train) + len(parts.valid)) - sum(map(sum, batches.sizes[:now.step]))
    say(f"{files.folder}: {recipe.model}, {count_parameters(learner.network) / 1e6:.1f} M parameters, {len(parts.train):,} "
        f"photos to train, {len(parts.valid):,} to validate, {_device_name(learner)}"
        + (f", {threads} thread{'s'[:threads != 1]}" if device.type == "cpu" else "") + f", {workers} workers, "
        f"{recipe.optimizer} with weight decay {recipe.decay:g}"
        + (f"; going on after epoch {len(now.rows)}, step {now.step} of {batches.steps}" if resumed else ""))
    with Stop() as stop, Progress(f"fold {fold}", left) as progress, contextlib.closing(tracker):
        try:
            if now.rows and _chosen(recipe, now.rows) is now.rows[-1] and not kept(now.rows[-1]):
                keep(now.rows[-1], validate(progress))  # the interruption came between last.pt and these
            if now.rows and not now.step:
                keep_epoch(now.rows[-1])
            while not _over(recipe, now.rows):
                train_epoch(progress)
                probs = validate(progress)
                with stop.held(), stage("write"):
                    end_epoch(progress, probs)
        except KeyboardInterrupt:
            if (now.rows or now.step) and not stop.forced:
                with contextlib.suppress(KeyboardInterrupt), stop.held():
                    save_now()
            raise
    if len(now.rows) < recipe.epochs:
        say(f"{files.folder}: ended early, {recipe.patience} epochs without a better {recipe.monitor}")
    write_metrics(files.metrics, now.rows)
    files.last.unlink(missing_ok=True)
    files.bad_batch.unlink(missing_ok=True)
    return _scores(_chosen(recipe, now.rows))


def chosen_folds(text: str, k: int) -> list[int]:
    """The folds of `--fold`: `all`, one number, or several with commas."""
    if text == "all":
        return list(range(k))
    parts = text.split(",")
    if not all(part.isdecimal() and int(part) < k for part in parts):
        raise KitError(f"--fold {text}: the plan has the folds 0 to {k - 1}; take one, several as 0,2, or all")
    return list(dict.fromkeys(map(int, parts)))


def _check_folds(recipe: Recipe, plan: Plan, folds: Sequence[int], runs: Path, resume: bool) -> None:
    """Raise now what would be raised only after the folds before; with `resume`, also where none has anything to go on from."""
    places = {fold: Fold(runs / recipe.name / f"fold{fold}") for fold in folds}
    states = [_standing(recipe, plan, fold, files) for fold, files in places.items()]
    if resume and not any(states):
        raise problem(runs / recipe.name, "there is no unfinished training to resume", remedy="start it without --resume")


def train(recipe: Recipe, plan: Plan, data: Path, folds: Sequence[int], runs: Path, device: str | None = None,
          workers: int | None = None, force: bool = False, limit: int = 0, cache: bool = True, save_minutes: float = 10,
          track: str | None = None, resume: bool = False, keep_epochs: int = 0, profile: bool = False) -> list[Scores]:
    """Train several folds one after another; the scores of the epoch that each one keeps.

    With `limit`, a trial on so many photos of each part, in a run of its own, `<recipe>-limit<limit>`. With `profile`, each
    fold's folder gets a profile of what was done in it now.
    """
    from kit.device import choose_device, counted
    from kit.learn import enough_memory
    from kit.profile import profiled
    check_data(data, plan)
    if limit:
        recipe = dataclasses.replace(recipe, name=f"{recipe.name}-limit{limit}")
    for line in recipe.idle:
        warn(f"recipe {recipe.name}: {line}")
    if not force:
        _check_folds(recipe, plan, folds, runs, resume)
    done = []
    for fold in folds:
        try:
            with counted(), locked(runs / recipe.name / f"fold{fold}"), enough_memory(recipe, choose_device(device)):
                with profiled(choose_device(device) if profile else None, runs / recipe.name / f"fold{fold}" / "profile"):
                    done.append(train_fold(recipe, plan, data, fold, runs, device, workers, force, limit,
                                           runs / "pixels" if cache else None, save_minutes, track, fold == folds[0],
                                           keep_epochs))
        except RuntimeError as error:
            if "DataLoader worker" not in str(error):
                raise
            raise loader_killed() from error
        except KeyboardInterrupt:
            warn(_advice(recipe, plan, folds, fold, runs, force))
            raise
    return done


def _advice(recipe: Recipe, plan: Plan, folds: Sequence[int], fold: int, runs: Path, force: bool) -> str:
    """What to do after a training was stopped in a fold."""
    try:
        begun = bool(_standing(recipe, plan, fold, Fold(runs / recipe.name / f"fold{fold}")))
    except KitError:
        begun = False  # what is there is of another recipe, and has not been replaced yet
    if not begun:
        return f"stopped before the first save of fold {fold}; the same command starts it again"
    if not force:
        return "stopped; the same command goes on from here"
    rest = ",".join(map(str, folds[folds.index(fold) + 1:]))
    return (f"stopped in fold {fold}; --fold {fold} without --force goes on from here"
            + (f", and --fold {rest} --force trains the rest anew" if rest else ""))


def dry_run(recipe: Recipe, plan: Plan, data: Path, folds: Sequence[int], runs: Path, device_name: str | None = None,
            workers: int | None = None, limit: int = 0, cache: bool = True) -> None:
    """Try a batch of each stage of the first fold, and print seconds, memory and how long all will take; writes nothing."""
    import torch

    from kit.device import choose_device, clock, peak_memory
    from kit.fast import ready
    from kit.learn import EpochBatches, Learner, enough_memory, learning_rate
    from kit.predict import predict
    from kit.views import make_views
    check_data(data, plan)
    check_augment(recipe)
    device = choose_device(device_name)
    workers = default_workers(device.type) if workers is None else workers
    parts, root = _split(recipe, plan, folds[0], limit), train_images(data)
    batches = EpochBatches(recipe, parts.labels, folds[0])
    pixels = cached(runs / "pixels", root, plan.photos["image"].tolist(), recipe.geometry, build=False) if cache else None
    loader, valid_loader = _loaders(recipe, parts, root, pixels, batches, 0, device)
    labels = torch.from_numpy(parts.labels)
    some, fresh = next(iter(batches)), Photos(root, loader.dataset.images, [recipe.geometry])
    some_valid = next(iter(valid_loader.batch_sampler))
    seen = Photos(root, [valid_loader.dataset.images[i] for i in some_valid], [recipe.geometry], cache=pixels)
    valid_loader = make_loader(seen, batches_of(len(seen), len(seen)), 0, device)

    started = clock(device)
    plain = [fresh[i] for i, _ in some]
    decoded = (clock(device) - started) / len(plain)
    started = clock(device)
    step = next(_steps(loader))
    size = sum(len(at) for at, _ in step)
    loaded = clock(device) - started
    took, rate = [], learning_rate(recipe, 0.5 / batches.steps)
    with enough_memory(recipe, device):
        learner = Learner(recipe, parts.counts, device)
        for n in range(3):  # the first one sets things up
            started = clock(device)
            loss = float(learner.step([(images, labels[at]) for at, images in step], rate, n))
            took.append(clock(device) - started)
        network = ready(learner.used.eval(), device)
        for _ in range(2):  # here, too
            started = clock(device)
            predict([network], valid_loader, make_views("none"), device)
            validated = clock(device) - started
    stepped = min(took[1:])
    if not math.isfinite(loss):
        raise KitError(f"recipe {recipe.name}: the loss of the first steps is {loss}; lower lr or set clip")
    caching = 0.0
    if cache and pixels is None and not limit:  # then these did what will be done once, by all cores
        loaded, validated = max(loaded - decoded * size, 1e-4), max(validated - decoded * len(some_valid), 1e-4)
        caching = decoded * len(plan.photos) / cores()
    per_step = max(stepped, loaded / workers) if workers else stepped + loaded
    epoch = per_step * batches.steps + validated * len(parts.valid) / len(some_valid)
    memory = peak_memory(device)
    show_table(f"{recipe.name}, fold {folds[0]}: {recipe.model}, {_device_name(learner)}, {size} photos a step",
               ["stage", "seconds", "photos/s"], [[name, f"{seconds:.3f}", f"{n / seconds:,.0f}"] for name, seconds, n in (
                   ("decode, crop, resize", decoded * len(plain), len(plain)), ("load and augment", loaded, size),
                   ("training step", stepped, size), ("validation batch", validated, len(some_valid)))])
    fold_seconds = epoch * recipe.epochs
    say(f"peak memory {memory / 1e9:.1f} GB; an epoch about {duration(epoch)} ({batches.steps} steps), a fold at most "
        f"{duration(fold_seconds)} ({recipe.epochs} epochs)"
        + (f", the {len(folds)} folds {duration(fold_seconds * len(folds))}" if len(folds) > 1 else "")
        + (f", and {duration(caching)} once for the pixel cache" if caching else "") + "; nothing was written")


def list_recipes() -> None:
    """Print the recipes in `recipes/`, or the kit's own, with what their networks cost."""
    from kit.models import cost
    folder = Path("recipes") if Path("recipes").is_dir() else shipped_recipe("tiny").parent
    rows = []
    for path in sorted(folder.glob("[!_]*.py")):
        try:
            recipe = load_recipe(path)
            parameters, gflop = cost(recipe.model, recipe.geometry, recipe.head, recipe.loss == "ldam")
        except KitError as error:
            warn(str(error))
            continue
        rows.append([path, recipe.model, f"{recipe.size[0]} x {recipe.size[1]}", f"{parameters / 1e6:.1f}", f"{gflop:.2f}",
                     recipe.epochs, f"{recipe.batch_size}" + (f" x {recipe.accumulate}" if recipe.accumulate > 1 else ""),
                     recipe.head, recipe.loss])
    if not rows:
        raise problem(folder, "holds no recipes", remedy="run the command where recipes/ lies")
    show_table("Recipes (M parameters, and GFLOP forward a photo: training takes three times as many)",
               ["recipe", "model", "size", "M", "GFLOP", "epochs", "batch", "head", "loss"], rows)


@command
def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    parser = Parser(prog="kit.train", description=__doc__)
    parser.add_argument("recipe", type=Path, nargs="?", help="a recipe file, such as recipes/effb4_5fold.py")
    parser.add_argument("--list", action="store_true", help="show the recipes with their parameters and GFLOP")
    parser.add_argument("--fold", default="0", metavar="0|0,2|all", help="which folds to train (default: 0)")
    parser.add_argument("--data", help="the competition's folder (default: $KIT_DATA, then data/)")
    parser.add_argument("--plan", type=Path, default=Path("runs/folds.csv"), help="the fold plan (default: runs/folds.csv)")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where runs lie (default: runs)")
    parser.add_argument("--device", help="cpu, cuda or cuda:1 (default: the first GPU, else the CPU)")
    parser.add_argument("--workers", type=int, help="loader processes (default: by the machine)")
    parser.add_argument("--select", choices=CHOICES["select"], help="which weights to keep, over the recipe's own select")
    parser.add_argument("--dry-run", action="store_true", help="try one batch of each stage, and say how long all will take")
    parser.add_argument("--limit", type=int, default=0, metavar="N",
                        help="a trial on N photos to train and N to validate, in a run of its own, RECIPE-limitN")
    parser.add_argument("--save-minutes", type=float, default=10, metavar="M",
                        help="save within an epoch, too, every M minutes (default: 10)")
    parser.add_argument("--keep-epochs", type=int, default=0, metavar="N",
                        help="keep the weights of the last N epochs, too, for kit.soup to average")
    parser.add_argument("--track", choices=TRACKERS, help="send each epoch's scalars to TensorBoard or Weights & Biases")
    parser.add_argument("--no-cache", action="store_true", help="keep no pixel cache in RUNS/pixels: decode in every epoch")
    parser.add_argument("--profile", action="store_true",
                        help="tell where the time goes, and write a trace into the fold's folder")
    parser.add_argument("--resume", action="store_true", help="an error where there is nothing to go on with")
    parser.add_argument("--force", action="store_true", help="train anew over what is there")
    args = parser.parse_args(argv)
    if args.list:
        return list_recipes()
    if args.recipe is None:
        raise KitError("kit.train: name a recipe, such as recipes/effb4_5fold.py; --list shows them")
    if args.workers is not None and args.workers < 0:
        raise KitError(f"--workers {args.workers}: take 0 or more")
    if args.limit < 0 or args.limit == 1:
        raise KitError(f"--limit {args.limit}: take 2 or more")
    if not 0 < args.save_minutes < math.inf:
        raise KitError(f"--save-minutes {args.save_minutes}: take a number above 0")
    if args.keep_epochs < 0:
        raise KitError(f"--keep-epochs {args.keep_epochs}: take 0 or more")
    if args.resume and args.force:
        raise KitError("--resume goes on with what is there, and --force trains it anew: take one of the two")
    recipe, data, plan = load_recipe(args.recipe), find_data(args.data), read_plan(args.plan)
    if args.select:
        recipe = dataclasses.replace(recipe, select=args.select)
    folds = chosen_folds(args.fold, plan.k)
    if args.dry_run:
        return dry_run(recipe, plan, data, folds, args.runs, args.device, args.workers, args.limit, not args.no_cache)
    started = time.monotonic()
    done = train(recipe, plan, data, folds, args.runs, args.device, args.workers, args.force, args.limit, not args.no_cache,
                 args.save_minutes, args.track, args.resume, args.keep_epochs, args.profile)
    for fold, scores in zip(folds, done):
        say(f"fold {fold}: {scores.line()}, its {recipe.select} epoch"
            + (", chosen on the fold" if recipe.chosen_on_fold else ""))
    words = ["python", "-m", "kit.ensemble", str(args.runs / recipe.name), "--tta", "hflip"]
    words += ["--data", args.data] * (args.data is not None)
    words += ["--plan", str(args.plan)] * (args.plan != Path("runs/folds.csv"))
    say(f"{duration(time.monotonic() - started)}; next: "
        + ("the whole data, without --limit" if args.limit else shlex.join(words)))


if __name__ == "__main__":
    sys.exit(main())
