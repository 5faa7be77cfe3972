import dataclasses

import numpy as np
import pytest
import torch
from helpers import MASK, small
from kinds import GRADES, LABELS

from kit.data.geometry import Geometry
from kit.models.architecture import architecture_of, make_architecture
from kit.models.network import Network, build, cost
from kit.recipe import load_recipe, shipped_recipe
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


@pytest.mark.parametrize("channels", [1, 2, 4, 7])
def test_a_network_takes_any_channels_and_normalises_them_as_the_mean_of_rgb(channels):
    competition = dataclasses.replace(GRADES, channels=channels)
    network = build(small(crop=None), competition).eval()
    assert network(torch.rand(2, channels, 32, 24)).shape == (2, 4)
    rgb = build(small(crop=None), GRADES)
    assert network.statistics[0] == pytest.approx([np.mean(rgb.statistics[0])] * channels)
    assert network.statistics[1] == pytest.approx([np.mean(rgb.statistics[1])] * channels)


def test_local_weights_are_adapted_to_channels_as_timm_adapts_them(tmp_path):
    import timm
    from safetensors.torch import save_file
    from timm.models import adapt_input_conv

    source = timm.create_model("test_efficientnet", pretrained=False)
    save_file(source.state_dict(), tmp_path / "w.safetensors")
    recipe = small(crop=None, pretrained=str(tmp_path / "w.safetensors"))
    for channels in (1, 4):
        network = build(recipe, dataclasses.replace(GRADES, channels=channels))
        expected = adapt_input_conv(channels, source.conv_stem.weight.detach())
        assert torch.equal(network.body.conv_stem.weight, expected)


def test_the_first_loss_of_labels_is_that_of_even_chances():
    network = build(small(crop=None), LABELS).eval()
    with torch.no_grad():
        logits = network(torch.rand(16, 3, 32, 24))
    loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, torch.zeros(16, 5))
    assert abs(float(loss) - np.log(2)) < 0.1 and network.architecture.several_labels


@pytest.mark.parametrize("frame", [MASK.frame, (480, 640), (96, 96)])
@pytest.mark.parametrize(
    "path", sorted(shipped_recipe("tiny").parent.glob("*.py")), ids=lambda p: p.stem
)
def test_every_recipe_builds_a_network_for_photos_of_any_frame(path, frame):
    competition = dataclasses.replace(GRADES, frame=frame)
    with torch.device("meta"):
        network = Network(architecture_of(load_recipe(path), competition))
        photo = torch.zeros(1, 3, *network.geometry.size)
    if frame == MASK.frame:
        with torch.no_grad():
            assert network.eval()(photo).shape == (1, 4)
