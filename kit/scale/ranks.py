"""The rank of this process among those that torchrun has started to work together."""

import os
from dataclasses import dataclass

from kit.system.errors import KitError


@dataclass(frozen=True)
class Ranks:
    """A process's number, `rank` of `size`; on its own machine, `local_rank` of `local_size`.

    The default is that of a process that works alone.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1


def find_ranks() -> Ranks:
    """The ranks that torchrun's environment variables name; without them, of a process alone.

    Raises `KitError` for variables that are no ranks.
    """
    size = os.environ.get("WORLD_SIZE") or "1"
    if size == "1":
        return Ranks()
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    given = [os.environ.get(name, "") for name in names]
    if all(value.isdecimal() for value in given):
        ranks = Ranks(*map(int, given))
        if ranks.rank < ranks.size and ranks.local_rank < ranks.local_size <= ranks.size:
            return ranks
    variables = ", ".join(f"{name}={value}" for name, value in zip(names, given))
    raise KitError(
        f"the environment has {variables}, which are no ranks of a group; start it by torchrun, or "
        "unset WORLD_SIZE"
    )
