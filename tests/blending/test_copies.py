"""Members that are copies."""

import json
import shutil

import numpy as np
import pytest
from helpers import ensemble_arguments, theirs

from kit.blending.copies import find_copies
from kit.ensemble import main
from kit.inference.member import Member
from kit.results.probs import Probs


@pytest.mark.parametrize(
    ("test", "copies", "said"),
    [
        ("same", [1], "b: has the same probabilities as a, and is left out"),
        ("near", [1], "b: has the same probabilities as a, and is left out"),
        ("other", [], "b: has the same out-of-fold probabilities as a, and counts beside it"),
        ("none", [], "b: has the same out-of-fold probabilities as a, and counts beside it"),
    ],
)
def test_a_copy_out_of_fold_is_left_out_where_it_is_one_of_the_photos_to_predict(
    capsys, test, copies, said
):
    rng = np.random.default_rng(0)
    oof, probs = rng.dirichlet(np.ones(3), (3, 20)), rng.dirichlet(np.ones(3), (2, 6))
    oof[1] = oof[0]
    ids = np.array([f"{n}.jpg" for n in range(6)])
    of_b = {"same": probs[0], "near": probs[0] + 1e-4, "other": probs[1]}
    # In another order of rows, and with a photo more: they are joined by id.
    turned = Probs(
        np.append(ids[::-1], "x"), np.concatenate([of_b.get(test, probs[0])[::-1], oof[0][:1]])
    )
    members = [
        Member("a", test=Probs(ids, probs[0])),
        Member("b", test=None if test == "none" else turned),
        Member("c", test=Probs(ids, probs[0])),
    ]
    assert find_copies(members, oof, list(ids)) == copies
    warned = " ".join(capsys.readouterr().err.split())
    assert said in warned and warned.count("has the same") == 1


def test_copies_of_a_later_member_and_of_none(capsys):
    rng = np.random.default_rng(1)
    oof = rng.dirichlet(np.ones(3), (4, 20))[[0, 1, 1, 1]]
    ids = np.array(["a", "b"])
    members = [Member(name, test=Probs(ids, np.eye(3)[:2])) for name in "wxyz"]
    assert sorted(find_copies(members, oof, ids.tolist())) == [2, 3]
    assert capsys.readouterr().err.count("probabilities as x, and is left out") == 2
    assert find_copies(members[:2], oof[:2], ids.tolist()) == []
    nothing = [Member("w"), Member("x", test=members[0].test)]
    assert find_copies(nothing, oof[[1, 1]], ids.tolist()) == []


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
