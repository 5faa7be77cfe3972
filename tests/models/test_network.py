import numpy as np
import pytest
import torch
from helpers import MASK, small

from kit.data.geometry import Geometry
from kit.models.architecture import architecture_of, make_architecture
from kit.models.network import build, cost
from kit.system.errors import KitError


def test_the_first_loss_is_that_of_18_equal_classes():
    network = build(small(), MASK).eval()
    with torch.no_grad():
        loss = torch.nn.functional.cross_entropy(
            network(torch.rand(16, 3, 96, 72)), torch.arange(16)
        )
    assert abs(float(loss) - np.log(18)) < 0.1


def test_the_cost_of_a_network():
    geometry = Geometry((300, 300), (224, 224), MASK.frame)
    parameters, gflop = cost(make_architecture("resnet18", geometry, "classes", False, MASK))
    # He et al., 2016: 1.8 billion multiplications and additions; 11.2 M weights without the head of
    # 1,000 classes.
    assert parameters == 11_176_512 + 512 * 18 + 18 and gflop == pytest.approx(2 * 1.82, rel=0.02)

    def weights(head):
        return cost(architecture_of(small(head=head), MASK))[0]

    assert weights("tasks") == weights("classes") - 10 * 257
    of_cosines = cost(architecture_of(small(loss="ldam"), MASK))[0]
    assert of_cosines == weights("classes") - MASK.num_classes  # it has no biases


def test_a_misspelt_model():
    with pytest.raises(KitError, match="did you mean efficientnet_b4?"):
        build(small(model="eficientnet_b4"), MASK)


def test_a_size_that_an_architecture_cannot_take_is_one_line():
    assert build(small(model="test_vit", size=(64, 48)), MASK).body is not None
    with pytest.raises(KitError, match="test_vit.*"):
        build(small(model="test_vit", size=(40, 24)), MASK)


def test_weights_that_cannot_be_fetched(monkeypatch):
    import timm

    def offline(*args, **options):
        raise ConnectionError("no network")

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(KitError, match="could not be fetched.*local weights file"):
        build(small(pretrained=True), MASK)
