"""Where the time goes: the seconds of each stage of the work, and torch's trace of a few of its
steps.

Code names its stages with `stage`, `staged` and `step`, which do nothing until a command runs
`profiled`.
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
from torch._C._autograd import DeviceType
from torch.profiler import ProfilerActivity, profile, record_function, schedule

from kit.system.console import say, show_table, warn
from kit.system.device import clock
from kit.system.disk import atomic_write, write_json
from kit.system.errors import KitError

Item = TypeVar("Item")


_REST: Final = "the rest"


# The steps that torch traces: not the first, which sets things up, and few, for a trace is large.
_SKIP, _TRACED = 1, 2


_SHOWN: Final = 12


@dataclass(frozen=True)
class Operator:
    """What an operator took in the traced steps: seconds, calls, and billions of multiplications
    and additions, where known.
    """

    name: str
    seconds: float
    calls: int
    gflop: float


@dataclass
class Profile:
    """The stages of a piece of work: seconds each, without those of stages within it, and the
    operators of a few steps.
    """

    device: torch.device
    seconds: dict[str, float] = dataclasses.field(default_factory=dict)
    operators: list[Operator] = dataclasses.field(default_factory=list)
    steps: int = 0
    trace: bytes = b""
    tracer: Any = None
    _names: list[str] = dataclasses.field(default_factory=lambda: [_REST])
    _since: float = 0.0

    def turn(self) -> None:
        """Count the time since the last turn to the stage that is being worked at."""
        now = clock(self.device)
        if self._since:
            self.seconds[self._names[-1]] = (
                self.seconds.get(self._names[-1], 0.0) + now - self._since
            )
        self._since = now

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the block's time to a stage; of a stage within another it is `outer: name`."""
        self.turn()
        self._names.append(name if len(self._names) == 1 else f"{self._names[-1]}: {name}")
        try:
            with record_function(self._names[-1]):
                yield
        finally:
            self.turn()
            self._names.pop()

    def write(self, prefix: Path) -> None:
        """Print the tables, and write `<prefix>.json` and, of torch's trace,
        `<prefix>.trace.json.gz`.
        """
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
        except KitError as error:
            return warn(
                f"the profile is not kept: {error}"
            )  # what was profiled is done, and stands
        say(
            f"wrote {prefix}.json"
            + (f" and {trace}, for ui.perfetto.dev or chrome://tracing" if self.trace else "")
        )

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
        traced = sum(row.seconds for row in self.operators)
        shown, others = self.operators[:_SHOWN], self.operators[_SHOWN:]
        rest = Operator(
            "others", sum(row.seconds for row in others), sum(row.calls for row in others), 0.0
        )
        rows = [*shown, *[rest] * bool(others)]
        show_table(
            f"Operators of {_TRACED} steps",
            ["operator", "ms", "share", "calls", "GFLOP/s"],
            [
                [
                    row.name,
                    f"{1000 * row.seconds:.1f}",
                    f"{row.seconds / traced:.1%}",
                    f"{row.calls:,}",
                    f"{row.gflop / row.seconds:,.0f}" if row.gflop else "-",
                ]
                for row in rows
            ],
        )
        say()


_active: Profile | None = None


def stage(name: str) -> contextlib.AbstractContextManager[None]:
    """Count the block's time to a stage, if the work is profiled."""
    return contextlib.nullcontext() if _active is None else _active.stage(name)


def staged(name: str, items: Iterable[Item]) -> Iterator[Item]:
    """The same items, the time of waiting for them counted to a stage."""
    passing = iter(items)
    while True:
        with stage(name):
            try:
                item = next(passing)
            except StopIteration:
                return
        yield item


def step() -> None:
    """Say that a step, of training or of prediction, is over: a few of them are traced."""
    if _active is not None:
        _active.steps += 1
        _active.tracer.step()


@contextlib.contextmanager
def profiled(device: torch.device | None, prefix: Path | None = None) -> Iterator[Profile | None]:
    """Profile the block, unless `device` is None; with `prefix` what was found is written at its
    end, however it ends.

    A GPU is waited for at the end of each stage, so that its time counts where it was spent; it is
    a little slower so.
    """
    if device is None:
        yield None
        return
    global _active
    os.environ.setdefault("KINETO_LOG_LEVEL", "5")  # it tells of GPUs that are not there
    own = Profile(device)

    def keep(tracer: Any) -> None:
        own.operators = operators(tracer, device)
        with tempfile.TemporaryDirectory(prefix="kit-trace-") as folder:
            path = Path(folder) / "trace.json"
            tracer.export_chrome_trace(str(path))
            own.trace = gzip.compress(path.read_bytes(), compresslevel=3)

    activities = [ProfilerActivity.CPU, *[ProfilerActivity.CUDA] * (device.type == "cuda")]
    try:
        with profile(
            activities=activities,
            record_shapes=True,
            with_flops=True,
            on_trace_ready=keep,
            schedule=schedule(wait=0, warmup=_SKIP, active=_TRACED, repeat=1),
        ) as own.tracer:
            own.turn()
            _active = own
            try:
                yield own
            finally:
                own.turn()
                _active = None
    finally:
        if prefix is not None:
            own.write(prefix)


def operators(tracer: Any, device: torch.device) -> list[Operator]:
    """The operators of a trace, the longest first; convolutions by their kind, with all that they
    call.
    """
    total, own = (
        ("device_time_total", "self_device_time_total")
        if device.type == "cuda"
        else ("cpu_time_total", "self_cpu_time_total")
    )
    found: dict[str, list[float]] = {}
    events = list(tracer.key_averages(group_by_input_shape=True))
    # In mixed precision aten::conv2d calls itself, and counts twice; only aten::convolution, within
    # it, does so once.
    gflop_of = {
        str(event.input_shapes[:2]): event.flops / event.count / 1e9
        for event in events
        if event.key == "aten::conv2d"
    }
    for event in events:
        name, shapes, gflop = str(event.key), event.input_shapes, event.flops / 1e9
        if event.device_type != DeviceType.CPU or not name.startswith("aten::"):
            # a GPU's kernels count to what started them; stages and steps are not operators
            continue
        if name == "aten::convolution":
            name, micros = f"convolution {_kind(shapes[1])}", getattr(event, total)
            gflop = gflop_of.get(str(shapes[:2]), 0.0) * event.count
        elif name == "aten::convolution_backward":
            name, micros = f"convolution {_kind(shapes[2])}, backward", getattr(event, total)
        elif "convolution" in name or name == "aten::conv2d":
            continue  # within those, or around them
        else:
            micros = getattr(event, own)
        row = found.setdefault(name.removeprefix("aten::"), [0.0, 0, 0.0])
        for at, value in enumerate((micros / 1e6, event.count, gflop)):
            row[at] += value
    rows = [
        Operator(name, seconds, int(calls), gflop)
        for name, (seconds, calls, gflop) in found.items()
        if seconds > 0
    ]
    return sorted(rows, key=lambda row: -row.seconds)


def _kind(weight: list[int]) -> str:
    """A convolution's size by the shape of its weight: `3 x 3`, `1 x 1`, `3 x 3 depthwise`."""
    if len(weight) != 4:
        return "of another kind"
    return f"{weight[2]} x {weight[3]}" + " depthwise" * (weight[1] == 1 and weight[2] > 1)
