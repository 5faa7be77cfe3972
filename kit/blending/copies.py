"""Members that are copies of another one."""

from collections.abc import Sequence

import numpy as np

from kit.blending.rule import distinct_members
from kit.inference.member import Member, unique_names
from kit.system.console import warn


def find_copies(members: Sequence[Member], probs: np.ndarray, ids: Sequence[str]) -> list[int]:
    """The indices of members to leave out: files with the probabilities of an earlier file.

    Their out-of-fold probabilities, `probs` (M, N, C), are equal, and so are those of the photos to
    predict, `ids`. Of members that are equal out of fold alone there is a warning, and they stay.
    """
    names, distinct = unique_names(members), distinct_members(probs)
    copies = []
    for m in set(range(len(members))) - set(distinct):
        first = next(k for k in distinct if len(distinct_members(probs[[k, m]])) == 1)
        table, first_table = members[m].test, members[first].test
        same = (
            table is not None
            and first_table is not None
            and len(distinct_members(np.stack([first_table.at(ids), table.at(ids)]))) == 1
        )
        if same:
            copies.append(m)
        warn(
            f"{names[m]}: has the same {'' if same else 'out-of-fold '}probabilities as "
            f"{names[first]}, and {'is left out' if same else 'counts beside it'}"
        )
    return copies
