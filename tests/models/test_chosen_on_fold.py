"""Which checkpoints say that their epoch was chosen on the fold that it is scored on."""

import dataclasses

import pytest

from kit.models.checkpoint import read_checkpoint_info
from kit.results.run import Fold


@pytest.mark.parametrize(
    "select, patience, chosen",
    [
        ("best", 0, True),
        ("last", 0, False),
        ("soup", 0, False),
        ("last", 4, True),
        ("best", 4, True),
    ],
)
def test_an_epoch_is_chosen_on_its_fold_by_its_score_or_by_when_training_ended(
    world, select, patience, chosen
):
    info = read_checkpoint_info(Fold(world.runs / "small" / "fold0").best)
    assert (
        dataclasses.replace(
            info, select=select, recipe=info.recipe | {"patience": patience}
        ).chosen_on_fold
        is chosen
    )
