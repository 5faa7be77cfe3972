"""Augmentation on the device, to measure the recipes' own by."""

import torch

from kit.benchmarks.decoding import augment_on_device


def test_augmenting_on_the_device_moves_and_colours_each_photo_by_itself():
    torch.manual_seed(0)
    photos = (
        torch.rand(1, 3, 6, 4).repeat_interleave(8, 2).repeat_interleave(8, 3).repeat(6, 1, 1, 1)
    )
    changed = augment_on_device(photos)
    assert changed.shape == photos.shape and 0 <= changed.min() and changed.max() <= 1
    apart = [(changed[i] - changed[j]).abs().mean() for i in range(6) for j in range(i)]
    assert min(apart) > 0.02 and (changed - photos).abs().mean() < 0.3
