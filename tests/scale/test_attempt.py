"""One attempt of a job: its outcome, its log, and when it gives up."""

import os
import resource
import signal

import pytest
import works

import kit.system.signals
import kit.system.threads
from kit.scale.attempt import Preempted, Terms, attempt
from kit.scale.job import Job
from kit.system.errors import KitError, LoggedError

TERMS = Terms("3f9a", 2, "cpu", 1, {"KIT_SOMEWHERE": "given", "HOME": "not taken"})


@pytest.fixture(autouse=True)
def as_before(monkeypatch):
    """What an attempt changes of this process is put back."""
    monkeypatch.setattr(kit.system.signals, "_patient", [])
    monkeypatch.setattr(kit.system.threads, "_taken", [])
    monkeypatch.setenv("KIT_SOMEWHERE", "")
    monkeypatch.delenv("KIT_SOMEWHERE")


def job(folder, call, *arguments):
    return Job("small/fold0", call, arguments, folder / "log.txt")


def test_a_result_comes_back_and_what_was_printed_is_in_the_log(tmp_path, capfd):
    assert attempt(job(tmp_path, works.square, 3), TERMS, "box1") == (9, None)
    first, *lines, last = (tmp_path / "log.txt").read_text().splitlines()
    assert first.startswith("--- attempt 1 of 2 of small/fold0 on box1 (1 core), pid ")
    assert sorted(lines) == [
        "  step 3/9  on 1 cores",
        "by a C library",
        "to standard error",
        "to standard output",
    ]
    assert last.endswith(": finished") and capfd.readouterr() == ("", "")


def test_variables_are_set_where_the_machine_has_none(tmp_path, monkeypatch):
    home = os.environ["HOME"]
    result, _ = attempt(job(tmp_path, dict, os.environ), TERMS)
    monkeypatch.delenv("KIT_SOMEWHERE")
    assert home == os.environ["HOME"] and result is not None


def test_a_mistake_is_its_line_and_a_bug_leaves_its_traceback_in_the_log(tmp_path):
    result, error = attempt(job(tmp_path, works.refuse), TERMS)
    assert result is None and type(error) is KitError and str(error) == "photo 7: is no image"
    result, error = attempt(job(tmp_path, works.fail), TERMS)
    assert type(error) is LoggedError and str(error) == "small/fold0: ValueError: two lines"
    text = (tmp_path / "log.txt").read_text()
    assert "Traceback (most recent call last)" in text and "in fail" in text
    assert text.count(": error: photo 7") == 1


def test_memory_that_ran_out_in_an_attempt_is_one_line(tmp_path):
    result, error = attempt(job(tmp_path, works.use_all_memory), TERMS)
    assert result is None and type(error) is KitError
    assert str(error).startswith("small/fold0: the memory of this machine ran out; close")
    assert "Traceback" not in (tmp_path / "log.txt").read_text()


def test_a_signal_ends_an_attempt_that_is_made_again(tmp_path):
    waiting = job(tmp_path, works.end_once, tmp_path / "mark", signal.SIGTERM)
    with pytest.raises(Preempted):
        attempt(waiting, TERMS)
    assert attempt(waiting, TERMS) == ("went on", None)
    assert "stopped by a signal, what was trained is saved" in (tmp_path / "log.txt").read_text()


def test_the_attempts_of_a_command_end(tmp_path):
    for _ in range(2):
        assert attempt(job(tmp_path, works.square, 1), TERMS)[1] is None
    _, error = attempt(job(tmp_path, works.square, 1), TERMS)
    assert "small/fold0: its process was killed or lost 2 times" in str(error)
    again = Terms("another", 2, "cpu", 1)
    assert attempt(job(tmp_path, works.square, 1), again) == (1, None)


def test_a_log_that_cannot_be_written_is_a_line_and_no_killed_process(tmp_path):
    log = tmp_path / "log.txt"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))  # as a full disk
    try:
        result, error = attempt(job(tmp_path, works.square, 3), TERMS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert result is None and type(error) is KitError
    assert str(error).startswith(f"{log}: cannot be written (File too large)")
    log.unlink()
    log.mkdir()
    error = attempt(job(tmp_path, works.square, 3), TERMS)[1]
    assert str(error).startswith(f"{log}: cannot be written (Is a directory)")


def test_a_log_with_numbers_beyond_any_is_read_like_other_text(tmp_path):
    nines = "9" * 5000
    (tmp_path / "log.txt").write_text(
        f"--- attempt {nines} of {nines} of a on b, pid {nines}, now, command 3f9a\n\x1b[2J\n"
    )
    assert attempt(job(tmp_path, works.square, 3), TERMS) == (9, None)
