"""The operators of a trace of torch's profiler: their seconds, calls and GFLOP."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch._C._autograd import DeviceType

from kit.system.console import show_table

# Rows of the table; the rest is added up in one.
_MAX_ROWS: Final = 12


@dataclass(frozen=True)
class Operator:
    """The cost of an operator in the traced steps: seconds, calls, and GFLOP (0 where unknown).

    A GFLOP is a billion multiplications and additions.
    """

    name: str
    seconds: float
    calls: int
    gflop: float


def traced_operators(tracer: Any, device: torch.device) -> list[Operator]:
    """The operators of a trace, the longest first.

    Convolutions are told apart by the size of their kernel, and their seconds are with all that
    they call; those of the other operators are without it.
    """
    side = "device" if device.type == "cuda" else "cpu"
    sums: dict[str, list[float]] = {}
    events = list(tracer.key_averages(group_by_input_shape=True))
    # In mixed precision aten::conv2d calls itself, and counts twice. aten::convolution, which it
    # calls, counts once, but has no GFLOP.
    gflop_of = {
        str(event.input_shapes[:2]): event.flops / event.count / 1e9
        for event in events
        if event.key == "aten::conv2d"
    }
    for event in events:
        name, shapes, gflop = str(event.key), event.input_shapes, event.flops / 1e9
        if event.device_type != DeviceType.CPU or not name.startswith("aten::"):
            continue  # a GPU's kernels count to the operator that started them
        if name == "aten::convolution":
            name = f"convolution {_kernel(shapes[1])}"
            micros = getattr(event, f"{side}_time_total")
            gflop = gflop_of.get(str(shapes[:2]), 0.0) * event.count
        elif name == "aten::convolution_backward":
            name = f"convolution {_kernel(shapes[2])}, backward"
            micros = getattr(event, f"{side}_time_total")
        elif "convolution" in name or name == "aten::conv2d":
            continue  # these call the two above, or are called by them
        else:
            micros = getattr(event, f"self_{side}_time_total")
        row = sums.setdefault(name.removeprefix("aten::"), [0.0, 0, 0.0])
        for column, value in enumerate((micros / 1e6, event.count, gflop)):
            row[column] += value
    operators = [
        Operator(name, seconds, int(calls), gflop)
        for name, (seconds, calls, gflop) in sums.items()
        if seconds > 0
    ]
    return sorted(operators, key=lambda operator: -operator.seconds)


def _kernel(weight: Sequence[int]) -> str:
    """A convolution's kernel by the shape of its weight: `3 x 3`, `1 x 1`, `3 x 3 depthwise`."""
    if len(weight) != 4:
        return "of another kind"
    return f"{weight[2]} x {weight[3]}" + " depthwise" * (weight[1] == 1 and weight[2] > 1)


def show_operators(operators: Sequence[Operator], steps: int) -> None:
    """Print the operators of so many traced steps as a table."""
    whole = sum(operator.seconds for operator in operators)
    rows, rest = [*operators[:_MAX_ROWS]], operators[_MAX_ROWS:]
    if rest:
        seconds, calls = sum(row.seconds for row in rest), sum(row.calls for row in rest)
        rows.append(Operator("others", seconds, calls, 0.0))
    show_table(
        f"Operators of {steps} steps",
        ["operator", "ms", "share", "calls", "GFLOP/s"],
        [
            [
                row.name,
                f"{1000 * row.seconds:.1f}",
                f"{row.seconds / whole:.1%}",
                f"{row.calls:,}",
                f"{row.gflop / row.seconds:,.0f}" if row.gflop else "-",
            ]
            for row in rows
        ],
    )
