"""Jobs side by side in processes: what they bring, and what happens when some of them die."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import works
from trainings import ctrl_c_for_children

from kit.results.run import Fold
from kit.scale.job import Job
from kit.scale.processes import run_side_by_side
from kit.system.errors import KitError, LoggedError


def until(what, ready, seconds=90):
    """Wait for what is ready; what it was."""
    end = time.monotonic() + seconds
    while not (found := ready()):
        assert time.monotonic() < end, what
        time.sleep(0.05)
    return found


def is_alive(pid):
    with contextlib.suppress(OSError):
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    return False


def test_each_job_ends_in_its_own_way(tmp_path, capsys):
    calls = {
        "killed": (works.end_once, tmp_path / "killed", signal.SIGKILL),
        "mistake": (works.refuse,),
        "lambda": (works.give_lambda,),
        "hopeless": (works.always_end,),
    }
    jobs = [
        Job(name, call, rest, tmp_path / f"{name}.txt") for name, (call, *rest) in calls.items()
    ]
    jobs = [Job(job.name, job.call, tuple(job.arguments), job.log) for job in jobs]
    running = run_side_by_side(["cpu", "cpu"], retries=1)(jobs)
    with contextlib.closing(running):
        ended = {one.job.name: one for one in running}
    assert len(ended) == len(jobs) and all(one.logged for one in ended.values())
    results = {name: one.result for name, one in ended.items() if one.error is None}
    assert results == {"killed": "went on"}
    errors = {name: (type(one.error), str(one.error)) for name, one in ended.items() if one.error}
    assert errors["lambda"][0] is LoggedError and "cannot be sent" in errors["lambda"][1]
    assert errors["mistake"] == (KitError, "photo 7: is no image")
    assert errors["hopeless"][0] is KitError and "killed or lost 2 times" in errors["hopeless"][1]
    out = capsys.readouterr().out
    assert re.search(r"^started   killed on \S+ \(1 core\)$", out, re.MULTILINE)
    assert "killed; goes on after step 3 (attempt 2 of 2)" in out and "begun" not in out


def test_a_training_killed_and_stopped_ends_with_the_same_bytes(killable, tmp_path):
    """SIGKILL, SIGTERM and Ctrl+C at the command; the last as a terminal sends it, to all."""
    more = ["--device", "cpu,cpu", "--workers", "0", "--runs", str(tmp_path), "--fold"]
    command, log = [*killable.command, *more], tmp_path / "mine" / "fold0" / "log.txt"
    files, out = Fold(log.parent), tmp_path / "out.txt"

    def start(folds):
        with open(out, "a") as file, ctrl_c_for_children():
            words = [*command, folds]
            return subprocess.Popen(words, stdout=file, stderr=file, start_new_session=True)

    def begun(number):
        """The process of the fold's attempt, once it has been saved."""
        pids = re.findall(r"pid (\d+)", log.read_text()) if log.exists() else []
        return len(pids) >= number and files.last.exists() and int(pids[number - 1])

    process = start("0")
    try:
        os.kill(until("the first attempt", lambda: begun(1)), signal.SIGKILL)
        until("where it goes on", lambda: "killed; goes on after epoch" in out.read_text())
        os.kill(begun(2), signal.SIGTERM)
        until("where it goes on", lambda: "has saved; goes on after epoch" in out.read_text())
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(timeout=60) == 130
        text = out.read_text()
        assert "the same command goes on from here" in text and "Traceback" not in text
        process = start("0,1")
        assert process.wait(timeout=120) == 0
    finally:
        process.kill()
    text = out.read_text()
    assert "finished  mine/fold0: macro-F1" in text and "finished  mine/fold1" in text
    assert files.best.read_bytes() == killable.whole.best.read_bytes()
    assert files.oof.read_bytes() == killable.whole.oof.read_bytes()


def test_processes_save_and_end_when_the_one_that_started_them_is_killed(tmp_path):
    mark = tmp_path / "mark"
    code = (
        "import pathlib, works\n"
        "from kit.scale.job import Job\n"
        "from kit.scale.processes import run_side_by_side\n"
        "if __name__ == '__main__':\n"
        f"    mark = pathlib.Path({str(mark)!r})\n"
        "    job = Job('one', works.wait, (mark,), mark.with_suffix('.txt'))\n"
        "    list(run_side_by_side(['cpu'], 3)([job]))\n"
    )
    script = tmp_path / "script.py"
    script.write_text(code)
    path = os.pathsep.join([str(Path(works.__file__).parent), *sys.path])
    process = subprocess.Popen([sys.executable, str(script)], env=os.environ | {"PYTHONPATH": path})
    pid = int(until("the job starts", lambda: mark.exists() and mark.read_text()))
    process.kill()
    process.wait()
    until("the job ends", lambda: not is_alive(pid), 10)
    assert mark.with_suffix(".saved").exists()
    log = mark.with_suffix(".txt").read_text()
    assert "stopped by a signal, what was trained is saved" in log
    assert "Ctrl+C waited: True" in log  # in the first process, too


def test_a_stop_is_no_lack_of_memory_in_the_last_attempt_either(tmp_path):
    """Ctrl+C where a killed process would not be started again."""
    mark = tmp_path / "mark"
    job = Job("one", works.wait, (mark,), tmp_path / "one.txt")

    def stop():
        until("the job starts", lambda: mark.exists() and mark.read_text())
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=stop)
    thread.start()
    ended = []
    with pytest.raises(KeyboardInterrupt):
        ended += run_side_by_side(["cpu"], retries=0)([job])
    thread.join()
    assert not ended and mark.with_suffix(".saved").exists()
