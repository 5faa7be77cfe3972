"""The photos that submissions differ on, on a contact sheet."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kit.competition import Competition
from kit.data.folder import DataFolder, answer_rows, test_photos
from kit.data.paths import is_below, lost_files
from kit.reporting.contact_sheet import contact_sheet, thumbnails
from kit.results.predictions import Predictions
from kit.scoring.agreement import most_apart, most_differing
from kit.system.disk import atomic_write, refuse_existing, refuse_input
from kit.system.errors import problem


@dataclass(frozen=True)
class FlipSheet:
    """A contact sheet to make: the files that it compares, and its path `out`.

    The photos of `files` lie in `images`, a folder of `data`. At most `number` photos are shown.
    """

    files: Sequence[Path]
    data: DataFolder
    images: Path
    out: Path
    number: int
    force: bool = False

    def check(self) -> None:
        """Raise `KitError` unless the contact sheet may be written."""
        if self.out.suffix.lower() not in (".jpg", ".jpeg", ".png"):
            raise problem(
                self.out, "is no name for a picture", remedy="let --sheet end in .jpg or .png"
            )
        refuse_input(self.out, [*self.data.inputs, *self.files])
        if not self.force:
            refuse_existing(self.out)

    def write(self, predictions: Predictions) -> int:
        """Draw the photos that files differ on; the number of photos drawn.

        Under each photo stands which files, by their numbers, predict what, and the truth if it is
        known. Without a photo to show nothing is written.
        """
        self.check()
        rows = _rows(predictions, self.number)
        if not rows:
            return 0
        ids = [predictions.ids[i] for i in rows]
        if self.images == self.data.test_images:
            photos_of = _photos_of_units(self.data)
            ids = [photos_of.get(name, name) for name in ids]
        self._check_ids(ids)
        competition = predictions.competition
        photos = thumbnails(self.images, ids, competition.frame, read=competition.read)
        sheet = contact_sheet(photos, [_caption(predictions, i) for i in rows], 8)
        with atomic_write(self.out, self.force) as temporary:
            kind = "PNG" if self.out.suffix.lower() == ".png" else "JPEG"
            sheet.save(temporary, kind, quality=88)
        return len(rows)

    def _check_ids(self, ids: Sequence[str]) -> None:
        unsafe = [name for name in ids if not is_below(name)]
        if unsafe:
            what, remedy = (
                "has ids that are no names of photos",
                "compare submissions to one competition",
            )
            raise problem(self.files[0], what, unsafe, remedy)
        lost = lost_files(self.images, ids)
        if lost:
            what, remedy = (
                "lacks photos that are to be shown",
                "name the competition's folder with --data",
            )
            raise problem(self.images, what, lost, remedy)


def _rows(predictions: Predictions, number: int) -> list[int]:
    """The rows of at most `number` photos that files differ on, those most at odds first."""
    competition, probs = predictions.competition, predictions.probs
    if not competition.decided and probs is not None:
        return [int(row) for row in most_apart(probs, number)]
    if competition.several_labels:
        return [int(row) for row in most_apart(predictions.classes, number)]
    rows = most_differing(predictions.classes, competition.num_classes, number)
    return [int(row) for row in rows]


def _photos_of_units(data: DataFolder) -> dict[str, str]:
    """A photo of each unit by its name, the first one where there are several."""
    photos, rows = list(test_photos(data).values()), answer_rows(data)
    first = dict(zip(rows.of_photo[::-1].tolist(), photos[::-1]))
    return {name: first[unit] for unit, name in enumerate(rows.units)}


def _caption(predictions: Predictions, row: int) -> list[str]:
    """The lines under a photo: the truth, which files predict what, and its name.

    Of probabilities it is those of each file: of the second of two classes, else of the most
    probable one.
    """
    competition, truth = predictions.competition, predictions.truth
    lines = [f"true {_said(truth[row], competition)}"] if truth is not None else []
    if not competition.decided and predictions.probs is not None:
        for n, probs in enumerate(predictions.probs[:, row]):
            c = 1 if competition.answer == "probability" else int(probs.argmax())
            lines.append(f"{n + 1}: {competition.class_names[c]} {probs[c]:.2f}")
    else:
        said = [_said(answer, competition) for answer in predictions.classes[:, row]]
        for text in dict.fromkeys(said):
            files = ",".join(str(n + 1) for n, other in enumerate(said) if other == text)
            lines.append(f"{text}: {files}")
    return [*lines, *predictions.ids[row].split("/")]


def _said(answer: np.ndarray, competition: Competition) -> str:
    """A class by its name, or the names of several labels."""
    if competition.several_labels:
        return competition.names_of(np.flatnonzero(answer)) or "none"
    return competition.class_names[int(answer)]
