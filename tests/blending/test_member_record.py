"""Members in records and names."""

import json

import numpy as np
import pytest
from helpers import theirs
from networks import members_of

from kit.blending.choices import BLENDS
from kit.blending.member_record import default_name, describe_members, seen_from
from kit.blending.settings import EnsembleSettings
from kit.ensemble import main


@pytest.mark.parametrize("blend", [name for name in BLENDS if name != "rank"])
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


def test_the_name_by_hand(world):
    (run,) = members_of(world)
    (fold,) = members_of(world, world.runs / "small" / "fold1")
    settings = EnsembleSettings(tta="hflip", blend="greedy", decision="bias", agree=0.998)
    assert default_name([run], EnsembleSettings()) == "small-none"
    assert default_name([fold, run], settings) == "small-fold1_small-hflip-greedy-bias-agree0.998"
    assert default_name([run] * 30, EnsembleSettings()) == "small_and_29_more-none"


def test_members_are_described_as_seen_from_the_submission(world, tmp_path):
    (run,) = members_of(world)
    (row,) = describe_members([run], np.ones(1), world.runs.parent / "submissions" / "s.csv")
    assert [file.path for file in row.files] == [
        f"../runs/small/fold{k}/best.safetensors" for k in range(3)
    ]
    assert row.parameters == 3 * run.checkpoints[0].info.parameters and row.gflop > 0
    assert row.describe()["files"][0] == vars(row.files[0])
    assert seen_from(tmp_path / "a" / "b", tmp_path / "s.csv") == "a/b"
