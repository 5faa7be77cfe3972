"""The mode in which a network runs: measured, said and kept."""

import json

import torch
from helpers import everywhere
from networks import CPU, HALF_MODE, mask_architecture, settled

import kit.inference.autotune
import kit.system.precision
from kit.inference.autotune import measure_modes, prepare
from kit.inference.runtime import InferenceMode, InferenceModel, read_mode
from kit.system.checksum import with_checksum
from kit.system.disk import write_json

# Before the tests' own is in its place.
autotune = kit.inference.autotune.autotune


def test_one_that_is_ready_stays(world):
    own = InferenceModel(settled("test_resnet", (64, 48)), HALF_MODE)
    assert prepare(own, CPU) is own
    assert prepare(settled("test_resnet", (64, 48)), CPU).mode.precision == torch.float32


def test_the_probe_takes_the_fastest_way_and_prefers_fp32_where_it_is_about_as_fast(monkeypatch):
    network = settled("test_resnet", (64, 48))
    everywhere(monkeypatch, kit.system.precision, "half_precision", lambda device: torch.bfloat16)

    def chosen(rates):
        asked = []

        def rate(own, device):
            asked.append((own.mode.name, own.mode.photos))
            return rates[own.mode.name, own.mode.photos]

        everywhere(monkeypatch, kit.inference.autotune, "photos_per_second", rate)
        best = next(iter(measure_modes(network, CPU)))
        return best.name, best.photos, asked

    b, f = "bfloat16", "float32"
    assert chosen({(f, 16): 10, (b, 16): 20, (b, 8): 19, (b, 32): 21})[:2] == (
        b,
        16,
    )  # 5 % may be noise
    assert chosen({(f, 16): 10, (b, 16): 20, (b, 8): 23, (b, 32): 21})[:2] == (b, 8)
    assert chosen({(f, 16): 10, (b, 16): 11, (f, 8): 10, (f, 32): 12})[:2] == (f, 32)
    way = chosen({(f, 16): 9000, (f, 8): 9000, (f, 32): 9000})
    assert way[:2] == (f, 16) and (b, 16) not in way[2]  # decoding takes longer than that
    everywhere(monkeypatch, kit.system.precision, "half_precision", lambda device: None)
    assert chosen({(f, 16): 10, (f, 8): 9, (f, 32): 9})[:2] == (f, 16)

    def greedy(own, device):
        if own.mode.photos > 8:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return 5.0

    everywhere(monkeypatch, kit.inference.autotune, "photos_per_second", greedy)
    assert next(iter(measure_modes(network, CPU))).photos == 8

    def nothing_free(own, device):
        raise RuntimeError(
            "DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes"
        )

    everywhere(monkeypatch, kit.inference.autotune, "photos_per_second", nothing_free)
    assert set(measure_modes(network, CPU).values()) == {0.0}


def test_the_probe_is_said_and_kept(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    of = (mask_architecture("test_efficientnet", (32, 24)), CPU)
    torch.manual_seed(3)
    drawn = torch.get_rng_state()
    way = autotune.__wrapped__(*of)
    assert torch.equal(torch.get_rng_state(), drawn)  # it disturbs nobody's randomness
    assert "test_efficientnet at 32 x 24 on " in capsys.readouterr().out
    (kept,) = (tmp_path / "kfold-kit").iterdir()
    assert read_mode(json.loads(kept.read_text())) == way
    other = json.loads(kept.read_text()) | {"precision": "bfloat16", "photos": 3}
    write_json(kept, other, force=True)
    assert (
        autotune.__wrapped__(*of) == InferenceMode(torch.bfloat16, 3)
        and not capsys.readouterr().out
    )
    unsealed = json.dumps(other)  # its checksum is of other values
    for damaged in (
        "",
        "[]",
        unsealed,
        json.dumps(with_checksum(other | {"of": "another network"})),
        json.dumps(with_checksum(other | {"precision": []})),
        json.dumps(with_checksum(other | {"precision": "int8"})),
        json.dumps(with_checksum(other | {"photos": 0})),
    ):
        kept.write_text(damaged)
        assert autotune.__wrapped__(*of).photos > 3 and "photos at once" in capsys.readouterr().out
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))  # where nothing can be kept
    assert autotune.__wrapped__(*of).photos > 3
    monkeypatch.setattr(
        kit.inference.autotune.Path,
        "exists",
        lambda path: (_ for _ in ()).throw(PermissionError(13, "Permission denied")),
    )
    assert autotune.__wrapped__(*of).photos > 3  # or read
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "full"))
    everywhere(monkeypatch, kit.inference.autotune, "photos_per_second", lambda *_: 0.0)
    autotune.__wrapped__(*of)
    assert not (tmp_path / "full").exists()  # another process may have had the memory


def test_a_gpu_is_validated_with_as_many_photos_as_the_probe_found(monkeypatch):
    network = settled("test_resnet", (64, 48))
    found = {network.architecture: InferenceMode(torch.float16, 128)}
    everywhere(monkeypatch, kit.inference.autotune, "autotune", lambda *of: found[of[0]])
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 0))
    assert kit.inference.autotune.validation_mode(network, torch.device("cuda:0")) == InferenceMode(
        torch.float16, 128
    )
    assert kit.inference.autotune.validation_mode(network, CPU) == InferenceMode(torch.float32, 16)
