"""Calls made by a place's processes, on this machine or on others."""

import contextlib
import dataclasses
import math
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from kit.data.folder import DataFolder, read_ids
from kit.inference import photo_set
from kit.inference.engine import Compute
from kit.inference.member import Checkpoint, Member, Pass
from kit.inference.member_files import only_files
from kit.inference.members import inference_modes
from kit.inference.networks import Networks, checkpoints_of
from kit.inference.photo_set import PhotoSet
from kit.inference.views import View
from kit.scale.job import Job, Place, Shared, raise_errors
from kit.scale.place import choose_place
from kit.system.console import say
from kit.system.disk import check_writable
from kit.system.errors import KitError

# Calls a process: many enough that none waits long for the last one, and few, for each starts a
# process and loads all networks.
_CALLS: Final = 4
# The least photos of a call, a multiple of every number that goes through a network at once.
_FEW: Final = 256


def find_place(args: Namespace, members: Sequence[Path], data: DataFolder) -> Place | None:
    """Where the networks of members run, as the options say; None for in this process.

    Raises `KitError` if no member has one, and as `choose_place` does.
    """
    runs = [path.absolute() for path in members if not only_files([path])]
    elsewhere = args.cluster is not None or "," in (args.device or "")
    if elsewhere and not runs:
        raise KitError(
            "--cluster and several devices are for networks, and no member has one; leave them out"
        )
    blocks = math.ceil(len(read_ids(data)) / photo_set.BLOCK) if elsewhere else 1
    weights = [file for run in runs for file in sorted(run.rglob("best.safetensors")) or [run]]
    read = (data.root.absolute(), data.test_table.absolute(), *weights)
    shared = Shared(read, runs[0].parent if runs else Path.cwd())
    place = choose_place(args, shared, blocks)
    if not place.title:
        return None
    say(f"{place.title}; {blocks} block{'s'[: blocks != 1]} of photos, {place.share}")
    return place


def call_elsewhere(
    compute: Compute,
    checkpoints: Sequence[Checkpoint],
    name: str,
    call: Callable[..., Any],
    of_each: Sequence[tuple[Any, ...]],
) -> list[Any]:
    """The results of a call with each of several arguments, made at a place, in their order.

    Logs lie beside the first of the checkpoints, where all processes must be able to write. Raises
    the error of a call that failed, once all have ended.
    """
    assert compute.place is not None
    folder = checkpoints[0].path.absolute().parent
    check_writable(folder / name)
    jobs = [
        Job(f"{name} {n + 1} of {len(of_each)}", call, arguments, folder / f"{name}-{n}.txt")
        for n, arguments in enumerate(of_each)
    ]
    with contextlib.closing(compute.place.run(jobs)) as running:
        ended = {one.job.name: one for one in running}
    raise_errors(list(ended.values()))
    return [ended[job.name].result for job in jobs]


def parts_of(number: int, at_least: int, compute: Compute) -> list[range]:
    """The numbers from 0 to `number` in as many consecutive parts as a place has calls for.

    Each part but the last is a multiple of `at_least`.
    """
    processes = compute.place.slots if compute.place is not None else 1
    units = -(-number // at_least)
    count = min(units, _CALLS * processes)
    ends = [min(number, at_least * (units * n // count)) for n in range(count + 1)]
    return [range(start, stop) for start, stop in zip(ends, ends[1:])]


def with_modes(members: Sequence[Member], compute: Compute) -> Compute:
    """`compute` with the modes of the members' networks, where these run at a place.

    They are measured by one of its processes, once for all.
    """
    networks = [dataclasses.replace(m.placed(), test=None, oof=None) for m in members]
    checkpoints = [checkpoint for member in networks for checkpoint in member.checkpoints]
    if compute.place is None or compute.exact or not checkpoints:
        return compute
    arguments = networks, compute.placed()
    (modes,) = call_elsewhere(compute, checkpoints, "modes", inference_modes, [arguments])
    return dataclasses.replace(compute, modes=modes)


def run_few_elsewhere(
    passes: Sequence[Pass], photos: PhotoSet, views: Mapping[str, View], compute: Compute
) -> list[np.ndarray]:
    """The probabilities (N, C) of passes that need networks, for a few photos, by a place."""
    passes, photos, placed = [one.placed() for one in passes], photos.placed(), compute.placed()
    of_each = [
        (passes, photos.part(part.start, part.stop), views, placed)
        for part in parts_of(len(photos.ids), _FEW, compute)
    ]
    tables = call_elsewhere(compute, checkpoints_of(passes), "few", run_few, of_each)
    return [np.concatenate(of_pass) for of_pass in zip(*tables)]


def run_few(
    passes: Sequence[Pass], photos: PhotoSet, views: Mapping[str, View], compute: Compute
) -> list[np.ndarray]:
    """The probabilities (N, C) of passes that need networks, for a few photos; not kept."""
    networks = Networks(views, compute)
    tables: dict[int, np.ndarray] = {}
    groups = networks.groups(range(len(passes)), passes)
    for group in groups:
        probs, _ = networks.run([passes[p] for p in group], photos)
        tables.update(zip(group, probs))
        if len(groups) > 1:
            networks.clear()
    return [tables[p] for p in range(len(passes))]
