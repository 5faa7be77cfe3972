"""The mask competition's training photos, and the corrections of their labels."""

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from kit.competitions.mask import GENDERS, SHOTS, Correction, label_photos
from kit.data.folder import train_images
from kit.system.errors import problem
from kit.system.table import check_unique, is_plain_name, read_csv, whole_numbers

TRAIN_COLUMNS = ("id", "gender", "race", "age", "path")


CORRECTION_COLUMNS = ("path", "field", "value")


def read_people(path: Path) -> pd.DataFrame:
    """`train.csv`: one row a person with `id, gender, race, age, path`, all text but `age` (int64
    years).
    """
    people = read_csv(path, TRAIN_COLUMNS)
    bad = people.loc[~people["gender"].isin(GENDERS)]
    if len(bad):
        raise problem(
            path,
            f"column 'gender' must hold {' or '.join(GENDERS)}",
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
    """A corrections file: `path,field,value`, with the field `gender`, `age` or `swap`, each at
    most once a person.
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
        return row.value in GENDERS
    if row.field == "age":
        return bool(re.fullmatch(r"[0-9]{1,3}", row.value)) and int(row.value) <= 120
    shots = row.value.split(":")
    return (
        row.field == "swap"
        and len(set(shots)) == 2
        and len(shots) == 2
        and all(s in SHOTS for s in shots)
    )


EXTENSIONS = (".jpg", ".jpeg", ".png")


@dataclass(frozen=True)
class Layout:
    """What a training folder holds: `people` (train.csv), `photos` (`image, person, mask`), and
    remarks for a person.
    """

    people: pd.DataFrame
    photos: pd.DataFrame
    remarks: list[str]


def read_layout(data: Path, corrections: Iterable[Correction] = ()) -> Layout:
    """Read `train.csv` and list its people's seven photos each, skipping `._*` and other hidden
    junk.

    Raises for a person without a folder, a photo that is missing or there twice, and labels in a
    folder's name that contradict train.csv, unless a correction settles them.
    """
    csv, root = data / "train" / "train.csv", train_images(data)
    people = read_people(csv)
    _check_names(csv, people, {(c.path, c.field) for c in corrections})
    if not root.is_dir():
        raise problem(
            root,
            "there is no such folder",
            remedy="it must hold a folder of photos for each row of train.csv",
        )
    images: list[str] = []
    persons: list[str] = []
    masks: list[int] = []
    absent: list[str] = []
    short: list[str] = []
    twice: list[str] = []
    other: list[str] = []
    for person in people["path"]:
        try:
            names = os.listdir(root / person)
        except (FileNotFoundError, NotADirectoryError):
            absent.append(person)
            continue
        found: dict[str, str] = {}
        for name in sorted(names):
            stem, dot, extension = name.rpartition(".")
            if name.startswith("."):
                continue
            if stem not in SHOTS or dot + extension.lower() not in EXTENSIONS:
                other.append(f"{person}/{name}")
            elif stem in found:
                twice.append(f"{person}/{found[stem]} and {name}")
            else:
                found[stem] = name
        short += [f"{person}/{shot}" for shot in SHOTS if shot not in found]
        images += [f"{person}/{name}" for name in found.values()]
        persons += [person] * len(found)
        masks += [SHOTS[shot] for shot in found]
    if absent:
        raise problem(
            root, "people of train.csv without a folder of photos", absent, "unpack the data again"
        )
    if twice:
        raise problem(root, "photos that are there twice", twice, "remove one of the two")
    if short:
        raise problem(
            root,
            f"photos that are missing (.jpg, .jpeg or .png; a person has {len(SHOTS)})",
            short,
            "unpack the data again",
        )
    known = set(people["path"])
    extra = sorted(
        n
        for n in os.listdir(root)
        if n not in known and not n.startswith(".") and os.path.isdir(root / n)
    )
    remarks = [
        f"{root}: {what}, left out ({len(names):,}, the first: {names[0]})"
        for what, names in (
            ("folders that train.csv does not list", extra),
            ("files that are none of a person's seven photos", other),
        )
        if names
    ]
    return Layout(
        people,
        pd.DataFrame({"image": images, "person": persons, "mask": np.array(masks, dtype=np.int64)}),
        remarks,
    )


def _check_names(csv: Path, people: pd.DataFrame, settled: set[tuple[str, str]]) -> None:
    """Raise where a folder's name, `id_gender_race_age`, says another gender, age or id than
    train.csv's columns.
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


def apply_corrections(
    layout: Layout, corrections: Sequence[Correction], source: Path
) -> tuple[pd.DataFrame, list[dict[str, str]]]:
    """The layout's photos with labels, `image, person, age, label`, after the corrections; and what
    each one changed.

    The second value has `path, field, old, new` a correction: enough to undo it.
    """
    people = layout.people.set_index("path")[["gender", "age"]].copy()
    photos = layout.photos.copy()
    unknown = [c.path for c in corrections if c.path not in people.index]
    if unknown:
        near = [p for p in people.index if p.split("_")[0] == unknown[0]]
        raise problem(
            source,
            "corrects people that train.csv does not have",
            unknown,
            f"did you mean {near[0]}?" if near else "name a person by train.csv's path column",
        )
    done = []
    for row in corrections:
        if row.field == "swap":
            a, b = row.value.split(":")
            own = photos.index[photos["person"] == row.path]
            stems = photos.loc[own, "image"].str.extract(r"/(\w+)\.[^.]+$")[0]
            pair = [own[(stems == a).to_numpy()][0], own[(stems == b).to_numpy()][0]]
            photos.loc[pair, "mask"] = photos.loc[pair[::-1], "mask"].to_numpy()
            old, new = f"{a}:{b}", f"{b}:{a}"
        else:
            old, new = str(people.at[row.path, row.field]), row.value
            people.loc[row.path, row.field] = int(row.value) if row.field == "age" else row.value
        done.append({"path": row.path, "field": row.field, "old": old, "new": new})
    full = photos.join(people, on="person")
    return full.assign(label=label_photos(full))[["image", "person", "age", "label"]], done
