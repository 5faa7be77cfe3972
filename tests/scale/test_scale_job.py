"""Jobs in this process: order, results, errors."""

import pytest

from kit.scale.job import Ended, Job, raise_errors, run_here
from kit.system.errors import KitError, LoggedError


def job(name, call, folder):
    return Job(name, call, (), folder / "log.txt")


def refuse():
    raise KitError("no such photo")


def test_jobs_run_in_order_and_an_error_ends_only_its_own(tmp_path):
    jobs = [job("a", lambda: 1, tmp_path), job("b", refuse, tmp_path), job("c", int, tmp_path)]
    ended = list(run_here(jobs))
    assert [one.job.name for one in ended] == ["a", "b", "c"]
    assert [one.result for one in ended] == [1, None, 0]
    assert [str(one.error) for one in ended] == ["None", "no such photo", "None"]
    assert not (tmp_path / "log.txt").exists()


def test_the_next_job_starts_only_when_it_is_asked_for(tmp_path):
    ran = []
    running = run_here([job(str(n), lambda n=n: ran.append(n), tmp_path) for n in range(3)])
    next(running)
    assert ran == [0]


def test_a_bug_and_ctrl_c_end_all(tmp_path):
    def stop():
        raise KeyboardInterrupt

    for call, error in ((lambda: 1 // 0, ZeroDivisionError), (stop, KeyboardInterrupt)):
        with pytest.raises(error):
            list(run_here([job("a", call, tmp_path), job("b", pytest.fail, tmp_path)]))


def test_errors_are_a_line_each_and_a_bug_comes_last(tmp_path, capsys):
    jobs = [job(name, int, tmp_path / name) for name in "abcd"]
    raise_errors([Ended(jobs[0], 1)])
    errors = [LoggedError("bug"), KitError("alike"), KitError("alike")]
    ended = [Ended(jobs[0], 1)] + [
        Ended(one, error=error, logged=True) for one, error in zip(jobs[1:], errors)
    ]
    with pytest.raises(LoggedError) as error:
        raise_errors(ended)
    assert str(error.value) == f"bug; log: {tmp_path / 'b' / 'log.txt'}"
    line = f"error: alike; log: {tmp_path / 'c' / 'log.txt'}\n"
    assert capsys.readouterr().err == line
    with pytest.raises(KitError, match="^alike$"):
        raise_errors([Ended(jobs[1], error=errors[1])])
