"""Members that are copies."""

import json
import shutil

from helpers import ensemble_arguments, theirs

from kit.ensemble import main


def test_a_member_given_twice_in_another_form_is_left_out(copy, capsys):
    first, second = theirs(copy), theirs(copy, "again.csv", digits=4, both=True)
    assert main(ensemble_arguments(copy, first, second)) == 0
    assert "again: has the same probabilities as theirs, and is left out" in capsys.readouterr().err
    assert len(json.loads((copy / "s.json").read_text())["members"]) == 2
    third = theirs(copy, "third.csv", seed=1)
    shutil.copy(copy / "theirs.oof.csv", copy / "third.oof.csv")
    assert (
        main(ensemble_arguments(copy, first, third, "--force")) == 0
    )  # other predictions count, whatever the out-of-fold ones are
    assert (
        "third: has the same out-of-fold probabilities as theirs, and counts beside it"
        in capsys.readouterr().err
    )
    assert len(json.loads((copy / "s.json").read_text())["members"]) == 3
