"""The epochs of a fold's training: steps, validation, and a stop at any moment."""

import contextlib
import dataclasses
import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from kit.data.loader import Rounds, end_workers
from kit.data.targets import targets
from kit.inference.predict import predict
from kit.inference.views import make_views
from kit.metrics.metric import Metric, metric_of
from kit.metrics.sums import log_loss
from kit.results.run import score_column
from kit.scoring.metrics import decided, score
from kit.system.console import Progress, duration, say
from kit.system.disk import atomic_write
from kit.system.errors import problem
from kit.system.profiler import stage
from kit.system.signals import Stop
from kit.training.fold_data import FoldData, FoldLoaders
from kit.training.history import History, scores_row
from kit.training.job import FoldJob
from kit.training.learner import Learner
from kit.training.resume import TrainingState
from kit.training.schedule import learning_rate
from kit.training.trackers import Tracker
from kit.training.writer import FoldWriter

# How often a GPU is asked whether the losses are finite: asking waits for it.
_CHECK_STEPS = 10
_REMEDY = "lower lr or set clip in the recipe, and start with --force"


@dataclass
class Trainer:
    """A fold in training: its photos, its network, its state, and its writer.

    `unchecked` are the steps whose loss has not been looked at: number, loss. The processes of a
    group each have a trainer; all take each step together, and stop before the same one.
    """

    job: FoldJob
    parts: FoldData
    loaders: FoldLoaders
    learner: Learner
    state: TrainingState
    writer: FoldWriter
    tracker: Tracker
    stop: Stop
    progress: Progress
    unchecked: list[tuple[int, torch.Tensor]] = dataclasses.field(default_factory=list)

    @property
    def history(self) -> History:
        """The epochs that have ended."""
        return History(self.job.recipe, self.metric, self.state.rows)

    @property
    def metric(self) -> Metric:
        """The competition's metric."""
        return metric_of(self.job.competition)

    def run(self) -> None:
        """Train to the last epoch; if a stop is asked for, save first and then stop."""
        try:
            rows = self.state.rows
            # An interruption may have come after last.pt was written. Within an epoch the weights
            # are no longer those of the last one.
            if self.job.group.share(not self.state.step and self.writer.lacks(rows)):
                self.writer.keep(rows[-1], self.validate())
            if rows and not self.state.step:
                self.writer.keep_epoch(rows[-1])
            while not self.history.finished:
                if self.job.options.watch is not None:
                    self.job.options.watch(rows)
                self.train_epoch()
                probs = self.validate()
                with self.stop.held(), stage("write"):
                    self.end_epoch(probs)
            self.agree()
        except KeyboardInterrupt:
            if (self.state.rows or self.state.step) and not self.stop.forced:
                with contextlib.suppress(KeyboardInterrupt), self.stop.held():
                    self.save()
                    self.job.group.barrier()  # torchrun ends all as soon as one has ended
            end_workers()
            raise

    def agree(self) -> None:
        """Raise `KeyboardInterrupt` if any process of the group has been asked to stop."""
        self.job.group.stop(self.stop.asked)

    def train_epoch(self) -> None:
        """Train the rest of an epoch."""
        state, batches = self.state, self.loaders.batches
        batches.epoch, batches.start = len(state.rows), state.step
        asked = time.monotonic()
        # A stop ends the waiting for photos, which may be long, but not a step.
        for step in self.loaders.steps():
            fetched = time.monotonic()
            with self.stop.held():
                self.agree()
                self.train_step(step)
                state.waited += fetched - asked
                state.seconds += time.monotonic() - asked
                if not self.stop.asked and self.writer.due:
                    with stage("write"):
                        self.save()
            asked = time.monotonic()

    def train_step(self, step: list[tuple[Any, Any]]) -> None:
        """Train one step on its batches, as (indices, photos), and count it."""
        state, batches, recipe = self.state, self.loaders.batches, self.job.recipe
        labels = torch.from_numpy(self.parts.targets)
        rate = learning_rate(recipe, len(state.rows) + (state.step + 0.5) / batches.steps)
        seeds, first = batches.seeds(state.step), batches.share(state.step).start
        labelled = [(photos, labels[at]) for at, photos in step]
        self.unchecked.append((state.step, self.learner.step(labelled, rate, seeds, first)))
        trained = sum(batches.sizes[state.step])
        state.step += 1
        note = None
        enough = self.job.device.type == "cpu" or len(self.unchecked) >= _CHECK_STEPS
        if enough or state.step == batches.steps:
            self.check()
            best = ""
            if state.rows:
                best = f", best {self.history.best[score_column(self.metric)]:.3f}"
            loss_so_far = state.loss / state.step
            note = f"epoch {len(state.rows) + 1}/{recipe.epochs}, loss {loss_so_far:.3f}{best}"
        self.progress.advance(trained, note)

    def check(self) -> None:
        """Add up the losses of the last steps; raises `KitError` if one is not finite."""
        files, epoch = self.job.files, len(self.state.rows) + 1
        losses = torch.zeros(0)
        if self.unchecked:
            losses = torch.stack([loss for _, loss in self.unchecked]).cpu()
        for (step, _), loss in zip(self.unchecked, losses):
            if not math.isfinite(loss):
                train = self.parts.train["image"].to_numpy()
                images = train[self.loaders.batches.photos(step)].tolist()
                if self.job.group.leads:
                    lines = "".join(f"{image}\n" for image in images)
                    with atomic_write(files.bad_batch, force=True) as temporary:
                        temporary.write_text(lines, encoding="utf-8")
                raise problem(
                    files.folder,
                    f"the training loss of epoch {epoch}, step {step + 1}, is not a finite number, "
                    f"for the photos listed in {files.bad_batch.name}",
                    images,
                    _REMEDY,
                )
        if self.learner.stalled:
            what = f"the gradients overflow in every step of epoch {epoch}"
            raise problem(files.folder, what, remedy=_REMEDY)
        self.state.loss += float(losses.sum(dtype=torch.float64))
        self.unchecked.clear()

    def save(self) -> None:
        """Write `last.pt`."""
        self.check()  # weights that have diverged are not worth keeping
        self.writer.save(self.state)

    def validate(self) -> np.ndarray:
        """The probabilities (N, C) of the fold's photos, of which each process predicts a share."""
        network, views, loader = self.learner.used.eval(), make_views("none"), self.loaders.valid
        if self.job.group.size > 1:
            loader = Rounds(loader, self.loaders.rounds, self.agree)
        with stage("validation"):
            probs, _ = predict([network], loader, views, self.job.device, self.progress)
        return self.job.group.gather(probs[0, 0])

    def end_epoch(self, probs: np.ndarray) -> None:
        """Score the probabilities (N, C) of the fold's photos, and write the epoch's files."""
        state, recipe, steps = self.state, self.job.recipe, self.loaders.batches.steps
        competition, epoch = self.job.competition, len(state.rows) + 1
        truth = targets(self.parts.valid, competition)
        scores = score(truth, decided(probs, competition), competition, probs)
        row = {
            "epoch": epoch,
            "lr": learning_rate(recipe, epoch - 0.5 / steps),
            "train_loss": state.loss / steps,
            "val_loss": log_loss(truth, probs),
            **scores_row(scores),
            "time_data": state.waited / steps,
            "time_step": state.seconds / steps,
        }
        seconds = state.seconds
        # Process 0 decides: another machine may round its sums otherwise.
        row = self.job.group.share(row)
        state.end_epoch(row)
        is_kept = self.writer.end_epoch(state, probs, self.tracker)
        say(
            f"  epoch {epoch:2d}/{recipe.epochs}  loss {row['train_loss']:.3f}  val loss "
            f"{row['val_loss']:.3f}  {scores.line()}  {duration(seconds)}"
            + ("  best so far" if is_kept and recipe.select == "best" else "")
        )
