"""The seconds of each stage of the work, and torch's trace of a few steps.

Code marks its stages with `stage`, `staged` and `step`, which do nothing outside of `profiled`.
"""

import contextlib
import dataclasses
import gzip
import os
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import torch
from torch.profiler import ProfilerActivity, profile, record_function, schedule

from kit.system.console import say, show_table, warn
from kit.system.device import clock
from kit.system.disk import atomic_write, write_json
from kit.system.errors import KitError
from kit.system.operators import Operator, show_operators, traced_operators

Item = TypeVar("Item")
_REST: Final = "the rest"
# The steps that torch traces: not the first, which sets things up, and few, for a trace is large.
_SKIPPED: Final = 1
_TRACED: Final = 2


@dataclass
class Profile:
    """The seconds of each stage of the work, and the operators of a few steps.

    A stage's seconds are without those of stages within it.
    """

    device: torch.device
    seconds: dict[str, float] = dataclasses.field(default_factory=dict)
    operators: list[Operator] = dataclasses.field(default_factory=list)
    steps: int = 0
    trace: bytes = b""
    tracer: Any = None
    _names: list[str] = dataclasses.field(default_factory=lambda: [_REST])
    _since: float = 0.0

    def count_time(self) -> None:
        """Add the time since the last call to the current stage."""
        now = clock(self.device)
        if self._since:
            name = self._names[-1]
            self.seconds[name] = self.seconds.get(name, 0.0) + now - self._since
        self._since = now

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the block's time to a stage; a stage within another is named `outer: name`."""
        self.count_time()
        self._names.append(name if len(self._names) == 1 else f"{self._names[-1]}: {name}")
        try:
            with record_function(self._names[-1]):
                yield
        finally:
            self.count_time()
            self._names.pop()

    def write(self, prefix: Path) -> None:
        """Print the tables, and write `<prefix>.json` and torch's `<prefix>.trace.json.gz`."""
        if not self.steps:
            return say("nothing to profile: no network ran")
        trace = prefix.with_name(f"{prefix.name}.trace.json.gz")
        self._show()
        try:
            if self.trace:
                with atomic_write(trace, force=True) as temporary:
                    temporary.write_bytes(self.trace)
            write_json(
                prefix.with_name(f"{prefix.name}.json"),
                {
                    "device": str(self.device),
                    "steps": self.steps,
                    "seconds": self.seconds,
                    "operators": [dataclasses.asdict(operator) for operator in self.operators],
                    "trace": trace.name if self.trace else None,
                },
                force=True,
            )
        except KitError as error:  # the profiled work is done, and is not to fail for this
            return warn(f"the profile is not kept: {error}")
        viewers = f" and {trace}, for ui.perfetto.dev or chrome://tracing" if self.trace else ""
        say(f"wrote {prefix}.json{viewers}")

    def _show(self) -> None:
        whole = sum(self.seconds.values())
        show_table(
            "Where the time went",
            ["stage", "seconds", "share"],
            [
                [name, f"{seconds:.2f}", f"{seconds / whole:.1%}"]
                for name, seconds in sorted(self.seconds.items(), key=lambda item: -item[1])
            ],
            ["all", f"{whole:.2f}", ""],
        )
        if not self.operators:
            return say("no step was traced: there were too few")
        say()
        show_operators(self.operators, _TRACED)
        say()


_active: Profile | None = None


def stage(name: str) -> contextlib.AbstractContextManager[None]:
    """A context that counts the block's time to a stage, if the work is profiled."""
    return contextlib.nullcontext() if _active is None else _active.stage(name)


def staged(name: str, items: Iterable[Item]) -> Iterator[Item]:
    """The same items; the time of waiting for each is counted to a stage."""
    iterator = iter(items)
    while True:
        with stage(name):
            try:
                item = next(iterator)
            except StopIteration:
                return
        yield item


def step() -> None:
    """Mark the end of a step, of training or of prediction: a few of them are traced."""
    if _active is not None:
        _active.steps += 1
        _active.tracer.step()


@contextlib.contextmanager
def profiled(device: torch.device | None, prefix: Path | None = None) -> Iterator[Profile | None]:
    """Profile the block, unless `device` is None.

    With `prefix` the profile is written at the end of the block, however it ends. A GPU is waited
    for at the end of each stage, so that its time counts where it was spent; that makes it a little
    slower.
    """
    if device is None:
        yield None
        return
    global _active
    os.environ.setdefault("KINETO_LOG_LEVEL", "5")  # it warns of GPUs that do not exist
    result = Profile(device)

    def keep(tracer: Any) -> None:
        result.operators = traced_operators(tracer, device)
        with tempfile.TemporaryDirectory(prefix="kit-trace-") as folder:
            path = Path(folder) / "trace.json"
            tracer.export_chrome_trace(str(path))
            result.trace = gzip.compress(path.read_bytes(), compresslevel=3)

    activities = [ProfilerActivity.CPU, *[ProfilerActivity.CUDA] * (device.type == "cuda")]
    try:
        with profile(
            activities=activities,
            record_shapes=True,
            with_flops=True,
            on_trace_ready=keep,
            schedule=schedule(wait=0, warmup=_SKIPPED, active=_TRACED, repeat=1),
            acc_events=True,  # one cycle either way; some versions of torch warn without it
        ) as result.tracer:
            result.count_time()
            _active = result
            try:
                yield result
            finally:
                result.count_time()
                _active = None
    finally:
        if prefix is not None:
            result.write(prefix)
