"""Every layout goes through all commands, from photos to a checked answer, on tiny drawings.

Each score out of fold that a command tells is computed again by scikit-learn, from `folds.csv`,
`folds.json` and `oof.npz` alone.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from drawn_layouts import CASES, SHIPPED
from sklearn import metrics

import kit.compare
import kit.ensemble
import kit.folds
import kit.report
import kit.train

RECIPE = """from kit.recipe import Recipe

recipe = Recipe(
    name="tiny",
    model="test_efficientnet",
    pretrained=False,
    size=(24, 32),
    augment=None,
    epochs=1,
    batch_size=16,
    lr=5e-3,
)
"""
ON_CPU = ["--workers", "0", "--device", "cpu"]


def read(path):
    """A table as text."""
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def out_of_fold() -> tuple[np.ndarray, np.ndarray, list[str]]:
    """The truth, classes (N,) or labels (N, C), the probabilities (N, C), and names of classes."""
    plan, recorded = read("runs/folds.csv"), json.loads(Path("runs/folds.json").read_text())
    names = [""]
    for task in recorded["competition"]["tasks"]:
        names = [f"{name} {value}".strip() for name in names for value in task["classes"]]
    ids, probs = [], []
    for path in sorted(Path("runs/tiny").glob("fold*/oof.npz")):
        with np.load(path) as file:
            ids += file["ids"].tolist()
            probs.append(file["probs"].astype(np.float64))
    row = {image: n for n, image in enumerate(ids)}
    order = [row[image] for image in plan["image"]]
    labels = [[int(c) for c in label.split()] for label in plan["label"]]
    if recorded["competition"]["kind"] != "labels":
        return np.array(labels)[:, 0], np.concatenate(probs)[order], names
    truth = np.zeros((len(labels), len(names)), int)
    for n, numbers in enumerate(labels):
        truth[n, numbers] = 1
    return truth, np.concatenate(probs)[order], names


def score(metric: str, truth: np.ndarray, probs: np.ndarray) -> float:
    """A metric by scikit-learn, of the argmax or of labels above a half where it decides."""
    several = truth.ndim == 2
    if metric == "log_loss":
        probs = probs / probs.sum(axis=1, keepdims=True)
        return float(metrics.log_loss(truth, probs, labels=range(probs.shape[1])))
    if metric == "roc_auc":
        if several or probs.shape[1] > 2:
            flags = truth if several else np.eye(probs.shape[1])[truth]
            return float(np.mean([metrics.roc_auc_score(t, p) for t, p in zip(flags.T, probs.T)]))
        return float(metrics.roc_auc_score(truth, probs[:, 1]))
    decided = (probs >= 0.5).astype(int) if several else probs.argmax(axis=1)
    labels = None if several else range(probs.shape[1])
    return float(
        {
            "accuracy": metrics.accuracy_score,
            "balanced_accuracy": metrics.balanced_accuracy_score,
            "quadratic_kappa": lambda t, d: metrics.cohen_kappa_score(t, d, weights="quadratic"),
            "f1_macro": lambda t, d: metrics.f1_score(
                t, d, average="macro", labels=labels, zero_division=0
            ),
            "f1_micro": lambda t, d: metrics.f1_score(t, d, average="micro", labels=labels),
            "f1_samples": lambda t, d: metrics.f1_score(t, d, average="samples", zero_division=0),
        }[metric](truth, decided)
    )


def check_labels(case, names: list[str], truth: np.ndarray) -> None:
    """Hold the plan's labels against the training table of the drawing."""
    competition, plan = case.competition, read("runs/folds.csv")
    if not case.layout.train:
        folders = plan["image"].str.split("/").str[1]
        assert folders.tolist() == [names[c] for c in truth]
        return
    table = read(Path("data") / competition.train)
    first = competition.image if isinstance(competition.image, str) else competition.image[0]
    places = [first.format_map(row) for row in table.to_dict("records")]
    table.index = pd.Index(places)
    table = table.loc[[image.split("|")[0].split("\n")[0] for image in plan["image"]]]
    targets = competition.target if isinstance(competition.target, tuple) else (competition.target,)
    if truth.ndim == 2 and len(targets) > 1:
        assert (table[list(targets)].astype(int).to_numpy() == truth).all()
    elif truth.ndim == 2:
        told = [set(text.split()) for text in table[targets[0]]]
        assert told == [{names[c] for c in np.flatnonzero(row)} for row in truth]
    elif len(targets) > 1 and competition.kind != "tasks":
        assert (table[list(targets)].astype(int).to_numpy().argmax(axis=1) == truth).all()
    else:
        told = [" ".join(row).lower() for row in table[list(targets)].to_numpy()]
        assert told == [names[c].lower() for c in truth]
    if competition.group != "photo":
        assert table[competition.group].tolist() == plan["group"].tolist()
    assert plan.groupby("group")["fold"].nunique().max() == 1


@pytest.mark.parametrize("name", CASES)
def test_a_layout_goes_through_every_command(name, tmp_path, monkeypatch, capsys):
    case = CASES[name]
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KIT_DATA", raising=False)
    case.draw(tmp_path / "data")
    Path("tiny.py").write_text(RECIPE)
    known = ["--competition", name] if name in SHIPPED else []
    if not known:
        case.write(Path("competition.py"))
    assert kit.folds.main(["--folds", "2", "--no-audit", *known]) == 0
    assert kit.train.main(["tiny.py", "--fold", "all", *ON_CPU]) == 0
    truth, probs, names = out_of_fold()
    check_labels(case, names, truth)
    assert kit.ensemble.main(["runs/tiny", *ON_CPU, "--out", "submissions/all.csv"]) == 0
    assert kit.ensemble.main(["runs/tiny/fold0", *ON_CPU, "--out", "submissions/one.csv"]) == 0
    capsys.readouterr()
    record = json.loads(Path("submissions/all.json").read_text())
    print(json.dumps(record["oof"])[:3000], score(case.fields["metric"], truth, probs))
    assert (
        kit.compare.main(
            [
                "submissions/all.csv",
                "submissions/one.csv",
                "--answers",
                "data/answers.csv",
                "--json",
            ]
        )
        == 0
    )
    assert kit.report.main(["runs/tiny"]) == 0
