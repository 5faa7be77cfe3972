"""The leaderboard log: each submission's out-of-fold score, and the scores that the site gave."""

import contextlib
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from scipy.stats import pearsonr

from kit.system.console import warn
from kit.system.disk import atomic_write, file_hash
from kit.system.errors import KitError, did_you_mean, problem
from kit.system.locks import lock_file
from kit.system.table import read_csv

NAME: Final = "leaderboard.csv"
_OUTSIDE: Final = 2.5  # standard deviations off the line of the other submissions
BOARD_COLUMNS = (
    "submission",
    "sha256",
    "made",
    "members",
    "oof",
    "low",
    "high",
    "public",
    "private",
)


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold the log in the block, and let other processes wait, so that no row is lost."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with lock_file(path.with_name(f".{path.name}.lock"), lambda: None):
        yield


def add(submission: Path, record: dict[str, Any]) -> None:
    """Add a submission and its record's out-of-fold score to the log beside it.

    A submission that the log has already keeps the scores that the site gave. If the log cannot be
    read or written, that is a warning: the submission stands.
    """
    try:
        _add(submission.with_name(NAME), submission, record)
    except (KitError, OSError) as error:
        warn(f"{submission} is not in the leaderboard log: {error}")


def _add(path: Path, submission: Path, record: dict[str, Any]) -> None:
    oof = record.get("oof") or {}
    low, high = oof.get("interval") or ("", "")
    row = {
        "submission": submission.name,
        "sha256": record["sha256"],
        "made": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M"),
        "members": " ".join(member["name"] for member in record["members"]),
        "oof": oof.get("f1", ""),
        "low": low,
        "high": high,
        "public": "",
        "private": "",
    }
    with _alone(path):
        rows = read_board(path) if path.exists() else []
        same = [
            old
            for old in rows
            if (old["submission"], old["sha256"]) == (row["submission"], row["sha256"])
        ]
        for old in same:
            row |= {key: old[key] for key in ("made", "public", "private")}
        write_board(path, [old for old in rows if old not in same] + [row])


def record(path: Path, name: str, scores: dict[str, float]) -> dict[str, Any]:
    """Enter the site's scores, `public` or `private` or both, of the submission `name`; its row.

    Of several rows of this name, it is the row of the file as it is now, else the last one. Raises
    `KitError` for an unknown name and for scores that are no macro-F1.
    """
    for what, score in scores.items():
        if not 0 <= score <= 1:
            raise problem(
                f"--{what}",
                f"{score:g} is no macro-F1",
                remedy="enter it as the site shows it, between 0 and 1",
            )
    with _alone(path):
        rows = read_board(path)
        wanted = Path(name).name.removesuffix(".csv") + ".csv"
        named = [row for row in rows if row["submission"] == wanted]
        if not named:
            raise problem(
                path,
                "has no submission "
                f"{wanted}{did_you_mean(wanted, [row['submission'] for row in rows])}",
                remedy="python -m kit.compare --board shows them",
            )
        now = path.parent / wanted
        current = [row for row in named if now.exists() and row["sha256"] == file_hash(now)]
        row = (current or named)[-1]
        row |= scores
        write_board(path, rows)
    return row


def summary(rows: list[dict[str, Any]], draws: np.ndarray | None = None) -> dict[str, Any]:
    """Statistics of the log: how far the out-of-fold score can be trusted, as plain values.

    `rows`: best out-of-fold score first. With four submissions or more that have both scores:
    `correlation` of the two, with its 95 % `interval` (Fisher's z), and `outside`, the submissions
    whose public score is more than 2.5 standard deviations (studentised residuals) off the line of
    the others. With two public scores or more: `picked_from`, their number; `best_above`, how far
    the best is above their mean; and, with `draws` (`check.paired_draws` of those with a public
    score), `by_chance`, how far it would be if all were equally good (`selection_bias`).
    """
    ordered = sorted(rows, key=lambda row: -row["oof"] if row["oof"] != "" else 1.0)
    result: dict[str, Any] = {"rows": ordered}
    public = [row for row in ordered if row["public"] != ""]
    both = [row for row in public if row["oof"] != ""]
    cv, site = (np.array([row[key] for row in both], dtype=np.float64) for key in ("oof", "public"))
    if len(both) >= 4 and np.ptp(cv) > 0 and np.ptp(site) > 0:
        test = pearsonr(cv, site)
        result |= {
            "correlation": float(test.statistic),
            "interval": list(map(float, test.confidence_interval(0.95))),
        }
    if len(both) >= 5 and np.ptp(cv) > 0:
        result["outside"] = [
            row["submission"] for row, off in zip(both, _residuals(cv, site)) if abs(off) > _OUTSIDE
        ]
    if len(public) >= 2:
        scores = np.array([row["public"] for row in public], dtype=np.float64)
        result |= {"picked_from": len(public), "best_above": float(scores.max() - scores.mean())}
        if draws is not None:
            result["by_chance"] = selection_bias(draws)
    return result


def selection_bias(draws: np.ndarray) -> float:
    """How far noise alone lifts the best of submissions above their mean, if all are equally good.

    `draws` (submissions, draws) are paired bootstrap draws of their scores, so that noise that all
    of them share counts nothing: it lifts none above another. It is the noise of the out-of-fold
    photos; a smaller public test set makes more.
    """
    noise = draws - draws.mean(axis=1, keepdims=True)
    return float((noise.max(axis=0) - noise.mean(axis=0)).mean())


def _residuals(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Externally studentised residuals of the line through points.

    Each is divided by the deviation of the other points.
    """
    off = np.empty(len(x))
    for i in range(len(x)):
        rest = np.arange(len(x)) != i
        slope, level = (
            np.polyfit(x[rest], y[rest], 1) if np.ptp(x[rest]) > 0 else (0.0, y[rest].mean())
        )
        spread = np.sqrt(((y[rest] - slope * x[rest] - level) ** 2).sum() / max(rest.sum() - 2, 1))
        centre, width = x[rest].mean(), ((x[rest] - x[rest].mean()) ** 2).sum()
        error = spread * np.sqrt(
            1 + 1 / rest.sum() + ((x[i] - centre) ** 2 / width if width else 0.0)
        )
        off[i] = (y[i] - slope * x[i] - level) / max(error, 1e-12)
    return off


def write_board(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write the leaderboard log, a row a submission, in place of the one before it."""
    with atomic_write(path, force=True) as temporary:
        pd.DataFrame(rows, columns=list(BOARD_COLUMNS)).to_csv(
            temporary, index=False, lineterminator="\n"
        )


def read_board(path: Path) -> list[dict[str, Any]]:
    """The rows of the leaderboard log; scores are numbers in 0..1, or empty text if unknown."""
    table = read_csv(path, BOARD_COLUMNS)
    rows: list[dict[str, Any]] = [
        {str(key): value for key, value in row.items()} for row in table.to_dict(orient="records")
    ]
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
