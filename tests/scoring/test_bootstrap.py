"""Intervals by a bootstrap over groups."""

import numpy as np
import pytest
from draws import macro_f1, simulated
from helpers import MASK
from sklearn.metrics import f1_score

from kit.metrics.sums import f_beta
from kit.scoring.bootstrap import GroupBootstrap, interval, say_interval, show_interval


def test_f_of_counts_is_sklearns():
    for seed in range(30):
        rng = np.random.default_rng(seed)
        truth, predicted = rng.integers(0, 18, 40), rng.integers(0, 12, 40)
        counts = np.stack(
            [np.bincount(x, minlength=18) for x in (truth[truth == predicted], truth, predicted)]
        )
        expected = f1_score(truth, predicted, labels=range(18), average="macro", zero_division=0)
        assert f_beta(counts).mean() == pytest.approx(expected) == macro_f1(truth, predicted, 18)


def test_a_draw_of_the_bootstrap_is_the_score_of_its_people():
    _, truth, person, _ = simulated(0, people=20)
    predicted = np.random.default_rng(0).permutation(truth)
    people = GroupBootstrap(person, truth, 18, draws=30, seed=1)
    rows = [
        np.concatenate(
            [np.flatnonzero(person == p) for p in range(20) for _ in range(int(times[p]))]
        )
        for times in people.drawn.times
    ]
    draws, missing = people.draws(predicted), [18 - len(np.unique(truth[r])) for r in rows]
    # Of a class that exists, but not in the draw, the draw tells nothing; the leaderboard's own
    # would count it 0.
    absent = 18 - len(np.unique(truth))
    expected = [
        macro_f1(truth[r], predicted[r], 18) * 18 / (18 - m + absent) for r, m in zip(rows, missing)
    ]
    np.testing.assert_allclose(draws, expected, atol=1e-6)
    assert max(missing) > absent
    by_class = people.by_class(predicted)
    assert np.mean([f1 for f1, _ in by_class]) == pytest.approx(macro_f1(truth, predicted, 18))
    assert people.by_task(predicted, MASK)["gender"][0] == pytest.approx(
        macro_f1(truth // 3 % 2, predicted // 3 % 2, 2)
    )


def test_the_interval_by_people_is_wider_than_one_by_photos_where_photos_correlate():
    _, truth, person, _ = simulated(0, people=200)
    wrong = (
        np.random.default_rng(0).random(200)[person] < 0.3
    )  # a person's photos all fail together
    predicted = np.where(wrong, (truth + 1) % 18, truth)
    by_people, by_photos = (
        GroupBootstrap(names, truth, 18).draws(predicted)
        for names in (person, np.arange(len(person)))
    )
    assert by_people.std() > 1.7 * by_photos.std()


def population(people, rng):
    """People of three classes of age, the oldest rare, whose seven photos fail together: truth,
    predicted, person.
    """
    gender, age = (
        (rng.random(people) < 0.6).astype(int),
        rng.choice(3, people, p=[0.475, 0.455, 0.07]),
    )
    person, mask = np.repeat(np.arange(people), 7), np.tile([0, 0, 0, 0, 0, 1, 2], people)
    skill = 0.8 * rng.normal(size=(2, people))[:, person] + 0.6 * rng.normal(size=(2, 7 * people))
    genders = np.where(skill[0] > 1.2, 1 - gender[person], gender[person])
    ages = np.digitize(age[person] + 0.45 * skill[1], [0.5, 1.5])
    return mask * 6 + gender[person] * 3 + age[person], mask * 6 + genders * 3 + ages, person


def test_the_95_percent_interval_holds_the_true_score_about_so_often():
    rng = np.random.default_rng(0)
    truth, predicted, _ = population(200_000, rng)
    true, held, none, n = macro_f1(truth, predicted, 18), 0, 0, 1000
    for seed in range(n):
        truth, predicted, person = population(250, rng)
        people = GroupBootstrap(person, truth, 18, draws=500, seed=seed)
        found = people.interval(people.draws(predicted))
        none += found is None  # where one or two people happened to be of the rarest classes
        held += found is not None and found[0] <= true <= found[1]
    assert 0.92 <= held / (n - none) <= 0.98 and none < 0.03 * n


def test_intervals_of_few_people_are_wider():
    draws = np.random.default_rng(0).normal(size=40_000)
    wide, narrow = interval(draws, 8), interval(draws, 1e6)
    np.testing.assert_allclose(narrow, np.quantile(draws, [0.025, 0.975]), atol=0.01)
    assert wide[0] < narrow[0] - 0.5 and wide[1] > narrow[1] + 0.5


def people_of(*counts):
    """So many people of each class, two photos each: `GroupBootstrap`, and predictions of which
    every third is wrong.
    """
    truth = np.repeat(np.arange(len(counts)), 2 * np.array(counts))
    return GroupBootstrap(np.arange(len(truth)) // 2, truth, 18), np.where(
        np.arange(len(truth)) % 3, truth, (truth + 1) % len(counts)
    )


def test_draws_without_a_score_make_no_interval():
    assert interval(np.full(100, np.nan), 50) is None
    assert say_interval(None, 50, of="people") == "no interval: no draw of people has a score"
    assert interval(np.array([np.nan, 0.5, 0.7]), 50) is not None


def test_below_eight_effective_people_there_is_no_interval():
    assert (
        interval(np.linspace(0, 1, 100), 7.99) is None
        and interval(np.linspace(0, 1, 100), 8) is not None
    )
    people, predicted = people_of(8, 8, 8)
    assert people.effective == 8 and people.interval(people.draws(predicted)) is not None
    assert all(bounds is not None for _, bounds in people.by_class(predicted)[:3])
    people, predicted = people_of(
        7, 10
    )  # their harmonic mean is 8.2, but one class has too few of its own
    assert people.interval(people.draws(predicted)) is not None
    assert [bounds is None for _, bounds in people.by_class(predicted)[:3]] == [
        True,
        False,
        True,
    ]  # nobody is of class 2
    people, predicted = people_of(100, 6, 11)  # 11.2
    assert people.interval(people.draws(predicted)) is not None
    people, predicted = people_of(6, 11)  # 7.8
    assert (
        people.effective == pytest.approx(7.76, abs=0.01)
        and people.interval(people.draws(predicted)) is None
    )
    assert {bounds for _, bounds in people.by_task(predicted, MASK).values()} == {None}


def test_an_interval_in_words():
    assert (
        show_interval((0.5, 0.61234)) == "0.500 0.612"
        and show_interval(None) == show_interval(None, "+.4f") == "none"
    )
    assert show_interval([-0.01, 0.02], "+.4f", " to ") == "-0.0100 to +0.0200"
    assert say_interval((0.5, 0.6), 9) == "95 % interval 0.500 0.600"
    assert (
        say_interval(None, 7.99, of="people")
        == "no interval: it would rest on 7 people of the rarest classes, and 8 are needed"
    )
    assert "rest on 3 photos of" in say_interval(None, 3, of="photos")
