"""Train one fold of a recipe, or go on with it."""

import contextlib
import dataclasses
import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from kit.data.cache import pixel_cache
from kit.data.folder import train_images
from kit.data.loader import PhotoDataset, batches_of, default_workers, make_loader
from kit.data.plan import Plan
from kit.inference.autotune import autotune, prepare
from kit.inference.predict import predict
from kit.inference.views import make_views
from kit.models.checkpoint import checkpoint_info, load, read_checkpoint_info, save
from kit.models.network import count_parameters
from kit.recipe import Recipe, check_augment
from kit.results.probs import Probs, read_probs, write_probs
from kit.results.run import Fold, oof_key, oof_precision, read_metrics, write_metrics
from kit.scoring.metrics import Scores, log_loss, score
from kit.system.console import Progress, duration, say, warn
from kit.system.device import choose_device
from kit.system.errors import KitError, problem
from kit.system.precision import precision_name
from kit.system.profiler import stage
from kit.system.signals import Stop
from kit.system.threads import share_threads
from kit.system.versions import versions, warn_versions
from kit.training.batches import EpochBatches
from kit.training.fold_data import _VALID_BATCH, _split, batches_of_steps, fold_loaders, limited
from kit.training.history import _scores, best_epoch, describe_finished, is_finished, selected_epoch
from kit.training.learner import Learner
from kit.training.resume import TrainingState, resume_state, save_state
from kit.training.schedule import learning_rate
from kit.training.trackers import open_tracker

# How often a GPU is asked whether the losses are finite: asking waits for it.
_CHECK_STEPS = 10


def rebuild_oof(
    row: dict[str, Any],
    plan: Plan,
    data: Path,
    fold: int,
    files: Fold,
    device_name: str | None,
    workers: int | None,
) -> None:
    """Make the out-of-fold probabilities of a fold's kept epoch `row` again where they are gone or
    damaged.

    Raises `KitError` where it is the checkpoint that is not what they were made from.
    """
    try:
        key = read_probs(files.oof).key
    except KitError:
        warn(f"{files.oof} is gone or damaged; making it again")
    else:
        if oof_precision(key, files.best, plan, fold) is None:
            raise problem(
                files.best,
                "is not the file that oof.npz beside it was made from: it was changed or is "
                "damaged",
                remedy="put the right one back, or train the fold again with --force",
            )
        return
    device, card = choose_device(device_name), read_checkpoint_info(files.best)
    valid = limited(plan.photos[plan.photos["fold"] == fold], card.limit)
    workers = default_workers(device.type) if workers is None else workers
    loader = make_loader(
        PhotoDataset(train_images(data), valid["image"].tolist(), [card.geometry]),
        batches_of(len(valid), min(_VALID_BATCH, card.recipe["batch_size"])),
        workers,
        device,
    )
    network = prepare(load(files.best, device), device)
    probs = predict([network], loader, make_views("none"), device)[0][0, 0]
    saved, again = row["val_loss"], log_loss(probs, valid["label"].to_numpy())
    if abs(again - saved) > 0.05:  # far more than another device's rounding makes
        raise problem(
            files.best,
            f"has the loss {again:.3f}, not the {saved:.3f} it was saved with: it is damaged",
            remedy="train the fold again with --force",
        )
    write_oof(files, plan, fold, valid, probs, network.way.name)


def write_oof(
    files: Fold, plan: Plan, fold: int, valid: pd.DataFrame, probs: np.ndarray, precision: str
) -> None:
    """Write the out-of-fold probabilities of `files.best` for the fold's photos `valid`, computed
    in a precision.
    """
    ids = valid["image"].to_numpy().astype(np.str_)
    write_probs(
        files.oof, Probs(ids, probs, oof_key(files.best, plan, fold, precision)), force=True
    )


def _device_name(learner: Learner) -> str:
    return f"{learner.device}, {precision_name(learner.precision)}"


def train_fold(
    recipe: Recipe,
    plan: Plan,
    data: Path,
    fold: int,
    runs: Path,
    device_name: str | None = None,
    workers: int | None = None,
    force: bool = False,
    limit: int = 0,
    pixels: Path | None = None,
    save_minutes: float = 10,
    track: str | None = None,
    must_track: bool = True,
    keep_epochs: int = 0,
) -> Scores:
    """Train one fold of a recipe, or go on with it, and return the scores of the epoch whose
    weights are kept.

    Writes into `runs/<recipe>/fold<fold>`, as the module says. With `select="best"`, and with
    `patience`, the epoch is chosen on the photos it is scored on, so that its score is a little too
    good. `pixels` is the folder of the pixel cache; without it photos are decoded in every epoch. A
    tracker that does not start is an error, unless it is not a must. The weights of the last
    `keep_epochs` epochs are kept, too, for `kit.soup`.
    """
    files = Fold(runs / recipe.name / f"fold{fold}")
    state = None if force else resume_state(recipe, plan, fold, files)
    if state == {}:
        finished = read_metrics(files.metrics)
        rebuild_oof(selected_epoch(recipe, finished), plan, data, fold, files, device_name, workers)
        say(f"{files.folder}: finished before, skipped ({describe_finished(recipe, finished)})")
        if keep_epochs and not files.epochs:
            warn(
                f"{files.folder}: its epochs were not kept; --keep-epochs needs it to be trained "
                "anew, with --force"
            )
        return _scores(selected_epoch(recipe, finished))
    device = choose_device(device_name)
    workers = default_workers(device.type) if workers is None else workers
    check_augment(recipe)
    threads = share_threads(state["threads"] if state else None)
    if state and state["threads"] != threads and device.type == "cpu":
        warn(
            f"{files.folder}: began with {state['threads']} threads and goes on with {threads}: "
            "its sums are rounded otherwise"
        )
    parts, root = _split(recipe, plan, fold, limit), train_images(data)
    truth, labels, images = (
        parts.valid["label"].to_numpy(),
        torch.from_numpy(parts.labels),
        parts.train["image"].to_numpy(),
    )
    at_once = 0
    if (
        device.type == "cuda"
        # before the learner takes memory; four times a batch of training, or less, fits without
        # gradients
    ):
        architecture = recipe.model, recipe.geometry, recipe.head, recipe.loss == "ldam"
        at_once = min(autotune(*architecture, device).photos, 4 * recipe.batch_size)
    learner = Learner(recipe, parts.counts, device)

    def kept(row: dict[str, Any]) -> bool:
        try:
            return (
                files.best.exists()
                and files.oof.exists()
                and read_checkpoint_info(files.best).epoch == row["epoch"]
                and oof_precision(read_probs(files.oof).key, files.best, plan, fold) is not None
            )
        except KitError:
            return False

    now = TrainingState()
    resumed = state is not None
    if state is not None:
        warn_versions(files.last, state["versions"], training=True)
    if resumed and files.epochs and not keep_epochs:
        warn(
            f"{files.folder}: --keep-epochs was given before and is not now: the epochs from here "
            "on are not kept"
        )
    if state is not None:
        try:
            learner.restore(state["learner"])
        except (RuntimeError, ValueError, KeyError) as error:
            raise problem(
                files.last,
                f"does not fit the recipe's network and optimizer ({str(error)[:120]})",
                remedy="train with the versions of torch and timm it was made with, or anew with "
                "--force",
            ) from error
        now = TrainingState(
            state["rows"], state["step"], state["loss"], state["seconds"], state["waited"]
        )
        chosen = selected_epoch(recipe, now.rows) if now.rows else None
        if chosen and (chosen is not now.rows[-1] or now.step) and not kept(chosen):
            if not files.best.exists() or read_checkpoint_info(files.best).epoch != chosen["epoch"]:
                raise problem(
                    files.best,
                    f"is not that of the kept epoch, {chosen['epoch']}: it is gone or damaged",
                    remedy="put it back, or train the fold again with --force",
                )
            rebuild_oof(chosen, plan, data, fold, files, device_name, workers)
    del state  # twice the weights, and more
    # Of all folds' photos, so that they share it; a trial does not build it.
    cache = (
        pixel_cache(pixels, root, plan.photos["image"].tolist(), recipe.geometry, build=not limit)
        if pixels
        else None
    )
    batches = EpochBatches(recipe, parts.labels, fold)
    loader, valid_loader = fold_loaders(
        recipe, parts, root, cache, batches, workers, device, at_once
    )
    tracker = open_tracker(track, files.folder, recipe.describe(), fold, now.rows, must_track)

    def validate(progress: Progress) -> np.ndarray:
        with stage("validation"):
            return predict(
                [learner.used.eval()], valid_loader, make_views("none"), device, progress
            )[0][0, 0]

    def keep(row: dict[str, Any], probs: np.ndarray) -> None:
        save(
            files.best,
            learner.used,
            checkpoint_info(
                recipe, learner.used, fold, plan.hash, row["epoch"], row["val_f1_macro"], limit
            ),
        )
        write_oof(files, plan, fold, parts.valid, probs, precision_name(learner.precision))

    def keep_epoch(row: dict[str, Any]) -> None:
        if not keep_epochs:
            return  # and leave what an earlier start kept
        path = files.epoch(row["epoch"])
        if not path.exists():
            save(
                path,
                learner.used,
                checkpoint_info(
                    recipe, learner.used, fold, plan.hash, row["epoch"], row["val_f1_macro"], limit
                ),
            )
        for stale in files.epochs[:-keep_epochs]:
            stale.unlink()

    recent: list[
        tuple[int, np.ndarray, torch.Tensor]
    ] = []  # steps whose loss has not been looked at

    def check() -> None:
        losses = torch.stack([loss for _, _, loss in recent]).cpu() if recent else torch.zeros(0)
        for (step, at, _), loss in zip(recent, losses):
            if not math.isfinite(loss):
                files.bad_batch.write_text(
                    "".join(f"{image}\n" for image in images[at]), encoding="utf-8"
                )
                raise problem(
                    files.folder,
                    f"the training loss of epoch {len(now.rows) + 1}, step {step + 1}, is not a "
                    "finite "
                    f"number, for the photos listed in {files.bad_batch.name}",
                    images[at].tolist(),
                    "lower lr or set clip in the recipe, and start with --force",
                )
        if learner.stalled:
            raise problem(
                files.folder,
                f"the gradients overflow in every step of epoch {len(now.rows) + 1}",
                remedy="lower lr or set clip in the recipe, and start with --force",
            )
        now.loss += float(losses.sum(dtype=torch.float64))
        recent.clear()

    saved, fresh = time.monotonic(), not resumed

    def clear() -> None:
        """Remove what another training left, as soon as this one can be saved.

        Not sooner: a typo, a damaged photo, a batch too large or a full disk would have cost what
        was there. Not later: whatever lies beside a last.pt is taken for its own, even if this
        process is killed in between.
        """
        kept = [
            path
            for prefix in ("probs", "part", "oof")
            for path in files.folder.glob(f"{prefix}-*.npz")
        ]
        for path in (files.last, files.best, files.oof, files.metrics, *files.epochs, *kept):
            path.unlink(missing_ok=True)

    def save_now() -> None:
        nonlocal saved, fresh
        check()  # weights that have diverged are not worth keeping
        save_state(
            files.last,
            {
                "recipe": json.dumps(recipe.describe()),
                "plan": plan.hash,
                "fold": fold,
                "versions": dict(versions()),
                "threads": threads,
                "learner": learner.state(),
                **{f.name: getattr(now, f.name) for f in dataclasses.fields(now)},
            },
            clear if fresh else None,
        )
        fresh = False
        saved = time.monotonic()

    def train_epoch(progress: Progress) -> None:
        batches.epoch, batches.start = len(now.rows), now.step
        best = f", best {best_epoch(recipe, now.rows)['val_f1_macro']:.3f}" if now.rows else ""
        asked = time.monotonic()
        for step in batches_of_steps(
            loader
        ):  # a stop ends the waiting for photos, which may be long, but not a step
            fetched = time.monotonic()
            with stop.held():
                rate = learning_rate(recipe, len(now.rows) + (now.step + 0.5) / batches.steps)
                loss = learner.step(
                    [(photos, labels[at]) for at, photos in step],
                    rate,
                    batches.seed(f"step/{now.step}"),
                )
                recent.append((now.step, torch.cat([at for at, _ in step]).numpy(), loss))
                now.step += 1
                note = None
                if device.type == "cpu" or len(recent) >= _CHECK_STEPS or now.step == batches.steps:
                    check()
                    note = (
                        f"epoch {len(now.rows) + 1}/{recipe.epochs}, loss "
                        f"{now.loss / now.step:.3f}{best}"
                    )
                progress.advance(sum(len(at) for at, _ in step), note)
                now.waited += fetched - asked
                now.seconds += time.monotonic() - asked
                if not stop.asked and time.monotonic() - saved >= save_minutes * 60:
                    with stage("write"):
                        save_now()
            asked = time.monotonic()

    def end_epoch(progress: Progress, probs: np.ndarray) -> None:
        scores, epoch = score(truth, probs.argmax(axis=1)), len(now.rows) + 1
        row = {
            "epoch": epoch,
            "lr": learning_rate(recipe, epoch - 0.5 / batches.steps),
            "train_loss": now.loss / batches.steps,
            "val_loss": log_loss(probs, truth),
            "val_acc": scores.accuracy,
            "val_f1_macro": scores.f1,
            "val_f1_mask": scores.mask,
            "val_f1_gender": scores.gender,
            "val_f1_age": scores.age,
            "time_data": now.waited / batches.steps,
            "time_step": now.seconds / batches.steps,
        }
        seconds = now.seconds
        now.rows.append(row)
        now.step, now.loss, now.seconds, now.waited = 0, 0.0, 0.0, 0.0
        # First of all, so that whatever interrupts the writing of the others, the next start makes
        # them from it.
        save_now()
        chosen = selected_epoch(recipe, now.rows) is row
        if chosen:
            keep(row, probs)
        keep_epoch(row)
        write_metrics(files.metrics, now.rows)
        tracker.log(row)
        progress.say(
            f"  epoch {epoch:2d}/{recipe.epochs}  loss {row['train_loss']:.3f}  val loss "
            f"{row['val_loss']:.3f}  "
            f"{scores.line()}  {duration(seconds)}"
            + ("  best so far" if chosen and recipe.select == "best" else "")
        )

    left = (recipe.epochs - len(now.rows)) * (len(parts.train) + len(parts.valid)) - sum(
        map(sum, batches.sizes[: now.step])
    )
    say(
        f"{files.folder}: {recipe.model}, {count_parameters(learner.network) / 1e6:.1f} M "
        f"parameters, {len(parts.train):,} "
        f"photos to train, {len(parts.valid):,} to validate, {_device_name(learner)}"
        + (f", {threads} thread{'s'[: threads != 1]}" if device.type == "cpu" else "")
        + f", {workers} workers, "
        f"{recipe.optimizer} with weight decay {recipe.decay:g}"
        + (
            f"; going on after epoch {len(now.rows)}, step {now.step} of {batches.steps}"
            if resumed
            else ""
        )
    )
    with Stop() as stop, Progress(f"fold {fold}", left) as progress, contextlib.closing(tracker):
        try:
            if (
                now.rows
                and selected_epoch(recipe, now.rows) is now.rows[-1]
                and not kept(now.rows[-1])
            ):
                keep(
                    now.rows[-1], validate(progress)
                )  # the interruption came between last.pt and these
            if now.rows and not now.step:
                keep_epoch(now.rows[-1])
            while not is_finished(recipe, now.rows):
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
        say(
            f"{files.folder}: ended early, {recipe.patience} epochs without a better "
            f"{recipe.monitor}"
        )
    write_metrics(files.metrics, now.rows)
    files.last.unlink(missing_ok=True)
    files.bad_batch.unlink(missing_ok=True)
    return _scores(selected_epoch(recipe, now.rows))
