"""A competition folder as tables, and its photos as arrays.

The layout is `train/train.csv`, `train/images/<path>/<shot>.jpg`, `eval/info.csv`, `eval/images/<ImageID>`.
"""

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kit.errors import KitError, problem
from kit.labels import SHOTS
from kit.tables import Correction, label_photos, read_info, read_people, text_hash

EXTENSIONS = (".jpg", ".jpeg", ".png")
# A part of every key of kept probabilities: raise it when `decode`, `fit` or a view changes what a network sees.
PIXELS_VERSION = 1
# The size of the competition's photos, (height, width): the frame in which a recipe's crop is given.
FRAME = (512, 384)


def find_data(given: str | None) -> Path:
    """The competition's folder: `--data`, else `$KIT_DATA`, else `data/`."""
    place = Path(os.path.expanduser(given or os.environ.get("KIT_DATA") or "data"))
    if not (place / "train" / "train.csv").is_file():
        what = "there is no data folder" if not place.is_dir() else "holds no train/train.csv"
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
        return hashlib.sha256(_read(root / image)).hexdigest()
    with ThreadPoolExecutor() as pool:
        return text_hash("".join(f"{i}\t{h}\n" for i, h in zip(images, pool.map(digest, images))))


# ---------------------------------------------------------------- pixels

@dataclass(frozen=True)
class Geometry:
    """What a network sees of a photo: the centre `crop` (height, width) in the frame of 512 x 384, then `size`.

    A photo of another size is cropped in proportion, so that the field of view is the same.
    """

    crop: tuple[int, int]
    size: tuple[int, int]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise problem(path, f"cannot be read: {error.strerror or error}", remedy="unpack the data again") from error


def decode(path: Path, least: int | None = None) -> tuple[np.ndarray, bytes]:
    """A photo as RGB uint8 (height, width, 3), upright, and the file's bytes; grey and CMYK photos are converted.

    PIL and not OpenCV: OpenCV returns a truncated JPEG half grey with no error. With `least`, a JPEG may come
    at a fraction of its size, no side under `least` pixels, in a third of the time.
    """
    import io

    from PIL import Image, ImageOps, UnidentifiedImageError
    content = _read(path)
    if not content:
        raise problem(path, "is an empty file", remedy="unpack the data again")
    try:
        with Image.open(io.BytesIO(content)) as file:
            if least is not None:
                file.draft(None, (least, least))
            image = ImageOps.exif_transpose(file)
            if image.mode in ("I", "F"):
                raise ValueError(f"pixels of mode {image.mode} have no known white")
            if image.mode.startswith("I;16"):  # PIL itself would clip 16 bits at 255
                image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
            return np.asarray(image.convert("RGB")), content
    except UnidentifiedImageError as error:
        raise problem(path, "is no image", remedy="unpack the data again") from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise problem(path, f"is a damaged image ({error})", remedy="unpack the data again") from error


def fit(photo: np.ndarray, geometry: Geometry) -> np.ndarray:
    """Crop and resize an RGB uint8 photo (H, W, 3) to `geometry.size`: uint8 (height, width, 3)."""
    import cv2
    height, width = photo.shape[:2]
    h = max(1, round(geometry.crop[0] * height / FRAME[0]))
    w = max(1, round(geometry.crop[1] * width / FRAME[1]))
    top, left = (height - h) // 2, (width - w) // 2
    crop = photo[top:top + h, left:left + w]
    shrink = geometry.size[0] <= h and geometry.size[1] <= w
    return cv2.resize(crop, geometry.size[::-1], interpolation=cv2.INTER_AREA if shrink else cv2.INTER_LINEAR)


def augmented(transform: Any, photo: np.ndarray) -> np.ndarray:
    """A photo (height, width, 3) uint8 after an albumentations transform, which must give the same size and type."""
    changed = transform(image=photo.copy())["image"]  # a copy: a transform may write into its input, which may be kept
    if not isinstance(changed, np.ndarray) or changed.dtype != np.uint8 or changed.shape != photo.shape:
        raise KitError("augment must give a uint8 photo of the size it gets: cropping, resizing, normalising and making tensors "
                       "are the kit's, so that training and inference cannot differ")
    return changed  # type: ignore[no-any-return]


class Photos:
    """A torch data set: item i is (i, one uint8 array (height, width, 3) for each geometry), the file decoded once.

    With `augment`, an item may be asked for by (i, seed): the seed alone decides its randomness, so that neither workers
    nor interruptions change a run. With `keep`, each process keeps up to that many bytes of fitted photos, so that later
    epochs decode nothing.
    """

    def __init__(self, root: Path, images: Sequence[str], geometries: Sequence[Geometry],
                 augment: Callable[[], Any] | None = None, keep: int = 0) -> None:
        self.root, self.images, self.geometries, self.augment = root, list(images), list(geometries), augment
        self.keep = self._room = keep
        self._kept: dict[int, list[np.ndarray]] = {}
        self._transform: Any = None

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, at: int | tuple[int, int]) -> tuple[int, list[np.ndarray]]:
        i, seed = at if isinstance(at, tuple) else (at, None)
        fitted = self._kept.get(i)
        if fitted is None:
            photo, _ = decode(self.root / self.images[i])
            fitted = [fit(photo, geometry) for geometry in self.geometries]
            size = sum(image.nbytes for image in fitted)
            if size <= self._room:
                self._kept[i] = fitted
                self._room -= size
        if self.augment is not None and seed is not None:
            if self._transform is None:
                self._transform = self.augment()
            self._transform.set_random_seed(seed)
            fitted = [augmented(self._transform, image) for image in fitted]
        return i, fitted

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_transform": None, "_kept": {}, "_room": self.keep}  # a spawned worker makes its own


def batches_of(n: int, size: int) -> list[list[int]]:
    """The indices 0..n-1 in order, in batches of `size` with the rest in the last: every photo once."""
    return [list(range(i, min(i + size, n))) for i in range(0, n, size)]


def default_workers(device_type: str) -> int:
    """Loader processes: as many as feed a GPU; none where the CPU computes, whose cores they would only take away."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(8, max(1, cores - 1)) if device_type == "cuda" else 0


def make_loader(photos: Photos, batches: Any, workers: int, device: Any) -> Any:
    """A torch loader that gives ((N,) indices, [one uint8 (N, height, width, 3) a geometry]) for each list of `batches`."""
    from torch.utils.data import DataLoader
    # The batch sampler runs in this process, so that an epoch set on it holds for workers that persist, too.
    return DataLoader(photos, batch_sampler=batches, num_workers=workers, pin_memory=device.type == "cuda",  # type: ignore
                      persistent_workers=workers > 0, worker_init_fn=_start_worker, collate_fn=_collate)


def one_pass(loader: Any) -> Iterator[tuple[Any, Any]]:
    """One pass over a loader; a worker's `KitError` comes as its own one line, without torch's traceback in it."""
    try:
        yield from loader
    except KitError as error:
        raise KitError(re.split(r"KitError: ", str(error))[-1]) from None
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise KitError("a loader process was killed, most likely for memory; take fewer --workers") from error


def _start_worker(_: int) -> None:
    import cv2
    import torch
    cv2.setNumThreads(0)
    torch.set_num_threads(1)


def _collate(items: Sequence[tuple[int, list[np.ndarray]]]) -> tuple[Any, list[Any]]:
    import torch
    stacked = [torch.from_numpy(np.stack([fitted[g] for _, fitted in items])) for g in range(len(items[0][1]))]
    return torch.tensor([i for i, _ in items]), stacked
