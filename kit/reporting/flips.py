"""The photos that submissions differ on, on a contact sheet."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kit.competitions.mask import CLASS_NAMES
from kit.data.folder import data_places
from kit.reporting.contact_sheet import contact_sheet, thumbnails
from kit.results.predictions import Predictions
from kit.scoring.agreement import most_differing
from kit.system.disk import atomic_write, check_output
from kit.system.errors import problem


def check_sheet(out: Path, data: Path, files: Sequence[Path], force: bool) -> None:
    """Raise `KitError` unless a contact sheet may be written to `out`."""
    check_output(
        out,
        "a picture",
        suffixes=(".jpg", ".jpeg", ".png", ".JPG", ".JPEG", ".PNG"),
        option="--sheet",
        inputs=[*data_places(data), *files],
        force=force,
    )


def write_flips(
    files: Sequence[Path],
    read: Predictions,
    data: Path,
    root: Path,
    number: int,
    out: Path,
    force: bool = False,
) -> int:
    """Draw the photos below `root` that files differ on, at most `number`, on a contact sheet; how
    many are on it.

    Under each photo stands which files, by their numbers, say what, and the truth where it is
    known. Without a photo to show nothing is written.
    """
    check_sheet(out, data, files, force)
    rows = most_differing(read.classes, number)
    if not len(rows):
        return 0
    captions = []
    for i in rows.tolist():
        said = read.classes[:, i]
        lines = [
            f"{CLASS_NAMES[c]}: {','.join(str(n + 1) for n in np.flatnonzero(said == c))}"
            for c in dict.fromkeys(said.tolist())
        ]
        truth = [f"true {CLASS_NAMES[read.truth[i]]}"] if read.truth is not None else []
        captions.append([*truth, *lines, *read.ids[i].split("/")])
    ids = [read.ids[i] for i in rows.tolist()]
    unsafe = [name for name in ids if os.path.isabs(name) or ".." in Path(name).parts]
    if unsafe:
        raise problem(
            files[0],
            "has ids that are no names of photos",
            unsafe,
            "compare submissions to one competition",
        )
    lost = [name for name in ids if not (root / name).is_file()]
    if lost:
        raise problem(
            root,
            "lacks photos that are to be shown",
            lost,
            "name the competition's folder with --data",
        )
    sheet = contact_sheet(thumbnails(root, ids), captions, 8)
    with atomic_write(out, force) as temporary:
        sheet.save(temporary, "PNG" if out.suffix.lower() == ".png" else "JPEG", quality=88)
    return len(rows)
