"""No file of data runs code: no pickle is loaded, in whatever file one hides."""

import ast
import hashlib
import io
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from bad_arrays import npy, zipped
from helpers import MASK

import kit
from kit.data.cache import PixelCache
from kit.inference.pass_cache import read_kept
from kit.models.checkpoint import load, read_checkpoint_info
from kit.models.pretrained import load_pretrained
from kit.results.probs import read_foreign_probs, read_probs
from kit.system.errors import KitError
from kit.training.resume import load_state

# Calls that load objects or run text, and the modules that may make them.
CALLS = {
    "eval": set(),
    "exec": {"system.script"},  # recipes and definitions, which a person writes
    "compile": {"system.script"},
    "__import__": set(),
    "os.system": set(),
    "os.popen": set(),
    "torch.jit.load": set(),
    "torch.hub.load": set(),
    "torch.package.PackageImporter": set(),
    "pd.read_pickle": set(),
    "pd.read_hdf": set(),
}
MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "yaml"}
MUST = {"torch.load": ("weights_only", "True"), "np.load": ("allow_pickle", "False")}


def calls(path: Path):
    """The calls in a file: what is called, and its keywords as text."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), {k.arg: ast.unparse(k.value) for k in node.keywords}


def test_no_module_of_the_kit_loads_objects_or_runs_text():
    root, seen = Path(kit.__file__).parent, set()
    for path in sorted(root.rglob("*.py")):
        name = ".".join(path.relative_to(root).with_suffix("").parts)
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not MODULES & {one.split(".")[0] for one in names}, f"{name}: {names}"
        for call, keywords in calls(path):
            if call in CALLS:
                assert name in CALLS[call], f"{name} calls {call}"
            if call in MUST:
                keyword, value = MUST[call]
                assert keywords.get(keyword) == value, f"{name}: {call} without {keyword}={value}"
                seen.add(call)
            assert keywords.get("shell") != "True", f"{name} starts a shell"
    assert "torch.load" in seen


class Bomb:
    """An object whose pickle makes a file as soon as it is loaded."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self):
        return os.mkdir, (str(self.canary),)


@pytest.fixture
def canary(tmp_path):
    """A folder that a pickle would make."""
    place = tmp_path / "canary"
    pickle.loads(pickle.dumps(Bomb(place)))  # it would
    place.rmdir()
    yield place
    assert not place.exists()


def header(text: bytes) -> bytes:
    """A member of an `.npz` whose header is a text."""
    return b"\x93NUMPY\x02\x00" + len(text).to_bytes(4, "little") + text


def members(canary: Path) -> dict[str, bytes]:
    """Members of an `.npz` that no array is."""
    run = f"__import__('os').mkdir({str(canary)!r})".encode()
    return {
        "objects": npy(np.array([Bomb(canary)], dtype=object)),
        "pickle": pickle.dumps(Bomb(canary)),
        "call": header(b"{'descr': " + run + b", 'fortran_order': False, 'shape': (1,)}\n"),
        "long": header(b"{'descr': '<f4', " + b" " * 10**6 + b"'shape': (1,)}\n"),
        "deep": header(b"(" * 9000 + b")" * 9000),
        "huge": header(b"{'descr': '<f4', 'fortran_order': False, 'shape': (%d,)}\n" % 10**15),
        "negative": header(b"{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}\n"),
    }


KINDS = ("objects", "pickle", "call", "long", "deep", "huge", "negative")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("member", ["ids", "probs", "key"])
def test_no_member_of_an_npz_is_run(canary, tmp_path, kind, member):
    good = {
        "ids": npy(np.array(["a.jpg"])),
        "probs": npy(np.full((1, 18), 1 / 18, np.float32)),
        "key": npy(np.array("key")),
        "seconds": npy(np.array(1.0)),
    }
    path = tmp_path / "probs.npz"
    path.write_bytes(zipped(*(good | {member: members(canary)[kind]}).items()))
    for read in (read_probs, lambda path: read_foreign_probs(path, MASK)):
        with pytest.raises(KitError, match="is no probability file"):
            read(path)
    if member != "ids":  # which kept passes do not have
        assert read_kept(path, "key") is None


@pytest.mark.parametrize("kind", KINDS)
def test_no_pixel_cache_is_run(canary, tmp_path, kind):
    path = tmp_path / "pixels.npy"
    path.write_bytes(members(canary)[kind])
    assert not PixelCache(path, ("a.jpg",), (8, 8, 3)).whole


def states(canary: Path) -> dict[str, bytes]:
    """Files of torch that hold an object, in each of its formats, and plain pickles."""
    made = {}
    for name, options in (("zip", {}), ("legacy", {"_use_new_zipfile_serialization": False})):
        content = io.BytesIO()
        torch.save({"version": 1, "recipe": Bomb(canary)}, content, **options)
        made[name] = content.getvalue()
    made |= {f"pickle{n}": pickle.dumps(Bomb(canary), protocol=n) for n in (0, 2, 5)}
    return made


@pytest.mark.parametrize("kind", ["zip", "legacy", "pickle0", "pickle2", "pickle5"])
def test_no_weights_and_no_state_are_run(canary, tmp_path, kind):
    content, path = states(canary)[kind], tmp_path / "last.pt"
    path.write_bytes(content + hashlib.sha256(content).digest())
    with pytest.raises(KitError, match="cannot be continued from"):
        load_state(path)
    for name in ("weights.pt", "weights.pth", "weights.bin", "weights.safetensors"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(KitError, match="is no weights file"):
            load_pretrained(None, str(tmp_path / name))
    checkpoint = tmp_path / "best.safetensors"
    checkpoint.write_bytes(content)
    for read in (read_checkpoint_info, load):
        with pytest.raises(KitError, match="is no checkpoint of the kit"):
            read(checkpoint)
