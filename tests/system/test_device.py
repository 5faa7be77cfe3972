"""The device is chosen and set up, or refused with what to do; its memory and clock."""

import time

import pytest
import torch
from helpers import everywhere

import kit.system.device
from kit.system.device import (
    choose_device,
    clock,
    device_name,
    free_memory,
    has_kernels,
    out_of_memory,
    peak_memory,
    read_proc,
    to_device,
)
from kit.system.errors import KitError

CPU = torch.device("cpu")


def test_devices():
    assert choose_device("cpu").type == "cpu" and choose_device(None).type in ("cpu", "cuda")
    for name in ("gpu", "cuda:99", "mps"):
        with pytest.raises(KitError, match=f"--device {name}"):
            choose_device(name)


def test_the_default_gpu_has_a_number(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    asked = []
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: [])
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 0))
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", False)
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: asked.append(device.index))
    assert (
        choose_device(None)
        == choose_device("cuda")
        == choose_device("cuda:0")
        == torch.device("cuda:0")
    )
    assert choose_device("cuda:1") == torch.device("cuda:1") and asked == [0, 0, 0, 1]
    assert torch.backends.cudnn.benchmark


@pytest.mark.parametrize(
    "capability, architectures, runs",
    [
        ((8, 0), "sm_75 sm_80", True),
        ((8, 6), "sm_75 sm_80", True),
        ((8, 0), "sm_86", False),
        ((9, 0), "sm_80 sm_86", False),
        ((9, 0), "sm_80 compute_80", True),
        ((7, 0), "sm_75 sm_80 sm_90 sm_120", False),
        ((7, 0), "sm_50 sm_60 sm_70", True),
        ((6, 1), "sm_60", True),
        ((12, 0), "sm_100 sm_120", True),
        ((12, 1), "sm_120", True),
        ((10, 0), "sm_120", False),
        ((9, 0), "sm_90a", True),
        ((12, 1), "sm_120a", False),
        ((7, 5), "compute_90", False),
    ],
)
def test_kernels_of_a_gpu(capability, architectures, runs):
    assert has_kernels(capability, architectures.split()) == runs


def test_a_gpu_without_kernels_is_told_with_the_build_that_has_them(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: None)
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_75", "sm_80", "sm_90"])
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Tesla V100")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 0))
    with pytest.raises(
        KitError, match=r"Tesla V100 \(sm_70, and not sm_75 sm_80 sm_90\).*CUDA 12.6 \(cu126\)"
    ):
        choose_device(None)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (12, 0))
    with pytest.raises(KitError, match="install a newer build of torch"):
        choose_device(None)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 6))
    assert choose_device(None).type == "cuda"


def test_memory_that_is_free(monkeypatch, tmp_path):
    assert 2**20 < free_memory(CPU) < 2**50
    everywhere(
        monkeypatch, kit.system.device, "read_proc", lambda name: "MemAvailable:    2048 kB\n"
    )
    assert free_memory(CPU) <= 2048 * 1024
    assert choose_device("cpu") == CPU


def test_memory_that_ran_out_is_told_from_other_errors():
    for text in ("DefaultCPUAllocator: can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED when"):
        assert out_of_memory(RuntimeError(text))
    assert out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert not out_of_memory(RuntimeError("shapes do not match"))


def test_photos_become_floats_channels_last():
    photos = torch.randint(0, 256, (2, 4, 3, 3), dtype=torch.uint8)
    batch = to_device(photos, CPU)
    assert batch.shape == (2, 3, 4, 3) and batch.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(batch[1, 2] * 255, photos[1, :, :, 2].float())


def test_the_processor_its_clock_and_its_memory():
    assert device_name(CPU).endswith(f", {torch.get_num_threads()} threads")
    assert abs(clock(CPU) - time.perf_counter()) < 1 and peak_memory(CPU) > 2**20
    assert read_proc("no-such-file") == ""
