import dataclasses

import numpy as np
import pandas as pd
import pytest
from helpers import MASK, age_class, encode, small
from kinds import GRADES, LABELS, SIDES
from trainings import on_cpu

from kit.competition import Competition
from kit.scale.group import Group
from kit.scale.ranks import Ranks
from kit.system.errors import KitError
from kit.task import Task
from kit.training.fold_data import (
    fold_loaders,
    in_mirror,
    limited,
    open_cache,
    shared_cache,
    split_fold,
    training_labels,
)
from kit.training.job import FoldJob


def people():
    """Labels and ages of every mask, gender and age from 0 to 100."""
    mask, gender, ages = (
        part.ravel() for part in np.meshgrid(np.arange(3), np.arange(2), np.arange(101))
    )
    return encode(mask, gender, age_class(ages)), ages


def photos(labels, ages):
    """Rows of a plan."""
    return pd.DataFrame({"label": labels, "age": ages})


def test_a_recipe_that_does_not_say_otherwise_trains_on_all_labels_as_they_are():
    labels, ages = people()
    kept, trained = training_labels(small(), photos(labels, ages), MASK)
    assert kept.all() and np.array_equal(trained, labels) and set(trained) == set(range(18))


@pytest.mark.parametrize(
    "boundary, moved, by", [(58, {58, 59}, 1), (62, {60, 61}, -1), (60, set(), 0)]
)
def test_the_age_boundary_moves_the_labels_of_the_ages_between(boundary, moved, by):
    labels, ages = people()
    before = labels.copy()
    kept, trained = training_labels(small(edges=(30, boundary)), photos(labels, ages), MASK)
    assert kept.all() and np.array_equal(
        trained - labels, np.where(np.isin(ages, list(moved)), by, 0)
    )
    assert np.array_equal(labels, before)


def test_dropped_ages_are_left_out_and_nothing_else_changes():
    labels, ages = people()
    kept, trained = training_labels(small(drop=(57, 59)), photos(labels, ages), MASK)
    assert (
        set(ages[~kept]) == {57, 58, 59}
        and len(ages[~kept]) == 18
        and np.array_equal(trained, labels)
    )
    kept, _ = training_labels(small(drop=(0, 0)), photos(labels, ages), MASK)
    assert set(ages[~kept]) == {0}


def test_other_numbers_than_the_task_has_and_tasks_without_numbers_are_told():
    labels, ages = people()
    with pytest.raises(
        KitError, match=r"recipe small: edges=\(30,\) makes .*; take 2 numbers, as \(30, "
    ):
        training_labels(small(edges=(30,)), photos(labels, ages), MASK)
    pets = Competition(name="pets", tasks=(Task("pet", ("cat", "dog")),), frame=(8, 8))
    table = pd.DataFrame({"label": [0, 1, 1]})
    kept, trained = training_labels(small(), table, pets)
    assert kept.all() and trained.tolist() == [0, 1, 1]
    for changes, field in (({"edges": (3,)}, "edges"), ({"drop": (3, 4)}, "drop")):
        with pytest.raises(KitError, match=f"{field}=.*the competition pets has no such task"):
            training_labels(small(**changes), table, pets)


def test_a_limit_takes_the_same_photos_every_time_in_the_plan_s_order(world):
    everything = world.plan.photos
    few = limited(everything, 10)
    assert len(few) == 10 and few.equals(limited(everything, 10))
    assert few["image"].is_monotonic_increasing and set(few["image"]) < set(everything["image"])
    assert set(few["image"]) < set(limited(everything, 20)["image"])
    assert limited(everything, 0) is everything and len(limited(everything, 10**6)) == len(
        everything
    )


def test_a_fold_is_validated_on_its_photos_and_trained_on_the_others(world, tmp_path):
    job = FoldJob(small(drop=(20, 25)), world.plan, world.folder, 1, tmp_path, on_cpu())
    parts = split_fold(job)
    assert set(parts.valid["fold"]) == {1} and 1 not in set(parts.train["fold"])
    assert set(parts.train["age"]).isdisjoint({20, 25}) and {20, 25} & set(parts.valid["age"])
    assert parts.labels.tolist() == parts.train["label"].tolist()
    assert parts.counts.tolist() == np.bincount(parts.labels, minlength=18).tolist()


def test_steps_give_the_photos_of_their_batches(world, tmp_path):
    job = FoldJob(small(augment=None), world.plan, world.folder, 0, tmp_path, on_cpu())
    parts = split_fold(job)
    loaders = fold_loaders(job, parts, open_cache(job, build=False), workers=0)
    steps = list(loaders.steps())
    indices = np.concatenate([at.numpy() for step in steps for at, _ in step])
    assert sorted(indices) == list(range(len(parts.train))) and len(steps) == loaders.batches.steps
    (at, photos_of_step), *_ = steps[0]
    assert photos_of_step.shape == (len(at), 32, 24, 3)
    assert sum(len(at) for at, _ in loaders.valid) == len(parts.valid)


def test_a_mirror_swaps_classes_and_labels_twice_to_themselves():
    classes = np.array([0, 1, 2, 1])
    assert in_mirror(classes, SIDES).tolist() == [1, 0, 2, 0]
    labels = np.array([[1, 0, 0, 1, 0], [0, 0, 1, 1, 1]], np.uint8)
    assert in_mirror(labels, LABELS).tolist() == [[1, 0, 0, 0, 1], [0, 0, 1, 1, 1]]
    for given, competition in ((classes, SIDES), (labels, LABELS), (classes, GRADES)):
        assert (in_mirror(in_mirror(given, competition), competition) == given).all()


def test_several_labels_come_as_a_table():
    rows = pd.DataFrame({"image": list("abc"), "label": ["0 3", "", "1"]})
    used, labels = training_labels(small(), rows, LABELS)
    assert used.all() and labels.tolist() == [[1, 0, 0, 1, 0], [0] * 5, [0, 1, 0, 0, 0]]


def test_edges_of_a_task_that_has_none_of_its_own():
    task = Task("size", ("small", "large"), column="cm", ordered=True)
    competition = Competition(name="fish", tasks=(task,), frame=(8, 8))
    rows = pd.DataFrame({"image": list("abc"), "label": [0, 0, 1], "cm": [3, 8, 9]})
    assert training_labels(small(edges=(5,)), rows, competition)[1].tolist() == [0, 1, 1]
    assert training_labels(small(drop=(8, 8)), rows, competition)[0].tolist() == [True, False, True]
    with pytest.raises(KitError, match="take 1 numbers, one less than 2 classes"):
        training_labels(small(edges=(5, 6)), rows, competition)


def test_a_group_validates_whole_batches_of_one_process(world, tmp_path):
    recipe = small(batch_size=8)
    options = on_cpu(cache=False)
    job = FoldJob(recipe, world.plan, world.folder, 0, tmp_path, options)
    parts = split_fold(job)

    def validated(size, rank):
        group = Group(Ranks(rank, size))
        mine = dataclasses.replace(job, options=dataclasses.replace(options, group=group))
        loaders = fold_loaders(mine, parts, None, workers=0)
        images = loaders.valid.dataset.images
        return loaders.rounds, [[images[i] for i in at] for at, _ in loaders.valid]

    rounds, whole = validated(1, 0)
    assert rounds == len(whole) == 6 and sum(whole, []) == parts.valid["image"].tolist()
    for size in (2, 4, 8):
        shares = [validated(size, rank) for rank in range(size)]
        assert sum((batches for _, batches in shares), []) == whole
        assert {r for r, _ in shares} == {max(len(batches) for _, batches in shares)}


def test_one_process_on_each_machine_builds_the_cache_before_the_others_open_it(world, tmp_path):
    waited = []

    @dataclasses.dataclass(frozen=True)
    class Waiting(Group):
        def barrier(self):
            waited.append(len(list(tmp_path.rglob("*.npy"))))

    def cache_of(local_rank):
        options = on_cpu(group=Waiting(Ranks(local_rank, 2, local_rank, 2)))
        return shared_cache(FoldJob(small(), world.plan, world.folder, 0, tmp_path, options))

    assert cache_of(1) is None and waited == [0]  # it builds none itself
    assert cache_of(0).whole and waited == [0, 1]
    assert cache_of(1).whole and waited == [0, 1, 1]
