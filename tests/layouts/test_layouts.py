"""Every layout goes through all commands, from photos to a checked answer, on tiny drawings.

What the commands tell is computed again from their files alone, and scored by scikit-learn: out of
fold from `folds.csv`, `folds.json` and `oof.npz`, and on the photos to predict from the submission
and the drawing's `answers.csv`.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from by_hand import TEMPERED, decided, label_flags, nested, read_text, score
from drawn_layouts import CASES, SHIPPED
from layout_case import Case
from trainings import recipe_text

import kit.compare
import kit.ensemble
import kit.folds
import kit.report
import kit.train

ON_CPU = ["--workers", "0", "--device", "cpu"]


def out_of_fold() -> tuple[np.ndarray, np.ndarray, list[str]]:
    """The truth, classes (N,) or labels (N, C), the probabilities (N, C), and names of classes."""
    plan, recorded = read_text("runs/folds.csv"), json.loads(Path("runs/folds.json").read_text())
    names = [""]
    for task in recorded["competition"]["tasks"]:
        names = [f"{name} {value}".strip() for name in names for value in task["classes"]]
    ids, probs = [], []
    for path in sorted(Path("runs/tiny").glob("fold*/oof.npz")):
        with np.load(path) as file:
            ids += file["ids"].tolist()
            probs.append(file["probs"].astype(np.float64))
    row = {image: n for n, image in enumerate(ids)}
    assert set(row) == set(plan["image"]) and len(row) == len(ids)
    labels = [[int(c) for c in label.split()] for label in plan["label"]]
    several = recorded["competition"]["kind"] == "labels"
    truth = label_flags(labels, len(names)) if several else np.array(labels)[:, 0]
    return truth, np.concatenate(probs)[[row[image] for image in plan["image"]]], names


def check_plan(case: Case, names: list[str], truth: np.ndarray) -> None:
    """Hold the plan's labels and groups against the training table of the drawing."""
    competition, plan = case.competition, read_text("runs/folds.csv")
    assert plan.groupby("group")["fold"].nunique().max() == 1
    if not case.layout.train:
        assert plan["image"].str.split("/").str[1].tolist() == [names[c] for c in truth]
        return
    table = read_text(Path("data") / competition.train)
    first = competition.image if isinstance(competition.image, str) else competition.image[0]
    table.index = pd.Index([first.format_map(row) for row in table.to_dict("records")])
    table = table.loc[[image.split("|")[0] for image in plan["image"]]]
    targets = competition.target if isinstance(competition.target, tuple) else (competition.target,)
    told = table[list(targets)]
    if len(targets) > 1 and competition.kind != "tasks":
        flags = told.astype(int).to_numpy()
        assert (flags == (truth if truth.ndim == 2 else np.eye(len(names))[truth])).all()
    elif truth.ndim == 2:
        lists = [{names[c] for c in np.flatnonzero(row)} for row in truth]
        assert [set(text.split()) for text in told.iloc[:, 0]] == lists
    else:
        texts = [" ".join(row).lower() for row in told.to_numpy()]
        assert texts == [names[c].lower() for c in truth]
    if competition.group != "photo":
        assert table[competition.group].tolist() == plan["group"].tolist()


def answers_of(path: str, form: str, names: list[str], tasks: list[str]) -> np.ndarray:
    """What a submission's rows hold: classes (R,), labels (R, C), or probabilities (R, C)."""
    table = read_text(path)
    if form == "probabilities":
        return table[names].astype(float).to_numpy()
    column = table.iloc[:, 1]
    if form == "probability":
        second = column.astype(float).to_numpy()
        return np.stack([1 - second, second], axis=1)
    if form == "list":
        return label_flags([[names.index(t) for t in text.split()] for text in column], len(names))
    if len(tasks) > 1:
        ids, texts = table.iloc[:, 0], dict(zip(table.iloc[:, 0], column))
        units = dict.fromkeys(i.removesuffix(f"_{t}") for t in tasks for i in ids if i.endswith(t))
        return np.array([names.index(" ".join(texts[f"{u}_{t}"] for t in tasks)) for u in units])
    return np.array([int(text) if form == "class" else names.index(text) for text in column])


def check_submission(case: Case, recorded: dict, names: list[str]) -> None:
    """Hold a submission against the sample, and against the probabilities it was made of."""
    given, sample = read_text("submissions/all.csv"), read_text("data/sample_submission.csv")
    assert list(given) == list(sample) and given.iloc[:, 0].tolist() == sample.iloc[:, 0].tolist()
    form, tasks = recorded["answer"], [task["name"] for task in recorded["tasks"]]
    answers = answers_of("submissions/all.csv", form, names, tasks)
    with np.load("probs.npz") as file:
        ids, probs = file["ids"].tolist(), file["probs"].astype(np.float64)
    trained = set(read_text("runs/folds.csv")["image"])
    rows = [n for n, ident in enumerate(ids) if ident not in trained]
    ids, probs = [ids[n] for n in rows], probs[rows]
    if case.fields["name"] == "rsna":  # several photos an answer: their mean
        table = read_text("data/test.csv")
        place = case.fields["test_image"]
        row = {place.format_map(r): r["prediction_id"] for r in table.to_dict("records")}
        units = [row.get(i, i) for i in ids]
        probs = pd.DataFrame(probs).groupby(units).mean().loc[given.iloc[:, 0]].to_numpy()
    if form in ("probability", "probabilities"):
        np.testing.assert_allclose(answers, probs, atol=2e-6)
    else:
        assert (answers == decided(case.fields["metric"], probs, form == "list")).all()


# scikit-learn 1.4 allows the sum of 120 classes no rounding.
@pytest.mark.filterwarnings("ignore:The y_pred values do not sum to one")
@pytest.mark.parametrize("name", CASES)
def test_a_layout_goes_through_every_command(name, tmp_path, monkeypatch, capsys):
    case = CASES[name]
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KIT_DATA", raising=False)
    case.draw(tmp_path / "data")
    Path("tiny.py").write_text(recipe_text("tiny", (24, 32), 2, 1e-2))
    known = ["--competition", name] if name in SHIPPED else []
    if not known:
        case.write(Path("competition.py"))
    assert kit.folds.main(["--folds", "2", "--no-audit", *known]) == 0
    assert kit.train.main(["tiny.py", "--fold", "all", *ON_CPU]) == 0
    truth, probs, names = out_of_fold()
    check_plan(case, names, truth)
    words = ["runs/tiny", *ON_CPU, "--out", "submissions/all.csv", "--save-probs", "probs.npz"]
    assert kit.ensemble.main(words) == 0
    recorded = json.loads(Path("runs/folds.json").read_text())["competition"]
    metric, oof = recorded["metric"], json.loads(Path("submissions/all.json").read_text())["oof"]
    fold = read_text("runs/folds.csv")["fold"].to_numpy()
    near = 3e-3 if metric in TEMPERED else 1e-6  # of fitted temperatures
    assert oof["score"] == pytest.approx(nested(metric, truth, probs, fold), abs=near)
    for k in range(2):
        told = read_text(f"runs/tiny/fold{k}/metrics.csv").iloc[-1]
        by_hand = score(metric, truth[fold == str(k)], probs[fold == str(k)])
        assert float(told[f"val_{metric}"]) == pytest.approx(by_hand, abs=1e-5)
    check_submission(case, recorded, names)
    assert kit.ensemble.main(["--check", "submissions/all.csv"]) == 0
    one = ["runs/tiny/fold0", *ON_CPU, "--out", "submissions/one.csv"]
    assert kit.ensemble.main(one) == 0
    capsys.readouterr()
    files = ["submissions/all.csv", "submissions/one.csv", "--answers", "data/answers.csv"]
    assert kit.compare.main([*files, "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)["files"]["all"]["scores"]
    tasks = [task["name"] for task in recorded["tasks"]]
    held = answers_of("data/answers.csv", recorded["answer"], names, tasks)
    if recorded["answer"] in ("probability", "probabilities"):
        held = held.astype(int) if recorded["kind"] == "labels" else held.argmax(axis=1)
    given = answers_of("submissions/all.csv", recorded["answer"], names, tasks)
    assert scores[oof["metric"]["key"]] == pytest.approx(score(metric, held, given), abs=1e-5)
    assert kit.compare.main(files) == 0 and kit.report.main(["runs/tiny"]) == 0
    assert known or kit.report.main([]) == 0  # of the data alone, by competition.py
    assert oof["metric"]["title"] in Path("report.html").read_text(encoding="utf-8")
