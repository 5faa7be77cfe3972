import dataclasses

import pytest
from helpers import small
from trainings import on_cpu

from kit.scale.group import Group
from kit.scale.ranks import Ranks
from kit.system.errors import KitError
from kit.training.estimate import Measured, Stage, estimate

DECODING, LOADING = Stage("decode", 1.0, 10), Stage("load", 3.0, 20)
STEP, VALIDATION = Stage("step", 2.0, 20), Stage("validation", 6.0, 30)
MEASURED = Measured(DECODING, LOADING, STEP, VALIDATION, "cpu", 0)


def test_an_epoch_is_its_steps_and_its_validation():
    # Without workers loading and training take turns; with some the slower one counts.
    assert MEASURED.epoch(5, 60, 0) == pytest.approx(5 * (2 + 3) + 60 * 6 / 30)
    assert MEASURED.epoch(5, 60, 1) == pytest.approx(5 * 3 + 12)
    assert MEASURED.epoch(5, 60, 2) == pytest.approx(5 * 2 + 12)


def test_photos_from_the_cache_are_not_decoded():
    cached = MEASURED.without_decoding()
    assert cached.loading.seconds == pytest.approx(3 - 0.1 * 20)
    assert cached.validation.seconds == pytest.approx(6 - 0.1 * 30)
    assert (cached.step, cached.decoding) == (STEP, DECODING)
    slow = dataclasses.replace(MEASURED, decoding=Stage("decode", 99.0, 10))
    assert slow.without_decoding().loading.row() == ["load", "0.000", "-"]  # no 200,000 a second
    assert LOADING.row() == ["load", "3.000", "7"]


def test_a_group_of_processes_is_not_measured(world, tmp_path):
    options = on_cpu(group=Group(Ranks(0, 2)))
    with pytest.raises(KitError, match="--dry-run measures one process; start it without torchrun"):
        estimate(small(), world.plan, world.folder, [0], tmp_path, options)
