"""What the leaderboard log says of picking the best."""

import json

import numpy as np
import pytest
from helpers import ensemble_arguments, mask_folder
from networks import COMPUTE

from kit.compare import main as compare
from kit.data.folder import read_test
from kit.ensemble import main
from kit.inference.members import find_members
from kit.inference.oof import oof_probs
from kit.scoring.bootstrap import GroupBootstrap


def test_the_board_tells_what_picking_among_submissions_makes_of_noise(copy, world, capsys):
    for name, options in (("plain", ()), ("bright", ("--tta", "bright", "--score-tta"))):
        assert main(ensemble_arguments(copy, *options, "--out", copy / f"{name}.csv")) == 0
        assert (
            compare(["--record", name, "--public", ".1", "--log", str(copy / "leaderboard.csv")])
            == 0
        )
    capsys.readouterr()
    assert compare(["--board", "--json", "--log", str(copy / "leaderboard.csv")]) == 0
    members = find_members(
        [copy / "runs" / "small"], world.plan, read_test(mask_folder(copy / "data"))
    )
    oof = oof_probs(members, world.plan, mask_folder(copy / "data"), "bright", COMPUTE)
    people = GroupBootstrap(oof.photos["group"].to_numpy(), oof.photos["label"].to_numpy(), 18)
    draws = np.stack(
        [people.draws(probs[0].argmax(axis=1))[:500] for probs in (oof.views["plain"], oof.probs)]
    )
    noise = draws - draws.mean(axis=1, keepdims=True)
    found = json.loads(capsys.readouterr().out)["by_chance"]
    assert (
        found == pytest.approx(np.mean(noise.max(axis=0) - noise.mean(axis=0)), abs=2e-5)
        and found > 0
    )
