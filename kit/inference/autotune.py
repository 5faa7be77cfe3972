"""The mode in which a network runs best on this machine, by a short measurement that is kept."""

import functools
import os
from pathlib import Path
from typing import Final

import torch

from kit.inference.runtime import InferenceMode, InferenceModel, read_mode
from kit.models.architecture import Architecture
from kit.models.network import Network
from kit.system.console import say
from kit.system.device import clock, device_name, out_of_memory, peak_memory
from kit.system.disk import read_json, text_hash, write_json
from kit.system.errors import KitError
from kit.system.precision import choose_precision, half_precision

# Photos that go through a network at once; the first is taken unless another one is clearly faster.
# On a CPU few: what a layer writes may stay in the cache for the next one.
_AT_ONCE: Final = {"cpu": (16, 8, 32), "cuda": (64, 128, 256)}
# The share of a GPU's memory that one network and its photos may take here: an ensemble adds more
# networks and larger views.
_SHARE: Final = 0.4
# How much faster 16 bits, and another number of photos, must be: a choice should not hang on noise,
# and fp32 is exact.
_GAIN_PRECISION: Final = 1.15
_GAIN_PHOTOS: Final = 1.1
# Photos a second, in fp32 on a CPU, from which decoding them takes longer: 16 bits are not worth
# their rounding then.
_FAST_ENOUGH: Final = 5_000
_MEASUREMENT_VERSION: Final = 3


def validation_mode(network: Network, device: torch.device) -> InferenceMode:
    """The mode in which a network is validated: its training's precision, and a number of photos.

    On a GPU the number is the one that a measurement found fastest. On a CPU it is fixed, so that a
    measurement does not change the rounding of one training against another.
    """
    if device.type == "cuda":
        photos = autotune(network.architecture, device).photos
    else:
        photos = _AT_ONCE[device.type][0]
    return InferenceMode(choose_precision(device, network.parameters_count), photos)


def prepare(network: Network | InferenceModel, device: torch.device) -> InferenceModel:
    """A network as inference runs it, by `validation_mode`.

    A prepared network is returned as it is.
    """
    if isinstance(network, InferenceModel):
        return network
    return InferenceModel(network, validation_mode(network, device))


def exact_mode(device: torch.device) -> InferenceMode:
    """The mode of fp32, even where 16 bits are faster."""
    return InferenceMode(torch.float32, _AT_ONCE[device.type][0])


def photos_per_second(network: InferenceModel, device: torch.device) -> float:
    """The photos of random pixels that a network takes a second, `network.mode.photos` at once."""
    shape = network.mode.photos, network.geometry.channels, *network.geometry.size
    photos = torch.rand(*shape, device=device)
    photos = photos.contiguous(memory_format=torch.channels_last)
    times: list[float] = []
    # The first run sets things up, and a GPU's clock takes a while to rise.
    with torch.inference_mode():
        for _ in range(4 if device.type == "cpu" else 100):
            started = clock(device)
            network(photos)
            times.append(clock(device) - started)
            if sum(times[1:]) > 1:
                break
    return network.mode.photos / min(times[1:])


def _measure(network: Network, mode: InferenceMode, device: torch.device) -> float:
    """The photos a second of a network in a mode; 0 where the device's memory is too small."""
    try:
        if device.type == "cuda":
            torch.cuda.empty_cache()  # what is reserved counts, and not what was before
            torch.cuda.reset_peak_memory_stats(device)
        rate = photos_per_second(InferenceModel(network, mode), device)
    except RuntimeError as error:
        if not out_of_memory(error):
            raise
        return 0.0
    if device.type == "cpu":
        return rate
    return rate if peak_memory(device) < _SHARE * torch.cuda.mem_get_info(device)[1] else 0.0


def measure_modes(network: Network, device: torch.device) -> dict[InferenceMode, float]:
    """The modes that may pay on a device, each with its photos a second; the best one is first.

    They are each precision, and the better precision with more and fewer photos. If memory is too
    small for any, the first one's rate is 0.
    """
    first, *others = _AT_ONCE[device.type]
    rates: dict[InferenceMode, float] = {}
    while True:
        full = InferenceMode(torch.float32, first)
        rates[full] = _measure(network, full, device)
        if rates[full] or first == 1:
            break
        first, others = first // 2, []  # where not so many fit, more do not either
    best, half = full, half_precision(device)
    if half is not None and not (device.type == "cpu" and rates[full] > _FAST_ENOUGH):
        in_half = InferenceMode(half, first)
        rates[in_half] = _measure(network, in_half, device)
        best = in_half if rates[in_half] > _GAIN_PRECISION * rates[full] else full
    for photos in others:
        mode = InferenceMode(best.precision, photos)
        rates[mode] = _measure(network, mode, device)
    of_precision = [mode for mode in rates if mode.precision == best.precision]
    fastest = max(of_precision, key=lambda mode: rates[mode])
    best = fastest if rates[fastest] > _GAIN_PHOTOS * rates[best] else best
    return {best: rates[best], **{mode: rate for mode, rate in rates.items() if mode != best}}


@functools.cache
def autotune(architecture: Architecture, device: torch.device) -> InferenceMode:
    """The mode in which an architecture runs fastest on a device, measured once and printed.

    It is kept in the user's cache folder, by device, threads, torch's version and architecture; for
    a user without a home, in memory alone.
    """
    size, outputs = architecture.geometry.size, architecture.outputs
    parts = (_MEASUREMENT_VERSION, torch.__version__, device_name(device), architecture.model)
    channels = architecture.geometry.channels
    other = (channels,) if channels != 3 else ()
    key = "\t".join(map(str, (*parts, *size, outputs, *other)))
    place = _kept_place(key)
    try:
        if place is not None and place.exists():
            content = read_json(place, "delete it")
            if content.get("of") == key:  # not another one's
                return read_mode(content)
    except (KitError, ValueError, OSError):
        pass  # damaged, or not to be read: measured again
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        network = Network(architecture).eval()
        rates = measure_modes(network.to(device, memory_format=torch.channels_last), device)  # type: ignore[call-overload]
    best, *others = rates
    tried = ", ".join(f"{mode.name} with {mode.photos} {rates[mode]:.3g}" for mode in others)
    say(
        f"{architecture.model} at {size[0]} x {size[1]} on {device_name(device)}: {best.name}, "
        f"{best.photos} photos at once, {rates[best]:.3g} a second; tried beside it: {tried}"
    )
    if place is not None and rates[best]:  # another process may have had the memory
        _keep(place, key, best, rates)
    return best


def _kept_place(key: str) -> Path | None:
    """Where a measurement is kept; None for a user without a home."""
    try:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:
        return None
    return cache / "kfold-kit" / f"speed-{text_hash(key)[:16]}.json"


def _keep(place: Path, key: str, best: InferenceMode, rates: dict[InferenceMode, float]) -> None:
    """Keep a measurement; if its file cannot be written, the next process measures again."""
    by_name = {f"{mode.name} {mode.photos}": rate for mode, rate in rates.items()}
    try:
        write_json(place, {"of": key, **best.describe(), "rates": by_name}, force=True)
    except KitError:
        pass
