"""The only reader and writer of the files that flow: CSV, JSON and probability files, checked and written atomically.

Ids are text: pandas would turn `000001` into 1 and an id `NA` into NaN, so every CSV is read with
`dtype=str, keep_default_na=False`.
"""

import csv
import errno
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd

from kit.console import warn
from kit.errors import KitError, problem
from kit.labels import CLASS_NAMES, GENDERS, NUM_CLASSES, SHOTS, age_class, encode

PLAN_COLUMNS = ("image", "person", "age", "label", "fold")
TRAIN_COLUMNS = ("id", "gender", "race", "age", "path")
ANSWER_COLUMNS = ("ImageID", "ans")
BOARD_COLUMNS = ("submission", "sha256", "made", "members", "oof", "low", "high", "public", "private")
CORRECTION_COLUMNS = ("path", "field", "value")
METRIC_COLUMNS = ("epoch", "lr", "train_loss", "val_loss", "val_acc", "val_f1_macro", "val_f1_mask", "val_f1_gender",
                  "val_f1_age", "time_data", "time_step")


# ---------------------------------------------------------------- files

@contextmanager
def writing(path: Path, force: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside `path`; move it into place if the block ends well, else leave nothing behind.

    An existing `path` is refused unless `force`, before the block runs.
    """
    if not force:
        refuse_existing(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise problem(path, f"cannot be written: {error.strerror or error}",
                      remedy="free some space, and start again" if full else "name another place") from error
    finally:
        try:
            temporary.unlink(missing_ok=True)
        except OSError:
            pass  # The place itself is the problem, and was named above.


def refuse_existing(*paths: Path) -> None:
    """Raise if any of the outputs exists: nothing is overwritten without `--force`."""
    found = [path for path in paths if path.exists()]
    if found:
        raise problem(found[0], "exists already", remedy="choose another name, or --force to overwrite it")


def refuse_input(out: Path, data: Path, *inputs: Path) -> None:
    """Raise if an output would lie over or in an input, or among the competition's files; `--force` is no leave for that."""
    place = out.resolve()
    within = [data / "train", data / "eval", data / "answers.csv", *inputs]
    if any(path.resolve() in (place, *place.parents) for path in within):
        raise problem(out, "is a place of input files", remedy="choose another place")


def file_hash(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hex."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() if hasattr(hashlib, "file_digest") \
                else hashlib.sha256(file.read()).hexdigest()
    except OSError as error:
        raise _unreadable(path, error) from error


def text_hash(text: str) -> str:
    """The SHA-256 of a text, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def write_json(path: Path, content: dict[str, Any], force: bool = False) -> None:
    """Write a dict as JSON a person can read."""
    with writing(path, force) as temporary:
        temporary.write_bytes(_json_bytes(content))


def _json_bytes(content: dict[str, Any]) -> bytes:
    try:
        return (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode()
    except UnicodeEncodeError:  # a path that is no UTF-8: escaped, it can be read back
        return (json.dumps(content, indent=1) + "\n").encode()


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise _unreadable(path, error) from error
    except ValueError as error:
        raise problem(path, f"is no JSON ({error})", remedy="make it again") from error
    if not isinstance(content, dict):
        raise problem(path, "holds no JSON object", remedy="make it again")
    return content


def _unreadable(path: Path, error: OSError) -> KitError:
    return problem(path, f"cannot be read: {error.strerror or error}", remedy="check the path")


def _read_csv(path: Path, columns: Sequence[str] = (), optional: Sequence[str] = ()) -> pd.DataFrame:
    """Read a CSV as text; every one of `columns` must be there, once, and at least one row. Without `columns`, all of them."""
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except OSError as error:
        raise _unreadable(path, error) from error
    except pd.errors.EmptyDataError as error:
        raise problem(path, "is empty", remedy=f"it needs a header line {','.join(columns) or 'ImageID,0,1,...,17'}") from error
    except UnicodeDecodeError as error:
        raise problem(path, f"is no UTF-8 CSV ({error})", remedy="save it as UTF-8 with commas") from error
    except pd.errors.ParserError as error:
        raise problem(path, f"is no CSV with as many fields in every row ({error})", remedy="mend that row") from error
    if len(table.columns) == 1 and re.search("[;\t|]", str(table.columns[0])):
        raise problem(path, "has one column only, and is separated by something else than commas", remedy="save it with commas")
    table.columns = table.columns.str.strip()
    # pandas takes a field too many in every row for an index, and renames a repeated column to `ans.1`.
    twice = [name for name in columns if f"{name}.1" in table.columns]
    if twice or not isinstance(table.index, pd.RangeIndex):
        raise problem(path, f"has column '{twice[0]}' twice" if twice else "has rows with more fields than its header",
                      remedy=f"it needs {','.join(columns)}" if columns else "give every row as many fields as the header")
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise problem(path, f"has no column '{missing[0]}'", remedy=f"it needs {','.join(columns)}, and has "
                      f"{','.join(map(str, table.columns))[:80]}")
    if table.empty:
        raise problem(path, "has a header and no rows", remedy="it needs at least one row")
    return table[[*columns, *(name for name in optional if name in table)]] if columns else table


def _header(path: Path) -> list[str]:
    """The names of a CSV's columns as they stand in its first line that is not blank, a byte-order mark with the first one.

    Empty where a field is too long to be a name.
    """
    try:
        with open(path, encoding="utf-8", errors="replace", newline="") as file:
            return next((row for row in csv.reader(file) if "".join(row).strip()), [])
    except OSError as error:
        raise _unreadable(path, error) from error
    except csv.Error:
        return []  # of what it is, `_read_csv` tells


def _whole(path: Path, table: pd.DataFrame, column: str, low: int, high: int, key: str) -> np.ndarray:
    """A column of whole numbers in low..high as int64; the first row that is not one is named by its `key`."""
    text = table[column]
    # By the few different texts, not by row: a submission has 18 in thousands.
    codes, values = pd.factorize(text)
    whole = np.array([int(value) if re.fullmatch("[0-9]{1,9}", value) else -1 for value in values], dtype=np.int64)
    numbers: np.ndarray = whole[codes]
    bad = np.flatnonzero((numbers < low) | (numbers > high))
    if len(bad):
        raise problem(path, f"column '{column}' must hold whole numbers {low}..{high}",
                      [f"'{text.iloc[i]}' at {table[key].iloc[i]}" for i in bad], "mend these rows")
    return numbers


def _unique(path: Path, table: pd.DataFrame, column: str, remedy: str) -> None:
    repeated = table.loc[table[column].duplicated(), column]
    if len(repeated):
        raise problem(path, f"repeats a value in column '{column}'", repeated.tolist(), remedy)


def _plain_name(name: str) -> bool:
    """Whether a value from a CSV may name a file in a folder: no way out of it, nothing hidden."""
    return bool(name) and not name.startswith(".") and not re.search(r"[/\\\0]", name)


# ---------------------------------------------------------------- the competition's files

def read_people(path: Path) -> pd.DataFrame:
    """`train.csv`: one row a person with `id, gender, race, age, path`, all text but `age` (int64 years)."""
    people = _read_csv(path, TRAIN_COLUMNS)
    bad = people.loc[~people["gender"].isin(GENDERS)]
    if len(bad):
        raise problem(path, f"column 'gender' must hold {' or '.join(GENDERS)}",
                      [f"'{g}' at {p}" for g, p in zip(bad["gender"], bad["path"])], "mend these rows")
    unsafe = people.loc[~people["path"].map(_plain_name), "path"]
    if len(unsafe):
        raise problem(path, "column 'path' must hold plain folder names", [f"'{p}'" for p in unsafe], "mend these rows")
    _unique(path, people, "path", "every person has one row and one folder")
    return people.assign(age=_whole(path, people, "age", 0, 120, "path"))


def read_info(path: Path) -> list[str]:
    """`info.csv`: the ids (file names) to predict, in the order a submission must keep."""
    info = _read_csv(path, ANSWER_COLUMNS)
    unsafe = info.loc[~info["ImageID"].map(_plain_name), "ImageID"]
    if len(unsafe):
        raise problem(path, "column 'ImageID' must hold plain file names", [f"'{i}'" for i in unsafe],
                      "take info.csv as the competition gave it")
    _unique(path, info, "ImageID", "take info.csv as the competition gave it")
    return info["ImageID"].tolist()


def read_answers(path: Path, strict: bool = False) -> pd.DataFrame:
    """A submission or an answers file: `ImageID` (text, unique) and `ans` (int64, 0..17), in the file's order.

    Answers may say whose photos they are, in a column `person`. What a submission must not be, but can be understood, is taken
    with a warning unless `strict`: an index column, whole numbers written as 3.0, and probabilities, of which the most probable
    class is taken.
    """
    if strict:
        return _classes(path, _read_csv(path, ANSWER_COLUMNS))
    header = _header(path)
    names = set(header)
    if "ans" not in names and (names.issuperset(map(str, range(NUM_CLASSES))) or names.issuperset(CLASS_NAMES)):
        probs = read_foreign_probs(path)
        warn(f"{path}: holds probabilities, and no classes; the most probable ones are compared")
        return pd.DataFrame({"ImageID": probs.ids, "ans": probs.probs.argmax(axis=1).astype(np.int64)})
    answers = _read_csv(path, ANSWER_COLUMNS, ["person"])
    if header and header not in (list(ANSWER_COLUMNS), [*ANSWER_COLUMNS, "person"]):
        warn(f"{path}: {_deviation(header)}; that can be read, but is no form for a submission")
    whole = {value: value.partition(".")[0] for value in answers["ans"].unique() if re.fullmatch(r"[0-9]{1,2}\.0+", value)}
    if whole:
        floats = answers["ans"].isin(list(whole))
        warn(f"{path}: holds {int(floats.sum()):,} classes written as {answers['ans'][floats].iloc[0]}; a submission must have "
             "whole numbers (astype(int))")
        answers = answers.assign(ans=answers["ans"].replace(whole))
    return _classes(path, answers)


def _deviation(header: Sequence[str]) -> str:
    """What a submission's header has that it must not have."""
    if header and header[0].startswith("\ufeff"):
        return "begins with a byte-order mark"
    if header and header[0] in ("", "Unnamed: 0"):
        return "has an index column"
    other = [name for name in header if name.strip() not in ANSWER_COLUMNS]
    return f"has the column {other[0][:40]!r}" if other else f"has the header {','.join(header)[:80]!r}"


def _classes(path: Path, answers: pd.DataFrame) -> pd.DataFrame:
    """Answers with unique ids and `ans` as int64."""
    _unique(path, answers, "ImageID", "every photo has one row")
    return answers.assign(ans=_whole(path, answers, "ans", 0, NUM_CLASSES - 1, "ImageID"))


def write_submission(path: Path, ids: Sequence[str], classes: np.ndarray, info: Path, record: dict[str, Any],
                     force: bool = False, wanted: str = "") -> dict[str, Any]:
    """Write a submission and its record, the `.json` beside it, which is returned with the submission's `sha256` in it.

    What was written is read back and held against `info.csv` before it is moved into place. `ids` are N texts and `classes` N
    ints; ids and order must equal those of `info` exactly, and the file's SHA-256 `wanted`, where that is given.
    """
    record_path = path.with_suffix(".json")
    with writing(record_path, force) as kept, writing(path, force) as temporary:
        pd.DataFrame({"ImageID": ids, "ans": classes}).to_csv(temporary, index=False, lineterminator="\n")
        read_submission(temporary, info, path)
        if wanted and file_hash(temporary) != wanted:
            raise problem(path, "is not made again: the classes are others than those of the record", remedy="make it on the "
                          "device and with the versions of torch and timm it was made with; nothing was written")
        record = record | {"sha256": file_hash(temporary)}
        kept.write_bytes(_json_bytes(record))
        record_path.unlink(missing_ok=True)  # whatever happens from here: the record of the file before is none of this one
    return record


def read_submission(path: Path, info: Path, name: Path | None = None) -> np.ndarray:
    """The classes (N,) of a submission whose columns, ids and order are those of `info`; errors call it `name`."""
    answers, expected, header = read_answers(path, strict=True), read_info(info), _header(path)
    if header != list(ANSWER_COLUMNS):
        raise problem(name or path, f"would not pass: it {_deviation(header)}",
                      remedy=f"write the columns {','.join(ANSWER_COLUMNS)} alone, as plain UTF-8 (to_csv(path, index=False))")
    if answers["ImageID"].tolist() != expected:
        missing = sorted(set(expected) - set(answers["ImageID"]))
        extra = sorted(set(answers["ImageID"]) - set(expected))
        what = "lacks ids of" if missing else "has ids not in" if extra else "has another order than"
        raise problem(name or path, f"would not pass: it {what} {info}", missing or extra, "make it with python -m kit.ensemble")
    return answers["ans"].to_numpy()


@dataclass(frozen=True)
class Correction:
    """One label fix: a person's `gender` or `age`, or the `swap` of two of the seven shots (`value` is `a:b`)."""

    path: str
    field: str
    value: str


def read_corrections(path: Path) -> list[Correction]:
    """A corrections file: `path,field,value`, with the field `gender`, `age` or `swap`, each at most once a person."""
    table = _read_csv(path, CORRECTION_COLUMNS)
    rows = [Correction(*row) for row in table.itertuples(index=False)]
    bad = [f"{r.path},{r.field},{r.value}" for r in rows if not _correct(r)]
    if bad:
        raise problem(path, "holds lines that are no correction", bad,
                      "write path,gender,male|female or path,age,<years> or path,swap,incorrect_mask:normal")
    twice = pd.Series([f"{r.path},{r.field}" for r in rows])
    if twice.duplicated().any():
        raise problem(path, "corrects the same field twice", twice[twice.duplicated()].tolist(), "keep one line of each")
    return rows


def _correct(row: Correction) -> bool:
    if row.field == "gender":
        return row.value in GENDERS
    if row.field == "age":
        return bool(re.fullmatch(r"[0-9]{1,3}", row.value)) and int(row.value) <= 120
    shots = row.value.split(":")
    return row.field == "swap" and len(set(shots)) == 2 and len(shots) == 2 and all(s in SHOTS for s in shots)


# ---------------------------------------------------------------- the fold plan

@dataclass(frozen=True)
class Plan:
    """The fold plan: `photos` has a row a photo, `image, person, age, label, fold`, sorted by image.

    `image` is relative to `train/images`; `hash` is the SHA-256 of `folds.csv`; `meta` is `folds.json`.
    """

    photos: pd.DataFrame
    hash: str
    meta: dict[str, Any] = field(compare=False)

    @property
    def k(self) -> int:
        """The number of folds."""
        return int(self.photos["fold"].max()) + 1


def plan_json(path: Path) -> Path:
    """Where a plan's record lies: `folds.json` beside `folds.csv`."""
    return path.with_suffix(".json")


def label_photos(photos: pd.DataFrame) -> np.ndarray:
    """The labels of photos given by `mask` (0..2), `gender` (text) and `age` (years): int64 (N,)."""
    gender = (photos["gender"] == GENDERS[1]).to_numpy(dtype=np.int64)
    return encode(photos["mask"].to_numpy(), gender, age_class(photos["age"].to_numpy()))


def write_plan(path: Path, photos: pd.DataFrame, meta: dict[str, Any], force: bool = False) -> Plan:
    """Write `folds.csv` and `folds.json`, checked as `read_plan` would, and return the plan as read back."""
    if not force:
        refuse_existing(path, plan_json(path))
    with writing(path, force) as temporary:
        photos[list(PLAN_COLUMNS)].to_csv(temporary, index=False, lineterminator="\n")
        plan = Plan(_plan_photos(temporary, path), file_hash(temporary), meta)
        write_json(plan_json(path), meta | {"folds.csv": plan.hash}, force)
    return plan


def read_plan(path: Path) -> Plan:
    """Read and check a fold plan: unique images, every person in one fold, folds 0..K-1, labels and ages possible."""
    if not path.exists():
        raise problem(path, "there is no fold plan", remedy="make one with python -m kit.folds")
    if not plan_json(path).exists():
        raise problem(plan_json(path), "the plan's record is not there", remedy="plan again with python -m kit.folds --force")
    digest, meta = file_hash(path), read_json(plan_json(path))
    if meta.get("folds.csv") != digest:
        raise problem(path, f"is not the plan that {plan_json(path).name} beside it describes",
                      remedy="plan again with python -m kit.folds --force")
    return Plan(_plan_photos(path, path), digest, meta)


def _plan_photos(source: Path, path: Path) -> pd.DataFrame:
    """The checked rows of a plan in the file `source`, which is or becomes `path`."""
    photos = _read_csv(source, PLAN_COLUMNS)
    _unique(path, photos, "image", "plan again with python -m kit.folds --force")
    photos = photos.assign(age=_whole(path, photos, "age", 0, 120, "image"),
                           label=_whole(path, photos, "label", 0, NUM_CLASSES - 1, "image"),
                           fold=_whole(path, photos, "fold", 0, 999, "image"))
    spread = photos[["person", "fold"]].drop_duplicates()
    _unique(path, spread, "person", "a person must lie in one fold: plan again with python -m kit.folds --force")
    used = sorted(set(photos["fold"].tolist()))
    if used != list(range(len(used))) or len(used) < 2:
        raise problem(path, f"folds must be 0..K-1 with K >= 2, and are {used[:9]}",
                      remedy="plan again with python -m kit.folds --force")
    return photos


# ---------------------------------------------------------------- probabilities

@dataclass(frozen=True)
class Probs:
    """Class probabilities keyed by id: `ids` (N,) text, `probs` (N, 18) float32 whose rows sum to 1.

    `key` says what they were computed from (checkpoint, photos, view), so that a stale file is never used, and `seconds` how
    long that took.
    """

    ids: np.ndarray
    probs: np.ndarray
    key: str = ""
    seconds: float = 0.0

    def at(self, ids: Sequence[str]) -> np.ndarray:
        """The rows of `ids`, in their order: (len(ids), 18); an id that is not here is a `KeyError`."""
        where = pd.Index(self.ids).get_indexer(pd.Index(ids))
        if (where < 0).any():
            raise KeyError(f"no probabilities for {ids[int(np.argmin(where))]}")
        return self.probs[where]


def write_probs(path: Path, table: Probs, force: bool = False) -> None:
    """Write probabilities as an `.npz` of plain arrays (no pickle)."""
    wrong = _wrong_probs(table)
    if wrong:
        raise ValueError(f"{path}: {wrong}")
    with writing(path, force) as temporary, open(temporary, "wb") as file:
        np.savez(file, ids=table.ids.astype(np.str_), probs=table.probs.astype(np.float32), key=np.array(table.key),
                 seconds=np.array(table.seconds))


def read_probs(path: Path) -> Probs:
    """Read and check probabilities."""
    again = "delete it; the command that made it makes it again"
    table = _read_npz(path, again)
    wrong = _wrong_probs(table)
    if wrong:
        raise problem(path, wrong, remedy=again)
    return table


def _read_npz(path: Path, remedy: str) -> Probs:
    try:
        with np.load(path, allow_pickle=False) as content:
            seconds = float(content["seconds"]) if "seconds" in content else 0.0
            return Probs(content["ids"], content["probs"], str(content["key"]) if "key" in content else "", seconds)
    except FileNotFoundError as error:
        raise _unreadable(path, error) from error
    except Exception as error:  # zipfile, numpy and zlib each raise their own on a damaged file
        if "Object arrays" in str(error):
            remedy = "save ids.astype(str), which needs no pickle"
        raise problem(path, f"is no probability file ({type(error).__name__}: {error})", remedy=remedy) from error


def _wrong_probs(table: Probs) -> str:
    if table.ids.dtype.kind != "U" or table.ids.ndim != 1 or len(table.ids) == 0:
        return "ids must be a list of texts"
    if table.probs.dtype.kind != "f" or table.probs.shape != (len(table.ids), NUM_CLASSES):
        return f"probs must be floats {len(table.ids)} x {NUM_CLASSES}, and are {table.probs.dtype} {table.probs.shape}"
    if len(np.unique(table.ids)) != len(table.ids):
        return "ids are not unique"
    if not np.isfinite(table.probs).all() or (table.probs < 0).any():
        return "probs are not finite and positive"
    if len(_unsummed(table.probs)):
        return "rows of probs do not sum to 1"
    return ""


def _unsummed(probs: np.ndarray) -> np.ndarray:
    return np.flatnonzero(~(np.abs(probs.sum(axis=1, dtype=np.float64) - 1) <= 1e-3))


def read_foreign_probs(path: Path) -> Probs:
    """Read another program's probabilities: an `.npz` with `ids` and `probs`, or a CSV of ids and 18 columns.

    The CSV's first column is `ImageID`, `image` or `id`; the others are named 0 to 17, or by the class names, in any order.
    Raises `KitError` with the count and the first id of what is wrong.
    """
    remedy = "it needs an id and the probabilities of the classes 0 to 17 in every row"
    if path.suffix == ".npz":
        table = _read_npz(path, remedy)
        if table.ids.dtype.kind != "U" or table.ids.ndim != 1 or table.probs.dtype.kind != "f" \
                or table.probs.shape != (len(table.ids), NUM_CLASSES):
            raise problem(path, f"ids must be texts (N,) and probs floats (N, {NUM_CLASSES}), and are {table.ids.dtype} "
                          f"{table.ids.shape} and {table.probs.dtype} {table.probs.shape}", remedy=remedy)
    else:
        rows = _read_csv(path)
        if rows.columns[0] in ("", "Unnamed: 0"):
            warn(f"{path}: has an index column, which is left out")
            rows = rows.iloc[:, 1:]
        ident, named = str(rows.columns[0]), [str(name) for name in rows.columns[1:]]
        if named == ["ans"]:
            raise problem(path, "is a submission, and holds no probabilities", remedy=remedy)
        if ident not in ("ImageID", "image", "id"):
            raise problem(path, f"its first column is '{ident}'", remedy="name it ImageID, and the others 0 to 17")
        wanted = list(CLASS_NAMES) if set(named) & set(CLASS_NAMES) else [str(c) for c in range(NUM_CLASSES)]
        wrong = [name for name in named if name not in wanted] or [name for name in wanted if name not in named]
        if wrong:
            what = "columns that are no class" if wrong[0] in named else "lacks columns of classes"
            raise problem(path, what, wrong, "name them 0 to 17, or by the class names")
        numbers = rows[wanted].apply(pd.to_numeric, errors="coerce").to_numpy(dtype=np.float32)
        table = Probs(rows[ident].to_numpy().astype(np.str_), numbers)
    ids, probs = pd.Series(table.ids), table.probs
    outside = ~((probs >= 0) & (probs <= 1.001))
    worst = probs[np.arange(len(probs)), outside.argmax(axis=1)]
    for what, bad, values, mend in (
            ("repeats ids", ids.duplicated(), None, "keep one row of each"),
            ("rows with values that are no numbers", ~np.isfinite(probs).all(axis=1), None, remedy),
            ("rows with values outside 0..1", outside.any(axis=1), worst, "give softmax probabilities, not logits or percents"),
            ("rows that do not sum to 1", np.isin(np.arange(len(probs)), _unsummed(probs)), probs.sum(axis=1),
             "give them with more decimals, or divide each row by its sum")):
        if bad.any():
            found = [f"{i}: {v:.4g}" for i, v in zip(ids[bad], values[bad])] if values is not None else ids[bad].tolist()
            raise problem(path, what, found, mend)
    # To float32's precision, which deciding early relies on.
    sums = table.probs.sum(axis=1, dtype=np.float64, keepdims=True)
    return Probs(table.ids, (table.probs / sums).astype(np.float32))


def write_foreign_probs(path: Path, table: Probs, force: bool = False) -> None:
    """Write probabilities in the form that `read_foreign_probs` reads, by the suffix: `.npz`, or `.csv` to the last bit."""
    if path.suffix == ".npz":
        return write_probs(path, table, force)
    with writing(path, force) as temporary:
        rows = pd.DataFrame(table.probs.astype(np.float32), columns=[str(c) for c in range(NUM_CLASSES)])
        rows.insert(0, "ImageID", table.ids)
        rows.to_csv(temporary, index=False, lineterminator="\n", float_format="%.9g")


# ---------------------------------------------------------------- a fold of a run

@dataclass(frozen=True)
class Fold:
    """One fold of a run: where it lies and which files it has."""

    folder: Path

    @property
    def best(self) -> Path:
        """The best epoch's checkpoint."""
        return self.folder / "best.safetensors"

    @property
    def oof(self) -> Path:
        """The out-of-fold probabilities of `best`."""
        return self.folder / "oof.npz"

    @property
    def metrics(self) -> Path:
        """The metrics, a row an epoch."""
        return self.folder / "metrics.csv"

    def epoch(self, number: int) -> Path:
        """The checkpoint of one epoch, where the last ones are kept."""
        return self.folder / f"epoch{number:04d}.safetensors"

    @property
    def epochs(self) -> list[Path]:
        """The checkpoints of epochs that are there."""
        return sorted(self.folder.glob("epoch*.safetensors"))

    @property
    def last(self) -> Path:
        """What training continues from; gone once the fold is finished."""
        return self.folder / "last.pt"

    @property
    def bad_batch(self) -> Path:
        """The photos of a batch whose loss was not finite."""
        return self.folder / "bad_batch.txt"


def oof_key(best: Path, plan: Plan, fold: int, precision: str) -> str:
    """What out-of-fold probabilities are keyed by: their checkpoint, the fold of the plan, and the precision they ran in."""
    return json.dumps({"checkpoint": file_hash(best), "plan": plan.hash, "fold": fold, "view": "plain", "precision": precision})


def oof_precision(key: str, best: Path, plan: Plan, fold: int) -> str | None:
    """The precision that out-of-fold probabilities of a `key` ran in; None if they are of another checkpoint, plan or fold."""
    try:
        precision = str(json.loads(key)["precision"])
    except (ValueError, KeyError, TypeError):
        return None
    return precision if key == oof_key(best, plan, fold, precision) else None


# A forked loader process inherits the open files, and with them the locks, which it would hold beyond the end of its parent.
_locks: set[IO[str]] = set()
os.register_at_fork(after_in_child=lambda: [file.close() for file in _locks])


@contextmanager
def held(path: Path, waiting: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold a lock file; where another process does, raise `BlockingIOError`, or call `waiting`, which may raise, and wait."""
    import fcntl
    with open(path, "w") as file:
        try:
            # The kernel lets go of it when the process ends, however it ends.
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if waiting is None:
                raise
            waiting()
            fcntl.flock(file, fcntl.LOCK_EX)
        _locks.add(file)
        try:
            yield
        finally:
            _locks.discard(file)


@contextmanager
def locked(folder: Path, waiting: str = "") -> Iterator[None]:
    """Hold a folder against a second process, and clear what a killed one left half-written.

    If another process holds it, raises `KitError`, or, with `waiting`, says that and waits.
    """
    def taken() -> None:
        if not waiting:
            raise problem(folder, "another process is training this fold", remedy="wait for it, or stop it first")
        warn(f"{folder}: {waiting}")

    folder.mkdir(parents=True, exist_ok=True)
    with held(folder / ".lock", taken):
        for half in folder.glob(".*.tmp"):
            half.unlink()
        yield


# ---------------------------------------------------------------- metrics

def write_metrics(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write a run's `metrics.csv`, a row an epoch, in place of the one before it."""
    with writing(path, force=True) as temporary:
        pd.DataFrame(rows).to_csv(temporary, index=False, lineterminator="\n")


def read_metrics(path: Path) -> list[dict[str, float]]:
    """The rows of a run's `metrics.csv` as numbers; none where there is no file."""
    if not path.exists():
        return []
    table = _read_csv(path, METRIC_COLUMNS)
    try:
        return [{str(k): float(v) for k, v in row.items()} for row in table.to_dict(orient="records")]
    except ValueError as error:
        raise problem(path, f"is no metrics file ({error})", remedy="train the fold again with --force") from error


# ---------------------------------------------------------------- the leaderboard log

def write_board(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write the leaderboard log, a row a submission, in place of the one before it."""
    with writing(path, force=True) as temporary:
        pd.DataFrame(rows, columns=list(BOARD_COLUMNS)).to_csv(temporary, index=False, lineterminator="\n")


def read_board(path: Path) -> list[dict[str, Any]]:
    """The rows of the leaderboard log: scores as numbers in 0..1, or empty text where there is none."""
    table = _read_csv(path, BOARD_COLUMNS)
    rows: list[dict[str, Any]] = [{str(key): value for key, value in row.items()} for row in table.to_dict(orient="records")]
    bad = []
    for row in rows:
        for key in ("oof", "low", "high", "public", "private"):
            try:
                row[key] = float(row[key]) if row[key] != "" else ""
                wrong = row[key] != "" and not 0 <= row[key] <= 1
            except ValueError:
                wrong = True
            if wrong:
                bad.append(f"{key} '{row[key]}' of {row['submission']}")
        if (row["low"] == "") != (row["high"] == ""):
            bad.append(f"half an interval of {row['submission']}")
    if bad:
        raise problem(path, "holds scores that are no numbers in 0..1", bad, "mend these rows")
    return rows
