import dataclasses
import io

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import MASK, everywhere, small

import kit.models.network
import kit.system.device
import kit.system.precision
from kit.training.learner import Learner

CPU = torch.device("cpu")


COUNTS = np.arange(18) * 5


def photos(labels, ages):
    """Rows of a plan."""
    return pd.DataFrame({"label": labels, "age": ages})


def some_photos(recipe, n, seed=0):
    random = torch.Generator().manual_seed(seed)
    return (
        torch.randint(256, (n, *recipe.size, 3), dtype=torch.uint8, generator=random),
        torch.randint(18, (n,), generator=random),
    )


def train(learner, steps, rate=0.01):
    for step in steps:
        learner.step([some_photos(learner.recipe, 6, step)], rate, [step])


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
    loss = whole.step([(photos, labels)], 0.1, [0])
    added = parts.step(list(zip(photos.split(4), labels.split(4))), 0.1, range(4))
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
        learner = Learner(
            small(optimizer="sgd", weight_decay=0.0, layer_decay=decay), MASK, COUNTS, CPU
        )
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
        learner.step([some_photos(recipe, 6)], 0.01, [seed])
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
        losses = [float(learner.step([batch], 0.01, [step])) for step in range(12)]
        assert losses[-1] < 0.7 * losses[0], (loss, head)


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
        max(
            group["weight_decay"]
            for group in Learner(own, MASK, COUNTS, CPU).optimizer.param_groups
        )
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
        [(torch.zeros(3, 32, 24, 3, dtype=torch.uint8), torch.tensor([0, 1, 2]))] * 4,
        1e-3,
        range(4),
    )
    assert most[0] == 1 and waiting[0] == 0
