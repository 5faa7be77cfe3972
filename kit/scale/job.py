"""Jobs: calls that may run in another process, or on another machine, and how they end."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kit.system.errors import KitError


@dataclass(frozen=True)
class Job:
    """A call that may be killed at any moment and made again, anywhere: it goes on from its files.

    `name` names it in messages, such as `effb4_5fold/fold3`. `log` is the file for what it prints
    where it does not run in this process. Call and arguments are pickled then, so that the paths
    among them must be absolute.
    """

    name: str
    call: Callable[..., Any]
    arguments: tuple[Any, ...]
    log: Path


@dataclass(frozen=True)
class Ended:
    """A job that has ended: its `result`, or the `error` that was the last of its attempts."""

    job: Job
    result: Any = None
    error: Exception | None = None


# Runs jobs, in their order as far as there is room, and gives each of them as soon as it ends. An
# error of one does not end the others; `KeyboardInterrupt` ends all.
Runner = Callable[[Sequence[Job]], Iterator[Ended]]


def run_here(jobs: Sequence[Job]) -> Iterator[Ended]:
    """Run jobs one after another in this process: the runner of one machine with one device.

    What a job prints goes to the terminal. An exception that is no `KitError` is a bug, and ends
    all.
    """
    for job in jobs:
        try:
            ended = Ended(job, job.call(*job.arguments))
        except KitError as error:
            ended = Ended(job, error=error)
        yield ended
