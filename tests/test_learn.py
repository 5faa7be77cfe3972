import dataclasses
import io
import itertools
import math
import weakref
from collections import Counter

import numpy as np
import pytest
import torch
from conftest import age_class, encode, everywhere, small

import kit.models.network
import kit.system.device
import kit.system.precision
import kit.training.memory
from kit.system.errors import KitError
from kit.training.batches import EpochBatches, training_labels
from kit.training.learner import Learner
from kit.training.memory import explain_out_of_memory, largest_fitting_batch
from kit.training.schedule import learning_rate

CPU = torch.device("cpu")
COUNTS = np.arange(18) * 5


# ------------------------------------------------------------ labels


def people():
    """Labels and ages of every mask, gender and age from 0 to 100."""
    mask, gender, ages = (
        part.ravel() for part in np.meshgrid(np.arange(3), np.arange(2), np.arange(101))
    )
    return encode(mask, gender, age_class(ages)), ages


def test_a_recipe_that_does_not_say_otherwise_trains_on_all_labels_as_they_are():
    labels, ages = people()
    kept, trained = training_labels(small(), labels, ages)
    assert kept.all() and np.array_equal(trained, labels) and set(trained) == set(range(18))


@pytest.mark.parametrize(
    "boundary, moved, by", [(58, {58, 59}, 1), (62, {60, 61}, -1), (60, set(), 0)]
)
def test_the_age_boundary_moves_the_labels_of_the_ages_between(boundary, moved, by):
    labels, ages = people()
    before = labels.copy()
    kept, trained = training_labels(small(age_boundary=boundary), labels, ages)
    assert kept.all() and np.array_equal(
        trained - labels, np.where(np.isin(ages, list(moved)), by, 0)
    )
    assert np.array_equal(labels, before)


def test_dropped_ages_are_left_out_and_nothing_else_changes():
    labels, ages = people()
    kept, trained = training_labels(small(drop=(57, 59)), labels, ages)
    assert (
        set(ages[~kept]) == {57, 58, 59}
        and len(ages[~kept]) == 18
        and np.array_equal(trained, labels)
    )
    kept, _ = training_labels(small(drop=(0, 0)), labels, ages)
    assert set(ages[~kept]) == {0}


# ------------------------------------------------------------ batches


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


# ------------------------------------------------------------ learning rate


def rates_of_torch(scheduler, steps, lr, **options):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)
    schedule = scheduler(optimizer, **options)
    rates = []
    for _ in range(steps):
        rates.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    return np.array(rates)


def rates(recipe, steps):
    """The learning rates at the start of each of an epoch's steps, for all epochs."""
    return np.array([learning_rate(recipe, k / steps) for k in range(recipe.epochs * steps)])


def test_the_learning_rate_is_torchs_cosine():
    expected = rates_of_torch(torch.optim.lr_scheduler.CosineAnnealingLR, 70, 1e-3, T_max=70)
    np.testing.assert_allclose(rates(small(epochs=10, warmup=0, lr=1e-3), 7), expected, rtol=1e-6)
    assert learning_rate(small(epochs=10, lr=1e-3), 10) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("length, factor", [(2, 0.5), (3, 0.1)])
def test_the_learning_rate_is_torchs_step(length, factor):
    recipe = small(schedule="step", epochs=10, warmup=0, lr=1e-3, lr_step=length, lr_factor=factor)
    expected = rates_of_torch(
        torch.optim.lr_scheduler.StepLR, 70, 1e-3, step_size=length * 7, gamma=factor
    )
    np.testing.assert_allclose(rates(recipe, 7), expected)


def test_the_learning_rate_is_torchs_one_cycle():
    recipe = small(schedule="onecycle", epochs=10, warmup=3, lr=1e-3)
    expected = rates_of_torch(
        torch.optim.lr_scheduler.OneCycleLR,
        2000,
        1e-3,
        max_lr=1e-3,
        total_steps=2000,
        cycle_momentum=False,
    )
    np.testing.assert_allclose(
        rates(recipe, 200), expected, atol=3e-6
    )  # torch's is up to a step behind
    assert [learning_rate(recipe, at) for at in (0, 3, 10)] == pytest.approx(
        [1e-3 / 25, 1e-3, 1e-3 / 25e4]
    )


@pytest.mark.parametrize("schedule", ["cosine", "step", "constant"])
def test_the_learning_rate_warms_up(schedule):
    recipe = small(schedule=schedule, epochs=10, warmup=2, lr=1e-3, lr_step=5)
    assert [learning_rate(recipe, at) for at in (0, 0.5, 1, 2)] == pytest.approx(
        [0, 2.5e-4, 5e-4, 1e-3]
    )
    after = {"cosine": 5e-4, "step": 5e-4, "constant": 1e-3}[schedule]
    assert learning_rate(recipe, 6) == pytest.approx(after)
    assert learning_rate(small(schedule=schedule, epochs=1, warmup=0), 0) == small().lr
    assert learning_rate(small(schedule=schedule, epochs=2, warmup=2), 1.5) == pytest.approx(
        0.75 * small().lr
    )


# ------------------------------------------------------------ steps


def some_photos(recipe, n, seed=0):
    random = torch.Generator().manual_seed(seed)
    return (
        torch.randint(256, (n, *recipe.size, 3), dtype=torch.uint8, generator=random),
        torch.randint(18, (n,), generator=random),
    )


def train(learner, steps, rate=0.01):
    for step in steps:
        learner.step([some_photos(learner.recipe, 6, step)], rate, step)


def tensors(tree):
    """All tensors and numbers of nested dictionaries and lists."""
    if isinstance(tree, dict):
        return [leaf for key in sorted(tree, key=str) for leaf in tensors(tree[key])]
    if isinstance(tree, (list, tuple)):
        return [leaf for part in tree for leaf in tensors(part)]
    return [torch.as_tensor(tree)] if isinstance(tree, (torch.Tensor, float, int)) else []


def weights(learner):
    return torch.cat([p.detach().flatten().clone() for p in learner.network.parameters()])


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"class_weights": "inverse", "clip": 0.5},
        {"head": "tasks", "class_weights": "effective"},
        {"head": "ordinal", "loss": "focal", "clip": 0.1},
        {"loss": "ldam", "class_weights": "inverse"},
    ],
)
def test_a_step_of_accumulated_batches_is_that_of_a_large_one(changes):
    # Without batch norm, whose statistics are those of a batch. Adam would enlarge rounding errors
    # of gradients of 0.
    recipe = small(model="test_vit", size=(64, 48), optimizer="sgd", label_smoothing=0.1, **changes)
    photos, labels = some_photos(recipe, 14)
    parts, whole = Learner(recipe, MASK, COUNTS, CPU), Learner(recipe, MASK, COUNTS, CPU)
    assert not any(
        isinstance(m, torch.nn.modules.batchnorm._BatchNorm) for m in whole.network.modules()
    )
    before = weights(whole)
    loss = whole.step([(photos, labels)], 0.1, 0)
    added = parts.step(list(zip(photos.split(4), labels.split(4))), 0.1, 0)
    assert [len(part) for part in photos.split(4)] == [4, 4, 4, 2] and float(
        added
    ) == pytest.approx(float(loss), rel=1e-5)
    torch.testing.assert_close(weights(parts), weights(whole), rtol=0, atol=1e-5)
    assert (weights(whole) - before).abs().max() > 1e-3


def gradient_norm(learner):
    return float(torch.stack([p.grad.norm() for p in learner.network.parameters()]).norm())


def test_clipping_bounds_the_norm_of_the_gradient():
    def stepped(clip):
        learner = Learner(small(optimizer="sgd", weight_decay=0.0, clip=clip), MASK, COUNTS, CPU)
        before = weights(learner)
        train(learner, [0], rate=0.1)
        return gradient_norm(learner), float((weights(learner) - before).norm())

    norm, moved = stepped(0.0)
    assert norm > 0.05
    assert stepped(norm / 10) == pytest.approx((norm / 10, moved / 10), rel=1e-3)
    assert stepped(norm * 10) == (norm, moved)


def test_layer_decay_lowers_the_learning_rate_towards_the_input():
    def stepped(decay):
        learner = Learner(small(optimizer="sgd", weight_decay=0.0, layer_decay=decay), MASK, COUNTS, CPU)
        before = {name: p.detach().clone() for name, p in learner.network.body.named_parameters()}
        train(learner, [0], rate=0.1)
        group_rates = {
            p: group["lr"] for group in learner.optimizer.param_groups for p in group["params"]
        }
        return {
            name: (group_rates[p], p.detach() - before[name])
            for name, p in learner.network.body.named_parameters()
        }

    plain, decayed = stepped(1.0), stepped(0.5)
    assert {rate for rate, _ in plain.values()} == {0.1}
    line = [
        decayed[f"{layer}.weight"][0]
        for layer in ("conv_stem", "blocks.0.0.conv", "blocks.3.0.conv_pw", "classifier")
    ]
    assert line == pytest.approx([0.1 / 64, 0.1 / 32, 0.1 / 4, 0.1])
    for name, (rate, moved) in decayed.items():
        torch.testing.assert_close(moved, plain[name][1] * rate / 0.1, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("decay", [0.5, 0.9])
def test_the_average_is_kept_as_by_hand(decay):
    learner = Learner(small(ema=decay), MASK, COUNTS, CPU)
    assert learner.used is not learner.network
    average = {name: value.clone() for name, value in learner.used.state_dict().items()}
    for step in range(6):
        train(learner, [step])
        keep = min(
            decay, 1 - (step + 1) ** (-2 / 3)
        )  # timm's warm-up; after the first step all of the network
        for name, value in learner.network.state_dict().items():
            average[name] = (
                keep * average[name] + (1 - keep) * value
                if value.is_floating_point()
                else value.clone()
            )
            torch.testing.assert_close(
                learner.used.state_dict()[name], average[name], rtol=1e-4, atol=1e-6
            )
    assert (
        learner.used.body.conv_stem.weight - learner.network.body.conv_stem.weight
    ).abs().max() > 1e-3


def test_the_average_does_not_change_the_network():
    one, other = Learner(small(ema=0.9), MASK, COUNTS, CPU), Learner(small(), MASK, COUNTS, CPU)
    for learner in (one, other):
        train(learner, range(3))
    assert (
        torch.equal(weights(one), weights(other))
        and other.used is other.network
        and other.state()["average"] == {}
    )


@pytest.mark.parametrize(
    "optimizer, changes",
    [
        ("adamw", {"mix": "mixup", "drop_path_rate": 0.2}),
        ("adam", {"mix": "cutmix", "layer_decay": 0.7}),
        ("sgd", {"mix": "half", "clip": 1.0, "head": "tasks", "class_weights": "inverse"}),
        ("adamw", {"select": "last", "loss": "ldam"}),
    ],
)
def test_a_learner_goes_on_from_a_state_as_if_nothing_had_happened(optimizer, changes):
    recipe = small(optimizer=optimizer, ema=0.9, drop_rate=0.3, **changes)
    whole, first, second = (Learner(recipe, MASK, COUNTS, CPU) for _ in range(3))
    train(whole, range(5))
    train(first, range(3))
    file = io.BytesIO()
    torch.save(first.state(), file)
    train(first, range(20, 22))  # whatever happens after the state was taken
    file.seek(0)
    second.restore(torch.load(file, weights_only=True))
    torch.rand(7)
    train(second, range(3, 5))
    ends, expected = (
        tensors([learner.state(), learner.used.state_dict()]) for learner in (second, whole)
    )
    assert len(ends) == len(expected) > 100 and all(map(torch.equal, ends, expected))
    assert second.count == whole.count == 5 and not torch.equal(weights(first), weights(whole))


def test_a_step_follows_from_its_seed():
    recipe = small(mix="mixup", drop_rate=0.3)
    ends = []
    for seed in (0, 0, 1):
        learner = Learner(recipe, MASK, COUNTS, CPU)
        torch.rand(len(ends))
        learner.step([some_photos(recipe, 6)], 0.01, seed)
        ends.append(weights(learner))
    assert torch.equal(ends[0], ends[1]) and not torch.equal(ends[0], ends[2])


def test_a_network_for_ldam_gives_cosines():
    recipe = small(loss="ldam")
    learner = Learner(recipe, MASK, COUNTS, CPU)
    for _ in range(2):
        with torch.no_grad():
            logits = learner.network.eval()(1000 * torch.randn(16, 3, *recipe.size))
        assert logits.abs().max() <= 30.001 and logits.std() > 0.1
        train(learner, range(4), rate=0.1)


@pytest.mark.parametrize("loss", ["ce", "focal", "f1", "ldam"])
def test_every_loss_is_learned(loss):
    for head in ("classes", "tasks") if loss == "ldam" else ("classes", "tasks", "ordinal"):
        learner = Learner(small(loss=loss, head=head), MASK, COUNTS, CPU)
        batch = some_photos(learner.recipe, 12)
        losses = [float(learner.step([batch], 0.01, step)) for step in range(12)]
        assert losses[-1] < 0.7 * losses[0], (loss, head)


# ------------------------------------------------------------ memory


@pytest.mark.parametrize(
    "size, most, fits",
    [
        (64, 64, 32),
        (64, 40, 32),
        (64, 31, 16),
        (64, 4, 4),
        (64, 3, None),
        (100, 20, 12),
        (5, 9, None),
    ],
)
def test_a_batch_that_fits_is_the_largest_half_or_quarter(monkeypatch, size, most, fits):
    tried = []

    def step(learner, batches, rate, seed):
        ((photos, labels),) = batches
        assert photos.shape[1:] == (*learner.recipe.size, 3) and len(photos) == len(labels)
        tried.append(len(photos))
        if len(photos) > most:
            raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(Learner, "step", step)
    assert largest_fitting_batch(small(batch_size=size), MASK, CPU) == fits
    halves = list(dict.fromkeys(tried))
    assert halves == [size >> k for k in range(1, len(halves) + 1)] and tried.count(fits) in (0, 2)


def test_a_batch_that_fits_takes_a_real_step():
    assert (
        largest_fitting_batch(small(batch_size=8, ema=0.9, mix="cutmix", mix_prob=1.0, head="ordinal"), MASK, CPU)
        == 4
    )


def test_what_did_not_fit_is_freed_before_another_size_is_tried(monkeypatch):
    held = []

    def too_large():
        activations = torch.zeros(4)
        held.append(weakref.ref(activations))
        raise torch.OutOfMemoryError("CUDA out of memory")

    def fitting(recipe, device):
        assert held[0]() is None
        return 4

    everywhere(monkeypatch, kit.training.memory, "largest_fitting_batch", fitting)
    with pytest.raises(KitError, match="4 fits: set batch_size=4, accumulate=3"):
        with explain_out_of_memory(small(batch_size=12), MASK, CPU):
            too_large()


# ------------------------------------------------------------ defaults of an optimizer


@pytest.mark.parametrize("optimizer, decay", [("adamw", 0.05), ("adam", 0.0), ("sgd", 1e-4)])
def test_an_optimizer_has_its_own_weight_decay(optimizer, decay):
    recipe = dataclasses.replace(small(), optimizer=optimizer)
    learner = Learner(recipe, MASK, COUNTS, CPU)
    assert (
        max(group["weight_decay"] for group in learner.optimizer.param_groups)
        == decay
        == recipe.describe()["weight_decay"]
    )
    own = dataclasses.replace(recipe, weight_decay=0.3)
    assert (
        max(group["weight_decay"] for group in Learner(own, MASK, COUNTS, CPU).optimizer.param_groups)
        == 0.3
    )


def test_adams_weights_do_not_shrink():
    normalizers = {}
    for decay in (None, 0.05):
        learner = Learner(small(optimizer="adam", weight_decay=decay, lr=1e-3), MASK, COUNTS, CPU)
        before = weights(learner).norm()
        train(learner, range(40))
        normalizers[decay] = float(weights(learner).norm() / before)
    assert normalizers[None] > 0.99 and normalizers[0.05] < normalizers[None] - 0.01


def test_the_average_leaves_out_steps_whose_gradients_overflow(monkeypatch):
    everywhere(
        monkeypatch,
        kit.system.precision,
        "choose_precision",
        lambda device, parameters: torch.float16,
    )
    learner = Learner(small(ema=0.9), MASK, COUNTS, CPU)
    assert learner.scaler.is_enabled()
    train(learner, [0, 1])
    plain = learner.count
    average = {name: value.clone() for name, value in learner.used.state_dict().items()}
    loss_sums = learner.loss.loss_sums
    monkeypatch.setattr(
        type(learner.loss), "loss_sums", lambda loss, *args: loss_sums(*args) * float("inf")
    )
    train(learner, [2])
    assert learner.count == plain
    assert all(
        torch.equal(value, average[name]) for name, value in learner.used.state_dict().items()
    )
    monkeypatch.undo()
    train(learner, [3])
    assert learner.count == plain + 1


def test_batches_of_a_step_become_floats_one_at_a_time(monkeypatch):
    waiting, most = [0], [0]
    plain_copy, plain_network = kit.system.device.to_device, kit.models.network.Network.forward

    def copy(photos, device):
        waiting[0] += 1
        most[0] = max(most[0], waiting[0])
        return plain_copy(photos, device)

    def forward(network, photos):
        waiting[0] -= 1
        return plain_network(network, photos)

    learner = Learner(small(accumulate=4), MASK, COUNTS, CPU)
    everywhere(monkeypatch, kit.system.device, "to_device", copy)
    monkeypatch.setattr(kit.models.network.Network, "forward", forward)
    learner.step(
        [(torch.zeros(3, 32, 24, 3, dtype=torch.uint8), torch.tensor([0, 1, 2]))] * 4, 1e-3, 0
    )
    assert most[0] == 1 and waiting[0] == 0
