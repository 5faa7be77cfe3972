"""A submission whose writing was killed is completed by the same command, and by no other."""

import json
import os
from pathlib import Path

import pytest
from answer_forms import form, form_folder, predicted

from kit.results.check import check_place
from kit.results.leaderboard import read_board
from kit.results.submission import write_submission
from kit.results.unfinished import begun, is_unfinished, made_by
from kit.system.errors import KitError

RECORD = {"kit": "1", "command": "python -m kit.ensemble a", "members": [{"name": "a"}]}


def write(root: Path, **more: str) -> None:
    """A command that writes a submission."""
    data, out = form_folder(root / "data", form("class")), root / "s.csv"
    record = RECORD | more
    check_place(out, data.inputs, force=False, command=made_by(record))
    write_submission(out, predicted(data), data, record)


def killed(root: Path, moment: int) -> bool:
    """True if a process that writes a submission was killed before it moved its n-th file."""
    child = os.fork()
    if not child:
        real, moves = os.replace, []

        def replace(*paths: object) -> None:
            moves.append(paths)
            if len(moves) > moment:
                os._exit(9)
            real(*paths)

        os.replace = replace
        try:
            write(root)
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of fork beside threads
def test_a_killed_submission_is_completed_by_the_same_command(tmp_path):
    moment, kills = 0, 0
    while True:
        root = tmp_path / str(moment)
        root.mkdir()
        if not killed(root, moment):
            break
        kills += 1
        assert not (root / "s.csv").exists()  # which comes last
        write(root)
        names = {path.name for path in root.iterdir()}
        assert names == {"data", "s.csv", "s.json", "leaderboard.csv", ".leaderboard.csv.lock"}
        assert len(read_board(root / "leaderboard.csv")) == 1
        moment += 1
    assert kills == 3  # the log, the record, the submission


def test_another_command_s_record_stays(tmp_path):
    write(tmp_path)
    (tmp_path / "s.csv").unlink()
    assert is_unfinished(tmp_path / "s.csv", RECORD["command"])
    with pytest.raises(KitError, match="s.json: exists already"):
        write(tmp_path, command="python -m kit.ensemble b")
    assert not is_unfinished(tmp_path / "s.csv", "")
    (tmp_path / "s.json").write_text("half")
    assert not is_unfinished(tmp_path / "s.csv", RECORD["command"])


def test_a_submission_made_again_is_known_by_the_command_that_makes_it_again():
    assert made_by(RECORD) == RECORD["command"] and made_by({}) == ""
    assert made_by(RECORD | {"remade_by": "python -m kit.ensemble --from a.json"}).endswith(
        "a.json"
    )


def test_what_belongs_to_a_submission_is_written_below_its_record(tmp_path):
    out = tmp_path / "s.csv"
    with begun(out, RECORD):
        assert json.loads((tmp_path / "s.json").read_text())["sha256"] == ""
        assert is_unfinished(out, RECORD["command"])
    (tmp_path / "s.json").unlink()
    with pytest.raises(ZeroDivisionError), begun(out, RECORD):
        raise ZeroDivisionError
    out.touch()
    with begun(out, RECORD):  # it is replaced, and its record stays until then
        pass
    assert {path.name for path in tmp_path.iterdir()} == {"s.csv"}
