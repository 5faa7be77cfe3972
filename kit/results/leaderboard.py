"""The leaderboard log: a row a submission, with its out-of-fold score and the site's scores."""

import contextlib
import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from kit.metrics.metric import Metric
from kit.results.record_file import record_beside
from kit.system.console import warn
from kit.system.disk import atomic_write, file_hash
from kit.system.durable import make_folder
from kit.system.errors import KitError, did_you_mean, problem
from kit.system.locks import lock_file
from kit.system.table import cell_text, formula_free, is_plain_name, read_csv

NAME: Final = "leaderboard.csv"
_SCORES: Final = ("oof", "low", "high", "public", "private")


@dataclass(frozen=True)
class BoardRow:
    """A submission in the log: its file, its hash, when it was made, its members, its scores.

    `oof` is its out-of-fold score with the interval from `low` to `high`; `public` and `private`
    are the site's. Scores are those of the competition's metric, or None if unknown. `notes` are
    the columns that others have added, each with its cell.
    """

    submission: str
    sha256: str
    made: str
    members: str
    oof: float | None = None
    low: float | None = None
    high: float | None = None
    public: float | None = None
    private: float | None = None
    notes: tuple[tuple[str, str], ...] = ()

    @property
    def interval(self) -> tuple[float, float] | None:
        """The interval of the out-of-fold score."""
        return None if self.low is None or self.high is None else (self.low, self.high)

    def describe(self) -> dict[str, Any]:
        """The row as JSON has it, with an empty text for an unknown score."""
        values = {name: getattr(self, name) for name in BOARD_COLUMNS} | dict(self.notes)
        return {name: "" if value is None else value for name, value in values.items()}

    @property
    def cells(self) -> dict[str, Any]:
        """The row as the file has it: of its texts none is a formula of a spreadsheet."""
        values = self.describe().items()
        return {name: formula_free(v) if isinstance(v, str) else v for name, v in values}


BOARD_COLUMNS: Final = tuple(field.name for field in dataclasses.fields(BoardRow)[:-1])


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold the log in the block, and let other processes wait, so that no row is lost."""
    make_folder(path.parent)
    with lock_file(path.with_name(f".{path.name}.lock"), lambda: None):
        yield


def add(submission: Path, record: Mapping[str, Any]) -> None:
    """Add a submission and its record's out-of-fold score to the log beside it.

    A submission that the log has already keeps the site's scores. If the log cannot be read or
    written, that is a warning: the submission stands.
    """
    try:
        _add(submission.with_name(NAME), submission, record)
    except (KitError, OSError) as error:
        warn(f"{submission} is not in the leaderboard log: {error}")


def _row_of(name: str, record: Mapping[str, Any], made: str) -> BoardRow:
    """The row of a submission by its record."""
    oof = record.get("oof") or {}
    low, high = oof.get("interval") or (None, None)
    members = " ".join(member["name"] for member in record["members"])
    return BoardRow(name, record["sha256"], made, members, oof.get("score"), low, high)


def _add(path: Path, submission: Path, record: Mapping[str, Any]) -> None:
    made = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M")
    row = _row_of(submission.name, record, made)
    with _alone(path):
        rows = read_board(path) if path.exists() else []
        key = (row.submission, row.sha256)
        same = [old for old in rows if (old.submission, old.sha256) == key]
        for old in same:
            said = {name: getattr(old, name) for name in ("made", "public", "private", "notes")}
            row = dataclasses.replace(row, **said)
        write_board(path, [*(old for old in rows if old not in same), row])


def enter_scores(path: Path, name: str, scores: Mapping[str, float], metric: Metric) -> BoardRow:
    """Enter the site's scores, `public` or `private` or both, of the submission `name`; its row.

    Of several rows of this name, it is the row of the file as it is now, else the last one. A file
    that was renamed has the row of its bytes. Raises `KitError` for an unknown name and for scores
    that the metric cannot have.
    """
    low, high = score_range(metric)
    for what, score in scores.items():
        if not low <= score <= high or not np.isfinite(score):
            ends = f"between {low:g} and {high:g}" if np.isfinite(high) else f"{low:g} or more"
            ends = ends if np.isfinite(low) else "a number"
            remedy = f"enter it as the site shows it, {ends}"
            raise problem(f"--{what}", f"{score:g} is no {metric.title}", remedy=remedy)
    with _alone(path):
        rows = read_board(path)
        check_board(path, rows)
        stem = Path(name).name.removesuffix(".csv")
        file = path.parent / f"{stem}.csv"
        digest = file_hash(file) if file.exists() else None
        # A row that was written by hand may leave the suffix out.
        named = [n for n, row in enumerate(rows) if row.submission in (file.name, stem)]
        named = named or [n for n, row in enumerate(rows) if row.sha256 == digest]
        if not named:
            hint = did_you_mean(file.name, [row.submission for row in rows])
            remedy = "python -m kit.compare --board shows them"
            raise problem(path, f"has no submission {file.name}{hint}", remedy=remedy)
        at = ([n for n in named if rows[n].sha256 == digest] or named)[-1]
        rows[at] = dataclasses.replace(rows[at], **scores)  # type: ignore[arg-type]
        write_board(path, rows)
    return rows[at]


def check_board(path: Path, rows: Sequence[BoardRow]) -> None:
    """Raise `KitError` for rows that the records beside the log contradict; warn of missing ones.

    What the site says, and when a row was made, stands in no record.
    """
    wrong, missing = list[str](), []
    for submission in sorted(path.parent.glob("*.csv")):
        try:
            record = record_beside(submission) or {}
        except KitError as error:  # it is no fault of the log, nor of the other submissions
            warn(str(error))
            continue
        if not {"sha256", "members"} <= record.keys():
            continue
        same = [row for row in rows if row.sha256 == record["sha256"]]
        missing += [] if same else [submission.name]
        # Of another name it may be the same file renamed, or equal answers of other members.
        for row in (row for row in same if row.submission == submission.name):
            wrong += _contradictions(row, _row_of(row.submission, record, row.made))
    if wrong:
        raise problem(path, "is damaged, or was changed", wrong, "mend these cells")
    if missing:
        warn(
            f"{path}: has no row of {missing[0]} as it is now; if it was not removed on purpose, "
            "make the submission again"
        )


def _contradictions(row: BoardRow, true: BoardRow) -> list[str]:
    """What a row says otherwise than the record of its submission."""
    wrong = ["members"] if row.members != true.members else []
    for name in ("oof", "low", "high"):
        given, right = getattr(row, name), getattr(true, name)
        if given != right and (given is None or right is None or not _is_rounded(given, right)):
            wrong.append(name)
    return [f"{name} of {row.submission}, {getattr(true, name)} by its record" for name in wrong]


def _is_rounded(given: float, true: float) -> bool:
    """True if a score is another one as a spreadsheet saves it: rounded to three digits or more."""
    digits = next((n for n in (3, 4, 5) if round(given, n) == given), 6)
    return abs(given - true) <= 0.5000001 * 10**-digits


def score_range(metric: Metric) -> tuple[float, float]:
    """The least and the greatest value of a metric."""
    if metric.is_function:
        return -np.inf, np.inf
    if metric.name == "log_loss":
        return 0, np.inf
    return (-1 if metric.name == "quadratic_kappa" else 0), 1


def write_board(path: Path, rows: Sequence[BoardRow]) -> None:
    """Write the leaderboard log, a row a submission, in place of the one before it."""
    columns = dict.fromkeys([*BOARD_COLUMNS, *(name for row in rows for name, _ in row.notes)])
    with atomic_write(path, force=True) as temporary:
        table = pd.DataFrame([row.cells for row in rows], columns=list(columns))
        table.to_csv(temporary, index=False, lineterminator="\n")


def read_board(path: Path) -> list[BoardRow]:
    """The rows of the leaderboard log; raises `KitError` for scores that are none.

    Rows of empty cells, as a spreadsheet leaves them, are left out.
    """
    rows, bad = [], list[str]()
    table = read_csv(path, BOARD_COLUMNS)
    added = read_csv(path).drop(columns=list(BOARD_COLUMNS))
    added = added[[name for name in added if not name.startswith("Unnamed: ")]]
    for row in table.join(added).to_dict(orient="records"):
        values: dict[str, Any] = {str(name): value for name, value in row.items()}
        if not any(values.values()):
            continue
        values |= {name: cell_text(values[name]) for name in values if name not in _SCORES}
        for name in _SCORES:
            try:
                score = float(values[name]) if values[name] != "" else None
                # Python reads `0_5` and other scripts' digits, too.
                plain = re.fullmatch("[0-9eE.+-]*", values[name]) is not None
                wrong = not plain or score is not None and not np.isfinite(score)
            except ValueError:
                score, wrong = None, True
            if wrong:
                bad.append(f"{name} '{values[name]}' of {values['submission']}")
            values[name] = score
        notes = tuple((name, values.pop(name)) for name in added if name in values)
        rows.append(BoardRow(**values, notes=notes))
        if (rows[-1].low is None) != (rows[-1].high is None):
            bad.append(f"half an interval of {rows[-1].submission}")
    if bad:
        raise problem(path, "holds scores that are no numbers", bad, "mend these rows")
    places = [
        row.submission for row in rows if row.submission and not is_plain_name(row.submission)
    ]
    if places:
        raise problem(
            path, "names submissions that are no plain file names", places, "mend these rows"
        )
    return rows
