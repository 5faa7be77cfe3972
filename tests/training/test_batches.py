import itertools
import math
from collections import Counter

import numpy as np
import pytest
from helpers import small

from kit.scale.group import Group
from kit.scale.ranks import Ranks
from kit.training.batches import EpochBatches, sizes_of_classes


def epoch_of(batches, number=0):
    """The batches of an epoch, as a list of the steps' lists."""
    batches.epoch = number
    run = iter(batches)
    steps = [[next(run) for _ in sizes] for sizes in batches.sizes]
    assert next(run, None) is None
    return steps


def photos_of(steps):
    return [i for step in steps for batch in step for i, _ in batch]


@pytest.mark.parametrize("size, accumulate", [(3, 1), (8, 1), (8, 3), (32, 4), (5, 7)])
def test_an_epoch_takes_every_photo_once_in_even_steps_and_batches(size, accumulate):
    for n in itertools.chain(range(2, 60), (96, 97, 127, 128, 129, 501)):
        batches = EpochBatches(small(batch_size=size, accumulate=accumulate), np.zeros(n, int), 0)
        steps = epoch_of(batches)
        assert sorted(photos_of(steps)) == list(range(n))
        assert len(steps) == batches.steps == math.ceil(n / (size * accumulate)) and len(
            batches
        ) == sum(map(len, steps))
        sizes = [[len(batch) for batch in step] for step in steps]
        assert all(len(step) == math.ceil(sum(step) / size) <= accumulate for step in sizes)
        assert all(max(step) <= size and max(step) - min(step) <= 1 for step in sizes)
        assert max(map(sum, sizes)) - min(map(sum, sizes)) <= 1


@pytest.mark.parametrize("sampler", ["plain", "balanced", "sqrt"])
def test_the_steps_of_accumulated_batches_are_those_of_large_ones(sampler):
    labels = np.arange(101) % 7
    for size, accumulate in ((4, 5), (10, 2), (3, 7)):
        parts = EpochBatches(
            small(batch_size=size, accumulate=accumulate, sampler=sampler), labels, 1
        )
        whole = EpochBatches(small(batch_size=size * accumulate, sampler=sampler), labels, 1)
        assert [sum(step, []) for step in epoch_of(parts)] == [
            sum(step, []) for step in epoch_of(whole)
        ]


@pytest.mark.parametrize("sampler", ["plain", "balanced"])
def test_a_start_goes_on_with_exactly_the_rest_of_the_epoch(sampler):
    batches = EpochBatches(small(batch_size=4, accumulate=3, sampler=sampler), np.arange(50) % 5, 0)
    whole = epoch_of(batches, 3)
    for start in range(len(whole) + 1):
        batches.start = start
        assert list(batches) == sum(whole[start:], []) and len(batches) == len(
            sum(whole[start:], [])
        )


def test_balanced_classes_are_drawn_alike_and_sqrt_ones_by_the_root_of_their_size():
    sizes = np.array([1, 4, 25, 100, 400])
    labels = np.repeat([0, 3, 7, 12, 17], sizes)
    for sampler, shares in (
        ("balanced", np.full(5, 1 / 5)),
        ("sqrt", np.sqrt(sizes) / np.sqrt(sizes).sum()),
        ("plain", sizes / sizes.sum()),
    ):
        batches = EpochBatches(small(sampler=sampler), labels, 0)
        orders = []
        for batches.epoch in range(40):
            orders.append(batches.order())
            assert len(orders[-1]) == len(labels)
        drawn = np.bincount(labels[np.concatenate(orders)], minlength=18)[[0, 3, 7, 12, 17]] / (
            40 * len(labels)
        )
        np.testing.assert_allclose(drawn, shares, atol=0.015)  # over 4 standard deviations
        times = Counter(np.concatenate(orders).tolist())
        assert set(times) >= set(range(30)) and max(times) < len(
            labels
        )  # every photo of the rare classes


def test_a_photo_that_is_drawn_twice_is_augmented_in_two_ways():
    batches = EpochBatches(small(sampler="balanced"), np.array([0] + [1] * 99), 0)
    drawn = [pair for batch in batches for pair in batch]
    assert sum(i == 0 for i, _ in drawn) > 30 and len({seed for _, seed in drawn}) == len(drawn)


@pytest.mark.parametrize("sampler", ["plain", "balanced", "sqrt"])
def test_order_and_augmentation_follow_from_seed_fold_and_epoch(sampler):
    labels = np.arange(60) % 4
    seen = {}
    for seed, fold, epoch in itertools.product((0, 1), (0, 1), (0, 1)):
        batches = EpochBatches(small(seed=seed, sampler=sampler), labels, fold)
        steps = epoch_of(batches, epoch)
        assert steps == epoch_of(
            EpochBatches(small(seed=seed, sampler=sampler), labels, fold), epoch
        )
        seen[seed, fold, epoch] = (
            tuple(photos_of(steps)),
            frozenset(s for step in steps for batch in step for _, s in batch),
        )
    for (order, seeds), (other, others) in itertools.combinations(seen.values(), 2):
        assert order != other and not seeds & others


def test_the_same_photos_do_not_meet_again_in_the_next_epoch():
    """Of 32 photos in a batch, two or three meet again in the fullest batch of another epoch, as
    chance has it.
    """
    batches = EpochBatches(small(batch_size=32), np.zeros(1024, int), 0)

    def epoch(number):
        return [{i for batch in step for i, _ in batch} for step in epoch_of(batches, number)]

    first = epoch(0)
    for number in range(1, 6):
        assert np.mean([max(len(a & b) for b in epoch(number)) for a in first]) < 5


def test_of_several_labels_the_rarest_counts_and_photos_without_any_are_one_more_class():
    labels = np.array([[1, 1, 0], [1, 0, 0], [1, 0, 1], [0, 0, 0], [0, 0, 0], [1, 0, 1]], np.uint8)
    assert sizes_of_classes(labels).tolist() == [1, 4, 2, 2, 2, 2]
    one_hot = np.eye(5, dtype=np.uint8)[np.arange(50) ** 2 % 5]
    assert (sizes_of_classes(one_hot) == sizes_of_classes(one_hot.argmax(axis=1))).all()


def test_a_balanced_sampler_of_labels_draws_the_rare_ones_more_often():
    labels = np.zeros((400, 2), np.uint8)
    labels[:, 0] = 1
    labels[:20, 1] = 1
    drawn = {}
    for sampler in ("plain", "sqrt", "balanced"):
        batches = EpochBatches(small(sampler=sampler), labels, 0)
        drawn[sampler] = float(np.mean(np.array(photos_of(epoch_of(batches))) < 20))
    assert drawn["plain"] == 0.05 < drawn["sqrt"] < 0.3 < 0.4 < drawn["balanced"] < 0.6


@pytest.mark.parametrize("start", [0, 2])
def test_the_batches_of_a_group_s_processes_are_those_of_one(start):
    recipe, labels = small(batch_size=4, accumulate=5, sampler="sqrt"), np.arange(101) % 7
    whole = EpochBatches(recipe, labels, 1)
    steps = epoch_of(whole, 3)
    for size in (1, 2, 3, 4):
        taken = [[] for _ in steps]
        for rank in range(size):
            batches = EpochBatches(recipe, labels, 1, Group(Ranks(rank, size)))
            batches.epoch, batches.start = 3, start
            run = iter(batches)
            for step in range(start, batches.steps):
                share = batches.share(step)
                assert share.start == len(taken[step]) and len(share) >= 1
                taken[step] += [next(run) for _ in share]
            assert next(run, None) is None
        assert taken[start:] == steps[start:]


def test_each_batch_has_a_seed_and_the_first_has_the_step_s():
    batches = EpochBatches(small(batch_size=4, accumulate=3), np.zeros(50, int), 0)
    seeds = [batches.seeds(step) for step in range(batches.steps)]
    assert [len(step) for step in seeds] == [len(sizes) for sizes in batches.sizes]
    assert len(set(sum(seeds, []))) == len(sum(seeds, []))
    assert [step[0] for step in seeds] == [batches.seed(f"step/{n}") for n in range(batches.steps)]
    batches.epoch = 1
    assert not set(sum(seeds, [])) & set(batches.seeds(0))


def test_the_photos_of_a_step_are_those_of_its_batches():
    batches = EpochBatches(small(batch_size=4, accumulate=3), np.arange(50) % 5, 0)
    for number, step in enumerate(epoch_of(batches, 2)):
        assert batches.photos(number).tolist() == photos_of([step])
