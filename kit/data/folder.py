"""A competition's folder: where its files lie, and whether it still holds what was planned."""

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from kit.data.photos import read_bytes
from kit.data.plan import Plan
from kit.system.console import warn
from kit.system.disk import file_hash, text_hash
from kit.system.errors import problem
from kit.system.table import check_unique, is_plain_name, read_csv


def find_data(given: str | None, needs: str = "train/train.csv") -> Path:
    """The competition's folder: `--data`, else `$KIT_DATA`, else `data/`; it must hold the file
    that it `needs`.
    """
    place = Path(os.path.expanduser(given or os.environ.get("KIT_DATA") or "data"))
    if not (place / needs).is_file():
        what = "there is no data folder" if not place.is_dir() else f"holds no {needs}"
        raise problem(
            place,
            what,
            remedy="name the competition's folder with --data or KIT_DATA, or draw one with "
            "python -m kit.sample --out data",
        )
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


def data_places(data: Path) -> list[Path]:
    """The files and folders of a competition that no output may lie over or in."""
    return [data / "train", data / "eval", data / "answers.csv"]


def fingerprint(root: Path, images: Sequence[str]) -> str:
    """A hash over the names and sizes of photos: tells whether a folder still holds what was
    planned, without reading it.
    """

    def size(image: str) -> int:
        try:
            return os.stat(root / image).st_size
        except OSError:
            return -1

    sizes = [size(image) for image in images]
    lost = [image for image, n in zip(images, sizes) if n < 0]
    if lost:
        raise problem(
            root,
            "photos of the fold plan that are not there",
            lost,
            "name the folder that was planned with --data, or plan again with python -m kit.folds "
            "--force",
        )
    return text_hash("".join(f"{image}\t{n}\n" for image, n in zip(images, sizes)))


def check_data(data: Path, plan: Plan) -> None:
    """Raise unless a folder still holds the photos that were planned."""
    if file_hash(data / "train" / "train.csv") != plan.meta.get("train.csv"):
        warn(
            f"{data / 'train' / 'train.csv'} is not what it was when the folds were planned: the "
            "plan's labels are used; to use "
            "the new ones, plan again with python -m kit.folds --force"
        )
    if fingerprint(train_images(data), plan.photos["image"].tolist()) != plan.meta.get("data"):
        raise problem(
            train_images(data),
            "holds other photos than the fold plan was made from",
            remedy="name the planned folder with --data, or plan again with python -m kit.folds "
            "--force",
        )


def read_eval(data: Path) -> list[str]:
    """The ids to predict, in order; each must name a photo in `eval/images`."""
    ids, root = read_info(info_csv(data)), eval_images(data)
    there = set(os.listdir(root)) if root.is_dir() else set()
    absent = [i for i in ids if i not in there]
    if absent:
        raise problem(
            info_csv(data), f"ids that name no file in {root}", absent, "unpack the data again"
        )
    return ids


def content_hash(root: Path, images: Sequence[str]) -> str:
    """A hash over the names and bytes of photos: what probabilities computed from them are keyed
    by.
    """

    def digest(image: str) -> str:
        return hashlib.sha256(read_bytes(root / image)).hexdigest()

    with ThreadPoolExecutor() as pool:
        return text_hash("".join(f"{i}\t{h}\n" for i, h in zip(images, pool.map(digest, images))))


ANSWER_COLUMNS = ("ImageID", "ans")


def read_info(path: Path) -> list[str]:
    """`info.csv`: the ids (file names) to predict, in the order a submission must keep."""
    info = read_csv(path, ANSWER_COLUMNS)
    unsafe = info.loc[~info["ImageID"].map(is_plain_name), "ImageID"]
    if len(unsafe):
        raise problem(
            path,
            "column 'ImageID' must hold plain file names",
            [f"'{i}'" for i in unsafe],
            "take info.csv as the competition gave it",
        )
    check_unique(path, info, "ImageID", "take info.csv as the competition gave it")
    return info["ImageID"].tolist()
