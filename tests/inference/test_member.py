"""Members, their checkpoints and passes."""

from pathlib import Path

import numpy as np
from networks import members_of

from kit.inference.member import Member, member_passes, unique_names
from kit.results.probs import Probs


def test_passes_come_view_by_view_and_a_files_once(world):
    (run,) = members_of(world)
    rows = Probs(np.array(["a"]), np.eye(3, dtype=np.float32)[:1])
    passes = member_passes([run, Member("file", test=rows)], ["plain", "hflip"])
    assert [(p.owner, p.view) for p in passes] == [(0, "plain")] * 3 + [(1, "plain")] + [
        (0, "hflip")
    ] * 3
    assert passes[3].source is rows and passes[0].source is passes[4].source


def test_members_of_one_name_are_called_by_their_places(world):
    (run,) = members_of(world)
    file = Member("small", files=(Path("theirs/small.csv"),))
    assert unique_names([run, file]) == [str(world.runs / "small"), "theirs/small.csv"]
    assert unique_names([run]) == ["small"]
    assert file.places == [Path("theirs/small.csv")]
    assert run.places == [world.runs / "small" / f"fold{k}" for k in range(3)]
