"""A competition of each form of answer, and its folder."""

from pathlib import Path

import numpy as np
import pandas as pd
from draws import softmax

from kit.competition import Competition
from kit.data.answer_rows import TASK, answer_columns
from kit.data.folder import DataFolder, answer_rows, read_ids
from kit.data.plan import Plan
from kit.data.targets import as_texts, targets
from kit.results.submission import Predicted, write_submission
from kit.task import Task

ANIMALS = ("cat", "dog", "owl")
LEAVES = ("healthy", "rust", "scab", "frog eye")
HEADS = (Task("root", ("a", "b", "c")), Task("vowel", ("x", "y")))
ROWS = 8
FORMS = {
    "class": {"kind": "classes", "classes": ANIMALS, "answer": "class"},
    "name": {"kind": "classes", "classes": ANIMALS, "answer": "name"},
    "order": {"kind": "order", "classes": ("0", "1", "2", "3"), "answer": "class"},
    "probability": {"kind": "classes", "classes": ("benign", "malignant"), "answer": "probability"},
    "probabilities": {"kind": "classes", "classes": ANIMALS, "answer": "probabilities"},
    "list": {"kind": "labels", "classes": LEAVES, "answer": "list", "separator": "|"},
    "labels": {"kind": "labels", "classes": LEAVES, "answer": "probabilities", "metric": "roc_auc"},
    "tasks": {"kind": "tasks", "tasks": HEADS, "answer": "class"},
    "task_columns": {"kind": "tasks", "tasks": HEADS, "answer": "name", "answer_column": "{task}"},
    "task_rows": {
        "kind": "tasks",
        "tasks": HEADS,
        "answer": "class",
        "answer_rows": "{photo}_{task}",
        "test_image": "{photo}.png",
        "id": "row_id",
    },
    "pooled": {
        "kind": "classes",
        "classes": ("0", "1"),
        "answer": "probability",
        "answer_rows": "{patient}_{side}",
        "test_image": "{patient}/{photo}.png",
        "id": "prediction_id",
    },
    "pooled_list": {
        "kind": "labels",
        "classes": LEAVES,
        "answer": "list",
        "separator": "|",
        "answer_rows": "{patient}",
        "test_image": "{photo}.png",
        "id": "prediction_id",
    },
}


def form(name: str, **changes: object) -> Competition:
    """The competition of a form."""
    fields = {"name": name, "frame": (8, 8), "id": "image", "answer_column": "target"}
    if FORMS[name]["answer"] == "probabilities":
        fields["answer_column"] = "truth"
    return Competition(**{**fields, **FORMS[name], **changes})  # type: ignore[arg-type]


def form_folder(root: Path, competition: Competition, rows: int = ROWS) -> DataFolder:
    """A data folder with the test table of a competition, without photos."""
    numbers = range(rows)
    if competition.answer_rows:
        table = pd.DataFrame(
            {
                "photo": [f"p{n}" for n in numbers],
                "patient": [f"a{n // 4}" for n in numbers],
                "side": ["L" if n % 4 < 2 else "R" for n in numbers],
            }
        )
        if TASK in competition.answer_rows:  # a row a task, as the sample has it
            tasks = [task.name for task in competition.tasks[::-1]]
            rows_of = [(f"p{n}", f"p{n}_{name}") for n in numbers for name in tasks]
            table = pd.DataFrame(rows_of, columns=["photo", competition.id])
    else:
        table = pd.DataFrame({competition.id: [f"{n}.jpg" for n in numbers]})
        for name in answer_columns(competition)[1:]:
            table[name] = "0"
    root.mkdir(parents=True, exist_ok=True)
    table.to_csv(root / competition.test, index=False)
    return DataFolder(root, competition)


def predicted(data: DataFolder, seed: int = 0, sure: float = 2.0) -> Predicted:
    """Random answers to what has a row."""
    competition, units = data.competition, answer_rows(data).units
    rng = np.random.default_rng(seed)
    logits = sure * rng.normal(size=(len(units), competition.num_classes))
    if competition.several_labels:
        probs = (1 / (1 + np.exp(-logits))).astype(np.float32)
        return Predicted(units, (probs >= 0.5).astype(np.uint8), probs)
    probs = softmax(logits)
    return Predicted(units, probs.argmax(axis=1), probs)


def submissions(
    root: Path, name: str, number: int = 3, rows: int = 40, **changes: object
) -> tuple[DataFolder, list[Path]]:
    """The folder of a form, and submissions of random answers."""
    data = form_folder(root / "data", form(name, **changes), rows)
    files = [root / f"s{n}.csv" for n in range(number)]
    for n, path in enumerate(files):
        write_submission(path, predicted(data, n), data, {})
    return data, files


def plan_of(competition: Competition, photos: int = 60, seed: int = 5) -> Plan:
    """A fold plan of random labels: two folds, three photos a group."""
    rng, rows = np.random.default_rng(seed), np.arange(photos)
    label = rng.integers(0, competition.num_classes, photos)
    labels: object = label
    if competition.several_labels:
        labels = as_texts((rng.random((photos, competition.num_classes)) < 0.4).astype(np.uint8))
    table = pd.DataFrame(
        {
            "image": [f"train{n}.png" for n in rows],
            "group": [f"g{n // 3}" for n in rows],
            "label": labels,
            "fold": rows // 3 % 2,
        }
    )
    return Plan(table, "hash", {}, competition)


def team_file(path: Path, data: DataFolder, plan: Plan, seed: int) -> Path:
    """A team's probabilities of the photos to predict and of training photos, in one `.npz`."""
    competition, rng = data.competition, np.random.default_rng(seed)
    ids = [*read_ids(data), *plan.photos["image"]]
    logits = rng.normal(size=(len(ids), competition.num_classes))
    truth = targets(plan.photos, competition)
    hot = truth if truth.ndim == 2 else np.eye(competition.num_classes)[truth]
    logits[-len(truth) :] += 2 * hot
    probs = 1 / (1 + np.exp(-logits)) if competition.several_labels else softmax(logits)
    np.savez(path, ids=np.array(ids), probs=probs.astype(np.float32))
    return path
