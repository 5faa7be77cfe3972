"""Time loops in turns, and those that are not the kit's in a process of their own.

A loop is a function without arguments that does one round of what is measured.
"""

import contextlib
import functools
import multiprocessing
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from kit.system.console import Progress
from kit.system.errors import KitError

Result = TypeVar("Result")


@dataclass(frozen=True)
class Table:
    """What was measured: a table for the user and a line below it; `numbers` for a program."""

    title: str
    columns: list[str]
    rows: list[list[str]]
    summary: str
    numbers: dict[str, Any]


def in_turns(
    loops: Mapping[str, Callable[[], Result]], rounds: int, title: str
) -> tuple[dict[str, np.ndarray], dict[str, Result]]:
    """The seconds (rounds,) that each loop took in each round, and its last result.

    Every other round takes the loops in reverse order, so that a machine that slows down counts for
    all of them alike.
    """
    seconds: dict[str, list[float]] = {name: [] for name in loops}
    results: dict[str, Result] = {}
    with Progress(f"bench {title}", len(loops) * rounds, "runs") as progress:
        for number in range(rounds):
            for name in loops if number % 2 == 0 else reversed(list(loops)):
                started = time.perf_counter()
                results[name] = loops[name]()
                seconds[name].append(time.perf_counter() - started)
                progress.advance()
    return {name: np.array(values) for name, values in seconds.items()}, results


def self_timed_in_turns(
    loops: Mapping[str, Callable[[], tuple[float, float]]], rounds: int, title: str
) -> dict[str, np.ndarray]:
    """What each loop returned in each round, (rounds, 2), for loops that time themselves.

    They run in turns, as by `in_turns`.
    """
    values: dict[str, list[tuple[float, float]]] = {name: [] for name in loops}

    def run(name: str) -> None:
        values[name].append(loops[name]())

    in_turns({name: functools.partial(run, name) for name in loops}, rounds, title)
    return {name: np.array(pairs) for name, pairs in values.items()}


def ratio_text(seconds: np.ndarray, base: np.ndarray) -> str:
    """The ratios of `seconds` to `base`, round by round, as `median (least largest)`."""
    ratios = seconds / base
    return f"{np.median(ratios):.2f} ({ratios.min():.2f} {ratios.max():.2f})"


class SeparateProcess:
    """Loops that run in a process of their own, without the kit's settings.

    Such a setting is the memory that the kit keeps. `make(*arguments)` makes the loops in that
    process; both must be picklable. `loops` are functions of this process that run the loops in the
    other one.
    """

    def __init__(
        self, make: Callable[..., Mapping[str, Callable[[], Any]]], *arguments: Any
    ) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, child_pipe = context.Pipe()
        start_method = multiprocessing.get_start_method()
        self._process = context.Process(
            target=_serve, args=(child_pipe, make, arguments, start_method)
        )
        self._process.start()
        child_pipe.close()
        try:
            names = self._ask(None)
        except BaseException:  # also Ctrl+C: the caller has no object yet to close
            self.close()
            raise
        self.loops: dict[str, Callable[[], Any]] = {
            name: functools.partial(self._ask, name) for name in names
        }

    def _ask(self, name: str | None) -> Any:
        """The result of a loop, or for None the names of the loops, once they are made."""
        try:
            self._pipe.send(name)
            error, result = self._pipe.recv()
        except (EOFError, OSError) as end:
            raise KitError(
                "kit.bench: the process of the other loops has ended, most likely for memory; take "
                "fewer --photos or a smaller recipe"
            ) from end
        if error is not None:
            raise error
        return result

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.join(timeout=5)
        self._process.kill()
        self._process.join()


def _serve(
    pipe: Any,
    make: Callable[..., Mapping[str, Callable[[], Any]]],
    arguments: Sequence[Any],
    start_method: str,
) -> None:
    """Make the loops in the separate process, send their names, and run those that are asked."""
    # Loader processes start here as they do in the other process.
    multiprocessing.set_start_method(start_method, force=True)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C: the other process ends this one
    loops: Mapping[str, Callable[[], Any]] = {}
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            name = pipe.recv()
            try:
                if name is None:
                    loops = make(*arguments)
                pipe.send((None, list(loops) if name is None else loops[name]()))
            except KitError as error:
                pipe.send((error, None))
            except Exception as error:  # as text, for not every exception can be pickled
                pipe.send((RuntimeError(f"{type(error).__name__}: {error}"), None))
