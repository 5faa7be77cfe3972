"""Greedy selection."""

import numpy as np
import pytest
from draws import macro_f1, simulated
from helpers import MASK

import kit.blending.greedy as greedy_module
from kit.blending.fit import convex_weights
from kit.blending.greedy import climb, climb_by, fixed_point, greedy
from kit.blending.rule import distinct_members, weighted
from kit.blending.target import Target
from kit.competition import Competition
from kit.metrics.metric import find_metric
from kit.metrics.sums import log_loss

COUNTS = find_metric("f1_macro").counts


def test_greedy_is_never_below_its_best_single_member_in_sample():
    for seed in range(40):
        members, truth, person, _ = simulated(
            seed, members=2 + seed % 6, people=20, noise=0.5 + seed % 3
        )
        weights = greedy(members, Target(truth, person, MASK), bags=5, steps=8)
        best = max(macro_f1(truth, m.argmax(axis=1), 18) for m in members)
        assert weights.sum() == pytest.approx(1)
        assert macro_f1(truth, weighted(members, weights).argmax(axis=1), 18) >= best - 1e-12


def test_a_copy_of_a_member_changes_no_greedy_result():
    for seed in range(15):
        members, truth, person, _ = simulated(seed, members=3 + seed % 3, people=20)
        rng = np.random.default_rng(seed)
        copied = rng.integers(len(members))
        copy = members[copied] + rng.uniform(-4e-5, 4e-5, members[0].shape).astype(
            np.float32
        )  # as from a table of four decimals
        plain = greedy(members, Target(truth, person, MASK), bags=5, steps=8)
        more = greedy(
            np.concatenate([members, copy[None]]), Target(truth, person, MASK), bags=5, steps=8
        )
        assert more[-1] == 0 and (more[:-1] == plain).all()
        assert convex_weights(np.concatenate([members, copy[None]]), truth)[-1] == 0
    assert distinct_members(np.stack([members[0], members[1], members[0]])) == [0, 1]


def test_greedy_is_caruanas_where_everything_can_be_tried():
    """One bag of all members and people, two steps: the best single one, and the best one to add to
    it.
    """
    for seed in range(20):
        members, truth, _, _ = simulated(seed, members=4, people=20)
        weights = climb(fixed_point(members), truth, COUNTS, 2)
        f1 = [macro_f1(truth, m.argmax(axis=1), 18) for m in members]
        first = int(np.argmax(f1))
        pairs = [
            macro_f1(truth, (members[first].astype(float) + m).argmax(axis=1), 18) for m in members
        ]
        expected = np.eye(4)[first] if f1[first] > max(pairs) else None
        if expected is None:
            assert macro_f1(truth, weighted(members, weights).argmax(axis=1), 18) == pytest.approx(
                max(pairs)
            )
        else:
            np.testing.assert_allclose(weights, expected)


def test_greedy_breaks_ties_of_macro_f1_by_log_loss():
    truth = np.array([0, 1, 2, 0])
    unsure, sure = np.full((4, 18), 0.03), np.full((4, 18), 0.005)
    unsure[np.arange(4), truth], sure[np.arange(4), truth] = 0.49, 0.915
    weights = climb(fixed_point(np.stack([unsure, sure])), truth, COUNTS, 5)
    assert weights.tolist() == [0, 1]


def test_scores_are_reproducible_for_shuffled_rows():
    """Rows in another order: the same weights, for people and not rows are drawn."""
    members, truth, person, _ = simulated(0, people=30)
    order = np.random.default_rng(0).permutation(len(truth))
    target = Target(truth, person, MASK)
    same = greedy(members[:, order], target.part(order), bags=4, steps=6)
    assert (same == greedy(members, Target(truth, person, MASK), bags=4, steps=6)).all()


# ------------------------------------------------------------ many classes


def drawn(seed, members, photos, classes):
    """Members (M, N, C) in steps of 2^-10, which fixed point has exactly, and true classes (N,)."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, photos)
    counts = rng.multinomial(600, np.full(classes, 1 / classes), (members, photos))
    right = rng.integers(0, 425, (members, photos))
    counts[:, np.arange(photos), truth] += right
    counts[:, np.arange(photos), rng.integers(0, classes, photos)] += 424 - right
    return (counts / 1024).astype(np.float32), truth


def plain_climb(members, truth, steps):
    """One greedy selection in floating point, by the definition."""
    picks, classes = np.zeros(len(members)), members.shape[2]
    best = None
    for step in range(1, steps + 1):
        scores = []
        for m, member in enumerate(members):
            total = weighted(members, picks) + member
            sure = np.maximum(total[np.arange(len(truth)), truth] / step, 1e-7)
            f1 = macro_f1(truth, total.argmax(axis=1), classes)
            scores.append((round(f1, 12), round(float(np.log(sure).mean()), 6), -m))
        top = max(scores)
        picks[-top[2]] += 1
        if best is None or top[:2] > best[0]:
            best = top[:2], picks / step
    return best[1]


@pytest.mark.parametrize("classes", [2, 3, 18, 32, 33, 40, 500])
def test_fixed_point_is_the_plain_selection_for_any_number_of_classes(classes):
    for seed in range(3):
        members, truth = drawn(seed, 5, 300, classes)
        assert (members.argmax(axis=2) == truth).mean() > 0.1
        fixed = fixed_point(members)
        assert fixed.values.dtype == (np.int32 if classes <= 32 else np.int64)
        assert climb(fixed, truth, COUNTS, 6).tolist() == plain_climb(members, truth, 6).tolist()


def test_equal_probabilities_are_of_the_lower_class_among_twenty_thousand():
    members, truth = drawn(0, 3, 40, 20_000)
    members[:, 0], members[:, 1] = 0, 0
    members[:, 0, [16_383, 19_999]] = members[:, 1, [0, 19_999]] = 0.5
    truth[:2] = 16_383, 0
    assert (
        climb(fixed_point(members), truth, COUNTS, 3).tolist()
        == plain_climb(members, truth, 3).tolist()
    )
    assert fixed_point(members[:1]).codes == 2**15
    groups = np.arange(40)
    many = Competition(name="many", classes=tuple(map(str, range(20_000))), metric="f1_macro")
    assert greedy(members, Target(truth, groups, many), bags=2, steps=2).sum() == pytest.approx(1)


def test_the_highest_sums_stay_within_their_integers():
    for classes in (32, 33, 20_000):
        certain = np.zeros((1, 3, classes), np.float32)
        certain[0, :, classes - 1] = 1
        weights = climb(fixed_point(certain), np.full(3, classes - 1), COUNTS, 31)
        assert weights.tolist() == [1]


@pytest.mark.parametrize("metric", ["log_loss", "roc_auc", "quadratic_kappa"])
def test_greedy_by_any_metric_is_never_below_its_best_single_member(metric):
    for seed in range(8):
        members, truth, person, _ = simulated(seed, members=4, people=20)
        competition = Competition(
            name="any", classes=tuple(map(str, range(18))), metric=metric, answer="probabilities"
        )
        target = Target(truth, person, competition)
        weights = greedy(members, target, bags=4, steps=6)
        assert weights.sum() == pytest.approx(1)
        best = max(target.plain(member) for member in members)
        assert target.plain(weighted(members, weights)) >= best - 1e-12


def test_the_climb_by_any_metric_is_the_fast_one_for_a_metric_of_counts():
    for seed in range(10):
        members, truth = drawn(seed, 4, 200, 5)
        classes = tuple("abcde")
        for name in ("f1_macro", "accuracy", "balanced_accuracy", "f2_macro"):
            competition = Competition(name="any", classes=classes, metric=name, answer="class")
            target = Target(truth, np.arange(200), competition)
            fast = climb(fixed_point(members), truth, find_metric(name).counts, 4)
            slow = climb_by(list(members), target, 4)
            assert target.plain(weighted(members, fast)) == pytest.approx(
                target.plain(weighted(members, slow)), abs=0.02
            )


def test_of_very_many_probabilities_each_bag_takes_some_photos(monkeypatch):
    members, truth, person, _ = simulated(0, members=3, people=60)
    target = Target(truth, person, MASK)
    seen = []
    plain = greedy_module.climb
    monkeypatch.setattr(
        greedy_module, "climb", lambda *args: seen.append(len(args[1])) or plain(*args)
    )
    monkeypatch.setattr(greedy_module, "CELLS", 18 * 120)
    weights = greedy(members, target, bags=3, steps=3)
    assert seen == [100] * 3 and weights.sum() == pytest.approx(1)
    members, truth, person, _ = simulated(0, members=3, people=120)
    for cells, photos in ((18 * 400, 200), (18 * 419, 209), (18 * 420, 420)):  # of 840
        seen.clear()
        monkeypatch.setattr(greedy_module, "CELLS", cells)
        greedy(members, Target(truth, person, MASK), bags=2, steps=2)
        assert seen[:2] == [photos] * 2


def named(metric, classes=5):
    """A competition of some classes that is scored by a metric."""
    names = tuple(map(str, range(classes)))
    return Competition(name="any", classes=names, metric=metric, answer="probabilities")


@pytest.mark.parametrize(
    ("metric", "climbs", "bags"), [("f1_macro", "climb", 20), ("log_loss", "climb_by", 10)]
)
def test_bags_are_half_of_the_members_and_of_the_groups_and_their_weights_are_averaged(
    monkeypatch, metric, climbs, bags
):
    for many, size in ((2, 2), (3, 3), (5, 3), (8, 4), (9, 5)):
        members, truth = drawn(many, many, 90, 5)
        groups, seen = np.arange(90) // 2, []

        def first_two(tables, *rest, seen=seen):
            labels = rest[0] if climbs == "climb" else rest[0].truth
            number = len(tables.values if climbs == "climb" else tables)
            seen.append((number, len(labels), rest[-1]))
            return np.array([0.75, 0.25] + [0] * (number - 2))

        monkeypatch.setattr(greedy_module, climbs, first_two)
        monkeypatch.setattr(Target, "plain", lambda *_: 0.0)
        weights = greedy(members, Target(truth, groups, named(metric)))
        assert seen == [(size, 46, 20)] * bags and weights.sum() == pytest.approx(1)
        wanted = np.zeros(many)
        for bag in range(bags):
            rng = np.random.default_rng([bag, 45])
            of = np.sort(rng.choice(many, size, replace=False))
            wanted[of[:2]] += np.array([0.75, 0.25]) / bags
        assert weights == pytest.approx(wanted)


def test_where_bags_are_worse_the_climb_by_all_photos_is_taken_or_the_best_member(monkeypatch):
    members, truth = drawn(1, 4, 200, 5)
    target = Target(truth, np.arange(200), named("accuracy"))
    scores = [target.plain(member) for member in members]
    worst, best = int(np.argmin(scores)), int(np.argmax(scores))
    monkeypatch.setattr(greedy_module, "_bag", lambda *_: lambda number: np.eye(4)[worst])
    whole = climb(fixed_point(members), truth, find_metric("accuracy").counts, 20)
    assert greedy(members, target) == pytest.approx(whole)
    monkeypatch.setattr(greedy_module, "CELLS", 999)  # of 1,000 probabilities
    assert greedy(members, target).tolist() == np.eye(4)[best].tolist()
    monkeypatch.setattr(greedy_module, "CELLS", 1000)
    assert greedy(members, target) == pytest.approx(whole)


def test_of_many_probabilities_there_are_ten_bags(monkeypatch):
    members, truth = drawn(2, 3, 300, 5)
    target, seen = Target(truth, np.arange(300), named("accuracy")), []

    def bag(members, target, steps):
        def one(number):
            seen.append(number)
            return np.full(3, 1 / 3)

        return one

    monkeypatch.setattr(greedy_module, "_bag", bag)
    for cells, bags in ((750, 20), (749, 10)):
        monkeypatch.setattr(greedy_module, "CELLS", cells)
        seen.clear()
        greedy(members, target)
        assert sorted(seen) == list(range(bags))


@pytest.mark.parametrize("most", [1, 2, 3, 12])
@pytest.mark.parametrize("metric", ["log_loss", "accuracy"])
def test_the_climb_by_any_metric_by_the_definition(metric, most):
    for seed in range(6):
        members, truth = drawn(seed, 4, 40, 3)
        target = Target(truth, np.arange(40), named(metric, 3))
        picks, best, since = np.zeros(4), None, 0
        for step in range(1, most + 1):
            means = [(weighted(members, picks) + member) / step for member in members]
            ranks = [
                (round(target.plain(mean), 9), -round(log_loss(truth, mean), 6), -m)
                for m, mean in enumerate(means)
            ]
            top = max(ranks)
            picks[-top[2]] += 1
            since += 1
            if best is None or top[0] > best[0]:
                best, since = (top[0], picks / step), 0
            if since == 5:
                break
        assert climb_by(list(members), target, most) == pytest.approx(best[1])


def test_steps_of_one_score_are_told_apart_by_log_loss():
    for seed in range(12):
        members, truth = drawn(seed, 4, 12, 3)  # so few photos that most steps score alike
        found = climb(fixed_point(members), truth, COUNTS, 9)
        assert found.tolist() == plain_climb(members, truth, 9).tolist()


def test_one_step_is_the_best_single_member():
    members, truth = drawn(3, 5, 100, 4)
    target = Target(truth, np.arange(100), named("accuracy", 4))
    best = np.eye(5)[np.argmax([target.plain(member) for member in members])]
    counts = find_metric("accuracy").counts
    assert climb(fixed_point(members), truth, counts, 1).tolist() == best.tolist()
    assert climb_by(list(members), target, 1).tolist() == best.tolist()
    long = climb(fixed_point(members), truth, counts, 31)
    assert climb(fixed_point(members), truth, counts, 99).tolist() == long.tolist()
