"""Networks x views x photos -> probabilities."""

import numpy as np
import pytest
import torch
from helpers import MASK, draw_photo, everywhere, small
from kinds import LABELS, SIDES
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
from PIL import Image

import kit.data.photos
from kit.data.folder import read_test
from kit.data.loader import PhotoDataset, batches_of, make_loader
from kit.inference.predict import predict
from kit.inference.runtime import InferenceModel
from kit.inference.views import make_views
from kit.models.architecture import architecture_of
from kit.models.checkpoint import load
from kit.models.network import Network
from kit.results.run import Fold
from kit.system.device import to_device
from kit.system.errors import KitError


def test_hflip_of_a_symmetric_network_changes_nothing(world):
    ids = read_test(world.folder)
    probs = predict(
        [Symmetric().eval()], loader_of(photos_of(world.folder)), make_views("hflip"), CPU
    )[0]
    np.testing.assert_allclose(probs[0, 0], probs[0, 1], atol=1e-6)
    assert probs.shape == (1, 2, len(ids), 18) and np.ptp(probs[0, 0], axis=0).max() > 0


@pytest.mark.filterwarnings("ignore:This DataLoader will create 3")  # for two cores
def test_batches_and_loader_processes_change_no_probability(world):
    """Batches of another size are summed in another order: that is rounding, and no more."""
    networks = [load(Fold(world.runs / "small" / f"fold{k}").best) for k in range(2)]
    photos, views = photos_of(world.folder), make_views("hflip")
    whole = predict(networks, make_loader(photos, batches_of(10, 10), 0, CPU), views, CPU)[0]
    assert np.ptp(whole, axis=2).max() > 1e-3  # photos differ
    for size, workers in ((1, 0), (3, 1), (4, 2), (7, 3), (16, 0)):
        loader = make_loader(photos, batches_of(10, size), workers, CPU)
        np.testing.assert_allclose(predict(networks, loader, views, CPU)[0], whole, atol=1e-5)
    for workers in (1, 2, 3):
        loader = make_loader(photos, batches_of(10, 10), workers, CPU)
        assert (predict(networks, loader, views, CPU)[0] == whole).all()


class Sided(torch.nn.Module):
    """A network that tells which side of a photo is brighter."""

    def __init__(self) -> None:
        super().__init__()
        self.architecture = architecture_of(small(size=(24, 32), crop=None), SIDES)
        self.geometry, self.parameters_count = self.architecture.geometry, 1

    def forward(self, photos: torch.Tensor) -> torch.Tensor:
        left, right = (half.mean(dim=(1, 2, 3)) for half in photos.chunk(2, dim=3))
        return 9 * torch.stack([left - right, right - left, torch.zeros_like(left)], dim=1)


def test_a_mirrored_view_of_a_network_that_knows_sides_changes_nothing(tmp_path):
    names = [f"{n}.png" for n in range(4)]
    for n, name in enumerate(names):
        photo = np.zeros((24, 32, 3), np.uint8)
        photo[:, : 16 if n % 2 else 32] = 200  # the left half, or all
        Image.fromarray(photo).save(tmp_path / name)
    network = Sided().eval()
    loader = loader_of(PhotoDataset(tmp_path, names, [network.geometry]))
    probs = predict([network], loader, make_views("hflip", competition=SIDES), CPU)[0][0]
    np.testing.assert_allclose(probs[0], probs[1], atol=1e-6)
    assert probs[0, 1, 0] > 0.99
    unswapped = predict([network], loader, make_views("hflip"), CPU)[0][0]
    assert unswapped[1, 1, 1] > 0.99


def test_labels_are_each_a_sigmoid(tmp_path):
    draw_photo(tmp_path / "a.png", 0, (32, 24))
    network = Network(architecture_of(small(size=(24, 32), crop=None), LABELS)).eval()
    photos = PhotoDataset(tmp_path, ["a.png"], [network.geometry])
    probs = predict([network], loader_of(photos), make_views("none"), CPU)[0][0, 0]
    plain = to_device(torch.from_numpy(photos[0][1][0][None]), CPU)
    with torch.no_grad():
        np.testing.assert_allclose(probs, network(plain).sigmoid().numpy(), atol=1e-5)


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
