"""Submissions of every form compared with each other and with the truth, and joined into one."""

import json

import numpy as np
import pandas as pd
import pytest
from answer_forms import FORMS, form, form_folder, predicted
from scipy.stats import spearmanr
from sklearn.metrics import f1_score, log_loss, roc_auc_score

from kit.blending.vote import kind_of_vote, write_vote
from kit.reporting.comparing import compare, compare_predictions
from kit.reporting.comparison_tables import show
from kit.results.answers import read_answers
from kit.results.predictions import read_files
from kit.results.submission import Predicted, read_submission, write_submission
from kit.system.errors import KitError


def submissions(root, name, number=3, rows=40, **changes):
    """Submissions of a form, and their folder."""
    data = form_folder(root / "data", form(name, **changes), rows)
    files = [root / f"s{n}.csv" for n in range(number)]
    for n, path in enumerate(files):
        write_submission(path, predicted(data, n), data, {})
    return data, files


@pytest.mark.parametrize("name", FORMS)
def test_every_form_is_compared(tmp_path, capsys, name):
    data, files = submissions(tmp_path, name)
    competition = data.competition
    result = compare(files, competition)
    described = json.loads(json.dumps(result.describe()))
    assert sorted(described["order"]) == ["s0", "s1", "s2"] and len(described["pairs"]) == 3
    measure = result.pairs[0].likeness.measure
    assert all(-1 <= pair[measure] <= 1 for pair in described["pairs"])
    counted = "counts" if competition.decided else "means"
    assert len(described["files"]["s0"][counted]) == competition.num_classes
    show(result)
    out = capsys.readouterr().out
    assert "s0 | s1" in out and "similar files side by side" in out
    title = "Class counts" if competition.decided else "Mean probabilities"
    assert title in out
    assert compare(files[:1], competition).pairs == []


@pytest.mark.parametrize("name", FORMS)
def test_a_file_equals_itself_in_any_order_of_rows(tmp_path, name):
    data, (path, *_) = submissions(tmp_path, name)
    turned = tmp_path / "turned.csv"
    pd.read_csv(path, dtype=str, keep_default_na=False)[::-1].to_csv(turned, index=False)
    (pair,) = compare([path, turned], data.competition).pairs
    assert pair.likeness.similarity == pytest.approx(1)
    numbers = pair.likeness.numbers()
    assert numbers.get("differ", 0) == 0 and numbers.get("log_loss_between", 0) == 0


@pytest.mark.parametrize("name", FORMS)
def test_every_form_is_scored_against_the_truth(tmp_path, name):
    data, files = submissions(tmp_path, name)
    competition, truth = data.competition, predicted(data, 9)
    answers = tmp_path / "answers.csv"
    if competition.decided:
        write_submission(answers, truth, data, {})
    else:
        certain = truth.classes if competition.several_labels else None
        if certain is None:
            certain = np.eye(competition.num_classes)[truth.classes]
        write_submission(answers, Predicted(truth.ids, truth.classes, certain), data, {})
    result = compare(files, competition, answers)
    scores = [file.scores.score for file in result.files.values()]
    sign = -1 if name == "probabilities" else 1
    for pair, (i, j) in zip(result.pairs, ((0, 1), (0, 2), (1, 2))):
        assert pair.gain.value == pytest.approx(sign * (scores[j] - scores[i]))
        assert 0 < pair.gain.p <= 1
    given = read_files(files, answers, competition)
    if name == "list":
        wanted = f1_score(given.truth, given.classes[0], average="samples", zero_division=0)
        assert scores[0] == pytest.approx(wanted)
    if name in ("probability", "pooled"):
        assert scores[0] == pytest.approx(roc_auc_score(given.truth, given.probs[0][:, 1]))
    if name == "labels":
        assert scores[0] == pytest.approx(roc_auc_score(given.truth, given.probs[0]))
    if name == "probabilities":
        probs = given.probs[0].astype(np.float64)
        probs /= probs.sum(axis=1, keepdims=True)
        assert scores[0] == pytest.approx(log_loss(given.truth, probs, labels=[0, 1, 2]))


def test_the_best_log_loss_is_the_least(tmp_path, capsys):
    """Of three files the one with the least log-loss is best, and its interval tells the strong."""
    data = form_folder(tmp_path / "data", form("probabilities"), 300)
    truth = predicted(data, 9)
    rng, files = np.random.default_rng(0), []
    for name, skill in (("good", 3.0), ("fair", 3.0), ("poor", 0.2)):
        logits = rng.normal(size=(300, 3))
        logits[np.arange(300), truth.classes] += skill
        probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        files.append(tmp_path / f"{name}.csv")
        write_submission(files[-1], Predicted(truth.ids, probs.argmax(1), probs), data, {})
    answers = tmp_path / "answers.csv"
    sure = np.eye(3)[truth.classes]
    write_submission(answers, Predicted(truth.ids, truth.classes, sure), data, {})
    result = compare(files, data.competition, answers)
    scores = {name: file.scores.score for name, file in result.files.items()}
    assert scores["good"] < scores["poor"]
    by = {(pair.a, pair.b): pair.gain for pair in result.pairs}
    assert by["good", "poor"].value < 0 and by["good", "poor"].p < 0.05
    assert by["good", "poor"].interval[1] < 0
    assert set(result.apart[0]["files"]) == {"good", "fair"} and "correlation" in result.apart[0]
    show(result)
    out = capsys.readouterr().out
    assert "Log-loss of the second over the first, times -1, for less is better" in out
    assert "log-loss" in out and "strong and least alike: " in out and "(correlation " in out


def test_a_submission_of_classes_is_no_submission_of_probabilities(tmp_path):
    data, files = submissions(tmp_path, "probabilities")
    hard = tmp_path / "hard.csv"
    hard.write_text("image,truth\n" + "".join(f"{n}.jpg,cat\n" for n in range(40)))
    with pytest.raises(KitError, match="holds classes, and a submission holds probabilities"):
        compare([files[0], hard], data.competition)


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
    if way == "hard vote":
        assert record["vote"] is True
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
            columns = [pd.Series(read_answers(p, competition).probs[:, 1]).rank() for p in files]
            assert spearmanr(sum(columns), joined.probs[:, 1]).statistic == pytest.approx(1)
            assert 0 < joined.probs[:, 1].min() and joined.probs[:, 1].max() <= 1
    write_vote(files[:1], read_files(files[:1], None, competition), data, tmp_path / "v.csv")
    if way == "hard vote":
        assert (tmp_path / "v.csv").read_bytes() == files[0].read_bytes()


def test_plain_means_where_ranks_would_not_sum_to_one(tmp_path):
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


def test_many_classes_are_cut_in_the_table_of_counts(tmp_path, capsys):
    names = tuple(f"n{c}" for c in range(100))
    data = form_folder(tmp_path / "data", form("class", classes=names), 30)
    files = [tmp_path / "a.csv", tmp_path / "b.csv"]
    for path, c in zip(files, (98, 99)):
        write_submission(path, Predicted([f"{n}.jpg" for n in range(30)], np.full(30, c)), data, {})
    show(compare_predictions(read_files(files, None, data.competition)))
    out = capsys.readouterr().out
    assert "Class counts, of 60 of 100 classes" in out and "98 n98" in out and "99 n99" in out
