"""The mask competition's training photos, and the corrections of their labels."""

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from kit.competitions.mask_labels import AGE, GENDER, MASK, SHOTS
from kit.system.errors import problem
from kit.system.table import check_unique, is_plain_name, read_csv, whole_numbers
from kit.task import TrainingPhotos

TRAIN_COLUMNS = ("id", "gender", "race", "age", "path")
CORRECTION_COLUMNS = ("path", "field", "value")
EXTENSIONS = (".jpg", ".jpeg", ".png")


@dataclass(frozen=True)
class Correction:
    """One label fix: a person's `gender` or `age`, or the `swap` of two of the seven shots.

    The `value` of a swap is `a:b`.
    """

    path: str
    field: str
    value: str


def read_photos(data: Path, corrections: Path | None = None) -> TrainingPhotos:
    """The training photos of a data folder with their labels, after the corrections of a file."""
    fixes = read_corrections(corrections) if corrections else []
    people, photos, remarks = _list_photos(data, fixes)
    table, applied = _apply(people, photos, fixes, corrections or data / "train" / "train.csv")
    return TrainingPhotos(table, remarks, applied)


def read_people(path: Path) -> pd.DataFrame:
    """The rows of `train.csv`, one a person: `id, gender, race, age, path`.

    All are text but `age`, int64 years.
    """
    people = read_csv(path, TRAIN_COLUMNS)
    bad = people.loc[~people["gender"].isin(GENDER.classes)]
    if len(bad):
        raise problem(
            path,
            f"column 'gender' must hold {' or '.join(GENDER.classes)}",
            [f"'{g}' at {p}" for g, p in zip(bad["gender"], bad["path"])],
            "mend these rows",
        )
    unsafe = people.loc[~people["path"].map(is_plain_name), "path"]
    if len(unsafe):
        raise problem(
            path,
            "column 'path' must hold plain folder names",
            [f"'{p}'" for p in unsafe],
            "mend these rows",
        )
    check_unique(path, people, "path", "every person has one row and one folder")
    return people.assign(age=whole_numbers(path, people, "age", 0, 120, "path"))


def read_corrections(path: Path) -> list[Correction]:
    """The lines of a corrections file, `path,field,value`.

    The field is `gender`, `age` or `swap`, each at most once a person.
    """
    table = read_csv(path, CORRECTION_COLUMNS)
    rows = [Correction(*row) for row in table.itertuples(index=False)]
    bad = [f"{r.path},{r.field},{r.value}" for r in rows if not _correct(r)]
    if bad:
        raise problem(
            path,
            "holds lines that are no correction",
            bad,
            "write path,gender,male|female or path,age,<years> or path,swap,incorrect_mask:normal",
        )
    twice = pd.Series([f"{r.path},{r.field}" for r in rows])
    if twice.duplicated().any():
        raise problem(
            path,
            "corrects the same field twice",
            twice[twice.duplicated()].tolist(),
            "keep one line of each",
        )
    return rows


def _correct(row: Correction) -> bool:
    if row.field == "gender":
        return row.value in GENDER.classes
    if row.field == "age":
        return bool(re.fullmatch(r"[0-9]{1,3}", row.value)) and int(row.value) <= 120
    shots = row.value.split(":")
    return (
        row.field == "swap"
        and len(set(shots)) == 2
        and len(shots) == 2
        and all(s in SHOTS for s in shots)
    )


def _list_photos(
    data: Path, corrections: Iterable[Correction]
) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
    """The rows of `train.csv`, its people's seven photos each (`image, person, mask`), and remarks.

    Hidden files such as `._*` are skipped. Raises `KitError` for a person without a folder, for a
    photo that is missing or there twice, and for labels in a folder's name that contradict
    train.csv, unless a correction settles them.
    """
    csv, root = data / "train" / "train.csv", data / "train" / "images"
    people = read_people(csv)
    _check_names(csv, people, {(c.path, c.field) for c in corrections})
    if not root.is_dir():
        remedy = "it must hold a folder of photos for each row of train.csv"
        raise problem(root, "there is no such folder", remedy=remedy)
    absent, short, twice, other = list[str](), list[str](), list[str](), list[str]()
    rows: list[tuple[str, str, int]] = []
    for person in people["path"]:
        try:
            names = sorted(os.listdir(root / person))
        except (FileNotFoundError, NotADirectoryError):
            absent.append(person)
            continue
        shots: dict[str, str] = {}
        for name in names:
            stem, dot, extension = name.rpartition(".")
            if name.startswith("."):
                continue
            if stem not in SHOTS or dot + extension.lower() not in EXTENSIONS:
                other.append(f"{person}/{name}")
            elif stem in shots:
                twice.append(f"{person}/{shots[stem]} and {name}")
            else:
                shots[stem] = name
        short += [f"{person}/{shot}" for shot in SHOTS if shot not in shots]
        rows += [(f"{person}/{name}", person, SHOTS[stem]) for stem, name in shots.items()]
    again = "unpack the data again"
    of_seven = f"photos that are missing (.jpg, .jpeg or .png; a person has {len(SHOTS)})"
    for what, names, remedy in (
        ("people of train.csv without a folder of photos", absent, again),
        ("photos that are there twice", twice, "remove one of the two"),
        (of_seven, short, again),
    ):
        if names:
            raise problem(root, what, names, remedy)
    photos = pd.DataFrame(rows, columns=["image", "person", "mask"])
    return people, photos, _left_out(root, set(people["path"]), other)


def _left_out(root: Path, known: set[str], other: Sequence[str]) -> list[str]:
    """Remarks on folders that train.csv does not list, and on files that are no shots."""
    folders = sorted(
        name
        for name in os.listdir(root)
        if name not in known and not name.startswith(".") and (root / name).is_dir()
    )
    return [
        f"{root}: {what}, left out ({len(names):,}, the first: {names[0]})"
        for what, names in (
            ("folders that train.csv does not list", folders),
            ("files that are none of a person's seven photos", other),
        )
        if names
    ]


def _check_names(csv: Path, people: pd.DataFrame, settled: set[tuple[str, str]]) -> None:
    """Raise `KitError` where a folder's name contradicts the columns of train.csv.

    The name is `id_gender_race_age`.
    """
    parts = people["path"].str.extract(
        r"^(?P<id>.+)_(?P<gender>male|female)_(?P<race>[^_]+)_(?P<age>\d+)$"
    )
    clash = []
    for name in ("id", "gender", "age"):
        differ = parts["id"].notna() & (parts[name] != people[name].astype(str))
        clash += [
            f"{path} against {name} {value}"
            for path, value in zip(people.loc[differ, "path"], people.loc[differ, name])
            if (path, name) not in settled
        ]
    if clash:
        raise problem(
            csv,
            "folder names and columns disagree",
            clash,
            "mend train.csv"
            + (
                ""
                if all("against id" in line for line in clash)
                else ", or settle it with a line path,gender|age,value in a --corrections file"
            ),
        )


def _apply(
    people: pd.DataFrame, photos: pd.DataFrame, corrections: Sequence[Correction], source: Path
) -> tuple[pd.DataFrame, list[dict[str, str]]]:
    """The photos `image, group, age, label` after the corrections, and what each one changed.

    The second value has `path, field, old, new` a correction: enough to undo it.
    """
    people = people.set_index("path")[["gender", "age"]]
    unknown = [c.path for c in corrections if c.path not in people.index]
    if unknown:
        near = [p for p in people.index if p.split("_")[0] == unknown[0]]
        remedy = f"did you mean {near[0]}?" if near else "name a person by train.csv's path column"
        raise problem(source, "corrects people that train.csv does not have", unknown, remedy)
    done = []
    for row in corrections:
        if row.field == "swap":
            a, b = row.value.split(":")
            of_person = photos.index[photos["person"] == row.path]
            stems = photos.loc[of_person, "image"].str.extract(r"/(\w+)\.[^.]+$")[0]
            pair = [of_person[(stems == shot).to_numpy()][0] for shot in (a, b)]
            photos.loc[pair, "mask"] = photos.loc[pair[::-1], "mask"].to_numpy()
            old, new = f"{a}:{b}", f"{b}:{a}"
        else:
            old, new = str(people.at[row.path, row.field]), row.value
            people.loc[row.path, row.field] = int(row.value) if row.field == "age" else row.value
        done.append({"path": row.path, "field": row.field, "old": old, "new": new})
    table = photos.join(people, on="person").rename(columns={"person": "group"})
    gender = (table["gender"] == GENDER.classes[1]).to_numpy(dtype=np.int64)
    answers = (table["mask"].to_numpy(), gender, AGE.class_of(table["age"].to_numpy()))
    shape = tuple(len(task.classes) for task in (MASK, GENDER, AGE))
    table = table.assign(label=np.ravel_multi_index(answers, shape).astype(np.int64))
    return table[["image", "group", "age", "label"]], done
