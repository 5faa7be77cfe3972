"""Other teams' files as members."""

import json

import numpy as np
import pandas as pd
import pytest
from helpers import CLASS_NAMES, MASK, ensemble_arguments, mask_folder, theirs

from kit.data.folder import read_test
from kit.data.plan import read_plan
from kit.ensemble import main
from kit.inference.member_files import read_member_file
from kit.inference.members import find_members
from kit.results.answers import read_answers
from kit.results.probs import read_foreign_probs
from kit.system.errors import KitError


def test_files_of_other_teams_join_by_id_in_any_order_and_form(copy):
    plan, ids = read_plan(copy / "runs" / "folds.csv"), read_test(mask_folder(copy / "data"))
    expected = None
    rng = np.random.default_rng(5)
    names = list(rng.permutation(CLASS_NAMES))
    files = [
        theirs(copy),
        theirs(copy, "both.csv", both=True, order=True),
        theirs(copy, "shuffled.csv", order=True),
    ]
    frame, oof = (
        pd.read_csv(copy / f"theirs{suffix}.csv", dtype={"ImageID": str}) for suffix in ("", ".oof")
    )
    for part, suffix in ((frame, ""), (oof, ".oof")):
        renamed = part.set_axis(["ImageID", *CLASS_NAMES], axis=1)
        renamed[["ImageID", *names]].to_csv(
            copy / f"named{suffix}.csv", index=False
        )  # the classes in another order, by name
        np.savez(
            copy / f"array{suffix}.npz",
            ids=part["ImageID"].to_numpy().astype(str),
            probs=part.drop(columns="ImageID").to_numpy(),
        )
    for path in [*files, copy / "named.csv", copy / "array.npz"]:
        (member,) = find_members([path], plan, ids)
        got = member.test.at(ids), member.oof.at(plan.photos["image"].tolist())
        expected = expected or got
        np.testing.assert_allclose(got[0], expected[0], atol=1e-6)
        np.testing.assert_allclose(got[1], expected[1], atol=1e-6)
    classes = []
    for path in files:
        out = copy / f"{path.stem}-out.csv"
        assert (
            main(
                ensemble_arguments(copy, path, "--blend", "weights", "--force-blend", "--out", out)
            )
            == 0
        )
        classes.append(read_answers(out, MASK).classes.tolist())
    assert classes[0] == classes[1] == classes[2]


@pytest.mark.parametrize(
    "damage, said",
    [
        (lambda t: t.iloc[:-2], r"lacks photos to predict \(2 found, the first: "),
        (lambda t: pd.concat([t, t.iloc[:1]]), r"repeats ids \(1 found: "),
        (
            lambda t: pd.concat([t, t.iloc[:1].assign(ImageID="no.jpg")]),
            r"neither to be predicted nor training photos \(1 found: no",
        ),
        (
            lambda t: t.assign(**{str(c): t[str(c)] / 2 for c in range(18)}),
            r"do not sum to 1 \(10 found, the first: .*: 0.5\); give",
        ),
        (
            lambda t: t.assign(**{"0": t["0"] - 1}),
            r"values outside 0..1 \(10 found, the first: .*: -0.*not logits or percents",
        ),
        (lambda t: t.assign(**{"3": "x"}), r"values that are no numbers \(10 found, the first"),
        (lambda t: t[["ImageID"]].assign(ans=1), "is a submission, and holds no probabilities"),
        (lambda t: t.drop(columns="17"), r"lacks columns of classes \(1 found: 17\)"),
        (lambda t: t.assign(**{"18": 0.0}), r"columns that are no class \(1 found: 18\)"),
        (lambda t: t.rename(columns={"ImageID": "name"}), "its first column is 'name'"),
    ],
)
def test_what_is_wrong_with_a_file_is_one_line(copy, damage, said, fails):
    path = theirs(copy)
    damage(pd.read_csv(path, dtype={"ImageID": str})).to_csv(path, index=False)
    line = fails(main, *ensemble_arguments(copy, path))
    assert str(path) in line
    with pytest.raises(KitError, match=said):
        raise KitError(line)
    assert not (copy / "s.csv").exists()


def test_oof_of_a_file_must_be_there_and_whole_or_the_score_is_done_without(copy, fails, capsys):
    path = theirs(copy)
    oof = copy / "theirs.oof.csv"
    oof.write_text("\n".join(oof.read_text().splitlines()[:-3]) + "\n")
    assert "theirs.oof.csv: lacks training photos (3 found" in fails(
        main, *ensemble_arguments(copy, path)
    )
    oof.unlink()
    line = fails(main, *ensemble_arguments(copy, path))
    assert (
        "has no out-of-fold probabilities" in line
        and "theirs.oof.csv beside it, or --no-score" in line
    )
    assert "--no-score: a fitted blend" in fails(
        main, *ensemble_arguments(copy, path, "--no-score", "--blend", "greedy")
    )
    assert main(ensemble_arguments(copy, path, "--no-score")) == 0
    assert "no out-of-fold score" in capsys.readouterr().out
    assert json.loads((copy / "s.json").read_text())["oof"] is None
    assert "the same file twice" in fails(
        main, *ensemble_arguments(copy, path, path, "--no-score", "--force")
    )
    assert "there is no such file" in fails(
        main, copy / "nobody.csv", *ensemble_arguments(copy, "--force")[1:]
    )
    (copy / "bad.npz").write_bytes(b"PK no")
    assert "bad.npz: is no probability file" in fails(
        main, *ensemble_arguments(copy, copy / "bad.npz", "--force")
    )
    np.savez(copy / "bad.npz", ids=np.array(["a"], dtype=object), probs=np.ones((1, 18)))
    line = fails(main, *ensemble_arguments(copy, copy / "bad.npz", "--force"))
    assert (
        "bad.npz: is no probability file (ValueError: Object arrays" in line
        and "save ids.astype(str)" in line
    )
    (copy / "semi.csv").write_text("ImageID;0;1\na;1;0\n")
    assert "separated by something else than commas" in fails(
        main, *ensemble_arguments(copy, copy / "semi.csv", "--force")
    )
    assert "is empty" in fails(
        main,
        *ensemble_arguments(
            copy, (copy / "none.csv").write_text("") or copy / "none.csv", "--force"
        ),
    )


def test_rows_that_nearly_sum_to_1_are_made_to(copy):
    path = theirs(copy, digits=4)
    probs = read_foreign_probs(path, MASK).probs
    assert np.abs(pd.read_csv(path).drop(columns="ImageID").sum(axis=1) - 1).max() > 5e-5
    assert np.abs(probs.sum(axis=1, dtype=np.float64) - 1).max() < 1e-6


def test_without_a_plan_a_file_is_of_the_working_folders_competition(tmp_path, monkeypatch):
    (tmp_path / "competition.py").write_text(
        "from kit.competition import Competition\nfrom kit.task import Task\n\n"
        "competition = Competition(\n"
        "    name='hats', tasks=(Task('hat', ('none', 'cap', 'fez')),), frame=(64, 48)\n)\n"
    )
    (tmp_path / "p.csv").write_text("id,none,fez,cap\na,0.5,0.25,0.25\nb,0,0,1\n")
    monkeypatch.chdir(tmp_path)
    member = read_member_file(tmp_path / "p.csv", None, ["b", "a"])
    assert member.oof is None and member.test.at(["a", "b"]).tolist() == [
        [0.5, 0.25, 0.25],
        [0, 1, 0],
    ]
