"""Submissions of every form compared with each other and with the truth, and joined into one."""

import json

import numpy as np
import pandas as pd
import pytest
from answer_forms import FORMS, form, form_folder, predicted, submissions
from sklearn.metrics import f1_score, log_loss, roc_auc_score

from kit.reporting.comparing import compare, compare_predictions
from kit.reporting.comparison_tables import show
from kit.results.predictions import read_files
from kit.results.submission import Predicted, write_submission
from kit.system.errors import KitError


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


def test_many_classes_are_cut_in_the_table_of_counts(tmp_path, capsys):
    names = tuple(f"n{c}" for c in range(100))
    data = form_folder(tmp_path / "data", form("class", classes=names), 30)
    files = [tmp_path / "a.csv", tmp_path / "b.csv"]
    for path, c in zip(files, (98, 99)):
        write_submission(path, Predicted([f"{n}.jpg" for n in range(30)], np.full(30, c)), data, {})
    show(compare_predictions(read_files(files, None, data.competition)))
    out = capsys.readouterr().out
    assert "Class counts, of 60 of 100 classes" in out and "98 n98" in out and "99 n99" in out
