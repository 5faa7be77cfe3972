"""Submissions joined into one, as a checked submission."""

import dataclasses
import json

import numpy as np
import pytest
from answer_forms import FORMS, form, form_folder, submissions
from helpers import MASK, make_data, mask_folder, write_classes
from scipy.stats import rankdata

from kit import __version__
from kit.blending.vote import kind_of_vote, write_vote
from kit.compare import main
from kit.data.folder import read_test
from kit.results.answers import read_answers
from kit.results.predictions import read_files
from kit.results.submission import Predicted, read_submission, write_submission
from kit.system.disk import file_hash
from kit.system.errors import KitError

A, B = [0, 1, 2, 3, 17], [0, 4, 2, 9, 16]


def test_a_vote_is_written_as_a_checked_submission(tmp_path, fails, capsys):
    data = make_data(tmp_path / "data", eval_photos=5)
    ids = read_test(mask_folder(data))
    files = []
    for n, classes in enumerate(([0, 1, 2, 3, 4], [0, 1, 5, 3, 9], [7, 1, 5, 8, 4])):
        files.append(tmp_path / f"s{n}.csv")
        rows = [f"{i},{c}" for i, c in zip(ids, classes)]
        files[-1].write_text(
            "\n".join(["ImageID,ans", *(rows[::-1] if n == 1 else rows)]) + "\n"
        )  # joined by id
    out = tmp_path / "vote.csv"
    arguments = [*map(str, files), "--vote", str(out), "--data", str(data)]
    assert main(arguments) == 0 and "the hard vote of 3 files" in capsys.readouterr().out
    assert (
        read_answers(out, MASK).classes.tolist() == [0, 1, 5, 3, 4]
        and read_answers(out, MASK).ids.tolist() == ids
    )
    record = json.loads(out.with_suffix(".json").read_text())
    assert [m["name"] for m in record["members"]] == ["s0", "s1", "s2"] and record[
        "sha256"
    ] == file_hash(out)
    assert "exists already" in fails(main, *arguments)
    assert main([*arguments, "--force"]) == 0
    assert "is a place of input files" in fails(
        main, *files, "--vote", files[0], "--data", data, "--force"
    )
    assert "is for --vote" in fails(main, *files, "--force")
    a, b = write_classes(tmp_path / "a.csv", A), write_classes(tmp_path / "b.csv", B)
    assert "has other ids than" in fails(main, a, b, "--vote", tmp_path / "w.csv", "--data", data)
    assert not (tmp_path / "w.csv").exists()


WAYS = {
    "probability": "rank mean",
    "pooled": "rank mean",
    "labels": "rank mean",
    "probabilities": "mean",
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_is_joined_into_a_submission(tmp_path, name):
    data, files = submissions(tmp_path, name)
    competition, out = data.competition, tmp_path / "vote.csv"
    given = read_files(files[::-1], None, competition)
    write_vote(files[::-1], given, data, out)
    joined, record = read_submission(out, data), json.loads(out.with_suffix(".json").read_text())
    assert [member["name"] for member in record["members"]] == ["s2", "s1", "s0"]
    way = WAYS.get(name, "hard vote")
    assert kind_of_vote(competition) == way
    assert record["photos"] == len(joined.ids) and record["kit"] == __version__
    assert [member["sha256"] for member in record["members"]] == list(map(file_hash, files[::-1]))
    counts = joined.classes
    if not competition.several_labels:
        counts = np.eye(competition.num_classes, dtype=int)[counts]
    assert record["counts"] == counts.sum(axis=0).tolist()
    if way == "hard vote":
        assert record["vote"] is True and "mean" not in record
        three = [read_answers(path, competition).classes for path in files[::-1]]
        for photo in range(len(joined.ids)):
            said = [answers[photo].tolist() for answers in three]
            if competition.several_labels:
                wanted = (np.sum(said, axis=0) >= 2).tolist()
            else:
                wanted = max(said, key=said.count)  # the first of those with as many votes
            assert joined.classes[photo].tolist() == wanted
    else:
        assert record["vote"] is False and record["mean"] == way
        if way == "mean":
            wanted = np.mean([read_answers(path, competition).probs for path in files], axis=0)
            assert np.abs(joined.probs - wanted).max() < 1e-6
        else:
            ranks = [rankdata(read_answers(p, competition).probs, axis=0) for p in files]
            wanted = np.mean(ranks, axis=0) / len(joined.ids)
            assert np.abs(joined.probs[:, 1:] - wanted[:, 1:]).max() < 1e-6
            assert joined.probs.sum(axis=1) == pytest.approx(1) or competition.several_labels
    write_vote(files[:1], read_files(files[:1], None, competition), data, tmp_path / "v.csv")
    if way == "hard vote":
        assert (tmp_path / "v.csv").read_bytes() == files[0].read_bytes()


def test_plain_means_where_ranks_would_not_sum_to_one():
    assert kind_of_vote(form("probability", metric="log_loss")) == "mean"
    assert kind_of_vote(form("probabilities", metric="roc_auc")) == "mean"
    assert kind_of_vote(form("labels", metric="log_loss")) == "mean"
    assert kind_of_vote(form("labels", metric="average_precision")) == "rank mean"


def test_labels_with_half_of_the_votes_are_those_of_the_earliest_file(tmp_path):
    data = form_folder(tmp_path / "data", form("list"), 1)
    files = [tmp_path / "a.csv", tmp_path / "b.csv"]
    for path, lists in zip(files, ([[1, 0, 1, 0]], [[0, 0, 1, 1]])):
        write_submission(path, Predicted(["0.jpg"], np.array(lists, np.uint8)), data, {})
    write_vote(files, read_files(files, None, data.competition), data, tmp_path / "v.csv")
    assert (tmp_path / "v.csv").read_text() == "image,target\n0.jpg,healthy|scab\n"


def test_rows_are_found_by_id_and_none_may_lack_or_be_left_over(tmp_path):
    data, files = submissions(tmp_path, "class", rows=5)
    given = read_files(files, None, data.competition)
    turned = dataclasses.replace(given, ids=given.ids[::-1], classes=given.classes[:, ::-1])
    for name, predictions in (("a.csv", given), ("b.csv", turned)):
        write_vote(files, predictions, data, tmp_path / name, command_line="the command")
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    record = json.loads((tmp_path / "a.json").read_text())
    assert record["command"] == "the command" and "oof" not in record
    log = (tmp_path / "leaderboard.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in log] == ["submission", "a.csv", "b.csv"]
    with pytest.raises(KitError, match="exists already"):
        write_vote(files, given, data, tmp_path / "a.csv")
    for ids in (["other", *given.ids[1:]], [*given.ids, "more"], given.ids[1:]):
        rows = np.resize(np.arange(5), len(ids))
        other = dataclasses.replace(given, ids=ids, classes=given.classes[:, rows])
        with pytest.raises(KitError, match=f"^{files[0]}: has other ids than {data.test_table}; v"):
            write_vote(files, other, data, tmp_path / "c.csv")
    assert not (tmp_path / "c.csv").exists()
