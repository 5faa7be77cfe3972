"""What a checkpoint says of itself: every hostile value is one line, and none is a path or code."""

import copy
import dataclasses
import json
import math

import pandas as pd
import pytest
import torch
from helpers import MASK, small
from safetensors.torch import save as serialize

from kit.data.plan import Plan
from kit.models.checkpoint import (
    Origin,
    checkpoint_info,
    load,
    read_checkpoint_info,
    weights_checksum,
)
from kit.models.metadata import check_versions, recorded_recipe, with_defaults
from kit.models.network import build
from kit.recipe import Recipe
from kit.system.checksum import with_checksum
from kit.system.errors import KitError

GONE = Ellipsis  # the value of a field that is left out
DEEP: list = []
for _ in range(40):
    DEEP = [DEEP]
# The value of a field, and a part of the line that says so.
HOSTILE = [
    # A model's name is one of timm's, and no address.
    ("model", "hf-hub:timm/resnet18.a1_in1k", "model"),
    ("model", "local-dir:/home/other", "model"),
    ("model", "resnet18", "its recipe's"),
    ("model", 3, "model is 3"),
    ("model", None, "model is None"),
    ("model", GONE, "it has no model"),
    ("recipe.model", "hf-hub:timm/resnet18", "the name of a timm architecture"),
    ("recipe.model", "hf_hub:timm/resnet18", "the name of a timm architecture"),
    ("recipe.model", "../resnet18", "the name of a timm architecture"),
    ("recipe.model", "x" * 5000, "the name of a timm architecture"),
    ("recipe.model", GONE, "model"),
    # A recipe's name becomes one of files and folders.
    ("recipe.name", "../../evil", "a plain file name"),
    ("recipe.name", "/etc/evil", "a plain file name"),
    ("recipe.name", ".hidden", "a plain file name"),
    ("recipe.name", "a/b", "a plain file name"),
    ("recipe.name", "-rf", "a plain file name"),
    ("recipe.name", "a\nb", "a plain file name"),
    ("recipe.name", "\x1b[31mred", "a plain file name"),
    ("recipe.name", "a\u202eb", "a plain file name"),
    ("recipe.name", "x" * 101, "a plain file name"),
    ("recipe.name", "", "a plain file name"),
    ("recipe.name", ["a"], "a plain file name"),
    ("recipe.name", GONE, "name"),
    # The recipe's other fields have the rules of a recipe that a person writes.
    ("recipe", None, "recipe is None"),
    ("recipe", [], "recipe is"),
    ("recipe", "a", "recipe is 'a'"),
    ("recipe", {}, "its recipe is damaged"),
    ("recipe.epochs", 0, "epochs=0"),
    ("recipe.epochs", 1.5, "epochs=1.5"),
    ("recipe.epochs", True, "epochs=True"),
    ("recipe.epochs", 10**30, "recipe is"),
    ("recipe.patience", None, "patience=None"),
    ("recipe.patience", -1, "patience=-1"),
    ("recipe.patience", "0", "patience='0'"),
    ("recipe.lr", math.nan, "recipe['lr'] is nan"),
    ("recipe.lr", math.inf, "recipe['lr'] is inf"),
    ("recipe.lr", 0, "lr=0"),
    ("recipe.crop", "a", "crop='a'"),
    ("recipe.crop", [], "crop="),
    ("recipe.crop", {}, "crop="),
    ("recipe.crop", [1.5, 1], "crop="),
    ("recipe.size", 10**6, "size="),
    ("recipe.size", [4097, 10], "size="),
    ("recipe.size", True, "size="),
    ("recipe.loss", "eval", "loss="),
    ("recipe.head", ["classes"], "head="),
    ("recipe.batch_size", -8, "batch_size=-8"),
    ("recipe.seed", 2**40, "seed="),
    ("recipe.augment", 3, "augment is no text"),
    ("recipe.augment", ["def"], "augment is no text"),
    ("recipe.newer", DEEP, "recipe['newer'] is"),
    ("recipe.newer", "\ud800", "recipe['newer'] is"),
    # Sizes: memory is asked for by them.
    ("size", [10**5, 10**5], "size="),
    ("size", [0, 24], "size="),
    ("size", [32], "size is"),
    ("size", [32.0, 24.0], "size"),
    ("size", "ab", "size is 'ab'"),
    ("crop", [10**9, 10**9], "crop="),
    ("crop", [513, 1], "within the frame"),
    ("crop", None, "crop is None"),
    ("frame", [-1, 5], "frame="),
    ("frame", [10**6, 10**6], "frame="),
    ("mean", [math.nan] * 3, "mean"),
    ("mean", [0.5], "mean="),
    ("mean", ["a", "b", "c"], "mean"),
    ("mean", [1e30] * 3, "mean="),
    ("std", [0, 0, 0], "std="),
    ("std", [-1, 1, 1], "std="),
    ("std", [math.inf] * 3, "std"),
    # Numbers.
    ("fold", -1, "fold=-1"),
    ("fold", 1000, "fold=1000"),
    ("fold", "0", "fold is '0'"),
    ("fold", True, "fold is True"),
    ("epoch", 0, "epoch=0"),
    ("epoch", 1e3, "epoch is 1000.0"),
    ("score", math.nan, "score is nan"),
    ("score", -math.inf, "score is -inf"),
    ("score", "1", "score is '1'"),
    ("score", GONE, "it has no score"),
    ("parameters", 10**15, "parameters="),
    ("parameters", -1, "parameters="),
    ("limit", -1, "limit=-1"),
    ("limit", None, "limit is None"),
    # Texts and flags.
    ("plan", "../folds", "plan="),
    ("plan", 7, "plan is 7"),
    ("kit", "\x1b]0;title\x07", "kit="),
    ("head", "ordinal", "its recipe's"),
    ("cosine", 1, "cosine is 1"),
    ("cosine", True, "its recipe's loss"),
    ("averaged", "yes", "averaged is 'yes'"),
    ("select", "worst", "select='worst'"),
    ("versions", None, "versions is None"),
    ("versions", {"torch": 2}, "versions"),
    ("versions", {"torch": "2\x1b[31m"}, "its versions are damaged"),
    ("versions", {"torch": "2" * 1000}, "its versions are damaged"),
    ("run_this", "print()", "'run_this', which is not known"),
    # The competition: what no definition could say.
    ("competition", None, "competition is None"),
    ("competition", {}, "its competition is damaged"),
    ("competition.tasks", [], "it has no tasks"),
    ("competition.tasks", [3], "3 is no object"),
    ("competition.tasks", [{"name": "a", "classes": ["x"]}], "classes"),
    ("competition.tasks", [{"name": "a", "classes": ["x", "y"], "call": "z"}], "'call'"),
    (
        "competition.tasks",
        [{"name": f"t{n}", "classes": [f"{n} {c}" for c in range(99)]} for n in range(30)],
        "at most 250,000 classes",
    ),
    ("competition.name", "\x1b[2J", "name="),
    ("competition.name", "x" * 10**6, "name="),
    ("competition.kind", "shell", "kind="),
    ("competition.frame", [10**9, 10**9], "frame="),
    ("competition.channels", 10**6, "channels="),
    ("competition.train", "/etc/passwd", "train="),
    ("competition.train", "../../secret.csv", "train="),
    ("competition.test_images", "..", "test_images="),
    ("competition.train_images", "a/../../b", "train_images="),
    ("competition.inputs", ["../x"], "inputs="),
    ("competition.image", ["\x1b[31m"], "image="),
    ("competition.target_pattern", "(" * 900 + ")" * 900, "target_pattern="),
    ("competition.group_pattern", "a" * 2000, "group_pattern="),
    ("competition.read", "os.system", "read="),
    ("competition.read", {"path": "", "text": 3, "name": "read"}, "a function is no text"),
    ("competition.read", {"path": "/x.py", "text": "", "name": "read"}, "a function is called"),
    ("competition.read", {"path": "", "text": "", "name": "a.b"}, "a function is called"),
    ("competition.rows", "os.system", "rows="),
    ("competition.metric", ["f1"], "metric="),
    ("competition.metric", "no_metric", "there is no such metric"),
    ("competition.mirror", {"a": ["b"]}, "mirror="),
    ("competition.evil", 1, "evil"),
]


@pytest.fixture(scope="module")
def checkpoint():
    """The metadata of a checkpoint as JSON has it, and its weights."""
    recipe = small()
    network = build(recipe, MASK)
    info = checkpoint_info(
        recipe, network, Origin(Plan(pd.DataFrame(), "abc", {}, MASK), 1), 2, 0.5
    )
    return json.loads(json.dumps(dataclasses.asdict(info))), network.body.state_dict()


def changed(content: dict, field: str, value: object) -> dict:
    """A copy of metadata with another value of a field, or without it."""
    content = copy.deepcopy(content)
    *above, name = field.split(".")
    place = content[above[0]] if above else content
    place[name] = value
    if value is GONE:
        del place[name]
    return content


def written(path, content: object, weights: dict | None = None):
    """A checkpoint of metadata, with the checksums that a forger would write."""
    weights = weights or {"a": torch.zeros(1)}
    if isinstance(content, dict):
        content = with_checksum(content | {"weights": weights_checksum(weights)})
    path.write_bytes(serialize(weights, metadata={"kit": json.dumps(content)}))
    return path


def test_what_is_not_changed_is_read(checkpoint, tmp_path):
    content, weights = checkpoint
    info = read_checkpoint_info(written(tmp_path / "a.safetensors", content))
    assert json.loads(json.dumps(dataclasses.asdict(info))) == content
    load(written(tmp_path / "a.safetensors", content, weights))


@pytest.mark.parametrize(("field", "value", "said"), HOSTILE, ids=lambda value: f"{value!r:.40}")
def test_hostile_metadata_is_one_line_that_names_the_field(
    checkpoint, tmp_path, field, value, said
):
    path = written(tmp_path / "a.safetensors", changed(checkpoint[0], field, value))
    with pytest.raises(KitError) as error:
        read_checkpoint_info(path)
    line = str(error.value)
    assert "is no checkpoint of the kit" in line and said in line, line
    assert line.isprintable() and len(line) < 700


@pytest.mark.parametrize(
    "text",
    ["", "[]", "3", "null", '"x"', "{", "[" * 10**5, '{"model": 1' + "0" * 5000 + "}", "NaN"],
)
def test_metadata_that_is_no_object_is_one_line(tmp_path, text):
    path = tmp_path / "a.safetensors"
    path.write_bytes(serialize({"a": torch.zeros(1)}, metadata={"kit": text}))
    with pytest.raises(KitError, match="is no checkpoint of the kit"):
        read_checkpoint_info(path)


def test_weights_of_other_shapes_are_told_before_a_network_takes_memory(
    checkpoint, tmp_path, monkeypatch
):
    content, weights = checkpoint
    name, value = next(iter(weights.items()))
    less = {n: w for n, w in weights.items() if n != name}
    path = tmp_path / "a.safetensors"
    for wrong in (less, weights | {"more": value + 1}, weights | {name: value.repeat(2, 1, 1, 1)}):
        with monkeypatch.context() as patch:
            patch.setattr("kit.models.checkpoint.Network", None)
            with pytest.raises(KitError, match="holds weights that do not fit test_efficientnet"):
                load(written(path, content, wrong))
    huge = changed(
        changed(content, "model", "vit_giant_patch14_224"), "recipe.model", "vit_giant_patch14_224"
    )
    huge |= {"size": [224, 224]}
    with pytest.raises(KitError, match="do not fit vit_giant_patch14_224 .*body.blocks"):
        load(written(path, huge, weights))


def test_a_new_field_of_a_recipe_does_not_make_an_old_run_another_recipe():
    described = small().describe()
    assert recorded_recipe(described) == described == with_defaults(described)
    for name in ("patience", "ema", "weight_decay", "monitor", "augment"):
        older = {key: value for key, value in described.items() if key != name}
        whole = recorded_recipe(older)
        default = {f.name: f.default for f in dataclasses.fields(Recipe)}[name]
        expected = 0.05 if name == "weight_decay" else default
        assert whole == described | {name: expected} and list(whole) == list(described)


def test_a_field_that_is_not_known_makes_it_another_recipe():
    newer = small().describe() | {"mixer": [1, "a"]}
    assert (
        recorded_recipe(newer)["mixer"] == [1, "a"] and recorded_recipe(newer) != small().describe()
    )


def test_versions_are_short_texts():
    check_versions({"torch": "2.6.0+cpu", "timm": ""})
    for wrong in (None, [], {"torch": None}, {"torch": "2\n"}, {"": "2"}, {3: "2"}):
        with pytest.raises(ValueError, match="its versions are damaged"):
            check_versions(wrong)
