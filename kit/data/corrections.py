"""Corrections of labels: the lines `id,target,value` of a file, applied to training rows."""

from pathlib import Path
from typing import Final

import pandas as pd

from kit.competition import Competition
from kit.data.train_rows import TrainRows
from kit.system.errors import did_you_mean, problem
from kit.system.table import read_csv

CORRECTION_COLUMNS: Final = ("id", "target", "value")


def corrected(
    competition: Competition, rows: TrainRows, file: Path
) -> tuple[TrainRows, list[dict[str, str]]]:
    """Training rows with corrected targets, and what each line changed: `path, field, old, new`.

    The id is that of the training table, in the column that `id` names or in its first one, or a
    photo as `folds.csv` has it. The target is its column, or `class`; of columns of 0 and 1, or of
    several tasks, the column's name. The value is a class; of lists the whole list.
    """
    targets, applied = rows.targets.copy(), list[dict[str, str]]()
    names = {str(name): str(name) for name in targets}
    names |= {task.name: name for task, name in zip(competition.tasks, names)}
    column = competition.id if competition.id in rows.table else str(rows.table.columns[0])
    ids = rows.table[column].reset_index(drop=True)
    images = pd.Series(rows.images)
    lines = read_csv(file, CORRECTION_COLUMNS)
    twice = lines.loc[lines[["id", "target"]].duplicated(), "id"].tolist()
    if twice:
        raise problem(file, "corrects the same target twice", twice, "keep one line of each")
    for ident, target, value in lines.itertuples(index=False):
        at = (ids == ident) | (images == ident)
        if target not in names:
            remedy = f"write id,{'|'.join(names)},VALUE"
            what = f"names a target that is not there{did_you_mean(target, list(names))}"
            raise problem(file, what, [target], remedy)
        if not at.any():
            what = f"corrects photos that {competition.train} does not have"
            near = did_you_mean(ident, ids.tolist()) if len(ids) < 10**5 else ""
            raise problem(file, what, [f"{ident}{near}"], f"name a photo by its {column}")
        old = str(targets.loc[at, names[target]].iloc[0])
        targets.loc[at, names[target]] = value
        applied.append({"path": ident, "field": target, "old": old, "new": value})
    # What is wrong with a corrected target is wrong in this file.
    return TrainRows(file, rows.table, rows.images, targets, rows.groups), applied
