"""The nodes of a cluster: their names, what they have, and what each job gets of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kit.system.errors import KitError
from kit.system.threads import wanted_threads


@dataclass(frozen=True)
class Node:
    """A machine of a cluster that is there: its identity, its name, and what it has."""

    ident: str
    name: str
    cpus: float
    gpus: float


def nodes_of(rows: Sequence[Mapping[str, Any]]) -> list[Node]:
    """The nodes that are there, of a table such as `ray.nodes()`, each with a name of its own."""
    alive = [row for row in rows if row["Alive"]]
    names = [
        row["NodeManagerHostname"]
        if row.get("NodeName") in (None, "", row["NodeManagerAddress"])
        else row["NodeName"]
        for row in alive
    ]
    return [
        Node(
            row["NodeID"],
            name if names.count(name) == 1 else f"{name}-{row['NodeID'][:6]}",
            row["Resources"].get("CPU", 0),
            row["Resources"].get("GPU", 0),
        )
        for row, name in zip(alive, names)
    ]


def room_of(node: Node, cores: int, gpus: float) -> int:
    """The number of jobs of so many cores and GPUs that a node has room for at once."""
    room = min(node.cpus / cores, node.gpus / gpus) if gpus else node.cpus / cores
    return int(room + 1e-6)  # ten tenths of a GPU are one


def gpu_share(nodes: Sequence[Node], device: str | None, given: float | None) -> float:
    """The GPUs of each job: those `given`, else one where it may use one and there is any."""
    some = any(node.gpus for node in nodes)
    if device == "cuda" and not some:
        raise KitError(f"--device cuda: the cluster has {describe(nodes)}, and no GPU; take cpu")
    return float(device != "cpu" and some) if given is None else float(given)


def core_share(nodes: Sequence[Node], gpus: float, device: str, jobs: int) -> int:
    """The cores of each job: of a node's by its GPUs, or of all by the number of jobs.

    On CPUs they are no more than OMP_NUM_THREADS says, if it does.
    """
    if gpus:
        having = [node for node in nodes if node.gpus >= gpus]
        return max(1, int(min((n.cpus * gpus / n.gpus for n in having), default=1)))
    whole = [node for node in nodes if node.cpus >= 1]
    largest = max((node.cpus for node in whole), default=1)
    share = max(1, int(min(largest, sum(node.cpus for node in whole) / max(1, jobs))))
    return wanted_threads(share) if device == "cpu" else share


def describe(nodes: Sequence[Node]) -> str:
    """What nodes have, in words."""
    gpus, cpus = (sum(n.gpus for n in nodes), "GPU"), (sum(n.cpus for n in nodes), "core")
    parts = [number_of(len(nodes), "node")] if len(nodes) > 1 else []
    return ", ".join(parts + [number_of(*part) for part in (gpus, cpus) if part[0]] or ["no cores"])


def number_of(number: float, unit: str) -> str:
    """A number with its unit."""
    return f"{number:g} {unit}{'s'[: number != 1]}"
