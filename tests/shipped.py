"""What every shipped definition must do on its drawn sample."""

from pathlib import Path

import numpy as np
import pandas as pd

from kit.competition import Competition
from kit.competitions import find_competition
from kit.data.definition import complete
from kit.data.folder import DataFolder, read_ids, read_test
from kit.data.targets import targets
from kit.data.training import read_training


def check_definition(name: str, folder: Path, groups: int = 12) -> tuple[Competition, pd.DataFrame]:
    """Draw a sample of a definition, and read it; the definition as completed, and its photos."""
    given = find_competition(name)
    assert given.draw is not None and given.name == name
    root = given.draw(folder / "data", groups, 4, 1, False)
    competition = complete(given, root)
    photos = read_training(competition, root).table
    truth = targets(photos, competition)
    counts = truth.sum(axis=0) if competition.several_labels else np.bincount(truth)
    assert len(counts) == competition.num_classes and counts.min() >= 5
    data = DataFolder(root, competition)
    assert read_test(data) == read_ids(data) and len(read_ids(data)) >= 4
    answers = pd.read_csv(root / "answers.csv", dtype=str, keep_default_na=False)
    assert answers[competition.id].tolist() == read_ids(data)
    again = complete(competition, root)
    assert again.describe() == competition.describe()
    return competition, photos
