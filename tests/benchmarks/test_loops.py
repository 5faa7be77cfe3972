"""Plain loops to measure against say what networks say."""

import numpy as np
import pytest
import torch
from helpers import MASK, small

import kit.benchmarks.loops
from kit.benchmarks.loops import matrix_peak, other_inference, timm_loader
from kit.benchmarks.synthetic import training_photos
from kit.data.loader import PhotoDataset
from kit.models.architecture import architecture_of
from kit.models.network import Network
from kit.system.device import to_device

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # of timm: files left open
CPU = torch.device("cpu")


@pytest.fixture
def photos(world, tmp_path):
    """Nine photos of the world."""
    return training_photos(world.folder, tmp_path, 9)


def test_loops_over_folds_and_views_give_the_classes_by_hand(photos, tmp_path):
    architecture = architecture_of(small(), MASK)
    folds = [Network(architecture).eval() for _ in range(2)]
    torch.save([fold.state_dict() for fold in folds], tmp_path / "weights.pt")
    loops = other_inference(tmp_path / "weights.pt", architecture, photos, 0, "cpu")
    data = PhotoDataset(photos.root, photos.images, [architecture.geometry])
    batch = to_device(torch.stack([torch.from_numpy(data[i][1][0]) for i in range(9)]), CPU)
    with torch.no_grad():
        probs = [fold(view).softmax(1) for fold in folds for view in (batch, batch.flip(3))]
    by_hand = torch.stack(probs).double().sum(0).argmax(1).tolist()
    names = ["a loop over folds and views", "ttach's wrapper a fold", "timm's loader, a loop"]
    assert list(loops) == names
    assert loops[names[0]]().tolist() == loops[names[1]]().tolist() == by_hand
    assert loops[names[2]]().shape == (9,)


def test_timms_loader_gives_all_photos_in_order_and_at_a_size(photos):
    batches = [batch for batch, _ in timm_loader(photos.links, (32, 24), 4, 0, CPU, False)]
    assert [tuple(batch.shape) for batch in batches] == [(4, 3, 32, 24)] * 2 + [(1, 3, 32, 24)]
    again = next(iter(timm_loader(photos.links, (32, 24), 9, 0, CPU, False)))[0]
    assert torch.equal(torch.cat(batches), again)


def test_the_peak_is_the_best_of_four_products(monkeypatch):
    times = iter(np.cumsum([0, 4.0, 1, 2.0, 1, 8.0, 1, 2.5]))
    monkeypatch.setattr(kit.benchmarks.loops, "clock", lambda device: next(times))
    monkeypatch.setattr(torch, "randn", lambda *size, device: torch.zeros(2, 2))
    assert matrix_peak(CPU, torch.float32) == pytest.approx(2 * 4096**3 / 2.0 / 1e9)
