"""Blocks of photos run by other processes, which keep them beside the checkpoints."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kit.blending.block_runs import BlockRun, run_block
from kit.blending.early_rule import EarlyRule
from kit.inference.blocks import Blocks
from kit.scale.job import Job, Runner
from kit.system.console import Progress
from kit.system.errors import KitError

# Jobs a worker: many enough that none waits long for the last one, and few, for each starts a
# process and loads all networks.
_JOBS: Final = 4


@dataclass(frozen=True)
class Workers:
    """Other processes that run blocks: their runner, their number, and the device of each.

    `logs` is the folder for what they print.
    """

    runner: Runner
    number: int
    device: str | None
    logs: Path


def run_elsewhere(blocks: Blocks, early: EarlyRule | None, workers: Workers) -> dict[int, BlockRun]:
    """Run all blocks by other processes; what became of each.

    Raises the error of a job that failed, once all have ended.
    """
    jobs = _jobs(blocks, early, workers)
    runs: dict[int, BlockRun] = {}
    errors: list[Exception] = []
    first = dict(zip((job.name for job, _ in jobs), (numbers for _, numbers in jobs)))
    what = f"{len(jobs)} runs of blocks"
    with Progress(what, len(blocks.photos.ids)) as progress:
        for ended in workers.runner([job for job, _ in jobs]):
            if ended.error is not None:
                errors.append(ended.error)
                continue
            numbers = first[ended.job.name]
            runs.update(zip(numbers, ended.result, strict=True))
            rows = blocks.rows(numbers[0]).start, blocks.rows(numbers[-1]).stop
            progress.advance(rows[1] - rows[0])
    if errors:
        raise errors[0]
    if sorted(runs) != list(range(len(blocks))):
        raise RuntimeError(f"{len(runs)} of {len(blocks)} blocks were run")
    return runs


def run_blocks(blocks: Blocks, early: EarlyRule | None) -> list[BlockRun]:
    """Run blocks, and keep their probabilities beside the checkpoints; what became of each.

    Raises `KitError` if they cannot be kept there, from where another process takes them.
    """
    runs = []
    for b in range(len(blocks)):
        with blocks.open(b) as block:
            runs.append(run_block(blocks, b, block, early))
        if blocks.unkept:
            raise KitError(
                f"{blocks.unkept[0]}; probabilities that one process has computed for another are "
                "kept beside checkpoints: copy the runs to where all of them may write"
            )
    return runs


def _jobs(blocks: Blocks, early: EarlyRule | None, workers: Workers) -> list[tuple[Job, range]]:
    """The jobs, each with the consecutive blocks that it runs."""
    number = min(len(blocks), _JOBS * workers.number)
    jobs = []
    for n in range(number):
        numbers = range(n * len(blocks) // number, (n + 1) * len(blocks) // number)
        rows = slice(blocks.rows(numbers[0]).start, blocks.rows(numbers[-1]).stop)
        part = blocks.part(rows, workers.device)
        arguments = part, early.part(rows) if early is not None else None
        name = f"photos {rows.start:,} to {rows.stop:,}"
        log = workers.logs / f"blocks{n:03d}.txt"
        jobs.append((Job(name, run_blocks, arguments, log), numbers))
    return jobs
