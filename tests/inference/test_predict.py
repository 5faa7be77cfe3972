"""Networks x views x photos -> probabilities."""

import numpy as np
import pytest
import torch
from helpers import MASK, everywhere, small
from networks import (
    CPU,
    FP32_MODE,
    HALF_MODE,
    Symmetric,
    loader_of,
    mask_architecture,
    photos_of,
    settled,
)

import kit.data.photos
from kit.data.folder import read_test
from kit.data.loader import PhotoDataset, make_loader
from kit.inference.predict import predict
from kit.inference.runtime import InferenceModel
from kit.inference.views import make_views
from kit.models.checkpoint import load
from kit.models.network import Network
from kit.system.errors import KitError


def test_hflip_of_a_symmetric_network_changes_nothing(world):
    ids = read_test(world.folder)
    probs = predict(
        [Symmetric().eval()], loader_of(photos_of(world.folder)), make_views("hflip"), CPU
    )[0]
    np.testing.assert_allclose(probs[0, 0], probs[0, 1], atol=1e-6)
    assert probs.shape == (1, 2, len(ids), 18) and np.ptp(probs[0, 0], axis=0).max() > 0


def test_photos_are_decoded_once_whatever_the_networks_views_and_geometries(world, monkeypatch):
    count, plain = [0], kit.data.photos.decode

    def counting(*args, **options):
        count[0] += 1
        return plain(*args, **options)

    everywhere(monkeypatch, kit.data.photos, "decode", counting)
    other = Network(mask_architecture("test_efficientnet", (48, 36), crop=MASK.frame)).eval()
    networks = [load(world.runs / "small" / f"fold{k}" / "best.safetensors") for k in range(3)] + [
        other
    ]
    ids = read_test(world.folder)
    photos = PhotoDataset(world.folder.test_images, ids, [small().geometry(MASK), other.geometry])
    probs, seconds = predict(networks, loader_of(photos), make_views("hflip+bright"), CPU)
    assert (seconds > 0).all() and len(seconds) == 6
    assert count[0] == len(ids) and probs.shape == (4, 6, len(ids), 18)
    np.testing.assert_allclose(probs.sum(axis=3), 1, atol=1e-5)


class Noting(InferenceModel):
    """A network that notes how many photos it gets, and whether cuDNN would measure for them."""

    def logits(self, photos):
        self.noted = [*getattr(self, "noted", []), (len(photos), torch.backends.cudnn.benchmark)]
        return super().logits(photos)


@pytest.mark.parametrize("on", [True, False])
def test_cudnn_measures_for_whole_batches_alone(world, monkeypatch, on):
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", on)
    model = Noting(load(world.runs / "small" / "fold0" / "best.safetensors"), FP32_MODE)
    predict([model], loader_of(photos_of(world.folder)), make_views("none"), CPU)
    assert model.noted == [(4, on), (4, on), (2, False)] and torch.backends.cudnn.benchmark == on


class Overflowing(InferenceModel):
    """A network in 16 bits for which photos that are mostly white are too bright."""

    def logits(self, photos):
        found = super().logits(photos)
        found[photos.mean(dim=(1, 2, 3)) > 0.9] = float("nan")
        return found


def test_photos_that_overflow_are_run_again_in_fp32_and_said(tmp_path, capsys):
    from PIL import Image

    names = [f"{i}.png" for i in range(7)]
    for i, name in enumerate(names):
        Image.new("RGB", (48, 64), (255, 255, 255) if i in (2, 5) else (40 * i, 90, 10)).save(
            tmp_path / name
        )
    network = settled("test_resnet", (64, 48))
    photos = PhotoDataset(tmp_path, names, [network.geometry])
    views = make_views("hflip")
    exact, _ = predict(
        [InferenceModel(network, FP32_MODE)],
        make_loader(photos, [[0, 1, 2, 3], [4, 5, 6]], 0, CPU),
        views,
        CPU,
    )
    found, _ = predict(
        [Overflowing(network, HALF_MODE)],
        make_loader(photos, [[0, 1, 2, 3], [4, 5, 6]], 0, CPU),
        views,
        CPU,
    )
    assert (
        "2 of 7 photos are beyond the range of bfloat16 and are run again in fp32, the first: 2.png"
        in capsys.readouterr().err
    )
    np.testing.assert_allclose(found[:, :, [2, 5]], exact[:, :, [2, 5]], atol=1e-6)
    np.testing.assert_allclose(found, exact, atol=0.05)
    with torch.no_grad():
        next(network.body.parameters()).fill_(float("nan"))
    with pytest.raises(
        KitError, match="7 found.*the network has diverged: lower lr or set clip in its recipe"
    ):
        predict(
            [Overflowing(network, HALF_MODE)],
            make_loader(photos, [[0, 1, 2, 3], [4, 5, 6]], 0, CPU),
            views,
            CPU,
        )
