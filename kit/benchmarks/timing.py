"""Ways measured in turns, and those that are not the kit's in a process of their own."""

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
    """What was measured, for a person to read, and as numbers."""

    title: str
    columns: list[str]
    rows: list[list[str]]
    summary: str
    found: dict[str, Any]


def in_turns(
    ways: Mapping[str, Callable[[], Result]], rounds: int, what: str
) -> tuple[dict[str, np.ndarray], dict[str, Result]]:
    """The seconds of each way in each round, (rounds,), and its last result; every other round goes
    backwards.
    """
    times: dict[str, list[float]] = {name: [] for name in ways}
    results: dict[str, Result] = {}
    with Progress(f"bench {what}", len(ways) * rounds, "runs") as progress:
        for number in range(rounds):
            for name in ways if number % 2 == 0 else reversed(list(ways)):
                started = time.perf_counter()
                results[name] = ways[name]()
                times[name].append(time.perf_counter() - started)
                progress.advance()
    return {name: np.array(values) for name, values in times.items()}, results


def _ratio(times: np.ndarray, base: np.ndarray) -> str:
    """How many times as long as the base it took, round by round: the median, and the least and the
    largest.
    """
    ratios = times / base
    return f"{np.median(ratios):.2f} ({ratios.min():.2f} {ratios.max():.2f})"


class Apart:
    """Ways that are measured in a process of their own, which has none of the kit's settings, such
    as the memory it keeps.

    `make(*arguments)` makes the ways there; both must be picklable.
    """

    def __init__(
        self, make: Callable[..., Mapping[str, Callable[[], Any]]], *arguments: Any
    ) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(theirs, make, arguments, multiprocessing.get_start_method())
        )
        self._process.start()
        theirs.close()
        try:
            names = self._ask(None)
        except BaseException:  # also Ctrl+C: nobody has it yet who would close it
            self.close()
            raise
        self.ways: dict[str, Callable[[], Any]] = {
            name: functools.partial(self._ask, name) for name in names
        }

    def _ask(self, name: str | None) -> Any:
        try:
            self._pipe.send(name)
            error, answer = self._pipe.recv()
        except (EOFError, OSError) as end:
            raise KitError(
                "kit.bench: the process of the other ways has ended, most likely for memory; take "
                "fewer --photos or a "
                "smaller recipe"
            ) from end
        if error is not None:
            raise error
        return answer

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
    start: str,
) -> None:
    """The process's own part: makes the ways, says their names, and runs each one that it is asked
    for.
    """
    multiprocessing.set_start_method(
        start, force=True
    )  # loader processes start here as they do in the other one
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the other process ends this one
    ways: Mapping[str, Callable[[], Any]] = {}
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            name = pipe.recv()
            try:
                if name is None:
                    ways = make(*arguments)
                pipe.send((None, list(ways) if name is None else ways[name]()))
            except KitError as error:
                pipe.send((error, None))
            except Exception as error:  # any other as text: not every one can be sent
                pipe.send((RuntimeError(f"{type(error).__name__}: {error}"), None))


def _rounds(
    ways: Mapping[str, Callable[[], tuple[float, float]]], rounds: int, what: str
) -> dict[str, np.ndarray]:
    """Like `in_turns`, for ways that time themselves: what each returned in each round, (rounds,
    2).
    """
    told: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}

    def tell(name: str) -> None:
        told[name].append(ways[name]())

    in_turns({name: functools.partial(tell, name) for name in ways}, rounds, what)
    return {name: np.array(values) for name, values in told.items()}
