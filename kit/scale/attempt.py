"""One attempt of a job in another process: its log, its share of the machine, how it ends."""

import os
import socket
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from kit.scale.job import Job
from kit.scale.log import STOPPED, Start, attempts_of, logged
from kit.system.device import device_name
from kit.system.errors import KitError, LoggedError, escaped, explained, problem, without_secrets
from kit.system.signals import be_patient, sigterm_as_ctrl_c
from kit.system.threads import take_cores

Outcome = tuple[Any, Exception | None]  # the result of a job, or its error


class Preempted(Exception):
    """A job that was asked to stop: it has saved, and is to be started again."""


@dataclass(frozen=True)
class Terms:
    """What the attempts of one call of a runner may use, and how many each job has.

    `command` tells this call's attempts from others. A job computes on `device`, `cpu` or `cuda`,
    with so many `cores`. `variables` of the environment hold where the machine has none of its own.
    """

    command: str
    attempts: int
    device: str
    cores: int
    variables: Mapping[str, str] = field(default_factory=dict)


def attempt(job: Job, terms: Terms, host: str = "") -> Outcome:
    """Run a job in this process, into its log; its result, or its error.

    An error other than `KitError` comes back as a `LoggedError`, and its traceback is in the log.
    Raises `Preempted` after a signal. `host` is what this machine is called in the log.
    """
    number = attempts_of(job.log, terms.command) + 1
    if number > terms.attempts:
        return None, gave_up(job, terms.attempts)
    for name, value in terms.variables.items():
        os.environ.setdefault(name, value)
    take_cores(terms.cores)
    be_patient()
    place = f"{host or socket.gethostname()} ({_describe_device(terms)})"
    start = Start(number, terms.attempts, job.name, place, os.getpid(), terms.command)
    try:
        with logged(job.log):
            return _run(job, start)
    except OSError as error:  # of the log: one of the job's own is its outcome
        what = f"cannot be written ({error.strerror or error})"
        remedy = "make room, or let it be written; the same command goes on"
        return None, problem(job.log, what, remedy=remedy)


def _run(job: Job, start: Start) -> Outcome:
    """The outcome of a job, whose log is what this process prints."""
    print(start, flush=True)
    try:
        with sigterm_as_ctrl_c():
            result = job.call(*job.arguments)
    except KitError as error:
        print(start.ended(f"error: {error}"), flush=True)
        return None, error
    except KeyboardInterrupt:
        print(start.ended(STOPPED), flush=True)
        raise Preempted(job.name) from None
    except Exception as error:  # a bug: its traceback is of use where it happened
        if line := explained(job.name, error):
            print(start.ended(f"error: {line}"), flush=True)
            return None, line
        lines = without_secrets(traceback.format_exc()).splitlines()
        how = without_secrets(f"{type(error).__name__}: {error}")
        print(*map(escaped, [*lines, start.ended(how)]), sep="\n", flush=True)
        return None, bug(job, error)
    print(start.ended("finished"), flush=True)
    return result, None


def bug(job: Job, error: BaseException) -> LoggedError:
    """The line of a job's exception that is no user's mistake."""
    line = " ".join(without_secrets(f"{type(error).__name__}: {error}").split())
    return LoggedError(f"{job.name}: {line[:300]}")


def gave_up(job: Job, attempts: int) -> KitError:
    """The error of a job whose process was killed in each of its attempts."""
    times = f"{attempts} times" if attempts > 1 else "once"
    return problem(
        job.name,
        f"its process was killed or lost {times}, most likely for memory",
        remedy="the same command goes on from the last save",
    )


def _describe_device(terms: Terms) -> str:
    """The device of a job in words, with its number of cores."""
    cores = f"{terms.cores} core{'s'[: terms.cores != 1]}"
    if terms.device != "cpu" and torch.cuda.is_available():
        return f"{device_name(torch.device('cuda', 0))}, {cores}"
    return cores
