"""Probabilities for others."""

import json
import shutil

import numpy as np
import pytest
from helpers import MASK, ensemble_arguments, theirs

from kit.data.plan import read_plan
from kit.ensemble import main
from kit.results.probs import read_foreign_probs


@pytest.mark.parametrize("suffix", [".csv", ".npz"])
@pytest.mark.parametrize(
    "options", [(), ("--blend", "weights", "--decide", "bias", "--force-blend")]
)
def test_saved_probabilities_are_a_member_with_the_same_score_and_classes(
    copy, suffix, options, monkeypatch
):
    other, saved = theirs(copy, sure=1.0), copy / f"ours{suffix}"
    assert (
        main(ensemble_arguments(copy, other, "--tta", "hflip", *options, "--save-probs", saved))
        == 0
    )
    first, record = (copy / "s.csv").read_bytes(), json.loads((copy / "s.json").read_text())
    assert (copy / f"ours.oof{suffix}").exists() == (suffix == ".csv")
    shutil.rmtree(copy / "data" / "train")  # files need neither photos nor train.csv
    shutil.rmtree(copy / "data" / "eval" / "images")
    line = [
        str(a)
        for a in (
            saved,
            "--data",
            copy / "data",
            "--plan",
            copy / "runs" / "folds.csv",
            "--out",
            copy / "again.csv",
        )
    ]
    assert main(line) == 0 and (copy / "again.csv").read_bytes() == first
    again = json.loads((copy / "again.json").read_text())
    for key in ("score", "metrics", "folds", "predicted_counts"):
        assert again["oof"][key] == record["oof"][key]
    assert main([*line, "--force"]) == 0
    # To the last bit: what is read is what was written.
    table = read_foreign_probs(saved, MASK)
    assert np.abs(table.probs.sum(axis=1) - 1).max() < 1e-6
    assert main(["--from", str(copy / "again.json"), *line[1:-1], str(copy / "third.csv")]) == 0
    # Without a score no plan is needed either.
    monkeypatch.chdir(copy / "data")
    assert main([*line[:3], "--no-score", "--out", str(copy / "unscored.csv")]) == 0
    assert (copy / "unscored.csv").read_bytes() == first
    (copy / "data" / "eval" / "info.csv").unlink()
    assert main([*line, "--force"]) == 2


def test_saved_probabilities_are_calibrated(copy):
    other, saved = (
        theirs(copy, sure=6.0),
        copy / "ours.csv",
    )  # far surer than right: the temperature is not 1
    assert (
        main(
            ensemble_arguments(
                copy, other, "--save-probs", saved, "--blend", "weights", "--force-blend"
            )
        )
        == 0
    )
    record = json.loads((copy / "s.json").read_text())
    plan = read_plan(copy / "runs" / "folds.csv").photos.set_index("image")
    oof = read_foreign_probs(copy / "ours.oof.csv", MASK)
    own = oof.probs[np.arange(len(oof.ids)), plan.loc[oof.ids, "label"]]
    assert -np.log(own).mean() == pytest.approx(record["oof"]["log_loss"], abs=1e-4)
    assert record["temperature"] != pytest.approx(1, abs=0.02)


def test_saved_probabilities_say_what_they_are_without(copy, fails, capsys):
    saved = copy / "ours.csv"
    fold = [str(copy / "runs" / "small" / "fold0"), *map(str, ensemble_arguments(copy)[1:])]
    assert main([*fold, "--save-probs", str(saved)]) == 0
    assert (
        "only 42 of 126 training photos have out-of-fold probabilities, so that none are written"
        in capsys.readouterr().err
    )
    assert not (copy / "ours.oof.csv").exists()
    assert "ours.csv: exists already" in fails(
        main, *fold, "--out", copy / "b.csv", "--save-probs", saved
    )
    assert "let --save-probs end in .csv or .npz" in fails(
        main, *fold, "--out", copy / "b.csv", "--save-probs", copy / "ours"
    )
    assert "leave --fast and --agree out" in fails(
        main, *fold, "--out", copy / "b.csv", "--fast", "--save-probs", copy / "b2.csv"
    )
    assert "takes no --save-probs" in fails(
        main, "--from", copy / "s.json", "--save-probs", copy / "b2.csv"
    )


def test_saved_probabilities_replace_nothing_but_probabilities(copy, fails, monkeypatch, capsys):
    other, plan, run = theirs(copy), copy / "runs" / "folds.csv", copy / "runs" / "small"
    assert main(ensemble_arguments(copy, other)) == 0
    capsys.readouterr()

    def files():
        return {
            path: path.read_bytes()
            for path in copy.rglob("*")
            if path.is_file() and path.suffix != ".lock"
        }

    before, line = files(), [other, "--data", copy / "data", "--plan", plan, "--force"]
    own, inputs, name = (
        "the submission's own name",
        "is a place of input files",
        "is no name for probabilities",
    )
    for place, said in (
        (plan, inputs),
        (plan.with_suffix(".json"), inputs),
        (other, inputs),
        (copy / "theirs.oof.csv", inputs),
        (copy / "leaderboard.csv", name),
        (copy / "s.csv", "is a submission"),
        (copy / "new.csv", own),
        (copy / "data" / "train" / "p.csv", inputs),
        ("/proc/nowhere/p.csv", "cannot be written"),
    ):
        assert said in fails(main, *line, "--out", copy / "new.csv", "--save-probs", place)
    assert inputs in fails(
        main, run, *line[1:], "--out", copy / "new.csv", "--save-probs", run / "fold0" / "p.npz"
    )
    monkeypatch.chdir(copy)  # the submission's name is known only once its members are
    assert own in fails(main, *line, "--save-probs", "submissions/theirs-none.csv")
    assert files() == before
