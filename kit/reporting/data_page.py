"""The page of a competition's folder."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from kit.competitions.mask import AGES, CLASS_NAMES, GENDERS, NUM_CLASSES, age_class, decode
from kit.competitions.mask_data import apply_corrections, read_layout
from kit.data.folder import eval_images, read_eval, train_images
from kit.data.leaks import audit_photos
from kit.data.photos import decode as decode_photo
from kit.data.photos import for_each_photo, size_of
from kit.reporting import figures
from kit.reporting.contact_sheet import contact_sheet, data_uri, thumbnails
from kit.reporting.html import _photos, _write_page, check_page
from kit.reporting.numbers import _ERRORS
from kit.system.console import warn

_OF_CLASS: Final = 12  # photos a class


def report_data(data: Path, out: Path, force: bool = False) -> dict[str, Any]:
    """Write the page of a competition's folder and return its numbers.

    `counts` (18,) of the training photos; `people`; `sizes` and `brightness` (mean, standard
    deviation) of the `train` and `eval` photos, sizes as width, height and number of photos, the
    most frequent first; and the audit's `links`, those of `test` photos apart.
    """
    check_page(out, data, force)
    layout = read_layout(data)
    photos, _ = apply_corrections(layout, [], data / "train" / "train.csv")
    photos = photos.sort_values("image", ignore_index=True)
    for remark in layout.remarks:
        warn(remark)
    root, ids = train_images(data), read_eval(data)
    images, labels = photos["image"].tolist(), photos["label"].to_numpy()
    found = audit_photos(root, images, photos["person"].tolist(), eval_images(data), ids)
    looks = {
        "train": _look(root, images, "training photos"),
        "eval": _look(eval_images(data), ids, "photos to predict"),
    }
    people = photos.drop_duplicates("person")
    gender, counts = (
        decode(people["label"].to_numpy())[1],
        np.bincount(labels, minlength=NUM_CLASSES),
    )
    table = np.bincount(
        gender * len(AGES) + age_class(people["age"].to_numpy()), minlength=6
    ).reshape(2, 3)
    numbers = {
        "photos": len(images),
        "people": len(people),
        "eval": len(ids),
        "counts": counts.tolist(),
        "groups": table.tolist(),
        "links": [link.record() for link in found.links],
        "test": [link.record() for link in found.test],
        "sizes": {name: _sizes(size) for name, (size, _) in looks.items()},
        "brightness": {
            name: (float(own.mean()), float(own.std())) for name, (_, own) in looks.items()
        },
    }
    linked = found.links[:_ERRORS]
    uris = _photos(
        root, list(dict.fromkeys(image for link in linked for image in (link.a, link.b)))
    )
    _write_page(
        out,
        force,
        {
            "title": data.resolve().name,
            "data": numbers,
            "class_names": CLASS_NAMES,
            "genders": GENDERS,
            "age_names": AGES,
            "uris": uris,
            "links": linked,
            "sheets": _class_sheets(root, photos),
            "svg": {
                "counts": figures.photo_counts("photos a class", counts),
                "ages": figures.ages("people by age", people["age"].to_numpy(), gender),
                "brightness": figures.brightness(
                    "brightness of the photos", {name: own for name, (_, own) in looks.items()}
                ),
            },
        },
    )
    return numbers


def _look(root: Path, images: Sequence[str], what: str) -> tuple[np.ndarray, np.ndarray]:
    """The sizes (N, 2), width and height, and the mean brightness (N,), 0..255, of photos."""

    def one(path: Path) -> tuple[int, int, float]:
        light = float(decode_photo(path, least=32)[0].mean())
        return *size_of(path), light

    table = np.array(for_each_photo(root, images, one, what))
    return table[:, :2].astype(int), table[:, 2]


def _sizes(sizes: np.ndarray) -> list[tuple[int, int, int]]:
    different, count = np.unique(sizes, axis=0, return_counts=True)
    order = np.argsort(-count, kind="stable")
    return [(int(different[i, 0]), int(different[i, 1]), int(count[i])) for i in order]


def _class_sheets(root: Path, photos: pd.DataFrame) -> dict[int, str]:
    """A contact sheet of each class that has photos, of different people as far as there are."""
    shuffled = photos.iloc[np.random.default_rng(0).permutation(len(photos))]
    chosen = {
        c: (own if len(one) < _OF_CLASS else one).head(_OF_CLASS)
        for c, own in shuffled.groupby("label")
        for one in [own.drop_duplicates("person")]
    }
    small = iter(thumbnails(root, [image for own in chosen.values() for image in own["image"]], 96))
    return {
        int(c): data_uri(
            contact_sheet(
                [next(small) for _ in range(len(own))],
                [(f"{age} y {Path(image).stem}",) for age, image in zip(own["age"], own["image"])],
                6,
            )
        )
        for c, own in chosen.items()
    }
