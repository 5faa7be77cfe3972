"""Jobs: calls that may run in another process, or on another machine, and how they end."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kit.system.console import show_error
from kit.system.errors import KitError, LoggedError


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
    """A job that has ended: its `result`, or the `error` that was the last of its attempts.

    `logged` says that what it printed is in its log.
    """

    job: Job
    result: Any = None
    error: Exception | None = None
    logged: bool = False


# Runs jobs, in their order as far as there is room, and gives each of them as soon as it ends. An
# error of one does not end the others; `KeyboardInterrupt` ends all. Closed early (by
# `contextlib.closing`), it lets those that run save, and waits for them.
Runner = Callable[[Sequence[Job]], Generator[Ended, None, None]]


@dataclass(frozen=True)
class Place:
    """Where jobs run: by `run`, on a `device` (None: the first GPU, else the CPU).

    Where it is elsewhere than in this process, `title` names it, `share` says what each job has, in
    words, and so many `processes` run jobs at once.
    """

    run: Runner
    device: str | None = None
    title: str = ""
    share: str = ""
    processes: int = 1


@dataclass(frozen=True)
class Shared:
    """What each machine must see as this one does, at the same absolute paths.

    `read` are files, equal in their bytes, and folders; `written` is the folder of results.
    `variables` names what is passed on of the environment, to machines that have none of their own.
    """

    read: tuple[Path, ...]
    written: Path
    variables: tuple[str, ...] = ()


def run_here(jobs: Sequence[Job]) -> Generator[Ended, None, None]:
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


def raise_errors(ended: Sequence[Ended]) -> None:
    """Raise the error of jobs that have failed, if any; of several errors the others are printed.

    Each is one line, which names the log of the first job that it ended. A `LoggedError` is raised
    before a `KitError`.
    """
    first: dict[str, Ended] = {}
    for one in ended:
        if one.error is not None:
            first.setdefault(f"{one.error}", one)
    failed = sorted(first.values(), key=lambda one: isinstance(one.error, LoggedError))
    lines = [f"{one.error}" + f"; log: {one.job.log}" * one.logged for one in failed]
    for line in lines[:-1]:
        show_error(line)
    if failed:
        kind = LoggedError if isinstance(failed[-1].error, LoggedError) else KitError
        raise kind(lines[-1])
