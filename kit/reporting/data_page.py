"""The page of a competition's folder."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from kit.competition import Competition
from kit.data.folder import DataFolder, test_photos
from kit.data.leaks import audit_photos
from kit.data.paths import first_channel, photo_paths
from kit.data.photos import decode, for_each_photo
from kit.data.reading import Read, grey_photo, photo_size
from kit.data.remarks import suspects
from kit.data.targets import labelled
from kit.data.training import read_training
from kit.reporting import data_figures
from kit.reporting.by_number import number_tasks
from kit.reporting.contact_sheet import contact_sheet, data_uri, thumbnails
from kit.reporting.html import check_page, photo_uris, write_page
from kit.system.console import warn

_OF_CLASS: Final = 12  # photos a class
_SHEETS: Final = 60  # classes that have a sheet
_LINKS: Final = 24  # look-alikes that are shown
Sizes = list[tuple[int, int, int]]


@dataclass(frozen=True)
class DataSummary:
    """The numbers of a competition's folder, as plain values.

    `photos` are to train on, of so many `groups`, and `to_predict` are the others. `counts` (C,)
    are those of the training photos, and `answers` those of groups by their answers (rows, columns;
    see `_answers`). `labels` are the photos with 0, 1, 2, ... labels, where there may be several.
    `sizes` (width, height, photos; the most frequent first) and `brightness` (mean, standard
    deviation) are of the `train` and the `test` photos. `links` are the audit's look-alikes, and
    `test` its training photos among those to predict.
    """

    photos: int
    groups: int
    to_predict: int
    counts: list[int]
    answers: list[list[int]]
    labels: list[int]
    links: list[dict[str, Any]]
    test: list[dict[str, Any]]
    sizes: dict[str, Sizes]
    brightness: dict[str, tuple[float, float]]


def report_data(data: DataFolder, out: Path, force: bool = False) -> DataSummary:
    """Write the page of a competition's folder; its numbers."""
    competition = data.competition
    check_page(out, data.inputs, force)
    photos, root, read = _read_photos(data), data.train_images, competition.read
    ids, images = list(test_photos(data).values()), photos["image"].tolist()
    audit = audit_photos(root, images, photos["group"].tolist(), data.test_images, ids, read)
    looks = {
        "train": _look(root, images, "training photos", read),
        "test": _look(data.test_images, ids, "photos to predict", read),
    }
    groups = photos.drop_duplicates("group")
    rows, columns, table = _answers(groups, competition)
    at, label = labelled(photos, competition)
    summary = DataSummary(
        len(images),
        len(groups),
        len(ids),
        np.bincount(label, minlength=competition.num_classes).tolist(),
        table.tolist(),
        _labels_a_photo(at, len(photos)) if competition.several_labels else [],
        [link.record() for link in audit.links],
        [link.record() for link in audit.test],
        {name: _sizes(sizes) for name, (sizes, _) in looks.items()},
        {name: (float(light.mean()), float(light.std())) for name, (_, light) in looks.items()},
    )
    links = audit.links[:_LINKS]
    linked = list(dict.fromkeys(image for link in links for image in (link.a, link.b)))
    content = {
        "title": data.root.resolve().name,
        "data": summary,
        "answers": list(zip(rows, summary.answers)) if len(groups) < len(images) else [],
        "answer_names": columns,
        "uris": photo_uris(root, linked, competition),
        "links": links,
        "sheets": _class_sheets(root, photos, competition),
        "suspects": {(s["a"], s["b"]): s for s in suspects(audit.links, photos, competition)},
        "numbers_of": number_tasks(competition),
        "svg": _figures(summary, groups, competition, looks),
    }
    write_page(out, competition, content, force)
    return summary


def _read_photos(data: DataFolder) -> pd.DataFrame:
    """The training photos, sorted by image; the definition's remarks are said as warnings."""
    given = read_training(data.competition, data.root)
    for remark in given.remarks:
        warn(remark)
    return given.table.sort_values("image", ignore_index=True)


def _labels_a_photo(at: np.ndarray, photos: int) -> list[int]:
    """The number of photos with 0, 1, 2, ... labels, by the photo of each label."""
    return [int(n) for n in np.bincount(np.bincount(at, minlength=photos))]


def _answers(
    groups: pd.DataFrame, competition: Competition
) -> tuple[list[str], tuple[str, ...], np.ndarray]:
    """Groups, one row each, counted by their answers to the tasks of the group.

    The last such task makes the columns, and those before it the rows: their names, and the counts
    (rows, columns). There are none where photos have several labels.
    """
    tasks = [task for task in competition.tasks if task.of_group]
    if not tasks or competition.several_labels:
        return [], (), np.zeros((0, 0), np.int64)
    labels = groups["label"].to_numpy()
    answers = [
        answer
        for task, answer in zip(competition.tasks, competition.decode(labels))
        if task.of_group
    ]
    shape = tuple(len(task.classes) for task in tasks)
    at = np.ravel_multi_index(tuple(answers), shape)
    table = np.bincount(at, minlength=int(np.prod(shape))).reshape(-1, shape[-1])
    rows = [" ".join(names) for names in product(*(task.classes for task in tasks[:-1]))]
    return [name or competition.groups for name in rows], tasks[-1].classes, table


def _figures(
    summary: DataSummary,
    groups: pd.DataFrame,
    competition: Competition,
    looks: Mapping[str, tuple[np.ndarray, np.ndarray]],
) -> dict[str, Any]:
    """The figures of the page."""
    return {
        "counts": data_figures.photo_counts(
            "photos a class", np.array(summary.counts), competition.class_names
        ),
        "numbers": {
            task.name: data_figures.histogram(
                f"{competition.groups} by {task.column}",
                _parts(groups, competition, task.column),
                task,
                competition.groups,
            )
            for task in number_tasks(competition)
        },
        "brightness": data_figures.brightness(
            "brightness of the photos", {name: light for name, (_, light) in looks.items()}
        ),
    }


def _parts(groups: pd.DataFrame, competition: Competition, column: str) -> dict[str, np.ndarray]:
    """The numbers of groups in a column, by their answer to the first task that has no column.

    Without such a task of the group they are all in one part.
    """
    numbers = groups[column].to_numpy()
    answers = competition.decode(groups["label"].to_numpy())
    for task, answer in zip(competition.tasks, answers):
        if task.of_group and not task.column:
            return {name: numbers[answer == c] for c, name in enumerate(task.classes)}
    return {competition.groups: numbers}


def _look(
    root: Path, images: Sequence[str], what: str, read: Read | None
) -> tuple[np.ndarray, np.ndarray]:
    """The sizes (N, 2), width and height, and the mean brightness (N,), 0..255, of photos."""

    def one(path: Path) -> tuple[int, int, float]:
        image = path.relative_to(root).as_posix()
        if read is None and len(photo_paths(root, image)) == 1:
            pixels = decode(path, least=32)[0]
        else:
            pixels = grey_photo(root, image, read)[0]
        height, width = photo_size(root, image, read)
        return width, height, float(pixels.mean())

    table = np.array(for_each_photo(root, images, one, what))
    return table[:, :2].astype(int), table[:, 2]


def _sizes(sizes: np.ndarray) -> Sizes:
    """The different sizes (N, 2), the most frequent first, and how many photos have each."""
    different, count = np.unique(sizes, axis=0, return_counts=True)
    order = np.argsort(-count, kind="stable")
    return [(int(different[i, 0]), int(different[i, 1]), int(count[i])) for i in order]


def _class_sheets(root: Path, photos: pd.DataFrame, competition: Competition) -> dict[int, str]:
    """A contact sheet of each class that has photos, of as many different groups as possible.

    Of many classes, the rarest have one.
    """
    shuffled = photos.iloc[np.random.default_rng(0).permutation(len(photos))]
    at, label = labelled(shuffled, competition)
    counts = np.bincount(label, minlength=competition.num_classes)
    rarest = [c for c in np.argsort(counts, kind="stable").tolist() if counts[c]][:_SHEETS]
    chosen: dict[int, pd.DataFrame] = {}
    for c in sorted(rarest):
        rows = shuffled.iloc[at[label == c]]
        different = rows.drop_duplicates("group")
        chosen[c] = (rows if len(different) < _OF_CLASS else different).head(_OF_CLASS)
    images = [image for rows in chosen.values() for image in rows["image"]]
    small = iter(thumbnails(root, images, competition.frame, 96, competition.read))
    return {
        c: data_uri(
            contact_sheet([next(small) for _ in range(len(rows))], _captions(rows, competition), 6)
        )
        for c, rows in chosen.items()
    }


def _captions(photos: pd.DataFrame, competition: Competition) -> list[tuple[str]]:
    """A line for each photo: its numbers, and its name."""
    columns = [photos[column].astype(str) for column in competition.columns]
    stems = [Path(first_channel(image)).stem for image in photos["image"]]
    return [(" ".join(words),) for words in zip(*columns, stems)]
