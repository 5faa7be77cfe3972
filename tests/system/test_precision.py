"""The precision follows from the device and the size of the network."""

import torch
from helpers import everywhere

import kit.system.precision
from kit.system.precision import autocast, choose_precision, precision_name


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


def test_mixed_precision_is_that_of_the_context():
    cpu, layer = torch.device("cpu"), torch.nn.Linear(2, 2)
    for precision in (torch.float32, torch.bfloat16):
        with autocast(cpu, precision):
            assert layer(torch.ones(1, 2)).dtype == precision
    assert precision_name(torch.bfloat16) == "bfloat16"
