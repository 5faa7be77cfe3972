"""What is wrong with a definition or its tables is told, and mended as told, until it plans."""

import dataclasses
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from answer_forms import form, form_folder
from helpers import draw_photo
from pets_folder import pets, sample, usual, usual_folder
from remedies import tried

from kit.competition import Competition
from kit.data.answer_rows import split_tasks
from kit.data.definition import complete
from kit.data.folder import DataFolder, answer_rows
from kit.data.planning import PlanOptions, plan_folds
from kit.task import Task, TrainingPhotos

BREEDS = ("pug", "corgi", "beagle")
QUICK = PlanOptions(folds=2, audit=False)


@pytest.fixture
def plans(tmp_path: Path) -> Callable[..., Callable[[], None]]:
    """`plans(...)` is a call that plans a folder of pets with other tables and fields.

    `drawn` are fields that differ in the folder alone; `change` is called with it before.
    """
    numbers = itertools.count()

    def call(change: Any = None, drawn: Any = None, **options: Any) -> Callable[[], None]:
        def plan() -> None:
            place = tmp_path / str(next(numbers))
            root, given = usual_folder(place / "data", **(options if drawn is None else drawn))
            if drawn is not None:
                given = usual(**options)
            if change:
                change(root)
            plan_folds(DataFolder(root, complete(given, root)), place / "folds.csv", QUICK)

        return plan

    return call


def of(*values: str, name: str = "breed") -> pd.DataFrame:
    """A training table with such a column, in turns."""
    return pets().assign(**{name: [values[n % len(values)] for n in range(12)]})


def test_columns_of_the_training_table(plans):
    good = plans()
    tried(plans(target="bred"), "no column 'bred' (did you mean breed?), which target", good)
    said = "names no classes; set target to a column of labels.csv, or set target_pattern"
    tried(plans(target=""), said, good)
    tried(plans(target=""), said, plans(target="", target_pattern="p([01])"))
    said = "so groups nothing (1 found: p00); leave group out, or name another column"
    tried(plans(group="id"), said, good)
    tried(plans(group="id"), said, plans(group="owner"))
    same = pets().assign(city="Seoul")
    said = "(1 found: Seoul); name a column that tells groups apart"
    tried(plans(table=same, group="city"), said, plans(table=same, group="owner"))
    twice = plans(lambda root: (root / "labels.csv").write_text("id,breed,breed\np00,a,b\n"))
    tried(twice, "has column 'breed' twice; keep one of the two", good)


def test_classes(plans):
    good, more, table = plans(), (*BREEDS, "cat"), of("pug", "corgi", "")
    said = "has no photo of some classes (1 found: cat); mend the definition's classes, or leave"
    tried(plans(classes=more), said, plans(classes=BREEDS))
    tried(plans(classes=more), said, good)
    said = "none of the classes (4 found, the first: 'beagel' at train/p02.jpg (did you mean "
    misspelt = of("pug", "corgi", "beagel")
    tried(plans(table=misspelt, classes=BREEDS), said, plans(classes=BREEDS))
    tried(
        plans(table=misspelt, classes=BREEDS),
        "mend these rows, or the definition's classes",
        plans(table=misspelt, classes=("pug", "corgi", "beagel")),
    )
    said = "gives no class to some photos (4 found, the first: train/p02.jpg); mend these rows, or"
    tried(plans(table=table), said, good)
    tried(plans(table=table), said, plans(table=table[table["breed"] != ""]))
    one = of("pug")
    said = "the target has one class alone (1 found: pug); name another column"
    tried(plans(table=one), said, plans(table=one, target="sex"))
    grades, rising = of("mild", "severe", "none"), ("none", "mild", "severe")
    tried(
        plans(table=grades, kind="order"),
        "(3 found, the first: mild); set classes=(...), the least one first",
        plans(table=grades, kind="order", classes=rising),
    )
    said = "mirror names classes that are not there (1 found: crgi (did you mean corgi?)); its"
    tried(plans(mirror={"pug": "crgi"}), said, plans(mirror={"pug": "corgi"}))


def test_kinds_and_tasks(plans):
    said = "kind='tasks' needs one for each of its tasks; mend target or tasks"
    tried(plans(kind="tasks"), said, plans(kind="tasks", target=("breed", "sex")))
    two = (Task("x", ("f", "m")), Task("y", BREEDS))
    said = "kind='order' has one task, and the definition has 2; mend kind or tasks"
    both = {"target": ("sex", "breed"), "tasks": two}
    tried(plans(kind="order", **both), said, plans(kind="tasks", **both))
    flags = {"target": ("a", "b"), "predict": sample({"a": 0, "b": 0})}
    odd = of("1", "x", name="a").assign(b=["0", "1"] * 6)
    even, many = odd.replace("x", "0"), odd.assign(a="1")
    said = "(6 found, the first: 'x' at train/p01.jpg); mend these rows, or set kind='tasks'"
    tried(plans(table=odd, kind="labels", **flags), said, plans(table=even, **flags))
    tasks = {"kind": "tasks", "target": ("a", "b"), "predict": sample({"ans": 0})}
    tried(plans(table=odd, kind="labels", **flags), said, plans(table=odd, **tasks))
    said = "not one alone is 1 (6 found, the first: train/p01.jpg); mend these rows, or set kind="
    tried(plans(table=many, kind="classes", **flags), said, plans(table=even, **flags))
    tried(
        plans(table=many, kind="classes", **flags), said, plans(table=many, kind="labels", **flags)
    )
    years = {"tasks": (Task("breed", ("a", "b"), "years", (3,)),), "target": "years"}
    said = "column 'years' must hold whole numbers 0..999999999 (6 found, the first: 'old' at"
    wrong, right = of("old", "1", name="years"), of("5", "1", name="years")
    tried(plans(table=wrong, **years), said, plans(table=right, **years))


def test_metrics_and_answers(plans):
    good = plans()
    said = "there is no such metric (did you mean accuracy?); take accuracy"
    tried(plans(metric="acuracy"), said, plans(metric="accuracy"))
    of_breeds = sample(dict.fromkeys(BREEDS, 0))
    said = "scores probabilities, and an answer is a name; set another metric, or another answer"
    wrong = plans(metric="log_loss", answer="name")
    tried(wrong, said, plans(answer="name"))
    tried(wrong, said, plans(metric="log_loss", answer="probabilities", predict=of_breeds))
    said = "samples.csv: there is no such table; set test to the sample submission, or to the table"
    tried(plans(test="samples.csv", drawn={}), said, good)
    lacking = sample({"pug": 0.3, "corgi": 0.3})
    said = "(1 found: beagle); set test to the sample submission, or set answer and answer_column"
    tried(plans(predict=lacking), said, plans(predict=of_breeds))
    tried(plans(predict=lacking), said, plans(predict=lacking, answer="name", answer_column="x"))
    wide = {"predict": sample(dict.fromkeys((*BREEDS, "cat"), 0))}
    said = "(1 found: cat); leave classes out, so that these columns are taken as classes, or take"
    tried(plans(classes=BREEDS, **wide), said, plans(**wide))
    tried(plans(classes=BREEDS, **wide), said, plans(classes=BREEDS, predict=of_breeds))
    said = "(12 found, the first: p00); take both tables as they were given"
    tried(plans(predict=pets()[["id"]].assign(breed="pug")), said, good)
    two = {"table": of("a", "b"), "predict": sample({"a": 0.5})}
    said = "asks for the probability of a, and the second class is b; set classes=('b', 'a')"
    tried(plans(classes=("a", "b"), **two), said, plans(classes=("b", "a"), **two))


def test_folds_of_the_table(plans):
    splits, whole = of("0", "1", name="part"), pets().assign(part=np.repeat(["0", "1"], 6))
    own = {"group": "owner", "fold": "part"}
    said = "splits owners between folds (6 found, the first: o0); give each owner one fold"
    tried(plans(table=splits, **own), said, plans(table=whole, **own))
    said = "has one fold alone (1 found: 0); leave fold out"
    tried(plans(table=of("0", name="part"), fold="part"), said, plans(table=of("0", name="part")))
    said = "gives no fold to some photos (6 found, the first: train/p01.jpg); fill it in"
    tried(plans(table=of("0", "", name="part"), fold="part"), said, plans(table=whole, **own))


def test_templates(plans):
    good = plans()
    said = "names no column of labels.csv (1 found: {idd} (did you mean id?)); it has id,breed"
    tried(plans(image="train/{idd}.jpg", drawn={}), said, good)
    said = "no row names a photo that is there (12 found"
    tried(plans(image="trian/{id}.jpg", drawn={}), said, good)
    lost = plans(lambda root: (root / "train" / "p04.jpg").unlink())
    tried(lost, "rows without a photo (1 found", good)
    tried(plans(table=pd.concat([pets(), pets(1)])), "(1 found: train/p00.jpg); keep one row", good)
    said = "names photos outside of the data folder (12 found"
    tried(plans(image="../{id}.jpg", drawn={}), said, good)
    barred = pets().assign(id=[*"abcdefghijk", "l|m"])
    said = "names photos with a | (1 found: train/l|m.jpg); rename these files"
    renamed = barred.replace({"id": {"l|m": "lm"}})
    tried(plans(write(barred), drawn={}), said, plans(table=renamed))
    said = "(4 found, the first: tset/t00.jpg); mend test_image, or unpack the data again"
    tried(plans(test_image="tset/{id}.jpg", drawn={}), said, good)
    numbered = {"predict": sample().assign(n=range(4)), "answer": "name", "answer_column": "breed"}
    said = "(4 found, the first: t00, train/p00.jpg); mend image and test_image"
    tried(plans(test_image="train/p0{n}.jpg", **numbered), said, plans(**numbered))


def write(table: pd.DataFrame) -> Callable[[Path], None]:
    """A change of a folder: another training table."""
    return lambda root: table.to_csv(root / "labels.csv", index=False)


def test_globs(plans):
    by_path = {"train": "train/*.jpg", "image": "", "target": "", "target_pattern": "p([01])"}
    good = plans(drawn={}, **by_path)
    said = "holds no photo train/*.png; mend train, or unpack again"
    tried(plans(drawn={}, **by_path | {"train": "train/*.png"}), said, good)
    said = "the columns are path, name, folder; or take target_pattern, group_pattern"
    tried(plans(drawn={}, **by_path | {"target": "breed", "target_pattern": ""}), said, good)
    said = "'p(0)' matches none of some paths (2 found, the first: train/p10.jpg); mend it, or"
    tried(plans(drawn={}, **by_path | {"target_pattern": "p(0)"}), said, good)
    left = plans(drawn={}, **by_path | {"train": "train/p0*.jpg", "target_pattern": "p0([0-9])"})
    tried(plans(drawn={}, **by_path | {"target_pattern": "p0([0-9])"}), "leave these photos", left)


def test_a_function_of_rows(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    good = pd.DataFrame(
        {
            "image": [f"{n}.jpg" for n in range(6)],
            "group": [*"aabbcc"],
            "years": [1, 2, 3, 4, 5, 6],
            "label": [0, 0, 1, 1, 1, 1],
        }
    )
    (data / "train.csv").touch()  # its hash is recorded
    for image in good["image"]:
        draw_photo(data / image, image, (24, 16))
    task, numbers = Task("kind", ("young", "old"), "years", (3,)), itertools.count()

    def plan(given: Any, **changes: Any) -> Callable[[], object]:
        def rows(root: Path, corrections: Path | None) -> object:
            return given() if callable(given) else TrainingPhotos(given)

        fields = {"name": "two", "tasks": (task,), "frame": (16, 24), "rows": rows, **changes}
        folder = DataFolder(data, Competition(**fields))
        return lambda: plan_folds(folder, tmp_path / f"{next(numbers)}.csv", QUICK)

    right = plan(good)
    tried(plan(lambda: None), "`rows` returns None; let it return TrainingPhotos, of kit", right)
    said = "lacks columns (1 found: group); let `rows` give them"
    tried(plan(good.drop(columns="group")), said, right)
    said = "(1 found: 1); let `rows` give each of them both"
    tried(plan(good.assign(image=["0.jpg", None, *good["image"][2:]])), said, right)
    said = "no whole numbers (1 found: label); let `rows` give them as int"
    tried(plan(good.astype({"label": str})), said, right)
    said = "labels outside of 0..1 (1 found: 5.jpg); mend `rows`, or the definition's classes"
    outside = good.assign(label=[0, 0, 1, 1, 1, 2])
    tried(plan(outside), said, right)
    three = Task("kind", ("young", "old", "older"), "years", (3, 6))
    tried(plan(outside), said, plan(outside, tasks=(three,)))
    tried(plan(lambda: {}["x"]), "KeyError: 'x'; mend the definition's `rows`", right)
    labels = good[["image", "group"]].assign(label=["0", "1", "0 1", "", "0", "1"])
    several = {"kind": "labels", "classes": ("a", "b"), "tasks": ()}
    wrong = labels.assign(label=["0", "1", "1 0", "", "0", "1"])
    said = "such as '0 2', or nothing (1 found: '1 0' at 2.jpg); mend these rows"
    tried(plan(wrong, **several), said, plan(labels, **several))
    untold = Competition(name="two", frame=(16, 24), rows=lambda *_: TrainingPhotos(good))
    told = dataclasses.replace(untold, classes=("a", "b"))
    said = "a function `rows`, and neither classes nor tasks; set classes=(...)"
    sample().to_csv(data / "sample_submission.csv", index=False)
    tried(lambda: complete(untold, data), said, lambda: complete(told, data))


def test_sample_submissions(tmp_path):
    def rows(name: str, text: str = "", **changes: Any) -> Callable[[], object]:
        def read() -> object:
            data = form_folder(tmp_path / name, form(name, **changes))
            if text:
                data.test_table.write_text(text)
            return answer_rows(data)

        return read

    good = rows("probabilities")
    twice = rows("probabilities", "image,cat,cat,dog,owl\n0.jpg,0,0,0,0\n")
    tried(twice, "has column 'cat' twice; keep one of the two", good)
    lacking = rows("probabilities", "image,cat,dog,owls\n0.jpg,0,0,0\n")
    tried(lacking, "(did you mean owls?); take sample_submission.csv as the competition", good)
    more = "image,cat,dog,owl,fox\n0.jpg,0,0,0,0\n"
    wide = rows("probabilities", more, classes=("cat", "dog", "owl", "fox"))
    said = "no class (1 found: fox); name all of its columns in classes"
    tried(rows("probabilities", more), said, wide)
    repeated = rows("list", "image,target\n0.jpg,\n0.jpg,\n")
    said = "repeats a value in column 'image' (1 found: 0.jpg); take sample_submission.csv as"
    tried(repeated, said, rows("list"))
    said = "(1 found: a/p0.png); let each photo be of one row"
    tried(rows("pooled", "photo,patient,side\np0,a,L\np0,a,R\n"), said, rows("pooled"))
    mark = "photo,row_id\np0,p0_root\np0,p0_vowels\n"
    said = "(1 found: p0_vowels); mend the template, or name another column in id"
    tried(rows("task_rows", mark), said, rows("task_rows"))
    tried(rows("task_rows", mark), said, rows("task_rows", mark, id="answer"))
    tasks = (Task("ab", ("0", "1")), Task("b", ("0", "1")))
    two = {"tasks": tasks, "test_image": "{photo}.png"}
    photos = "photo\np\npa\n"
    tried(
        rows("task_rows", photos, answer_rows="{photo}{task}", **two),
        "gives two rows one id; put something between the columns, such as _",
        rows("task_rows", photos, answer_rows="{photo}_{task}", **two),
    )
    ids, unsaid = ["p0_root", "p0_rot"], form("task_rows")
    tried(
        lambda: split_tasks(tmp_path, unsaid, ids),
        "(1 found: p0_rot); the tasks are root, vowel",
        lambda: split_tasks(tmp_path, unsaid, ["p0_root", "p0_vowel"]),
    )
