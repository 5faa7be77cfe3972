"""The check of submissions, printed, and what files an ensemble has written."""

from collections.abc import Sequence
from pathlib import Path

from kit.data.folder import DataFolder
from kit.data.plan import Plan, read_plan
from kit.inference.member_files import oof_path
from kit.results import leaderboard
from kit.results.check import check_submission, expected_counts
from kit.results.submission import describe_answers
from kit.system.console import say, warn
from kit.system.disk import near
from kit.system.errors import KitError, problem


def optional_plan(path: Path) -> Plan | None:
    """The fold plan, for the labels that a submission is compared with; None without a good one."""
    if not path.exists():
        return None
    try:
        return read_plan(path)
    except KitError as error:
        warn(f"without the plan's labels: {error}")
        return None


def show_checks(paths: Sequence[Path], data: DataFolder, plan: Plan | None) -> None:
    """Check submissions and print the results; `submissions/*.csv` may include the leaderboard log.

    The log is left out. Raises `KitError` after all checks if the competition would refuse one.
    """
    refused: list[str] = []
    for path in [p for p in paths if len(paths) == 1 or p.name != leaderboard.NAME]:
        try:
            _show_check(path, data, plan)
        except KitError as error:
            refused.append(str(error))
    for line in refused[1:]:
        warn(line)
    if refused:
        raise KitError(refused[0])


def _show_check(path: Path, data: DataFolder, plan: Plan | None) -> None:
    """Check one submission; raises `KitError` where the competition would refuse it."""
    if not path.is_file():
        what = f"there is no such file{near(path)}"
        raise problem(path, what, remedy="name a submission")
    expected = expected_counts(path, plan, data.competition)
    warnings = check_submission(path, data, expected)
    say(
        f"{path}: would pass: same ids as {data.test_table}, same order, "
        f"{describe_answers(data.competition)}"
        + (f"; class counts compared with {expected.source}" if expected else "")
    )
    for line in warnings:
        warn(line)


def show_files(out: Path, save_probs: Path | None, data: DataFolder, plan: Plan | None) -> None:
    """Print the files that an ensemble has written, and warnings about its submission `out`."""
    if save_probs is not None:
        oof = oof_path(save_probs)
        more = f" and {oof}" if oof.exists() else ""
        say(f"wrote {save_probs}{more}, a member for others")
    say(
        f"wrote {out} (checked against {data.test_table.name}: same ids, same order, "
        f"{describe_answers(data.competition)}) and {out.with_suffix('.json')}"
    )
    for line in check_submission(out, data, expected_counts(out, plan, data.competition)):
        warn(line)
