"""Submissions joined into one: the hard vote of classes or labels, the mean of probabilities."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kit import __version__
from kit.competition import Competition
from kit.data.folder import DataFolder, answer_rows
from kit.metrics.metric import metric_of
from kit.results.check import check_place
from kit.results.predictions import Predictions
from kit.results.submission import Predicted, write_submission
from kit.scoring.agreement import rank_mean, vote
from kit.scoring.class_counts import class_counts
from kit.scoring.metrics import decided
from kit.system.disk import file_hash
from kit.system.errors import problem


def kind_of_vote(competition: Competition) -> str:
    """How submissions become one: `hard vote`, `mean` or `rank mean`.

    Ranks are for a metric of the order of photos in each column, where rows need not sum to 1:
    files that are differently sure count alike then.
    """
    if competition.decided:
        return "hard vote"
    ranked = metric_of(competition).column is not None
    free = competition.answer == "probability" or competition.several_labels
    return "rank mean" if ranked and free else "mean"


def write_vote(
    files: Sequence[Path],
    predictions: Predictions,
    data: DataFolder,
    out: Path,
    force: bool = False,
    command_line: str = "",
) -> None:
    """Write submissions joined into one, with a record of their hashes beside it.

    Raises `KitError` where their ids are not those of the test table, or the place is taken.
    """
    check_place(out, [*data.inputs, *files], force, command_line)
    units, competition = answer_rows(data).units, data.competition
    where = pd.Index(predictions.ids).get_indexer(pd.Index(units))
    if len(predictions.ids) != len(units) or (where < 0).any():
        raise problem(
            files[0],
            f"has other ids than {data.test_table}",
            remedy="vote on submissions to this competition",
        )
    joined = _join(predictions, where, competition)
    kind: dict[str, Any] = {"vote": True}
    if joined.probs is not None:
        kind = {"vote": False, "mean": kind_of_vote(competition)}
    record = {
        "kit": __version__,
        "command": command_line,
        **kind,
        "photos": len(units),
        "members": [
            {"name": name, "sha256": file_hash(path)}
            for name, path in zip(predictions.names, files)
        ],
        "counts": class_counts(joined.classes, competition.num_classes).tolist(),
    }
    predicted = Predicted(units, joined.classes, joined.probs)
    write_submission(out, predicted, data, record, force)


def _join(predictions: Predictions, where: np.ndarray, competition: Competition) -> Predicted:
    """What submissions say together of their rows `where`."""
    if predictions.probs is None:
        winner = vote(predictions.classes[:, where], competition.num_classes)
        return Predicted(predictions.ids, winner)
    probs = predictions.probs[:, where].astype(np.float64)
    if kind_of_vote(competition) == "mean":
        mean = probs.mean(axis=0)
    elif competition.several_labels:
        mean = rank_mean(probs)
    else:
        second = rank_mean(probs[:, :, 1:])
        mean = np.concatenate([1 - second, second], axis=1)
    return Predicted(predictions.ids, decided(mean, competition), mean)
