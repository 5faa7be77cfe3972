"""Blends, decisions, and the nested score: invariants over seeds, and numbers by hand."""

import numpy as np
import pytest
from conftest import NUM_CLASSES

from kit.blending.biases import fit_biases, line_search
from kit.blending.fit import convex_weights, fit_rule, fit_temperature, nested
from kit.blending.greedy import greedy
from kit.blending.rule import (
    BLENDS,
    Rule,
    at_temperature,
    decide,
    distinct_members,
    uniform_rule,
    weighted,
)
from kit.scoring.bootstrap import GroupBootstrap, interval, say_interval, show_interval
from kit.scoring.metrics import f1_of_counts, fast_macro_f1, log_loss, macro_f1


def softmax(logits):
    exp = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return (exp / exp.sum(axis=-1, keepdims=True)).astype(np.float32)


def simulated(seed, members=4, people=60, signal=2.0, noise=1.0):
    """Members (M, N, 18) whose errors correlate, with seven photos a person: `(members, truth,
    person, fold)`.
    """
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(people), 7)
    truth = (
        rng.integers(0, 6, people)[person] // 3 * 3
        + np.tile([0, 0, 0, 0, 0, 6, 12], people)
        + rng.choice(3, people, p=[0.5, 0.4, 0.1])[person]
    )
    shared = rng.normal(size=(people, NUM_CLASSES))[person]
    logits = shared + noise * rng.normal(size=(members, len(person), NUM_CLASSES)) * rng.uniform(
        0.5, 2, (members, 1, 1)
    )
    logits[:, np.arange(len(person)), truth] += signal
    return softmax(logits), truth, person, rng.permutation(people)[person] % 5


# ------------------------------------------------------------ rules


def test_blends_by_hand():
    a, b = np.full(18, 0.01), np.full(18, 0.02)
    a[:2], b[:2] = (0.5, 0.34), (0.3, 0.38)
    members = np.stack([a, b])[:, None]
    np.testing.assert_allclose(uniform_rule("mean", 2).probs(members)[0, :3], [0.4, 0.36, 0.015])
    np.testing.assert_allclose(
        Rule("greedy", np.array([0.25, 0.75])).probs(members)[0, :2], [0.35, 0.37]
    )
    geometric = np.sqrt(a * b)
    np.testing.assert_allclose(
        uniform_rule("gmean", 2).probs(members)[0], geometric / geometric.sum()
    )
    third = np.full(18, 0.5 / 16)
    third[:2] = 0.2, 0.3
    votes = uniform_rule("vote", 3).probs(np.stack([a, b, third])[:, None])[0]
    assert votes.argmax() == 1 and votes.sum() == pytest.approx(1) and np.sort(votes)[-2] < 0.4
    tie = uniform_rule("vote", 2).probs(members)[0]
    assert tie.argmax() == 0  # one vote each, and the mean is for class 0
    assert decide(members[0], np.ones(18)).tolist() == [0]
    gains = Rule("mean", np.ones(1), 2.0, np.eye(18)[1] * np.log(2) / 2).gains
    assert gains[1] == pytest.approx(2) and decide(members[0], gains).tolist() == [1]


@pytest.mark.parametrize("blend", BLENDS)
def test_every_blend_gives_probabilities_and_keeps_a_single_members_classes(blend):
    members, truth, person, _ = simulated(0)
    rule = fit_rule(members, truth, person, blend, "argmax")
    assert rule.weights.sum() == pytest.approx(1) and (rule.weights >= 0).all()
    np.testing.assert_allclose(rule.probs(members).sum(axis=1), 1, atol=1e-5)
    alone = fit_rule(members[:1], truth, person, blend, "argmax")
    assert (alone.classes(members[:1]) == members[0].argmax(axis=1)).all()


def test_a_weighted_sum_is_the_same_whatever_rows_are_with_it():
    members = simulated(1)[0]
    weights = np.array([0.1, 0.2, 0.3, 0.4])
    whole = weighted(members, weights)
    for rows in (slice(0, 1), slice(5, 100), np.array([7, 3])):
        assert (weighted(members[:, rows], weights) == whole[rows]).all()


# ------------------------------------------------------------ greedy


def test_greedy_is_never_below_its_best_single_member_in_sample():
    for seed in range(40):
        members, truth, person, _ = simulated(
            seed, members=2 + seed % 6, people=20, noise=0.5 + seed % 3
        )
        weights = greedy(members, truth, person, bags=5, steps=8)
        best = max(macro_f1(truth, m.argmax(axis=1)) for m in members)
        assert weights.sum() == pytest.approx(1)
        assert macro_f1(truth, weighted(members, weights).argmax(axis=1)) >= best - 1e-12


def test_a_copy_of_a_member_changes_no_greedy_result():
    for seed in range(15):
        members, truth, person, _ = simulated(seed, members=3 + seed % 3, people=20)
        rng = np.random.default_rng(seed)
        copied = rng.integers(len(members))
        copy = members[copied] + rng.uniform(-4e-5, 4e-5, members[0].shape).astype(
            np.float32
        )  # as from a table of four decimals
        plain = greedy(members, truth, person, bags=5, steps=8)
        more = greedy(np.concatenate([members, copy[None]]), truth, person, bags=5, steps=8)
        assert more[-1] == 0 and (more[:-1] == plain).all()
        assert convex_weights(np.concatenate([members, copy[None]]), truth)[-1] == 0
    assert distinct_members(np.stack([members[0], members[1], members[0]])) == [0, 1]


def test_greedy_is_caruanas_where_everything_can_be_tried():
    """One bag of all members and people, two steps: the best single one, and the best one to add to
    it.
    """
    import kit.blending.greedy

    for seed in range(20):
        members, truth, _, _ = simulated(seed, members=4, people=20)
        weights = kit.blending.greedy._climb(kit.blending.greedy._fixed_point(members), truth, 2)
        f1 = [macro_f1(truth, m.argmax(axis=1)) for m in members]
        first = int(np.argmax(f1))
        pairs = [
            macro_f1(truth, (members[first].astype(float) + m).argmax(axis=1)) for m in members
        ]
        expected = np.eye(4)[first] if f1[first] > max(pairs) else None
        if expected is None:
            assert macro_f1(truth, weighted(members, weights).argmax(axis=1)) == pytest.approx(
                max(pairs)
            )
        else:
            np.testing.assert_allclose(weights, expected)


def test_greedy_breaks_ties_of_macro_f1_by_log_loss():
    import kit.blending.greedy

    truth = np.array([0, 1, 2, 0])
    unsure, sure = np.full((4, 18), 0.03), np.full((4, 18), 0.005)
    unsure[np.arange(4), truth], sure[np.arange(4), truth] = 0.49, 0.915
    weights = kit.blending.greedy._climb(
        kit.blending.greedy._fixed_point(np.stack([unsure, sure])), truth, 5
    )
    assert weights.tolist() == [0, 1]


# ------------------------------------------------------------ weights and temperature


def test_convex_weights_are_at_the_optimum():
    for seed in range(10):
        members, truth, person, _ = simulated(seed, members=5)
        weights = convex_weights(members, truth)
        assert weights.sum() == pytest.approx(1) and (weights >= 0).all()
        reached = log_loss(weighted(members, weights), truth)
        rng = np.random.default_rng(seed)
        for other in [
            *np.eye(5),
            np.full(5, 0.2),
            *rng.dirichlet(np.ones(5), 50),
            *(0.95 * weights + 0.05 * np.eye(5)),
        ]:
            assert reached <= log_loss(weighted(members, other), truth) + 1e-7


def test_the_temperature_undoes_a_known_one():
    members, truth, _, _ = simulated(3, members=1, people=400)
    probs = members[0].astype(np.float64)
    own = fit_temperature(probs, truth)
    for factor in (0.5, 2.0, 3.0):
        assert fit_temperature(at_temperature(probs, factor), truth) * factor == pytest.approx(
            own, rel=0.02
        )
    best = log_loss(at_temperature(probs, own), truth)
    assert all(
        best <= log_loss(at_temperature(probs, own * f), truth) + 1e-9
        for f in (0.9, 0.99, 1.01, 1.1)
    )
    assert (at_temperature(probs, 3.0).argmax(axis=1) == probs.argmax(axis=1)).all()


# ------------------------------------------------------------ biases


def test_the_line_search_finds_the_best_of_all_shifts():
    for seed in range(60):
        rng = np.random.default_rng(seed)
        logs, truth = np.log(rng.dirichlet(np.ones(18), 120)), rng.integers(0, 18, 120)
        group = rng.random(18) < 0.3
        group[0], group[1] = True, False
        shift, f1 = line_search(logs, truth, group)
        assert macro_f1(truth, (logs + shift * group).argmax(axis=1)) == pytest.approx(f1)
        tried = [
            fast_macro_f1((logs + s * group).argmax(axis=1), truth) for s in np.linspace(-8, 8, 400)
        ]
        assert f1 >= max(tried) - 0.001 - 1e-9


def test_biases_are_invariant_to_a_common_shift():
    for seed in range(5):
        members, truth, person, _ = simulated(seed, members=1)
        logs = np.log(members[0].astype(np.float64))
        biases = fit_biases(logs, truth, person)
        rows = np.random.default_rng(seed).normal(size=(len(logs), 1))
        np.testing.assert_allclose(fit_biases(logs + 5, truth, person), biases, atol=1e-9)
        np.testing.assert_allclose(fit_biases(logs + rows, truth, person), biases, atol=1e-9)
        assert biases.mean() == pytest.approx(0, abs=1e-12)
        shifted = Rule("mean", np.ones(1), 1.0, biases + 3)
        assert (
            shifted.classes(members) == Rule("mean", np.ones(1), 1.0, biases).classes(members)
        ).all()


def test_biases_undo_a_known_one_in_the_nested_score():
    members, truth, person, fold = simulated(0, members=1, people=400, signal=6)
    old = np.log(members[0].astype(np.float64))
    old[:, np.arange(18) % 3 == 2] -= 6  # as from a network that was trained with few of the oldest
    spoilt = softmax(old)[None]
    classes, _, _ = nested(
        spoilt, truth, person, fold, lambda *part: fit_rule(*part, "mean", "bias")
    )
    assert fast_macro_f1(classes, truth) > fast_macro_f1(spoilt[0].argmax(axis=1), truth) + 0.05
    assert fast_macro_f1(classes, truth) > 0.85 * fast_macro_f1(members[0].argmax(axis=1), truth)


# ------------------------------------------------------------ nested


@pytest.mark.parametrize(
    "blend, decision", [("greedy", "argmax"), ("weights", "bias"), ("mean", "bias")]
)
def test_of_pure_noise_the_nested_score_is_chance_and_the_in_sample_one_is_above(blend, decision):
    inside, outside, chance = [], [], []
    for seed in range(8):
        members, truth, person, fold = simulated(seed, members=15, people=60)
        rng = np.random.default_rng(seed)
        members = softmax(rng.normal(size=members.shape))
        rule = fit_rule(members, truth, person, blend, decision)
        inside.append(fast_macro_f1(rule.classes(members), truth))
        classes, _, _ = nested(
            members, truth, person, fold, lambda *part: fit_rule(*part, blend, decision)
        )
        outside.append(fast_macro_f1(classes, truth))
        # What guessing with the same class frequencies comes to: the predictions of other photos.
        chance.append(np.mean([fast_macro_f1(rng.permutation(classes), truth) for _ in range(20)]))
    error = np.std(np.array(outside) - chance, ddof=1) / np.sqrt(8)
    assert np.mean(inside) > np.mean(chance) + (0.002 if blend == "mean" else 0.01)
    assert abs(np.mean(outside) - np.mean(chance)) < 4 * error + 0.002
    assert np.mean(outside) < np.mean(inside) - 0.002


def test_nested_never_shows_a_rule_the_people_it_decides():
    members, truth, person, fold = simulated(0)
    seen = []

    def fitting(probs, labels, people):
        seen.append(set(people.tolist()))
        return uniform_rule("mean", len(probs))

    classes, _, _ = nested(members, truth, person, fold, fitting)
    assert (classes == members.mean(axis=0, dtype=np.float64).argmax(axis=1)).all()
    for k, people in enumerate(seen):
        assert not people & set(person[fold == k].tolist()) and people | set(
            person[fold == k].tolist()
        ) == set(person.tolist())


# ------------------------------------------------------------ metrics and the bootstrap


def test_f1_of_counts_is_sklearns():
    for seed in range(30):
        rng = np.random.default_rng(seed)
        truth, predicted = rng.integers(0, 18, 40), rng.integers(0, 12, 40)
        counts = np.stack(
            [np.bincount(x, minlength=18) for x in (truth[truth == predicted], truth, predicted)]
        )
        assert (
            f1_of_counts(counts).mean()
            == pytest.approx(macro_f1(truth, predicted))
            == fast_macro_f1(predicted, truth)
        )


def test_a_draw_of_the_bootstrap_is_the_score_of_its_people():
    _, truth, person, _ = simulated(0, people=20)
    predicted = np.random.default_rng(0).permutation(truth)
    people = GroupBootstrap(person, truth, draws=30, seed=1)
    rows = [
        np.concatenate(
            [np.flatnonzero(person == p) for p in range(20) for _ in range(int(times[p]))]
        )
        for times in people._times
    ]
    draws, missing = people.macro(predicted), [18 - len(np.unique(truth[r])) for r in rows]
    # Of a class that exists, but not in the draw, the draw tells nothing; the leaderboard's own
    # would count it 0.
    absent = 18 - len(np.unique(truth))
    expected = [
        macro_f1(truth[r], predicted[r]) * 18 / (18 - m + absent) for r, m in zip(rows, missing)
    ]
    np.testing.assert_allclose(draws, expected, atol=1e-6)
    assert max(missing) > absent
    by_class = people.by_class(predicted)
    assert np.mean([f1 for f1, _ in by_class]) == pytest.approx(macro_f1(truth, predicted))
    assert people.by_task(predicted)["gender"][0] == pytest.approx(
        macro_f1(truth // 3 % 2, predicted // 3 % 2, 2)
    )


def test_the_interval_by_people_is_wider_than_one_by_photos_where_photos_correlate():
    _, truth, person, _ = simulated(0, people=200)
    wrong = (
        np.random.default_rng(0).random(200)[person] < 0.3
    )  # a person's photos all fail together
    predicted = np.where(wrong, (truth + 1) % 18, truth)
    by_people, by_photos = (
        GroupBootstrap(names, truth).macro(predicted) for names in (person, np.arange(len(person)))
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
    true, held, none, n = macro_f1(truth, predicted), 0, 0, 1000
    for seed in range(n):
        truth, predicted, person = population(250, rng)
        people = GroupBootstrap(person, truth, draws=500, seed=seed)
        found = people.interval(people.macro(predicted))
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
    return GroupBootstrap(np.arange(len(truth)) // 2, truth), np.where(
        np.arange(len(truth)) % 3, truth, (truth + 1) % len(counts)
    )


def test_below_eight_effective_people_there_is_no_interval():
    assert (
        interval(np.linspace(0, 1, 100), 7.99) is None
        and interval(np.linspace(0, 1, 100), 8) is not None
    )
    people, predicted = people_of(8, 8, 8)
    assert people.effective == 8 and people.interval(people.macro(predicted)) is not None
    assert all(bounds is not None for _, bounds in people.by_class(predicted)[:3])
    people, predicted = people_of(
        7, 10
    )  # their harmonic mean is 8.2, but one class has too few of its own
    assert people.interval(people.macro(predicted)) is not None
    assert [bounds is None for _, bounds in people.by_class(predicted)[:3]] == [
        True,
        False,
        True,
    ]  # nobody is of class 2
    people, predicted = people_of(100, 6, 11)  # 11.2
    assert people.interval(people.macro(predicted)) is not None
    people, predicted = people_of(6, 11)  # 7.8
    assert (
        people.effective == pytest.approx(7.76, abs=0.01)
        and people.interval(people.macro(predicted)) is None
    )
    assert {bounds for _, bounds in people.by_task(predicted).values()} == {None}


def test_an_interval_in_words():
    assert (
        show_interval((0.5, 0.61234)) == "0.500 0.612"
        and show_interval(None) == show_interval(None, "+.4f") == "none"
    )
    assert show_interval([-0.01, 0.02], "+.4f", " to ") == "-0.0100 to +0.0200"
    assert say_interval((0.5, 0.6), 9) == "95 % interval 0.500 0.600"
    assert (
        say_interval(None, 7.99)
        == "no interval: it would rest on 7 people of the rarest classes, and 8 are needed"
    )
    assert "rest on 3 photos of" in say_interval(None, 3, of="photos")


def test_scores_are_reproducible_for_shuffled_rows():
    """Rows in another order: the same weights, for people and not rows are drawn."""
    members, truth, person, _ = simulated(0, people=30)
    order = np.random.default_rng(0).permutation(len(truth))
    same = greedy(members[:, order], truth[order], person[order], bags=4, steps=6)
    assert (same == greedy(members, truth, person, bags=4, steps=6)).all()
