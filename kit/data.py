"""A competition folder as tables.

The layout is `train/train.csv`, `train/images/<path>/<shot>.jpg`, `eval/info.csv`, `eval/images/<ImageID>`.
"""

import hashlib
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from kit.console import warn
from kit.errors import problem
from kit.labels import SHOTS
from kit.pixels import read_bytes
from kit.tables import Correction, Plan, file_hash, label_photos, read_info, read_people, text_hash

EXTENSIONS = (".jpg", ".jpeg", ".png")


def find_data(given: str | None, needs: str = "train/train.csv") -> Path:
    """The competition's folder: `--data`, else `$KIT_DATA`, else `data/`; it must hold the file that it `needs`."""
    place = Path(os.path.expanduser(given or os.environ.get("KIT_DATA") or "data"))
    if not (place / needs).is_file():
        what = "there is no data folder" if not place.is_dir() else f"holds no {needs}"
        raise problem(place, what, remedy="name the competition's folder with --data or KIT_DATA, or draw one with "
                      "python -m kit.sample --out data")
    return place


def train_images(data: Path) -> Path:
    """The folder that the plan's `image` column is relative to."""
    return data / "train" / "images"


def eval_images(data: Path) -> Path:
    """The folder that `info.csv`'s ids lie in."""
    return data / "eval" / "images"


def info_csv(data: Path) -> Path:
    """The file that a submission must match."""
    return data / "eval" / "info.csv"


# ---------------------------------------------------------------- training photos

@dataclass(frozen=True)
class Layout:
    """What a training folder holds: `people` (train.csv), `photos` (`image, person, mask`), and remarks for a person."""

    people: pd.DataFrame
    photos: pd.DataFrame
    remarks: list[str]


def read_layout(data: Path, corrections: Iterable[Correction] = ()) -> Layout:
    """Read `train.csv` and list its people's seven photos each, skipping `._*` and other hidden junk.

    Raises for a person without a folder, a photo that is missing or there twice, and labels in a folder's name that
    contradict train.csv, unless a correction settles them.
    """
    csv, root = data / "train" / "train.csv", train_images(data)
    people = read_people(csv)
    _check_names(csv, people, {(c.path, c.field) for c in corrections})
    if not root.is_dir():
        raise problem(root, "there is no such folder", remedy="it must hold a folder of photos for each row of train.csv")
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
        raise problem(root, "people of train.csv without a folder of photos", absent, "unpack the data again")
    if twice:
        raise problem(root, "photos that are there twice", twice, "remove one of the two")
    if short:
        raise problem(root, f"photos that are missing (.jpg, .jpeg or .png; a person has {len(SHOTS)})", short,
                      "unpack the data again")
    known = set(people["path"])
    extra = sorted(n for n in os.listdir(root) if n not in known and not n.startswith(".") and os.path.isdir(root / n))
    remarks = [f"{root}: {what}, left out ({len(names):,}, the first: {names[0]})"
               for what, names in (("folders that train.csv does not list", extra),
                                   ("files that are none of a person's seven photos", other)) if names]
    return Layout(people, pd.DataFrame({"image": images, "person": persons, "mask": np.array(masks, dtype=np.int64)}),
                  remarks)


def _check_names(csv: Path, people: pd.DataFrame, settled: set[tuple[str, str]]) -> None:
    """Raise where a folder's name, `id_gender_race_age`, says another gender, age or id than train.csv's columns."""
    parts = people["path"].str.extract(r"^(?P<id>.+)_(?P<gender>male|female)_(?P<race>[^_]+)_(?P<age>\d+)$")
    clash = []
    for name in ("id", "gender", "age"):
        differ = parts["id"].notna() & (parts[name] != people[name].astype(str))
        clash += [f"{path} against {name} {value}" for path, value in
                  zip(people.loc[differ, "path"], people.loc[differ, name]) if (path, name) not in settled]
    if clash:
        raise problem(csv, "folder names and columns disagree", clash,
                      "mend train.csv" + ("" if all("against id" in line for line in clash) else
                                          ", or settle it with a line path,gender|age,value in a --corrections file"))


def apply_corrections(layout: Layout, corrections: Sequence[Correction],
                      source: Path) -> tuple[pd.DataFrame, list[dict[str, str]]]:
    """The layout's photos with labels, `image, person, age, label`, after the corrections; and what each one changed.

    The second value has `path, field, old, new` a correction: enough to undo it.
    """
    people = layout.people.set_index("path")[["gender", "age"]].copy()
    photos = layout.photos.copy()
    unknown = [c.path for c in corrections if c.path not in people.index]
    if unknown:
        near = [p for p in people.index if p.split("_")[0] == unknown[0]]
        raise problem(source, "corrects people that train.csv does not have", unknown,
                      f"did you mean {near[0]}?" if near else "name a person by train.csv's path column")
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


def fingerprint(root: Path, images: Sequence[str]) -> str:
    """A hash over the names and sizes of photos: tells whether a folder still holds what was planned, without reading it."""
    def size(image: str) -> int:
        try:
            return os.stat(root / image).st_size
        except OSError:
            return -1
    sizes = [size(image) for image in images]
    lost = [image for image, n in zip(images, sizes) if n < 0]
    if lost:
        raise problem(root, "photos of the fold plan that are not there", lost,
                      "name the folder that was planned with --data, or plan again with python -m kit.folds --force")
    return text_hash("".join(f"{image}\t{n}\n" for image, n in zip(images, sizes)))


def check_data(data: Path, plan: Plan) -> None:
    """Raise unless a folder still holds the photos that were planned."""
    if file_hash(data / "train" / "train.csv") != plan.meta.get("train.csv"):
        warn(f"{data / 'train' / 'train.csv'} is not what it was when the folds were planned: the plan's labels are used; to use "
             "the new ones, plan again with python -m kit.folds --force")
    if fingerprint(train_images(data), plan.photos["image"].tolist()) != plan.meta.get("data"):
        raise problem(train_images(data), "holds other photos than the fold plan was made from",
                      remedy="name the planned folder with --data, or plan again with python -m kit.folds --force")


# ---------------------------------------------------------------- photos to predict

def read_eval(data: Path) -> list[str]:
    """The ids to predict, in order; each must name a photo in `eval/images`."""
    ids, root = read_info(info_csv(data)), eval_images(data)
    there = set(os.listdir(root)) if root.is_dir() else set()
    absent = [i for i in ids if i not in there]
    if absent:
        raise problem(info_csv(data), f"ids that name no file in {root}", absent, "unpack the data again")
    return ids


def content_hash(root: Path, images: Sequence[str]) -> str:
    """A hash over the names and bytes of photos: what probabilities computed from them are keyed by."""
    def digest(image: str) -> str:
        return hashlib.sha256(read_bytes(root / image)).hexdigest()
    with ThreadPoolExecutor() as pool:
        return text_hash("".join(f"{i}\t{h}\n" for i, h in zip(images, pool.map(digest, images))))
