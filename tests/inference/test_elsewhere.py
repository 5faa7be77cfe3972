"""Calls by a place's processes."""

from argparse import Namespace

import numpy as np
import pytest
from helpers import World
from networks import COMPUTE, ELSEWHERE, blocks_of, members_of

from kit.inference.elsewhere import call_elsewhere, find_place, parts_of, with_modes
from kit.inference.networks import checkpoints_of
from kit.inference.runtime import InferenceMode
from kit.system.errors import KitError


def half(number):
    if number == 3:
        raise KitError("3 cannot be halved")
    return number / 2


def test_results_come_in_order_and_an_error_after_all_have_ended(world: World):
    checkpoints = checkpoints_of(blocks_of(world, world.runs / "small").passes)
    numbers = [(n,) for n in (8, 2, 6)]
    assert call_elsewhere(ELSEWHERE, checkpoints, "halves", half, numbers) == [4, 1, 3]
    with pytest.raises(KitError, match="3 cannot be halved"):
        call_elsewhere(ELSEWHERE, checkpoints, "halves", half, [(3,), (4,)])


def test_parts_are_consecutive_and_as_many_as_a_place_has_calls_for():
    assert parts_of(10, 4, ELSEWHERE) == [range(0, 4), range(4, 8), range(8, 10)]
    assert parts_of(10, 4, COMPUTE) == [range(0, 4), range(4, 8), range(8, 10)]
    many = parts_of(1000, 4, ELSEWHERE)
    assert len(many) == 8 and [n for part in many for n in part] == list(range(1000))
    assert all(part.start % 4 == 0 for part in many)


def test_modes_are_chosen_once_by_the_place(world: World):
    members = members_of(world)
    modes = with_modes(members, ELSEWHERE).modes
    assert list(modes) == ["test_efficientnet 32 x 24"]
    assert all(isinstance(mode, InferenceMode) for mode in modes.values())
    assert with_modes(members, COMPUTE) is COMPUTE


def test_a_few_photos_run_elsewhere_as_they_do_here(copy, world: World):
    run, rows = copy / "runs" / "small", np.array([1, 8, 9])
    here = blocks_of(world, run).few().rows_of_all(rows)
    few = blocks_of(world, run, "hflip", ELSEWHERE).few()
    assert (few.rows_of_all(rows) == here).all() and few.networks.computed == 6 * 3


def test_options_of_places_need_a_network(world: World):
    args = Namespace(device="cpu,cpu", cluster=None, gpus=None, task_cpus=None, retries=None)
    with pytest.raises(KitError, match="no member has one"):
        find_place(args, [world.runs / "theirs.csv"], world.folder)
    place = find_place(args, [world.runs / "small"], world.folder)
    assert place is not None and place.slots == 2 and place.device == "cpu"
    args.device = None
    assert find_place(args, [world.runs / "small"], world.folder) is None
