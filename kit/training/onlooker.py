"""The writer of a process that does not lead its group."""

from collections.abc import Sequence

import numpy as np

from kit.training.history import Row
from kit.training.resume import TrainingState
from kit.training.trackers import Tracker
from kit.training.writer import FoldWriter


class Onlooker(FoldWriter):
    """A `FoldWriter` that writes nothing, because process 0 of the group writes all."""

    @property
    def due(self) -> bool:
        """False: nothing is to be saved."""
        return False

    def save(self, state: TrainingState) -> None:
        """Leave `last.pt` to process 0."""

    def keep(self, row: Row, probs: np.ndarray) -> None:
        """Leave the checkpoint to process 0."""

    def keep_epoch(self, row: Row) -> None:
        """Leave the epochs' weights to process 0."""

    def lacks(self, rows: Sequence[Row]) -> bool:
        """False: process 0 knows."""
        return False

    def end_epoch(self, state: TrainingState, probs: np.ndarray, tracker: Tracker) -> bool:
        """Leave the epoch's files to process 0."""
        return False

    def finish(self, state: TrainingState) -> None:
        """Leave the metrics and `last.pt` to process 0."""
