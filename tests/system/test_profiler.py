"""A profile has the seconds of each stage, and the operators of a few steps."""

import gzip
import json

import pytest
import torch
from helpers import everywhere
from torch import nn

import kit.system.device
from kit.system.precision import autocast
from kit.system.profiler import profiled, stage, staged, step

CPU = torch.device("cpu")


def test_stages_are_counted_apart_and_within_each_other(tmp_path, capsys, monkeypatch):
    now = [100.0]
    everywhere(monkeypatch, kit.system.device, "clock", lambda device: now[0])
    with profiled(CPU, tmp_path / "profile"):
        for _ in staged("data", iter(range(4))):
            with stage("outer"):
                now[0] += 0.02
                with stage("inner"):
                    now[0] += 0.01
                    torch.conv2d(torch.rand(2, 3, 8, 8), torch.rand(4, 3, 3, 3))
            step()
    found = json.loads((tmp_path / "profile.json").read_text())
    assert found["steps"] == 4 and set(found["seconds"]) == {
        "data",
        "outer",
        "outer: inner",
        "the rest",
    }
    assert found["seconds"] == pytest.approx(
        {"data": 0, "outer": 0.08, "outer: inner": 0.04, "the rest": 0}, abs=1e-9
    )
    (conv,) = (row for row in found["operators"] if row["name"] == "convolution 3 x 3")
    assert conv["calls"] == 2 and conv["gflop"] == pytest.approx(
        2 * 2 * 2 * 4 * 6 * 6 * 27 / 1e9
    )  # of two steps
    assert "traceEvents" in json.loads(
        gzip.decompress((tmp_path / "profile.trace.json.gz").read_bytes())
    )
    assert "Where the time went" in capsys.readouterr().out
    with profiled(None):
        assert list(staged("data", [1, 2])) == [1, 2]
    with profiled(CPU, tmp_path / "none"):
        pass
    assert "no network ran" in capsys.readouterr().out and not (tmp_path / "none.json").exists()


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_a_profile_counts_a_convolution_once_in_mixed_precision_too(precision):
    photos, convolution = torch.randn(2, 16, 64, 64), nn.Conv2d(16, 32, 3)
    with profiled(CPU) as found:
        for _ in range(8):
            with autocast(CPU, precision):
                convolution(photos).float().sum().backward()
            step()
    rows = {row.name: row for row in found.operators}
    forward, backward = rows["convolution 3 x 3"], rows["convolution 3 x 3, backward"]
    assert forward.calls == backward.calls > 1
    assert forward.gflop / forward.calls == pytest.approx(2 * 2 * 32 * 62 * 62 * 16 * 9 / 1e9)


def test_what_is_interrupted_leaves_its_profile(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        with profiled(CPU, tmp_path / "profile"):
            with stage("forward"):
                step()
                raise KeyboardInterrupt
    assert json.loads((tmp_path / "profile.json").read_text())["seconds"]["forward"] >= 0
    with stage("forward"):  # and nothing is profiled any more
        pass
