"""Members in records and names."""

import json

import pytest
from conftest import theirs

from kit.blending.rule import BLENDS
from kit.ensemble import main


@pytest.mark.parametrize("blend", BLENDS)
def test_every_blend_writes_a_submission_named_by_what_was_used(copy, blend, monkeypatch, capsys):
    monkeypatch.chdir(copy)
    theirs(copy)
    place = ["--data", "data", "--device", "cpu", "--workers", "0"]
    assert main(["runs/small", "theirs.csv", "--blend", blend, *place]) == 0
    written = [
        path for path in (copy / "submissions").glob("*.csv") if path.name != "leaderboard.csv"
    ]
    record = json.loads(written[0].with_suffix(".json").read_text())
    used = record["oof"]["used"][0]
    assert [p.name for p in written] == [
        "small_theirs-none" + f"-{used}" * (used != "mean") + ".csv"
    ]
    assert ("is not used" in capsys.readouterr().err) == (used != blend)
