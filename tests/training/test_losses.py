import numpy as np
import pytest
import torch
from helpers import MASK, small
from torch.nn import functional

from kit.data.geometry import Geometry
from kit.models.architecture import make_architecture
from kit.models.heads import COSINE_SCALE, combine
from kit.training.losses import class_weights, make_loss, marginals, mix, one_hot, other_axes

COUNTS = np.arange(18) ** 2  # one class without a photo


def random_batch(seed, n=11, outputs=18):
    random = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(n, outputs, generator=random), torch.randint(18, (n,), generator=random)


def soft(seed, n=11):
    """Targets of `n` mixes of two classes."""
    random = torch.Generator().manual_seed(seed)
    share = torch.rand(n, 1, generator=random)
    one, other = (one_hot(torch.randint(18, (n,), generator=random), 18) for _ in range(2))
    return share * one + (1 - share) * other


def value(recipe, logits, targets, counts=COUNTS):
    """The loss of a batch, of all tasks together."""
    if targets.dim() == 1:
        targets = one_hot(targets, 18)
    loss = make_loss(recipe, MASK.shape, counts, COSINE_SCALE)
    return (loss.loss_sums(logits, targets) / loss.normalizers(targets)).sum()


def alike(one, other, tolerance=1e-5):
    torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance, check_dtype=False)


def of_head(head):
    """An architecture with a head."""
    return make_architecture("any", Geometry((8, 8), (8, 8), (8, 8)), head, False, MASK)


def decode(labels):
    """The answers to each task of classes (N,)."""
    return [torch.from_numpy(answers) for answers in MASK.decode(labels.numpy())]


def tasks_of(outputs):
    return outputs.split([3, 2, 3], dim=1)


def test_class_weights_by_hand():
    np.testing.assert_allclose(
        class_weights(np.array([1, 2, 4]), "inverse"), [12 / 7, 6 / 7, 3 / 7]
    )
    effective = np.array([1, 1 / (1 + 0.999), 1 / (1 + 0.999 + 0.999**2)])
    np.testing.assert_allclose(
        class_weights(np.array([1, 2, 3]), "effective"), effective / effective.mean(), rtol=1e-9
    )
    np.testing.assert_array_equal(class_weights(np.array([1, 2, 4]), "none"), [1, 1, 1])


@pytest.mark.parametrize("how", ["none", "inverse", "effective"])
def test_class_weights_have_the_mean_1_and_fall_with_the_class(how):
    for seed in range(20):
        counts = np.random.default_rng(seed).integers(1, 4000, 18)
        weights = class_weights(counts, how)
        assert (
            weights.mean() == pytest.approx(1) and (np.diff(weights[np.argsort(counts)]) <= 0).all()
        )


@pytest.mark.parametrize("how", ["inverse", "effective"])
def test_an_absent_class_weighs_nothing_and_changes_no_other(how):
    weights = class_weights(np.array([0, 5, 9, 0]), how)
    np.testing.assert_array_equal(weights[[0, 3]], 0)
    np.testing.assert_allclose(weights[1:3], class_weights(np.array([5, 9]), how))


@pytest.mark.parametrize("head, classes", [("classes", [18]), ("tasks", [3, 2, 3])])
@pytest.mark.parametrize("how", ["none", "inverse", "effective"])
def test_smoothing_leaves_the_true_class_its_share_whatever_it_weighs(how, head, classes):
    # The minimiser of the loss over logits, for photos of which a network knows all: p(true) = 1 -
    # s + s / C of each task.
    smooth, counts = (
        0.1,
        np.array(
            [
                2765,
                2045,
                415,
                3640,
                4090,
                545,
                553,
                409,
                83,
                728,
                818,
                109,
                0,
                409,
                83,
                728,
                818,
                109,
            ]
        ),
    )
    labels = torch.tensor([4, 8, 17, 0, 13])
    recipe = small(label_smoothing=smooth, class_weights=how, head=head)
    logits = torch.zeros(len(labels), 18, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [logits],
        lr=1,
        max_iter=400,
        tolerance_grad=1e-10,
        tolerance_change=1e-12,
        line_search_fn="strong_wolfe",
    )

    def closure():
        optimizer.zero_grad()
        loss = value(recipe, logits, labels, counts)
        loss.backward()
        return loss

    optimizer.step(closure)
    log_probs = logits.detach().log_softmax(dim=1)
    tasks = [log_probs] if head == "classes" else marginals(log_probs, MASK.shape)
    truth = [labels] if head == "classes" else decode(labels)
    for log_prob, true, number in zip(tasks, truth, classes):
        found = log_prob.exp()[torch.arange(len(labels)), true]
        np.testing.assert_allclose(found, 1 - smooth + smooth / number, atol=2e-3)


def test_norms_of_a_mix_are_those_of_its_photos():
    for seed in range(20):
        recipe = small(
            mix=("mixup", "cutmix", "half")[seed % 3],
            mix_prob=1.0,
            class_weights="inverse",
            head="tasks",
        )
        torch.manual_seed(seed)
        targets = one_hot(torch.randint(0, 18, (7,)), 18)
        loss = make_loss(recipe, MASK.shape, np.arange(1, 19), 30)
        _, mixed = mix(recipe, torch.rand(7, 3, 32, 24), targets)
        torch.testing.assert_close(loss.normalizers(mixed), loss.normalizers(targets))


def test_three_heads_weigh_each_task_by_its_own_sizes():
    counts = np.zeros(18, int)
    counts[[0, 17]] = 6, 2  # mask male <30, none female >=60
    weights = make_loss(
        small(head="tasks", class_weights="inverse"), MASK.shape, counts, 30
    ).weights
    for got, inverse in zip(weights, ([1 / 6, 0, 1 / 2], [1 / 6, 1 / 2], [1 / 6, 0, 1 / 2])):
        alike(got, torch.tensor(inverse) / (1 / 3))  # the mean of the two that are there


@pytest.mark.parametrize("smooth", [0.0, 0.1, 0.5])
def test_cross_entropy_is_torchs(smooth):
    for seed in range(5):
        logits, labels = random_batch(seed)
        recipe = small(label_smoothing=smooth)
        alike(
            value(recipe, logits, labels),
            functional.cross_entropy(logits, labels, label_smoothing=smooth),
        )
        targets = soft(seed)
        alike(
            value(recipe, logits, targets),
            functional.cross_entropy(logits, targets, label_smoothing=smooth),
        )


@pytest.mark.parametrize("how", ["inverse", "effective"])
def test_weighted_cross_entropy_is_torchs_weighted_mean(how):
    weight = torch.tensor(class_weights(COUNTS, how), dtype=torch.float32)
    for seed in range(5):
        logits, labels = random_batch(seed)
        alike(
            value(small(class_weights=how), logits, labels),
            functional.cross_entropy(logits, labels, weight),
        )


def test_focal_by_hand():
    logits = torch.zeros(1, 18)
    logits[0, 4] = np.log(17)  # the probability 1/2
    for gamma in (0.5, 1.0, 2.0):
        assert float(
            value(small(loss="focal", focal_gamma=gamma), logits, torch.tensor([4]))
        ) == pytest.approx(0.5**gamma * np.log(2), rel=1e-5)
        other = float(value(small(loss="focal", focal_gamma=gamma), logits, torch.tensor([5])))
        assert other == pytest.approx((33 / 34) ** gamma * np.log(34), rel=1e-5)


@pytest.mark.parametrize("head", ["classes", "tasks"])
def test_focal_without_gamma_is_cross_entropy(head):
    for seed in range(5):
        logits, _ = random_batch(seed)
        changes = {"head": head, "class_weights": "inverse", "label_smoothing": 0.1}
        alike(
            value(small(loss="focal", focal_gamma=0.0, **changes), logits, soft(seed)),
            value(small(**changes), logits, soft(seed)),
        )


def test_focal_of_sure_photos_has_finite_gradients():
    for gamma in (0.5, 2.0):
        logits = (100 * one_hot(torch.arange(18), 18)).requires_grad_()
        value(small(loss="focal", focal_gamma=gamma), logits, torch.arange(18)).backward()
        assert torch.isfinite(logits.grad).all()


def test_soft_macro_f1_by_hand():
    logits = torch.full((2, 18), -100.0)
    logits[:, :2] = torch.tensor([[0.75, 0.25], [0.5, 0.5]]).log()
    labels = torch.tensor([0, 1])
    # F1 of class 0: 2 * 0.75 / (1.25 + 1) = 2/3; of class 1: 2 * 0.5 / (0.75 + 1) = 4/7; the others
    # are absent.
    assert float(value(small(loss="f1"), logits, labels)) == pytest.approx(1 - (2 / 3 + 4 / 7) / 2)
    counts = np.array([1, 3] + [7] * 16)
    weighted = value(small(loss="f1", class_weights="inverse"), logits, labels, counts)
    assert float(weighted) == pytest.approx(1 - (2 / 3 + 4 / 7 / 3) / (4 / 3))


@pytest.mark.parametrize("head, tasks", [("classes", 1), ("tasks", 3)])
def test_soft_macro_f1_is_0_for_right_answers_and_1_for_wrong_ones(head, tasks):
    labels = torch.tensor([3, 3, 17, 8])
    assert float(
        value(small(loss="f1", head=head), 100 * one_hot(labels, 18), labels)
    ) == pytest.approx(0, abs=1e-5)
    # 5 differs from 12 in mask, gender and age.
    assert float(
        value(small(loss="f1", head=head), 100 * one_hot(torch.tensor([5]), 18), torch.tensor([12]))
    ) == pytest.approx(tasks, abs=1e-5)


def test_soft_macro_f1_does_not_see_among_which_absent_classes_a_probability_is():
    logits, _ = random_batch(0)
    labels = torch.arange(11) % 4
    moved = logits.clone()
    moved[:, 4:] = logits[:, 4:].flip(1)
    alike(value(small(loss="f1"), logits, labels), value(small(loss="f1"), moved, labels))


def test_margins_fall_with_the_fourth_root_of_the_class_size():
    counts = np.array([1, 16, 81, 256, 0] + [10_000] * 13)
    (margins,) = make_loss(small(loss="ldam"), MASK.shape, counts, COSINE_SCALE).margins
    alike(margins, 15 * torch.tensor([1, 1 / 2, 1 / 3, 1 / 4, 1] + [1 / 10] * 13))
    for margins in make_loss(small(loss="ldam", head="tasks"), MASK.shape, COUNTS, 8).margins:
        assert float(margins.max()) == pytest.approx(0.5 * 8)


def lowered_cross_entropy(logits, labels, margins, weight=None):
    lowered = logits.clone()
    lowered[torch.arange(len(labels)), labels] -= margins[labels]
    return functional.cross_entropy(lowered, labels, weight)


@pytest.mark.parametrize("how", ["none", "inverse"])
def test_ldam_is_cross_entropy_with_the_true_logit_lowered_by_its_margin(how):
    recipe = small(loss="ldam", class_weights=how)
    weight = torch.tensor(class_weights(COUNTS, how), dtype=torch.float32)
    (margins,) = make_loss(recipe, MASK.shape, COUNTS, COSINE_SCALE).margins
    for seed in range(10):
        logits, labels = random_batch(seed)
        alike(value(recipe, logits, labels), lowered_cross_entropy(logits, labels, margins, weight))


def test_ldam_of_three_heads_lowers_each_tasks_logit():
    recipe = small(loss="ldam", head="tasks")
    margins = make_loss(recipe, MASK.shape, COUNTS, COSINE_SCALE).margins
    for seed in range(5):
        outputs, labels = random_batch(seed, outputs=8)
        expected = sum(map(lowered_cross_entropy, tasks_of(outputs), decode(labels), margins))
        alike(value(recipe, combine(outputs, of_head("tasks")), labels), expected, 1e-4)


@pytest.mark.parametrize("loss", ["ce", "focal", "ldam"])
def test_a_mixed_target_gives_the_mix_of_the_losses(loss):
    for seed in range(5):
        logits, labels = random_batch(seed)
        others = labels.roll(1)
        mixed = value(
            small(loss=loss), logits, 0.3 * one_hot(labels, 18) + 0.7 * one_hot(others, 18)
        )
        alike(
            mixed,
            0.3 * value(small(loss=loss), logits, labels)
            + 0.7 * value(small(loss=loss), logits, others),
        )


def test_marginals_recover_the_tasks_log_probabilities():
    for seed in range(5):
        outputs, _ = random_batch(seed, outputs=8)
        for got, task in zip(
            marginals(combine(outputs, of_head("tasks")), MASK.shape), tasks_of(outputs)
        ):
            alike(got, task.log_softmax(dim=1))


def test_the_most_likely_class_of_three_heads_is_that_of_each():
    outputs, _ = random_batch(0, n=200, outputs=8)
    for got, task in zip(
        decode(combine(outputs, of_head("tasks")).argmax(dim=1)), tasks_of(outputs)
    ):
        assert torch.equal(got, task.argmax(dim=1))


@pytest.mark.parametrize("how, smooth", [("none", 0.0), ("none", 0.1), ("inverse", 0.0)])
def test_the_loss_of_three_heads_is_the_sum_of_three_cross_entropies(how, smooth):
    recipe = small(head="tasks", class_weights=how, label_smoothing=smooth)
    weights = [
        torch.tensor(
            class_weights(COUNTS.reshape(3, 2, 3).sum(axis=axes), how), dtype=torch.float32
        )
        for axes in ((1, 2), (0, 2), (0, 1))
    ]
    for seed in range(5):
        outputs, labels = random_batch(seed, outputs=8)
        expected = sum(
            functional.cross_entropy(task, goal, weight, label_smoothing=smooth)
            for task, goal, weight in zip(tasks_of(outputs), decode(labels), weights)
        )
        alike(value(recipe, combine(outputs, of_head("tasks")), labels), expected)


def test_ordinal_ages_by_hand():
    q1, q2 = 0.8, 0.25
    outputs = torch.tensor([[0.0] * 5 + [np.log(q1 / (1 - q1)), np.log(q2 / (1 - q2))]])
    probs = combine(outputs, of_head("ordinal")).exp()
    ages = torch.tensor([1 - q1, q1 * (1 - q2), q1 * q2])
    alike(probs.view(3, 2, 3), (ages / 6).expand(3, 2, 3))
    for seed in range(5):
        outputs, _ = random_batch(seed, outputs=7)
        alike(combine(10 * outputs, of_head("ordinal")).exp().sum(dim=1), torch.ones(11))


def test_the_ordinal_loss_asks_for_60_only_of_those_of_30_or_older():
    for seed in range(5):
        outputs, labels = random_batch(seed, outputs=7)
        mask, gender, age = decode(labels)
        older = age > 0
        entropy = functional.binary_cross_entropy_with_logits
        questions = (
            entropy(outputs[:, 5], older.float(), reduction="sum")
            + entropy(outputs[older, 6], (age[older] == 2).float(), reduction="sum")
        ) / len(labels)
        others = functional.cross_entropy(outputs[:, :3], mask) + functional.cross_entropy(
            outputs[:, 3:5], gender
        )
        alike(
            value(small(head="ordinal"), combine(outputs, of_head("ordinal")), labels),
            questions + others,
        )


@pytest.mark.parametrize("head", ["classes", "tasks"])
@pytest.mark.parametrize("loss", ["ce", "focal", "ldam"])
def test_sums_and_norms_of_small_batches_add_up_to_those_of_a_large_one(loss, head):
    for seed in range(5):
        logits, _ = random_batch(seed, n=22)
        targets = soft(seed, n=22)
        for how, smooth in (("none", 0.1), ("inverse", 0.0), ("effective", 0.1)):
            recipe = small(loss=loss, head=head, class_weights=how, label_smoothing=smooth)
            measure = make_loss(recipe, MASK.shape, COUNTS, COSINE_SCALE)
            parts = [at.tolist() for at in torch.arange(22).split([7, 7, 5, 3])]
            alike(
                sum(measure.loss_sums(logits[at], targets[at]) for at in parts),
                measure.loss_sums(logits, targets),
                1e-4,
            )
            alike(
                sum(measure.normalizers(targets[at]) for at in parts), measure.normalizers(targets)
            )


def plain_batch(n=5, width=25):
    """Photos of one grey each, their targets, and the grey of each class."""
    greys = torch.rand(18, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(n) * 3 + 1
    return greys[labels].view(n, 1, 1, 1).expand(n, 3, 8, width).clone(), one_hot(labels, 18), greys


def mixed(recipe, seed, photos, targets):
    torch.manual_seed(seed)
    return mix(recipe, photos, targets)


@pytest.mark.parametrize("how", ["mixup", "cutmix", "half"])
def test_a_mixed_target_is_the_share_of_pixels_of_each_photo(how):
    photos, targets, greys = plain_batch()
    before = photos.clone(), targets.clone()
    recipe = small(mix=how, mix_prob=1.0)
    shares = set()
    for seed in range(40):
        pictures, smoothed_targets = mixed(recipe, seed, photos, targets)
        alike(pictures.mean(dim=(1, 2, 3)), smoothed_targets @ greys)
        alike(smoothed_targets.sum(dim=1), torch.ones(5))
        assert ((targets + targets.roll(1, 0))[smoothed_targets > 0] > 0).all()
        shares.add(round(float((smoothed_targets * targets).sum(dim=1).mean()), 3))
        assert (
            len({round(share, 4) for share in (smoothed_targets * targets).sum(dim=1).tolist()})
            == 1
        )
    assert shares == {0.48, 0.52} if how == "half" else len(shares) > 20
    assert torch.equal(photos, before[0]) and torch.equal(targets, before[1])


def test_half_joins_the_left_or_the_right_half_of_a_photo_with_its_neighbours():
    photos, targets = torch.rand(4, 3, 8, 25), one_hot(torch.arange(4), 18)
    sides = set()
    for seed in range(20):
        pictures, smoothed_targets = mixed(small(mix="half", mix_prob=1.0), seed, photos, targets)
        left = torch.equal(pictures[..., :12], photos[..., :12])
        own, other = (photos, photos.roll(1, 0)) if left else (photos.roll(1, 0), photos)
        assert torch.equal(pictures, torch.cat([own[..., :12], other[..., 12:]], dim=3))
        assert float(smoothed_targets[0, 0]) == pytest.approx(12 / 25 if left else 13 / 25)
        sides.add(left)
    assert sides == {True, False}


@pytest.mark.parametrize("how", ["mixup", "cutmix", "half"])
def test_the_marginals_of_a_mix_are_the_mix_of_the_marginals(how):
    photos, targets, _ = plain_batch()
    loss = make_loss(small(head="tasks"), MASK.shape, COUNTS, COSINE_SCALE)
    for seed in range(10):
        _, smoothed_targets = mixed(small(mix=how, mix_prob=1.0), seed, photos, targets)
        share = float((smoothed_targets[0] * targets[0]).sum())
        for got, own in zip(
            loss.smoothed_targets(smoothed_targets), loss.smoothed_targets(targets)
        ):
            alike(got, share * own + (1 - share) * own.roll(1, 0))


@pytest.mark.parametrize("how", ["none", "mixup", "cutmix", "half"])
def test_mixing_follows_from_the_seed_and_happens_as_often_as_the_recipe_says(how):
    photos, targets = torch.rand(4, 3, 8, 6), one_hot(torch.arange(4), 18)
    for recipe in (small(mix=how, mix_prob=0.0), small(mix="none", mix_prob=1.0)):
        pictures, smoothed_targets = mixed(recipe, 0, photos, targets)
        assert torch.equal(pictures, photos) and torch.equal(smoothed_targets, targets)
    recipe = small(mix=how, mix_prob=0.3)
    changed = 0
    for seed in range(400):
        pictures, smoothed_targets = mixed(recipe, seed, photos, targets)
        changed += not torch.equal(smoothed_targets, targets)
        if seed < 20:
            again = mixed(recipe, seed, photos, targets)
            assert torch.equal(pictures, again[0]) and torch.equal(smoothed_targets, again[1])
    assert 85 < changed < 155 if how != "none" else changed == 0


# ------------------------------------------------------------ one task


@pytest.mark.parametrize("loss", ["ce", "focal", "f1", "ldam"])
def test_for_one_task_both_heads_have_the_same_loss(loss):
    counts, targets = np.array([1, 5, 9, 2]), one_hot(torch.tensor([0, 2, 3, 3, 1]), 4)
    logits = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    values = []
    for head in ("classes", "tasks"):
        recipe = small(loss=loss, head=head, class_weights="inverse", label_smoothing=0.1)
        measure = make_loss(recipe, (4,), counts, COSINE_SCALE)
        values.append(measure.loss_sums(logits, targets) / measure.normalizers(targets))
    assert values[0].shape == values[1].shape == (1,) and torch.equal(*values)


def test_axes_of_other_tasks():
    assert other_axes((3, 2, 3)) == [(2, 3), (1, 3), (1, 2)]
    assert other_axes((2, 5)) == [(2,), (1,)] and other_axes((7,)) == [()]
