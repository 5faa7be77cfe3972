"""What a person sees of jobs elsewhere: starts, steps, retries, progress."""

import pytest

from kit.scale.job import Job
from kit.scale.log import STOPPED, Start
from kit.scale.watch import Watch
from kit.system.console import Progress


@pytest.fixture
def jobs(tmp_path):
    return [Job(f"tiny/fold{n}", int, (), tmp_path / f"{n}.txt") for n in range(2)]


def write(job, *lines):
    with open(job.log, "a") as file:
        file.write("".join(f"{line}\n" for line in lines))


def start(number, host="box1", command="now"):
    return Start(number, 4, "tiny/fold0", f"{host} (1 core)", 1, command)


def watched(jobs, lost=()):
    progress = Progress("jobs", len(jobs), "jobs")
    progress.__enter__()
    return Watch(jobs, "now", progress, lambda host: host in lost), progress


def test_what_was_logged_before_is_not_shown_and_steps_are(jobs, capsys):
    write(jobs[0], "  epoch 1/2  loss 9", start(3, command="before"))
    watch, progress = watched(jobs)
    write(jobs[0], start(1), "a warning", "  epoch  1/4  loss 8", '  File "x.py", line 1/2')
    watch.poll()
    lines = ["started   tiny/fold0 on box1 (1 core)", "tiny/fold0  epoch  1/4  loss 8"]
    assert capsys.readouterr().out.splitlines() == lines
    # The other job is taken to have as many epochs.
    assert (progress.done, progress.total, progress.unit) == (1, 8, "epochs")
    watch.poll()
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "end, lost, why",
    [
        ((), (), "it was killed"),
        ((start(1).ended(STOPPED),), ("box1",), "it was stopped, and has saved"),
        ((), ("box1",), "box1 is gone"),
    ],
)
def test_a_retry_says_why_and_where_it_goes_on(jobs, capsys, end, lost, why):
    watch, _ = watched(jobs, lost)
    write(jobs[0], start(1), *end)
    watch.poll()
    write(jobs[0], start(2, "box2"))
    watch.poll()
    capsys.readouterr()  # the line waits for where it goes on
    write(jobs[0], "small: 2 photos; going on after epoch 3, step 118 of 200")
    watch.poll()
    assert capsys.readouterr().out == (
        f"again     tiny/fold0 on box2 (1 core): {why}; goes on after epoch 3, step 118 of 200 "
        "(attempt 2 of 4)\n"
    )


def test_a_retry_without_a_save_starts_anew(jobs, capsys):
    watch, _ = watched(jobs)
    write(jobs[0], start(1), start(2), "  epoch 1/2  loss 1")
    watch.poll()
    assert "killed; from its start (attempt 2 of 4)\ntiny/fold0  epoch" in capsys.readouterr().out


def test_progress_counts_whole_jobs_and_never_back(jobs, capsys):
    watch, progress = watched(jobs)
    write(jobs[0], "  epoch 3/4  loss 1", start(2), "  epoch 2/4  loss 1")
    watch.poll()
    assert progress.done == 3
    watch.end(jobs[0])  # it ended early
    assert (progress.done, progress.total) == (4, 8)
    write(jobs[1], "  epoch 1/2  loss 1")
    watch.end(jobs[1])
    assert (progress.done, progress.total) == (6, 6)
    assert "tiny/fold1  epoch 1/2" in capsys.readouterr().out
