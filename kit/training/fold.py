"""Train one fold of a recipe, or go on with it."""

import contextlib

from kit.inference.autotune import autotune
from kit.metrics.metric import metric_of
from kit.models.architecture import architecture_of
from kit.models.network import count_parameters
from kit.scoring.metrics import Scores
from kit.system.console import Progress, say, warn
from kit.system.disk import check_guard
from kit.system.signals import Stop
from kit.system.threads import share_threads
from kit.training.checks import check_recipe
from kit.training.fold_data import FoldData, fold_loaders, open_cache, split_fold
from kit.training.history import History
from kit.training.job import FoldJob
from kit.training.learner import Learner
from kit.training.oof import rebuild_oof
from kit.training.resume import ResumeStatus, TrainingState, restore, resume_status
from kit.training.trackers import open_tracker
from kit.training.trainer import Trainer
from kit.training.writer import FoldWriter


def train_fold(job: FoldJob) -> Scores:
    """Train a fold, or go on with it; the scores of the epoch whose weights are kept.

    Writes into the job's folder. With `select="best"`, and with `patience`, the epoch is chosen on
    the photos it is scored on, so that its score is a little too good.
    """
    recipe, options, files = job.recipe, job.options, job.files
    status = ResumeStatus() if options.force else resume_status(job)
    if status.finished is not None:
        return skip_finished(job, status.finished)
    device, fresh = job.device, status.fresh
    check_recipe(recipe, job.competition)
    threads = _threads(job, status)
    parts = split_fold(job)
    at_once = _validation_photos(job)  # before the learner takes memory
    learner = Learner(job.located_recipe, job.competition, parts.counts, device)
    state = TrainingState() if status.state is None else restore(job, learner, status.state)
    del status  # twice the weights, and more
    cache = open_cache(job, build=not options.limit)  # a trial does not build it
    loaders = fold_loaders(job, parts, cache, job.workers, at_once)
    origin = recipe.describe() | {"fold": job.fold}
    check_guard(files.folder)
    tracker = open_tracker(options.track, files.folder, origin, state.rows, options.must_track)
    sizes = loaders.batches.sizes
    begun = f"; going on after epoch {len(state.rows)}, step {state.step} of {len(sizes)}"
    say(_describe_start(job, parts, learner, threads) + ("" if fresh else begun))
    photos = (recipe.epochs - len(state.rows)) * (len(parts.train) + len(parts.valid))
    photos -= sum(map(sum, sizes[: state.step]))
    writer = FoldWriter(job, learner, parts.valid, threads, fresh)
    with (
        Stop() as stop,
        Progress(f"fold {job.fold}", photos) as progress,
        contextlib.closing(tracker),
    ):
        Trainer(job, parts, loaders, learner, state, writer, tracker, stop, progress).run()
    if len(state.rows) < recipe.epochs:
        what = f"{recipe.patience} epochs without a better {recipe.monitor}"
        say(f"{files.folder}: ended early, {what}")
    writer.finish(state)
    return History(recipe, metric_of(job.competition), state.rows).scores


def skip_finished(job: FoldJob, history: History) -> Scores:
    """The scores of a fold that was finished before.

    Its out-of-fold probabilities are made again if they are gone.
    """
    folder = job.files.folder
    rebuild_oof(job, history.selected)
    say(f"{folder}: finished before, skipped ({history.describe()})")
    if job.options.keep_epochs and not job.files.epochs:
        warn(
            f"{folder}: its epochs were not kept; --keep-epochs needs it to be trained anew, with "
            "--force"
        )
    return history.scores


def _describe_start(job: FoldJob, parts: FoldData, learner: Learner, threads: int) -> str:
    """The line that a training begins with: network, photos, device, optimizer."""
    recipe = job.recipe
    on_cpu = f", {threads} thread{'s'[: threads != 1]}" if job.device.type == "cpu" else ""
    return (
        f"{job.files.folder}: {recipe.model}, {count_parameters(learner.network) / 1e6:.1f} M "
        f"parameters, {len(parts.train):,} photos to train, {len(parts.valid):,} to validate, "
        f"{learner.place}{on_cpu}, {job.workers} workers, {recipe.optimizer} with "
        f"weight decay {recipe.decay:g}"
    )


def _threads(job: FoldJob, status: ResumeStatus) -> int:
    """The number of threads to compute with: the one that the training began with, or its share."""
    begun = None if status.state is None else status.state["threads"]
    threads = share_threads(begun)
    if begun not in (None, threads) and job.device.type == "cpu":
        warn(
            f"{job.files.folder}: began with {begun} threads and goes on with {threads}: its sums "
            "are rounded otherwise"
        )
    return threads


def _validation_photos(job: FoldJob) -> int:
    """The photos of a batch of validation on a GPU; 0 leaves it to the loader.

    Four times a batch of training, or less, fits without gradients.
    """
    if job.device.type != "cuda":
        return 0
    mode = autotune(architecture_of(job.recipe, job.competition), job.device)
    return min(mode.photos, 4 * job.recipe.batch_size)
