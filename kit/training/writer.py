"""The files of a fold while it is trained, in an order that an interruption cannot harm.

`last.pt` is written first: the next start makes every missing file from it. It is removed last,
when all others are written.
"""

import json
import time
from collections.abc import Sequence

import numpy as np
import pandas as pd

from kit.metrics.metric import metric_of
from kit.models.checkpoint import CheckpointInfo, Origin, checkpoint_info, save
from kit.results.run import score_column, write_metrics
from kit.system.device import kind_of
from kit.system.disk import check_guard, remove
from kit.system.precision import precision_name
from kit.system.versions import versions
from kit.training.history import History, Row
from kit.training.job import FoldJob
from kit.training.learner import Learner
from kit.training.oof import is_kept, write_oof
from kit.training.resume import STATE_VERSION, TrainingState, save_state
from kit.training.trackers import Tracker


class FoldWriter:
    """Writes the files of a fold's training into its folder, and sends its rows to a tracker.

    `valid` are the fold's photos, `threads` the number of threads that compute. Files of another
    training are removed at the first `save` if the training is `fresh`.
    """

    def __init__(
        self, job: FoldJob, learner: Learner, valid: pd.DataFrame, threads: int, fresh: bool
    ) -> None:
        self.job, self.files, self.learner, self.valid = job, job.files, learner, valid
        self.threads, self.fresh = threads, fresh
        self.saved = time.monotonic()

    @property
    def due(self) -> bool:
        """True if the last save is `save_minutes` ago."""
        return time.monotonic() - self.saved >= self.job.options.save_minutes * 60

    def save(self, state: TrainingState) -> None:
        """Write `last.pt`."""
        content = {
            "recipe": json.dumps(self.job.recipe.describe()),
            "plan": self.job.plan.hash,
            "fold": self.job.fold,
            "versions": dict(versions()),
            "version": STATE_VERSION,
            "threads": self.threads,
            "precision": precision_name(self.learner.precision),
            "device": kind_of(self.job.device),
            "learner": self.learner.state(),
            **state.position,
        }
        save_state(self.files.last, content, self._clear if self.fresh else None)
        self.fresh = False
        self.saved = time.monotonic()

    def _clear(self) -> None:
        """Remove the files of another training, as soon as this one can be saved.

        Not sooner: a typo, a damaged photo, a batch too large or a full disk would have cost those
        files. Not later: whatever lies beside a last.pt is taken for its own, even if this process
        is killed in between.
        """
        files = self.files
        caches = [
            path
            for prefix in ("probs", "part", "few", "oof")
            for path in files.folder.glob(f"{prefix}-*.npz")
        ]
        remove(files.last, files.best, files.oof, files.metrics, *files.epochs, *caches)

    def _info(self, row: Row) -> CheckpointInfo:
        """The metadata of the checkpoint of an epoch."""
        job = self.job
        origin = Origin(job.plan, job.fold, job.options.limit)
        return checkpoint_info(
            job.recipe,
            self.learner.used,
            origin,
            row["epoch"],
            row[score_column(metric_of(job.competition))],
        )

    def keep(self, row: Row, probs: np.ndarray) -> None:
        """Write an epoch's weights as the fold's checkpoint, and its probabilities (N, C)."""
        save(self.files.best, self.learner.used, self._info(row))
        write_oof(self.job, self.valid, probs, precision_name(self.learner.precision))

    def keep_epoch(self, row: Row) -> None:
        """Write an epoch's weights as one of the last `keep_epochs`."""
        number = self.job.options.keep_epochs
        if not number:
            return  # and leave what an earlier start kept
        path = self.files.epoch(row["epoch"])
        if not path.exists():
            save(path, self.learner.used, self._info(row))
        remove(*self.files.epochs[:-number])

    def _history(self, rows: Sequence[Row]) -> History:
        return History(self.job.recipe, metric_of(self.job.competition), rows)

    def lacks(self, rows: Sequence[Row]) -> bool:
        """True if the last epoch is to be kept and is not, because a stop came after `last.pt`."""
        selected = bool(rows) and self._history(rows).selected is rows[-1]
        return selected and not is_kept(self.job, rows[-1])

    def end_epoch(self, state: TrainingState, probs: np.ndarray, tracker: Tracker) -> bool:
        """Write all files of the epoch that has just ended; True if its weights are kept."""
        row = state.rows[-1]
        # First of all, so that whatever interrupts the writing of the others, the next start makes
        # them from it.
        self.save(state)
        selected = self._history(state.rows).selected is row
        if selected:
            self.keep(row, probs)
        self.keep_epoch(row)
        write_metrics(self.files.metrics, state.rows, self.job.origin)
        check_guard(self.files.folder)
        tracker.log(row)
        return selected

    def finish(self, state: TrainingState) -> None:
        """Write the metrics and remove `last.pt`: the fold is finished."""
        write_metrics(self.files.metrics, state.rows, self.job.origin)
        remove(self.files.last, self.files.bad_batch)
