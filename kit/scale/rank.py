"""The rank of this process among those that torchrun has started to work together."""

import os
from dataclasses import dataclass

from kit.system.errors import KitError


@dataclass(frozen=True)
class Rank:
    """A process's `number` of `size`; on its own machine, `local` of `local_size`.

    The default is that of a process that works alone.
    """

    number: int = 0
    size: int = 1
    local: int = 0
    local_size: int = 1


def find_rank() -> Rank:
    """The rank that torchrun's environment variables name; without them, of a process alone.

    Raises `KitError` for variables that are no rank.
    """
    size = os.environ.get("WORLD_SIZE", "1")
    if size == "1":
        return Rank()
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    given = [os.environ.get(name, "") for name in names]
    if all(value.isdecimal() for value in given):
        rank = Rank(*map(int, given))
        if rank.number < rank.size and rank.local < rank.local_size <= rank.size:
            return rank
    variables = ", ".join(f"{name}={value}" for name, value in zip(names, given))
    raise KitError(
        f"the environment has {variables}, which are no rank in a group; start it by torchrun, or "
        "unset WORLD_SIZE"
    )
