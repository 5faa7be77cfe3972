"""The hard vote of submissions, as one."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from kit import __version__
from kit.competitions.mask import NUM_CLASSES
from kit.data.folder import info_csv, read_info
from kit.results import leaderboard as board
from kit.results.check import check_place
from kit.results.predictions import Predictions
from kit.results.submission import write_submission
from kit.scoring.agreement import vote
from kit.system.disk import file_hash
from kit.system.errors import problem


def write_vote(
    files: Sequence[Path],
    read: Predictions,
    data: Path,
    out: Path,
    force: bool = False,
    command_line: str = "",
) -> None:
    """Write the hard vote of submissions as one, with a record of their hashes beside it.

    Raises `KitError` where their ids are not those of `info.csv`, or the place is taken.
    """
    check_place(out, data, files, force)
    order = read_info(info_csv(data))
    where = pd.Index(read.ids).get_indexer(pd.Index(order))
    if len(read.ids) != len(order) or (where < 0).any():
        raise problem(
            files[0],
            f"has other ids than {info_csv(data)}",
            remedy="vote on submissions to this competition",
        )
    winner = vote(read.classes[:, where])
    board.add(
        out,
        write_submission(
            out,
            order,
            winner,
            info_csv(data),
            {
                "kit": __version__,
                "command": command_line,
                "vote": True,
                "photos": len(order),
                "members": [
                    {"name": name, "sha256": file_hash(path)}
                    for name, path in zip(read.names, files)
                ],
                "counts": np.bincount(winner, minlength=NUM_CLASSES).tolist(),
            },
            force,
        ),
    )
