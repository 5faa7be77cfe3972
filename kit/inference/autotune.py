"""The mode in which a network runs best on this machine, found by a short measurement and kept."""

import functools
import os
from pathlib import Path
from typing import Final

import torch

from kit.data.geometry import Geometry
from kit.inference.runtime import InferenceMode, InferenceModel, read_mode
from kit.models.network import Network
from kit.system.console import say
from kit.system.device import clock, device_name, out_of_memory, peak_memory
from kit.system.disk import read_json, text_hash, write_json
from kit.system.errors import KitError
from kit.system.precision import choose_precision, half_precision


def validation_mode(network: Network, device: torch.device) -> InferenceMode:
    """How a network is validated: the precision of its training, and on a GPU as many photos at
    once as a probe found fastest.

    On a CPU the number is fixed, so that a measurement does not change the rounding of one training
    against another.
    """
    photos = (
        autotune(*network.architecture, device).photos
        if device.type == "cuda"
        else _AT_ONCE[device.type][0]
    )
    return InferenceMode(choose_precision(device, network.parameters_count), photos)


def prepare(network: Network | InferenceModel, device: torch.device) -> InferenceModel:
    """A network as inference runs it, by `validation_mode`; one that is ready already stays as it
    is.
    """
    return (
        network
        if isinstance(network, InferenceModel)
        else InferenceModel(network, validation_mode(network, device))
    )


# Photos that go through a network at once; the first is taken unless another one is clearly faster.
# On a CPU few: what a layer writes may stay in the cache for the next one.
_AT_ONCE: Final = {"cpu": (16, 8, 32), "cuda": (64, 128, 256)}


# Of a GPU's memory, for one network and its photos: all networks and a larger view come to it.
_SHARE: Final = 0.4


# How much faster 16 bits, and another number of photos, must be: a choice should not hang on noise,
# and fp32 is exact.
_GAIN_PRECISION, _GAIN_PHOTOS = 1.15, 1.1


# Photos a second, in fp32 on a CPU, from which decoding them takes longer: 16 bits are not worth
# their rounding then.
_FAST_ENOUGH = 5_000


_PROBE_VERSION: Final = 2


def exact_mode(device: torch.device) -> InferenceMode:
    """fp32, whatever is faster."""
    return InferenceMode(torch.float32, _AT_ONCE[device.type][0])


def photos_per_second(network: InferenceModel, device: torch.device) -> float:
    """The photos of random pixels that a network takes a second, its `way.photos` at once."""
    photos = torch.rand(network.way.photos, 3, *network.geometry.size, device=device)
    photos = photos.contiguous(memory_format=torch.channels_last)
    times: list[float] = []
    with torch.inference_mode():
        for _ in range(
            4 if device.type == "cpu" else 100
        ):  # the first one sets things up; a GPU's clock takes a while to rise
            started = clock(device)
            network(photos)
            times.append(clock(device) - started)
            if sum(times[1:]) > 1:
                break
    return network.way.photos / min(times[1:])


def measure_modes(network: Network, device: torch.device) -> dict[InferenceMode, float]:
    """The ways that may pay on a device, with photos a second: each precision, and the better one
    with more and fewer photos.

    The way to take is the first; its rate is 0 where memory is too small for any.
    """

    def measure(way: InferenceMode) -> float:
        try:
            if device.type == "cuda":
                torch.cuda.empty_cache()  # what is reserved counts, and not what was before
                torch.cuda.reset_peak_memory_stats(device)
            rate = photos_per_second(InferenceModel(network, way), device)
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
            return 0.0
        fits = (
            device.type == "cpu"
            or peak_memory(device) < _SHARE * torch.cuda.mem_get_info(device)[1]
        )
        return rate if fits else 0.0

    first, *others = _AT_ONCE[device.type]
    rates: dict[InferenceMode, float] = {}
    while not rates.get(InferenceMode(torch.float32, first)):
        rates[InferenceMode(torch.float32, first)] = measure(InferenceMode(torch.float32, first))
        if first == 1 or rates[InferenceMode(torch.float32, first)]:
            break
        first, others = first // 2, []  # where not so many fit, more do not either
    full, half = InferenceMode(torch.float32, first), half_precision(device)
    best = full
    if half is not None and not (device.type == "cpu" and rates[full] > _FAST_ENOUGH):
        rates[InferenceMode(half, first)] = measure(InferenceMode(half, first))
        best = (
            InferenceMode(half, first)
            if rates[InferenceMode(half, first)] > _GAIN_PRECISION * rates[full]
            else full
        )
    for photos in others:
        way = InferenceMode(best.precision, photos)
        rates[way] = measure(way)
    faster = max(
        (way for way in rates if way.precision == best.precision), key=lambda way: rates[way]
    )
    best = faster if rates[faster] > _GAIN_PHOTOS * rates[best] else best
    return {best: rates[best], **{way: rate for way, rate in rates.items() if way != best}}


def _kept_place(key: str) -> Path | None:
    try:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:  # a user without a home
        return None
    return cache / "kfold-kit" / f"speed-{text_hash(key)[:16]}.json"


@functools.cache
def autotune(
    model: str, geometry: Geometry, head: str, cosine: bool, device: torch.device
) -> InferenceMode:
    """The way in which an architecture runs fastest on a device, by a short probe, said and kept
    for the next time.

    It is kept in the user's cache folder, by device, threads, torch's version and architecture; in
    memory alone where there is none.
    """
    key = "\t".join(
        map(str, (_PROBE_VERSION, torch.__version__, device_name(device), model, *geometry.size))
    )
    place = _kept_place(key)
    try:
        if place is not None and place.exists():
            return read_mode(read_json(place))
    except (KitError, ValueError, OSError):
        pass  # damaged, or not to be read: measured again
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        network = Network(model, geometry, head, cosine).eval()
        rates = measure_modes(network.to(device, memory_format=torch.channels_last), device)  # type: ignore[call-overload]
    best, *others = rates
    say(
        f"{model} at {geometry.size[0]} x {geometry.size[1]} on {device_name(device)}: "
        f"{best.name}, {best.photos} photos at "
        f"once, {rates[best]:.3g} a second; tried beside it: "
        + ", ".join(f"{way.name} with {way.photos} {rates[way]:.3g}" for way in others)
    )
    if place is not None and rates[best]:  # another process may have had the memory
        try:
            write_json(
                place,
                {
                    "of": key,
                    **best.describe(),
                    "rates": {f"{w.name} {w.photos}": r for w, r in rates.items()},
                },
                force=True,
            )
        except KitError:
            pass  # a home that cannot be written: measured again the next time
    return best
