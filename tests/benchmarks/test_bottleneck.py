"""What bounds inference."""

import torch
from helpers import World, small
from networks import COMPUTE

from kit.benchmarks.bottleneck import Bottleneck, find_bottleneck
from kit.competitions.mask import competition as MASK
from kit.data.folder import read_test


def test_the_least_rate_is_named():
    line = Bottleneck(1100, 5000, 8800, 50_000).line()
    assert line.startswith("photos/s: the networks 1,100, decoding 5,000, storage 8,800 (440 MB/s")
    assert line.endswith("bounds an ensemble: the networks")
    assert Bottleneck(1100, 5000, 800, 50_000).line().endswith("storage")


def test_decoding_and_storage_are_measured_on_the_photos(world: World):
    root, images = world.folder.test_images, read_test(world.folder)
    geometry = small().geometry(MASK)
    rates = find_bottleneck(7.0, root, images, geometry, COMPUTE, torch.device("cpu"))
    assert rates.networks == 7 and rates.decoding > 0 and rates.storage > 0
    assert rates.size == sum((root / image).stat().st_size for image in images) / len(images)
