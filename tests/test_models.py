import dataclasses

import numpy as np
import pytest
import torch
from conftest import everywhere, small
from safetensors.torch import save_file
from torch import nn

import kit.system.precision
from kit.data.geometry import Geometry
from kit.inference.fusion import fuse_conv_bn
from kit.inference.views import make_views
from kit.models.checkpoint import checkpoint_info, load, read_checkpoint_info, save
from kit.models.network import Network, build, cost
from kit.scoring.metrics import macro_f1, score
from kit.system.device import choose_device
from kit.system.errors import KitError
from kit.system.precision import choose_precision
from kit.system.versions import versions
from kit.training.resume import load_state, save_state

MEAN, STD = (0.1, 0.2, 0.3), (1.0, 1.0, 2.0)


def card(recipe, network, **changes):
    return dataclasses.replace(
        checkpoint_info(recipe, network, fold=1, plan="abc", epoch=3, score=0.5), **changes
    )


def test_a_checkpoint_says_all_that_inference_needs(tmp_path):
    recipe = small()
    network = (
        Network(recipe.model, recipe.geometry, mean=MEAN, std=STD)
        .to(memory_format=torch.channels_last)
        .eval()
    )
    save(tmp_path / "a.safetensors", network, card(recipe, network))
    save(tmp_path / "b.safetensors", network, card(recipe, network))
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    assert read_checkpoint_info(tmp_path / "a.safetensors") == card(recipe, network)
    assert (card(recipe, network).mean, card(recipe, network).std) == (MEAN, STD)
    again = load(tmp_path / "a.safetensors")
    photos = torch.rand(2, 3, 32, 24)
    with torch.no_grad():
        assert torch.equal(again(photos), network(photos))


def test_the_first_loss_is_that_of_18_equal_classes():
    network = build(small(), MASK).eval()
    with torch.no_grad():
        loss = torch.nn.functional.cross_entropy(
            network(torch.rand(16, 3, 96, 72)), torch.arange(16)
        )
    assert abs(float(loss) - np.log(18)) < 0.1


@pytest.mark.parametrize(
    "changes",
    [{"head": "tasks"}, {"head": "ordinal"}, {"loss": "ldam"}, {"head": "tasks", "loss": "ldam"}],
)
def test_every_head_predicts_18_classes_and_comes_back_from_its_checkpoint(tmp_path, changes):
    recipe = small(**changes)
    network = build(recipe, MASK).to(memory_format=torch.channels_last).eval()
    save(tmp_path / "a.safetensors", network, checkpoint_info(recipe, network, 0, "abc", 1, 0.5))
    photos = torch.rand(3, 3, 32, 24)
    with torch.no_grad():
        logits = network(photos)
        assert logits.shape == (3, 18) and torch.equal(
            load(tmp_path / "a.safetensors")(photos), logits
        )
    if "head" in changes:
        assert torch.allclose(logits.exp().sum(dim=1), torch.ones(3), atol=1e-5)


def test_the_cost_of_a_network():
    parameters, gflop = cost("resnet18", Geometry((300, 300), (224, 224)), "classes", False)
    # He et al., 2016: 1.8 billion multiplications and additions; 11.2 M weights without the head of
    # 1,000 classes.
    assert parameters == 11_176_512 + 512 * 18 + 18 and gflop == pytest.approx(2 * 1.82, rel=0.02)
    tiny = "test_efficientnet", small().geometry
    assert cost(*tiny, "tasks", False)[0] == cost(*tiny, "classes", False)[0] - 10 * 257


def test_precision_follows_the_device_and_the_network(monkeypatch):
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    for has, small_one, large_one in (
        (True, torch.float32, torch.bfloat16),
        (False, torch.float32, torch.float32),
    ):
        everywhere(monkeypatch, kit.system.precision, "cpu_has_bf16", lambda has=has: has)
        assert (choose_precision(cpu, 5_000_000), choose_precision(cpu, 18_000_000)) == (
            small_one,
            large_one,
        )
    for generation, precision in (
        (6, torch.float32),
        (7, torch.float16),
        (8, torch.bfloat16),
        (9, torch.bfloat16),
    ):
        monkeypatch.setattr(
            torch.cuda, "get_device_capability", lambda device, g=generation: (g, 0)
        )
        assert choose_precision(gpu, 1) == precision


def test_bad_checkpoints_are_one_line(tmp_path):
    path = tmp_path / "best.safetensors"
    path.write_bytes(b"not safetensors")
    with pytest.raises(KitError, match="no checkpoint of the kit"):
        read_checkpoint_info(path)
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(KitError, match="no checkpoint of the kit"):
        load(path)
    network = build(small(), MASK)
    save(path, network, card(small(), network, classes=("cat", "dog")))
    with pytest.raises(KitError, match="predicts other classes"):
        load(path)
    save(path, network, card(small(), network, model="test_resnet"))
    with pytest.raises(KitError, match="do not fit test_resnet"):
        load(path)


def test_the_state_is_plain_and_runs_nothing(tmp_path):
    state = {
        "recipe": "{}",
        "plan": "abc",
        "fold": 0,
        "rows": [{"epoch": 1, "f1": 0.5}],
        "step": 3,
        "loss": 0.5,
        "seconds": 1.0,
        "waited": 0.1,
        "versions": dict(versions()),
        "threads": 1,
        "learner": {"network": {"w": torch.arange(3)}, "optimizer": {}},
    }
    save_state(tmp_path / "last.pt", state)
    assert load_state(tmp_path / "last.pt")["rows"] == [{"epoch": 1, "f1": 0.5}]
    save_state(tmp_path / "other.pt", state | {"versions": dict(versions()) | {"pixels": "0"}})
    with pytest.raises(KitError, match="decoded or resized otherwise"):
        load_state(tmp_path / "other.pt")
    for bad in ({"f": print}, [], 3, {"rows": []}, state | {"recipe": "no JSON"}):
        save_state(tmp_path / "bad.pt", bad)
        with pytest.raises(KitError, match="cannot be continued from"):
            load_state(tmp_path / "bad.pt")
    content = bytearray((tmp_path / "last.pt").read_bytes())
    for at in range(0, len(content), 97):
        content[at] ^= 4
        (tmp_path / "bad.pt").write_bytes(content)
        with pytest.raises(KitError, match="the file is damaged"):
            load_state(tmp_path / "bad.pt")
        content[at] ^= 4


# ------------------------------------------------------------ pretrained weights


def test_local_weights_load_all_but_the_head(tmp_path, monkeypatch):
    import timm

    source = timm.create_model("test_efficientnet", pretrained=False, num_classes=1000)
    save_file(source.state_dict(), tmp_path / "w.safetensors")
    torch.save(source.state_dict(), tmp_path / "w.pth")
    monkeypatch.setenv("SOME_WEIGHTS", str(tmp_path))
    for name in ("w.safetensors", "w.pth"):
        network = build(small(pretrained=f"$SOME_WEIGHTS/{name}"), MASK)
        assert torch.equal(network.body.conv_stem.weight, source.conv_stem.weight)
        assert network.body.classifier.weight.shape == (18, 256)


def test_weights_that_do_not_fit(tmp_path, monkeypatch):
    import timm

    save_file(
        timm.create_model("test_resnet", pretrained=False).state_dict(),
        tmp_path / "other.safetensors",
    )
    (tmp_path / "broken.safetensors").write_bytes(b"x")
    monkeypatch.delenv("UNSET_PLACE", raising=False)
    for source, said in (
        (tmp_path / "other.safetensors", "of another architecture"),
        (tmp_path / "broken.safetensors", "no weights file"),
        (tmp_path / "none.safetensors", "cannot be read"),
        ("$UNSET_PLACE/w.safetensors", "UNSET_PLACE is not set"),
    ):
        with pytest.raises(KitError, match=said):
            build(small(pretrained=str(source)), MASK)


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


# ------------------------------------------------------------ views


def test_views_always_hold_the_plain_one_first():
    assert list(make_views("none")) == ["plain"]
    assert list(make_views("hflip")) == ["plain", "hflip"]
    assert list(make_views("hflip+bright")) == [
        "plain",
        "bright0.9",
        "bright1.1",
        "hflip",
        "hflip,bright0.9",
        "hflip,bright1.1",
    ]
    photos = torch.rand(2, 3, 4, 5)
    assert torch.equal(make_views("hflip")["plain"](photos), photos)
    assert torch.equal(make_views("hflip")["hflip"](photos), photos.flip(3))
    assert torch.allclose(make_views("bright")["bright0.9"](photos), photos * 0.9)
    brighter = make_views("bright")["bright1.1"](photos)
    assert (
        torch.allclose(brighter, (photos * 1.1).clamp(0, 1))
        and brighter.max() == 1 < (photos * 1.1).max()
    )


@pytest.mark.parametrize(
    "choice, said",
    [("hflp", "did you mean hflip?"), ("hflip+hflip", "named twice"), ("", "no view")],
)
def test_unknown_views(choice, said):
    with pytest.raises(KitError, match=said):
        make_views(choice)


# ------------------------------------------------------------ metrics, devices


def test_macro_f1_by_hand():
    truth, predicted = np.array([0, 0, 1, 2]), np.array([0, 1, 1, 1])
    # class 0: P 1, R 1/2 -> 2/3; class 1: P 1/3, R 1 -> 1/2; class 2: 0; the other 15 are absent
    # and count 0.
    assert macro_f1(truth, predicted, 3) == pytest.approx((2 / 3 + 1 / 2) / 3)
    assert macro_f1(truth, predicted) == pytest.approx((2 / 3 + 1 / 2) / 18)
    assert score(np.arange(18), np.arange(18), MASK) == dataclasses.replace(
        score(np.arange(18), np.arange(18), MASK), f1=1, age=1
    )
    wrong_age = score(np.arange(18), np.arange(18) // 3 * 3, MASK)
    assert (wrong_age.mask, wrong_age.gender) == (1, 1) and wrong_age.accuracy == pytest.approx(
        1 / 3
    )


def test_devices():
    assert choose_device("cpu").type == "cpu" and choose_device(None).type in ("cpu", "cuda")
    for name in ("gpu", "cuda:99", "mps"):
        with pytest.raises(KitError, match=f"--device {name}"):
            choose_device(name)


# ------------------------------------------------------------ folded for inference


def settled(model, size, seed=0):
    """A network whose batch norms have seen something."""
    network = Network(model, Geometry((400, 300), size))
    torch.manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 1.5)
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.normal_(0, 0.2)
    return network.eval()


@pytest.mark.parametrize(
    "model, size",
    [
        ("test_efficientnet", (96, 72)),
        ("test_resnet", (96, 72)),
        ("test_byobnet", (96, 96)),
        ("mobilenetv3_small_100", (64, 48)),
        ("densenet121", (64, 64)),
        ("resnetv2_50", (64, 64)),
    ],
)
def test_folding_batch_norms_changes_the_network_and_not_what_it_says(model, size):
    network = settled(model, size)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    fast = fuse_conv_bn(network)
    norms = [sum(isinstance(m, nn.BatchNorm2d) for m in n.modules()) for n in (network, fast)]
    assert (
        norms[1] < norms[0]
        and fast.geometry == network.geometry
        and fast.parameters_count == network.parameters_count
    )
    photos = torch.rand(3, 3, *size)
    with torch.inference_mode():
        assert torch.allclose(fast(photos), network(photos), atol=1e-4)
    assert all(
        torch.equal(value, before[name]) for name, value in network.state_dict().items()
    )  # itself it is as it was


@pytest.mark.parametrize(
    "model, size", [("test_convnext", (64, 64)), ("test_vit", (160, 160)), ("vgg11_bn", (64, 48))]
)
def test_what_has_no_batch_norm_or_cannot_be_traced_is_left_alone(model, size):
    network = settled(model, size)
    assert fuse_conv_bn(network) is network


def test_a_network_in_training_is_not_folded():
    network = settled("test_resnet", (64, 48)).train()
    assert fuse_conv_bn(network) is network
    shared = settled("test_resnet", (64, 48))
    shared.body.conv1 = (
        nn.Sequential(shared.body.conv1)
        if isinstance(shared.body.conv1, nn.Conv2d)
        else shared.body.conv1
    )
    assert torch.allclose(
        fuse_conv_bn(shared)(torch.ones(1, 3, 64, 48)), shared(torch.ones(1, 3, 64, 48)), atol=1e-4
    )


def test_a_fold_that_would_say_something_else_is_not_taken(monkeypatch):
    network = settled("test_resnet", (64, 48))
    monkeypatch.setattr(
        "kit.inference.fusion.fuse_conv_bn_weights",
        lambda weight, bias, *_: (nn.Parameter(weight * 3), nn.Parameter(torch.ones(len(weight)))),
    )
    assert fuse_conv_bn(network) is network
