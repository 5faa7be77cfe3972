"""The speed of several workers at once on one machine: training, inference and their parts."""

import contextlib
import functools
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

import torch

from kit.benchmarks.scale_parts import Work, parts
from kit.benchmarks.scale_table import INFERENCE, STAGES, TRAINING, scale_table
from kit.benchmarks.synthetic import drawn_folder, training_photos
from kit.benchmarks.timing import SeparateProcess, Table, self_timed_in_turns
from kit.benchmarks.training import quick
from kit.competitions import DEFAULT, find_competition
from kit.data.cache import pixel_cache
from kit.data.folder import DataFolder
from kit.inference.autotune import autotune
from kit.models.architecture import architecture_of
from kit.recipe import load_recipe
from kit.system.device import choose_device
from kit.system.errors import KitError
from kit.system.threads import cores

_WAIT: Final = 600.0  # seconds that workers wait for each other, before one of them counts as lost


@dataclass(frozen=True)
class Effort:
    """How much is measured: `rounds`, training `steps`, `photos`, and `workers` at most.

    For None there are as many workers as GPUs, on one GPU two, on a CPU one a core.
    """

    rounds: int
    steps: int
    photos: int
    workers: int | None = None


def worker(
    work: Work, device_name: str, threads: int, meetings: Mapping[int, Any]
) -> dict[str, Callable[[], float]]:
    """The loops of a worker by part and case: the seconds of a part of the work.

    With n workers they begin together, as soon as all n have reached `meetings[n]`. Each has one
    thread; alone it is measured with `threads`, too.
    """
    torch.set_num_threads(1)
    stages = parts(work, choose_device(device_name))

    def run(stage: str, number: int, count: int) -> float:
        torch.set_num_threads(count)
        meeting = meetings[number]
        try:
            return stages[stage](functools.partial(meeting.wait, _WAIT))
        except BaseException:
            meeting.abort()  # the others would wait for this one
            raise
        finally:
            torch.set_num_threads(1)

    return {
        f"{stage}/{case_name(*case)}": functools.partial(run, stage, *case)
        for stage in STAGES
        for case in cases(stage, list(meetings), threads)
    }


def cases(stage: str, counts: Sequence[int], threads: int) -> list[tuple[int, int]]:
    """What is measured of a part of the work: so many workers with so many threads each.

    The last case of what has use for several threads is one worker with all of them.
    """
    alone = threads > 1 and stage in (TRAINING, INFERENCE)
    return [(number, 1) for number in counts] + [(1, threads)] * alone


def case_name(number: int, threads: int) -> str:
    """The name of a case of `cases`."""
    return f"{number} with {threads} threads" if threads > 1 else str(number)


def device_names(name: str | None) -> list[str]:
    """The devices to spread workers over: the one named by its number, all GPUs, or the CPU."""
    device = choose_device(name)
    if device.type != "cuda" or (name is not None and ":" in name):
        return [str(device)]
    return [f"cuda:{number}" for number in range(torch.cuda.device_count())]


def worker_counts(gpus: int, most: int | None) -> list[int]:
    """The numbers of workers to measure: 1, 2, 4 and so on, and `most`.

    Raises `KitError` for more workers than cores.
    """
    most = most or (max(2, gpus) if gpus else cores())
    if most > cores():
        raise KitError(
            f"--processes {most}: each takes a core, and there are {cores()}; take at most as many"
        )
    return sorted({2**n for n in range(most.bit_length()) if 2**n < most} | {most})


def run_together(loops: Sequence[Callable[[], float]], meeting: Any) -> float:
    """The seconds of the slowest of loops that run at once, each in its own process."""
    with ThreadPoolExecutor(len(loops)) as pool:
        running = [pool.submit(loop) for loop in loops]
        try:
            return max(ended.result() for ended in as_completed(running))
        except BaseException:
            meeting.abort()  # one that was killed has told nobody
            raise


@contextlib.contextmanager
def workers(
    work: Work, devices: Sequence[str], counts: Sequence[int], threads: int
) -> Iterator[dict[str, dict[str, Callable[[], tuple[float, float]]]]]:
    """For each part of the work, loops that run it by so many workers at once.

    A loop returns the photos a second of all of them together, or GFLOP, or GB, and the seconds.
    """
    meetings = {number: get_context("spawn").Barrier(number) for number in counts}
    with contextlib.ExitStack() as stack:
        processes = []
        for device in devices:
            process = SeparateProcess(worker, work, device, threads, meetings)
            processes.append(stack.enter_context(contextlib.closing(process)))

        def rate(stage: str, number: int, count: int) -> tuple[float, float]:
            name = f"{stage}/{case_name(number, count)}"
            seconds = run_together([p.loops[name] for p in processes[:number]], meetings[number])
            return number * work.amounts[stage] / seconds, seconds

        yield {
            stage: {
                case_name(*case): functools.partial(rate, stage, *case)
                for case in cases(stage, counts, threads)
            }
            for stage in STAGES
        }


def bench_scale(
    path: Path,
    effort: Effort,
    data: DataFolder | None = None,
    device_name: str | None = None,
    loaders: int | None = None,
) -> Table:
    """Photos a second of one worker, of several at once, and what is lost between them.

    A worker is a process: on GPUs it has one to itself, where there are enough, on a CPU it has one
    core; `loaders` are its loader processes. Each round measures all numbers of workers in turns.
    """
    recipe, names = quick(load_recipe(path)), device_names(device_name)
    device = choose_device(names[0])
    gpus = len(names) if device.type == "cuda" else 0
    counts = worker_counts(gpus, effort.workers)
    most = counts[-1]
    share = min(8, max(1, cores() // most - 1)) if gpus else 0
    competition = data.competition if data else find_competition(DEFAULT)
    with tempfile.TemporaryDirectory() as temporary:
        folder, number = Path(temporary), recipe.batch_size * (effort.steps + 1)
        number = max(number, effort.photos)
        photos = training_photos(data or drawn_folder(folder, number), folder, number)
        cache, geometry = folder / "pixels", recipe.geometry(competition)
        pixel_cache(cache, photos.root, photos.images, geometry, read=competition.read)
        work = Work(
            recipe=path,
            competition=competition.describe(),
            photos=photos,
            cache=cache,
            steps=effort.steps,
            loaders=share if loaders is None else loaders,
            mode=autotune(architecture_of(recipe, competition), device).describe(),
        )
        devices = [names[n % len(names)] for n in range(most)]
        with workers(work, devices, counts, 1 if gpus else most) as stages:
            rates = {
                stage: {
                    name: values[:, 0]
                    for name, values in self_timed_in_turns(loops, effort.rounds, stage).items()
                }
                for stage, loops in stages.items()
            }
    title = f"Workers at once on {device.type}, {recipe.name} ({recipe.model})"
    return scale_table(f"{title}; medians of {effort.rounds}", rates, gpus)
