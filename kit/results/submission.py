"""Submissions: written, and compared with the table of photos to predict."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from kit.competition import Competition
from kit.data.answer_rows import TASK, AnswerRows, answer_columns
from kit.data.folder import DataFolder, answer_rows
from kit.results import leaderboard
from kit.results.answers import Answers, deviation, read_answers
from kit.results.unfinished import is_unfinished, made_by
from kit.system.checksum import with_checksum
from kit.system.disk import atomic_write, file_hash, json_bytes, refuse_existing
from kit.system.errors import KitError, problem
from kit.system.table import read_csv, read_header

SAME: Final = 1e-5  # how far a device may round a probability that is computed again


@dataclass(frozen=True)
class Predicted:
    """What is predicted of `ids` (N,): their `classes`, and the `probs` (N, C) of each.

    `classes` are int64 (N,), or uint8 (N, C) of 0 and 1 for several labels. The ids are photos', or
    the units of `AnswerRows`.
    """

    ids: Sequence[str]
    classes: np.ndarray
    probs: np.ndarray | None = None


@dataclass(frozen=True)
class Original:
    """A submission that is made again: its SHA-256, and where it may lie."""

    sha256: str
    path: Path


def describe_answers(competition: Competition) -> str:
    """What a submission has for each photo, in words."""
    last, names = competition.num_classes - 1, competition.class_names
    texts = {
        "class": f"whole numbers 0..{last}",
        "name": "names of classes",
        "probability": f"probabilities of the class {names[-1]}",
        "probabilities": f"probabilities of {last + 1} classes",
        "list": f"lists of {last + 1} labels, joined by '{competition.separator}'",
    }
    if TASK in competition.answer_column + competition.answer_rows:
        tasks = ", ".join(task.name for task in competition.tasks)
        kind = "whole numbers" if competition.answer == "class" else "names"
        return f"{kind} of the classes of {tasks}"
    if competition.several_labels and competition.answer == "probabilities":
        return f"probabilities of {last + 1} labels"
    return texts[competition.answer]


def pool(probs: np.ndarray, rows: AnswerRows, competition: Competition) -> np.ndarray:
    """The probabilities (U, C) float64 of units from those of photos (N, C): `mean` or `max`.

    Where one probability is asked for, it is the largest of the second class; of more classes the
    largest of each, scaled to sum to 1, unless a photo has several labels.
    """
    probs, of = probs.astype(np.float64), rows.of_photo
    total = np.zeros((len(rows.units), probs.shape[1]))
    if competition.pool == "mean":
        np.add.at(total, of, probs)
        return np.asarray(total / np.bincount(of, minlength=len(total))[:, None])
    np.maximum.at(total, of, probs)
    if competition.several_labels:
        return total
    if competition.answer == "probability":
        return np.stack([1 - total[:, 1], total[:, 1]], axis=1)
    return np.asarray(total / total.sum(axis=1, keepdims=True))


def _table(predicted: Predicted, rows: AnswerRows, competition: Competition) -> pd.DataFrame:
    """A submission's table, in the competition's form."""
    form, names, column = competition.answer, competition.class_names, competition.answer_column
    if TASK in competition.answer_rows:
        return _long_table(predicted, rows, competition)
    table = pd.DataFrame({competition.id: list(predicted.ids)})
    classes = predicted.classes
    if form == "list":
        texts = np.array(names, dtype=object)
        lists = [competition.separator.join(texts[row > 0]) for row in classes]
        return table.assign(**{column: lists})
    if TASK in column:
        for task, name, of in zip(
            competition.tasks, answer_columns(competition)[1:], competition.decode(classes)
        ):
            table[name] = of if form == "class" else np.array(task.classes)[of]
        return table
    if form in ("class", "name"):
        return table.assign(**{column: classes if form == "class" else np.array(names)[classes]})
    if predicted.probs is None:
        raise KitError(
            f"competition {competition.name}: a submission holds probabilities, which votes and "
            "classes do not give"
        )
    probs = predicted.probs.astype(np.float64)
    if not competition.several_labels:
        # Rows sum to 1 to the digits that are written.
        probs /= probs.sum(axis=1, keepdims=True)
    if form == "probability":
        return table.assign(**{column: probs[:, 1]})
    return pd.concat([table, pd.DataFrame(probs, columns=list(names))], axis=1)


def _long_table(predicted: Predicted, rows: AnswerRows, competition: Competition) -> pd.DataFrame:
    """A submission's table with a row a task."""
    units = predicted.classes[pd.Index(predicted.ids).get_indexer(rows.units)]
    answers, said = np.stack(competition.decode(units), axis=1)[rows.unit, rows.task], rows.task
    given: Any = answers
    if competition.answer == "name":
        given = [competition.tasks[t].classes[c] for t, c in zip(said, answers)]
    return pd.DataFrame({competition.id: rows.ids, competition.answer_column: given})


def write_submission(
    path: Path,
    predicted: Predicted,
    data: DataFolder,
    record: dict[str, Any],
    force: bool = False,
    original: Original | None = None,
) -> dict[str, Any]:
    """Write a submission and its record, the `.json` beside it; the record with its `sha256`.

    One with members gets its row in the leaderboard log beside it.

    `predicted` are the units of the test table's rows. What was written is read back and compared
    with that table before it is moved into place: ids and order must be equal exactly. One that is
    made again must be the `original`: to the byte, or, of probabilities, within 1e-5; the record
    says which.
    """
    competition, record_path = data.competition, path.with_suffix(".json")
    rows = answer_rows(data)
    table = _table(predicted, rows, competition)[rows.columns]
    if not force:
        refuse_existing(path, *() if is_unfinished(path, made_by(record)) else (record_path,))
    replaced = path.exists()
    # The submission comes last, and says that all is written: a record without one is what a killed
    # process has left. Where one is replaced, its record goes first and comes last: the record must
    # not stand beside another file.
    last, first = (record_path, path) if replaced else (path, record_path)
    with atomic_write(last, force=True) as one, atomic_write(first, force=True) as other:
        beside, temporary = (one, other) if replaced else (other, one)
        table.to_csv(temporary, index=False, lineterminator="\n", float_format="%.7g")
        read_submission(temporary, data, path)
        digest = file_hash(temporary)
        record = record | {"sha256": digest}
        if original is not None:
            record |= {"remade_as": _compared(path, temporary, digest, original, competition)}
        beside.write_bytes(json_bytes(with_checksum(record)))
        if "members" in record:
            leaderboard.add(path, record)
        if replaced:
            record_path.unlink(missing_ok=True)
    return record


def _compared(
    path: Path, remade: Path, digest: str, original: Original, competition: Competition
) -> str:
    """How a submission equals its original, in words; raises `KitError` if it does not."""
    if digest == original.sha256:
        return "to the byte"
    remedy = "make it on the device and with the versions of torch and timm it was made with; "
    remedy += "nothing was written"
    if competition.decided:
        what = "is not made again: its answers differ from the record's"
        raise problem(path, what, remedy=remedy)
    if not original.path.is_file() or file_hash(original.path) != original.sha256:
        what = f"is not made again to the byte, and there is no {original.path} to compare it with"
        raise problem(path, what, remedy=f"put that submission back, or {remedy}")
    old, new = (
        read_csv(file).set_index(competition.id).astype(np.float64)
        for file in (original.path, remade)
    )
    same = old.index.equals(new.index) and old.columns.equals(new.columns)
    far = float(np.abs(old - new).to_numpy().max()) if same else np.inf
    if not far <= SAME:
        what = f"is not made again: a probability differs by {far:.2g} from {original.path}"
        raise problem(path, what, remedy=remedy)
    return f"within {SAME:g}: the largest difference is {far:.1g}"


def read_submission(path: Path, data: DataFolder, name: Path | None = None) -> Answers:
    """The answers of a submission; errors call it `name`.

    Raises `KitError` unless its columns, ids and order are those of the photos to predict.
    """
    competition, name = data.competition, name or path
    rows = answer_rows(data)
    answers, ids, columns = read_answers(path, competition, strict=True), rows.ids, rows.columns
    header = read_header(path)
    if header != columns:
        shown = ",".join(columns)
        shown = shown if len(shown) <= 200 else f"{shown[:200]}..."
        remedy = f"write the columns {shown} alone, as plain UTF-8 (to_csv(path, index=False))"
        said = deviation(header, columns)
        raise problem(name, f"would not pass: it {said}", remedy=remedy)
    long = TASK in competition.answer_rows
    given = read_csv(path, [competition.id])[competition.id] if long else answers.ids
    if list(given) != ids:
        missing, extra = sorted(set(ids) - set(given)), sorted(set(given) - set(ids))
        what = "has ids not in" if extra and not missing else "has another order than"
        what = "lacks ids of" if missing else what
        remedy = "make it with python -m kit.ensemble"
        raise problem(
            name, f"would not pass: it {what} {data.test_table}", missing or extra, remedy
        )
    return answers
