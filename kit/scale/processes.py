"""Jobs in processes side by side on this machine: the runner of a box with several devices."""

import contextlib
import functools
import multiprocessing
import os
import secrets
import signal
import threading
from collections import Counter, deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Final

from kit.scale.attempt import Outcome, Preempted, Terms, attempt, gave_up
from kit.scale.job import Ended, Job, Runner
from kit.scale.watch import Watch
from kit.system.console import Progress
from kit.system.errors import LoggedError
from kit.system.signals import Stop
from kit.system.threads import cores, wanted_threads

_POLL_SECONDS: Final = 0.3
_OF_TERMINALS: Final = (signal.SIGINT, signal.SIGHUP)


@dataclass(frozen=True)
class _Child:
    """A process that runs a job on a device, and the end of the pipe that its outcome comes by."""

    job: Job
    device: str
    process: BaseProcess
    outcome: Connection

    @property
    def has_ended(self) -> bool:
        """True if its outcome is there, or if it will not come."""
        return self.outcome.poll() or not self.process.is_alive()

    def result(self) -> Outcome | None:
        """The outcome; None if the process was killed, or has saved and is to go on later."""
        outcome: Outcome | None = None
        with contextlib.suppress(EOFError, OSError):  # killed before it sent, or while it did
            outcome = self.outcome.recv() if self.outcome.poll() else None
        self.process.join()
        self.outcome.close()
        return outcome


def run_side_by_side(devices: Sequence[str], retries: int) -> Runner:
    """The runner that has a process for each of `devices`, such as `cuda:0`, or twice `cpu`.

    Each job has its share of the cores, and sees the one device alone. A process that is killed is
    started again, up to so many `retries` a job, and goes on from the job's files. Ctrl+C and
    SIGTERM ask all to stop and wait for them; once more ends them at once. They end, too, if this
    process is killed.
    """
    return functools.partial(_run, devices=tuple(devices), retries=retries)


def core_share(devices: Sequence[str]) -> int:
    """The number of cores of each process: fewer on CPUs, if OMP_NUM_THREADS says so."""
    share = max(1, cores() // len(devices))
    return wanted_threads(share) if devices[0] == "cpu" else share


def _run(
    jobs: Sequence[Job], devices: tuple[str, ...], retries: int
) -> Generator[Ended, None, None]:
    kind, command = devices[0].partition(":")[0], secrets.token_hex(4)
    pool = _Pool(Terms(command, retries + 1, kind, core_share(devices)), list(devices))
    waiting = deque(jobs)
    with Stop() as stop, stop.held(), Progress("jobs", len(jobs), "jobs") as progress:
        watch = Watch(jobs, command, progress)
        try:
            while waiting or pool.children:
                if stop.asked:
                    waiting.clear()
                    pool.ask_to_stop()
                while waiting and pool.free:
                    pool.start(waiting.popleft())
                pool.wait()
                watch.poll()
                for job, outcome in pool.ended():
                    if outcome is None and stop.asked:
                        continue
                    if outcome is None and pool.attempts[job.name] <= retries:
                        waiting.appendleft(job)
                        continue
                    watch.end(job)
                    result, error = outcome or (None, gave_up(job, retries + 1))
                    yield Ended(job, result, error, logged=True)
        finally:
            pool.end(at_once=stop.forced)


class _Pool:
    """Processes that run jobs, one on each device that is not `free`."""

    def __init__(self, terms: Terms, free: list[str]) -> None:
        self.terms, self.free = terms, free
        self.children: list[_Child] = []
        self.attempts = Counter[str]()
        self._asked = False

    def start(self, job: Job) -> None:
        """Start a process for a job on a free device."""
        device, context = self.free.pop(0), multiprocessing.get_context("spawn")
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=_work, args=(job, self.terms, sender), name=job.name)
        # multiprocessing's own process; starting it lets a terminal's signals through again.
        resource_tracker.ensure_running()
        with _environment(device, self.terms.cores), _without_ctrl_c():
            process.start()
        sender.close()
        self.children.append(_Child(job, device, process, receiver))
        self.attempts[job.name] += 1

    def wait(self) -> None:
        """Wait until a process ends, but no longer than until logs are to be looked at again."""
        wait([child.outcome for child in self.children], _POLL_SECONDS)

    def ended(self) -> Iterator[tuple[Job, Outcome | None]]:
        """The jobs whose processes have ended, and their outcomes."""
        for child in list(self.children):
            if child.has_ended:
                self.children.remove(child)
                self.free.append(child.device)
                yield child.job, child.result()

    def ask_to_stop(self) -> None:
        """Ask all processes to save and to end, once."""
        if not self._asked:
            self._asked = True
            for child in self.children:
                child.process.terminate()

    def end(self, at_once: bool) -> None:
        """End all processes, after they have saved or at once."""
        try:
            if not at_once:
                self.ask_to_stop()
                for child in self.children:
                    child.process.join()
        finally:  # a second Ctrl+C comes while they save
            for child in self.children:
                child.process.kill()
                child.process.join()


@contextlib.contextmanager
def _environment(device: str, threads: int) -> Iterator[None]:
    """In the block processes are started that see one device, and begin with so many threads."""
    before = dict(os.environ)
    kind, _, number = device.partition(":")
    if kind == "cuda":
        visible = before.get("CUDA_VISIBLE_DEVICES")
        os.environ["CUDA_VISIBLE_DEVICES"] = visible.split(",")[int(number)] if visible else number
    os.environ["OMP_NUM_THREADS"] = str(threads)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextlib.contextmanager
def _without_ctrl_c() -> Iterator[None]:
    """In the block processes are started for which a terminal's signals wait; here they do, too."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _OF_TERMINALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(job: Job, terms: Terms, outcome: Connection) -> None:
    """Run a job in this process, which was started for it, and send its outcome.

    Nothing is sent where it is to be started again.
    """
    # They reach all processes of a terminal: the one that has started this one passes them on.
    for number in _OF_TERMINALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _OF_TERMINALS)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with contextlib.suppress(Preempted):
        ended = attempt(job, terms)
        try:
            outcome.send(ended)
        except Exception as error:  # whatever pickle finds in a result
            outcome.send((None, LoggedError(f"{job.name}: its result cannot be sent: {error}")))


def _end_with_parent() -> None:
    """Wait until the process that has started this one ends; then save, and end as well."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
