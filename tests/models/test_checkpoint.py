import dataclasses
import random

import pandas as pd
import pytest
import torch
from helpers import MASK, small
from safetensors.torch import save_file

from kit.competition import Competition
from kit.data.plan import Plan
from kit.models.architecture import architecture_of
from kit.models.checkpoint import (
    Origin,
    checkpoint_info,
    load,
    read_checkpoint_info,
    save,
    weights_checksum,
)
from kit.models.network import Network, build
from kit.system.errors import KitError
from kit.system.script import ScriptFunction
from kit.task import Task

MEAN, STD = (0.1, 0.2, 0.3), (1.0, 1.0, 2.0)


PLAN = Plan(pd.DataFrame(), "abc", {}, MASK)


def info_of(recipe, network, **changes):
    info = checkpoint_info(recipe, network, Origin(PLAN, 1), epoch=2, score=0.5)
    return dataclasses.replace(info, **changes)


def test_a_checkpoint_says_all_that_inference_needs(tmp_path):
    recipe = small()
    network = (
        Network(architecture_of(recipe, MASK), (MEAN, STD))
        .to(memory_format=torch.channels_last)
        .eval()
    )
    save(tmp_path / "a.safetensors", network, info_of(recipe, network))
    save(tmp_path / "b.safetensors", network, info_of(recipe, network))
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    assert read_checkpoint_info(tmp_path / "a.safetensors") == info_of(recipe, network)
    assert (info_of(recipe, network).mean, info_of(recipe, network).std) == (MEAN, STD)
    again = load(tmp_path / "a.safetensors")
    photos = torch.rand(2, 3, 32, 24)
    with torch.no_grad():
        assert torch.equal(again(photos), network(photos))


@pytest.mark.parametrize(
    "changes",
    [{"head": "tasks"}, {"head": "ordinal"}, {"loss": "ldam"}, {"head": "tasks", "loss": "ldam"}],
)
def test_every_head_predicts_18_classes_and_comes_back_from_its_checkpoint(tmp_path, changes):
    recipe = small(**changes)
    network = build(recipe, MASK).to(memory_format=torch.channels_last).eval()
    save(
        tmp_path / "a.safetensors",
        network,
        checkpoint_info(recipe, network, Origin(PLAN, 0), 1, 0.5),
    )
    photos = torch.rand(3, 3, 32, 24)
    with torch.no_grad():
        logits = network(photos)
        assert logits.shape == (3, 18) and torch.equal(
            load(tmp_path / "a.safetensors")(photos), logits
        )
    if "head" in changes:
        assert torch.allclose(logits.exp().sum(dim=1), torch.ones(3), atol=1e-5)


def test_the_mirror_the_channels_and_the_reader_are_a_part_of_a_checkpoint_s_bytes(tmp_path):
    """Kept probabilities have a checkpoint's hash in their key, and so never mix."""
    network, content = build(small(), MASK), set()
    text = "def read(path):\n    return {}\n"
    readers = [ScriptFunction("", text.format(n), "read", "competition") for n in range(2)]
    changes = [{}, {"mirror": None}, {"channels": 4}, *({"read": read} for read in readers)]
    for n, change in enumerate(changes):
        competition = dataclasses.replace(MASK, **change)
        path = tmp_path / f"{n}.safetensors"
        described = {"competition": competition.describe(), "mean": (0.5,) * competition.channels}
        described["std"] = described["mean"]
        save(path, network, info_of(small(), network, **described))
        info = read_checkpoint_info(path)
        assert info.geometry.channels == change.get("channels", 3)
        content.add(path.read_bytes())
    assert len(content) == len(changes)


def test_bad_checkpoints_are_one_line(tmp_path):
    path = tmp_path / "best.safetensors"
    path.write_bytes(b"not safetensors")
    with pytest.raises(KitError, match="no checkpoint of the kit"):
        read_checkpoint_info(path)
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(KitError, match="no checkpoint of the kit"):
        load(path)
    network = build(small(), MASK)
    pets = Competition(name="pets", tasks=(Task("pet", ("cat", "dog")),), frame=(8, 8))
    save(path, network, info_of(small(), network, competition=pets.describe()))
    with pytest.raises(KitError, match="holds weights that do not fit"):
        load(path)
    save(path, network, info_of(small(), network, competition=pets.describe() | {"tasks": []}))
    with pytest.raises(KitError, match="no checkpoint of the kit .*its competition is damaged"):
        load(path)
    save(path, network, info_of(small(model="test_resnet"), network))
    with pytest.raises(KitError, match="do not fit test_resnet"):
        load(path)


def test_every_flipped_bit_of_a_checkpoint_is_found(tmp_path):
    recipe, path, rng = small(), tmp_path / "a.safetensors", random.Random(0)
    save(path, build(recipe, MASK), info_of(recipe, build(recipe, MASK)))
    whole = path.read_bytes()
    info, header = read_checkpoint_info(path), 8 + int.from_bytes(whole[:8], "little")
    for n in range(150):
        damaged = bytearray(whole)
        at = rng.randrange(header) if n % 2 else rng.randrange(header, len(whole))
        damaged[at] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        with pytest.raises(KitError, match="a.safetensors: (is no checkpoint|holds weights that)"):
            load(path)
        if at >= header:
            assert read_checkpoint_info(path) == info  # weights are not read for it
    for content in (b"", whole[:-1], whole[: header - 1], whole + b"\0"):
        path.write_bytes(content)
        with pytest.raises(KitError, match="put a copy of it back, or make it again"):
            load(path)


def test_the_checksum_of_weights_is_of_names_types_shapes_and_bytes():
    one = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.tensor(1), "c": torch.zeros(0)}
    whole = weights_checksum(one)
    assert whole == weights_checksum(dict(reversed(one.items())))
    for change in (
        {"a": one["a"].reshape(3, 2)},
        {"a": one["a"].view(torch.int32)},
        {"b": torch.tensor(2)},
        {"d": torch.zeros(0)},
    ):
        assert weights_checksum(one | change) != whole
