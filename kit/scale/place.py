"""The place of this process among those that torchrun has started to work together."""

import os
from dataclasses import dataclass

from kit.system.errors import KitError


@dataclass(frozen=True)
class Place:
    """A process's number, `rank` of `size`; on its own machine, `local_rank` of `local_size`.

    The default is the place of a process that works alone.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1


def find_place() -> Place:
    """The place that torchrun's environment variables name; without them, of a process alone.

    Raises `KitError` for variables that are no place.
    """
    size = os.environ.get("WORLD_SIZE", "1")
    if size == "1":
        return Place()
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    given = [os.environ.get(name, "") for name in names]
    if all(value.isdecimal() for value in given):
        place = Place(*map(int, given))
        if place.rank < place.size and place.local_rank < place.local_size <= place.size:
            return place
    variables = ", ".join(f"{name}={value}" for name, value in zip(names, given))
    raise KitError(
        f"the environment has {variables}, which is no place in a group; start it by torchrun, or "
        "unset WORLD_SIZE"
    )
