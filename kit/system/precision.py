"""The precision that networks compute in: fp32, bf16 or fp16."""

import functools
import re

import torch

from kit.system.device import read_proc

# From so many weights on, bf16 is faster than fp32 on a CPU with instructions for it. Training at
# 224 x 168 on two cores: ResNet18 1.8 times as fast, ResNet50 1.9, VGG19 1.8, EfficientNet-b3 and
# b4 1.25; EfficientNet-b0 (5 M weights) 0.8.
_BF16_WEIGHTS = 10_000_000


@functools.cache
def cpu_has_bf16() -> bool:
    """True if the processor has instructions for bf16; without, bf16 is far slower than fp32."""
    return bool(re.search(r"\b(avx512_bf16|amx_bf16)\b", read_proc("cpuinfo")))


def half_precision(device: torch.device) -> torch.dtype | None:
    """The 16-bit format that a device is fast in; None without one.

    It is bf16 from Ampere on and on some CPUs, fp16 on Volta and Turing.
    """
    if device.type == "cpu":
        return torch.bfloat16 if cpu_has_bf16() else None
    generation = torch.cuda.get_device_capability(device)[0]
    return torch.bfloat16 if generation >= 8 else torch.float16 if generation == 7 else None


def choose_precision(device: torch.device, parameters: int) -> torch.dtype:
    """The precision to train a network of so many weights in: 16 bits where they pay, else fp32.

    It follows from these two, not from a measurement, so that a resumed training has the same.
    """
    half = half_precision(device)
    return (
        half
        if half is not None and (device.type == "cuda" or parameters >= _BF16_WEIGHTS)
        else torch.float32
    )


def autocast(device: torch.device, precision: torch.dtype) -> torch.autocast:
    """A context of mixed precision; for fp32 one that does nothing."""
    return torch.autocast(
        device.type, precision if precision != torch.float32 else None, precision != torch.float32
    )


def precision_name(precision: torch.dtype) -> str:
    """A precision as a word: `float32`."""
    return str(precision).removeprefix("torch.")
