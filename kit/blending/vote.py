"""The hard vote of submissions, as one."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from kit import __version__
from kit.data.folder import DataFolder, read_ids
from kit.results import leaderboard as board
from kit.results.check import check_place
from kit.results.predictions import Predictions
from kit.results.submission import Predicted, write_submission
from kit.scoring.agreement import vote
from kit.system.disk import file_hash
from kit.system.errors import problem


def write_vote(
    files: Sequence[Path],
    predictions: Predictions,
    data: DataFolder,
    out: Path,
    force: bool = False,
    command_line: str = "",
) -> None:
    """Write the hard vote of submissions as one, with a record of their hashes beside it.

    Raises `KitError` where their ids are not those of the test table, or the place is taken.
    """
    check_place(out, [*data.inputs, *files], force)
    ids, classes = read_ids(data), data.competition.num_classes
    where = pd.Index(predictions.ids).get_indexer(pd.Index(ids))
    if len(predictions.ids) != len(ids) or (where < 0).any():
        raise problem(
            files[0],
            f"has other ids than {data.test_table}",
            remedy="vote on submissions to this competition",
        )
    winner = vote(predictions.classes[:, where], classes)
    record = {
        "kit": __version__,
        "command": command_line,
        "vote": True,
        "photos": len(ids),
        "members": [
            {"name": name, "sha256": file_hash(path)}
            for name, path in zip(predictions.names, files)
        ],
        "counts": np.bincount(winner, minlength=classes).tolist(),
    }
    board.add(out, write_submission(out, Predicted(ids, winner), data, record, force))
