"""Losses of several labels a photo, against torch's, torchvision's and timm's own."""

import numpy as np
import pytest
import torch
from helpers import small
from timm.loss import AsymmetricLossMultiLabel
from torch.nn import functional
from torchvision.ops import sigmoid_focal_loss

from kit.training.label_losses import make_label_loss

LOSSES = ("ce", "bce", "focal", "asl", "f1")


def batch(seed, photos=9, labels=5):
    random = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(photos, labels, generator=random)
    return logits, (torch.rand(photos, labels, generator=random) < 0.3).float()


def value(recipe, logits, targets, counts=None):
    loss = make_label_loss(recipe, np.ones(logits.shape[1]) if counts is None else counts)
    return (loss.loss_sums(logits, targets) / loss.normalizers(targets)).sum()


@pytest.mark.parametrize("seed", range(3))
def test_each_loss_is_that_of_its_paper(seed):
    logits, targets = batch(seed)
    bce = functional.binary_cross_entropy_with_logits(logits, targets)
    for name in ("ce", "bce"):
        assert torch.allclose(value(small(loss=name), logits, targets), bce)
    focal = sigmoid_focal_loss(logits, targets, alpha=-1, gamma=2, reduction="mean")
    assert torch.allclose(value(small(loss="focal"), logits, targets), focal, atol=1e-6)
    timm = AsymmetricLossMultiLabel(gamma_neg=4, gamma_pos=1, clip=0.05)
    # timm's is a sum over labels; over photos it is a sum or a mean, as the version is
    asl = sum(timm(logits[i : i + 1], targets[i : i + 1]) for i in range(len(logits)))
    found = value(small(loss="asl"), logits, targets) * targets.numel()
    assert torch.allclose(found, asl, rtol=1e-5)
    probs, present = logits.sigmoid(), targets.sum(dim=0) > 0
    f1 = 2 * (probs * targets).sum(dim=0) / (probs + targets).sum(dim=0)
    assert torch.allclose(value(small(loss="f1"), logits, targets), 1 - f1[present].mean())


def test_a_focal_loss_without_focus_is_cross_entropy():
    logits, targets = batch(0)
    focal = value(small(loss="focal", focal_gamma=0.0), logits, targets)
    assert torch.allclose(focal, value(small(), logits, targets), atol=1e-6)


@pytest.mark.parametrize("loss", ["ce", "focal", "asl"])
def test_a_step_of_several_batches_equals_that_of_one(loss):
    logits, targets = batch(1)
    made = make_label_loss(small(loss=loss, class_weights="inverse"), np.arange(1, 6))
    whole = made.loss_sums(logits, targets) / made.normalizers(targets)
    parts = [(logits[:4], targets[:4]), (logits[4:], targets[4:])]
    total = sum(made.normalizers(t) for _, t in parts)
    assert torch.allclose(sum(made.loss_sums(*part) / total for part in parts), whole)


@pytest.mark.parametrize("loss", ["ce", "focal", "asl"])
def test_the_loss_of_mixed_photos_is_the_mix_of_their_losses(loss):
    logits, targets = batch(2)
    other, share = targets.roll(1, 0), 0.3
    of_both = [value(small(loss=loss), logits, t) for t in (targets, other)]
    mixed = value(small(loss=loss), logits, share * targets + (1 - share) * other)
    assert torch.allclose(mixed, share * of_both[0] + (1 - share) * of_both[1], atol=1e-6)


def test_smoothing_and_class_weights():
    logits, targets = batch(3)
    smooth = value(small(label_smoothing=0.2), logits, targets)
    goal = targets * 0.8 + 0.1
    assert torch.allclose(smooth, functional.binary_cross_entropy_with_logits(logits, goal))
    counts = np.array([10, 10, 10, 10, 0])
    weighted = value(small(class_weights="inverse"), logits, targets, counts)
    alone = functional.binary_cross_entropy_with_logits(logits[:, :4], targets[:, :4])
    assert torch.allclose(weighted, alone)  # a label without a photo teaches nothing


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_is_finite_and_falls_along_its_gradient(loss):
    for scale in (0.1, 60.0):
        logits, targets = batch(4)
        logits = (scale * logits).requires_grad_()
        first = value(small(loss=loss), logits, targets)
        first.backward()
        assert torch.isfinite(logits.grad).all() and torch.isfinite(first)
        if scale < 1:
            assert value(small(loss=loss), logits - logits.grad, targets) < first


@pytest.mark.parametrize("loss", LOSSES)
def test_a_batch_without_any_label_has_a_finite_loss(loss):
    logits = batch(5)[0].requires_grad_()
    value(small(loss=loss), logits, torch.zeros(9, 5)).backward()
    assert torch.isfinite(logits.grad).all()
