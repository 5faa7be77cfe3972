"""Jobs that run elsewhere, watched by their logs: a line a start, a step and a retry."""

import re
from collections.abc import Callable, Sequence
from typing import Final

from kit.scale.job import Job
from kit.scale.log import STOPPED, Start, read_end, read_lines, read_start
from kit.system.console import Progress, say

# What a job prints for the one who watches it: two spaces, a word, how many of how many.
_STEP: Final = re.compile(r"  (?P<word>\w+) +(?P<done>\d{1,9})/(?P<total>\d{1,9})  .*")
_GOING_ON: Final = re.compile(r".*; going on (?P<place>after .*)")


class Watch:
    """Shows what the logs of jobs tell, from now on, for one call of a runner.

    `lost` says whether a host that an attempt ran on is no longer there. Progress is in the steps
    that the jobs print, such as epochs.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        command: str,
        progress: Progress,
        lost: Callable[[str], bool] = lambda host: False,
    ) -> None:
        self.jobs, self.command, self.progress, self.lost = list(jobs), command, progress, lost
        self._offsets = {job.name: _size(job) for job in jobs}
        self._starts: dict[str, Start] = {}
        self._ends: dict[str, str] = {}
        self._again: dict[
            str, tuple[str, str]
        ] = {}  # a line held until it is known where it goes on
        self._steps: dict[str, tuple[int, int]] = {}
        self._number = len(self.jobs)

    def poll(self) -> None:
        """Show what has been logged since the last call."""
        for job in self.jobs:
            lines, self._offsets[job.name] = read_lines(job.log, self._offsets[job.name])
            for line in lines:
                self._take(job.name, line)

    def end(self, job: Job) -> None:
        """Show the rest of a job that has ended, and watch it no longer."""
        self.poll()
        self._show_again(job.name)
        if job in self.jobs:
            self.jobs.remove(job)
        typical = max((total for _, total in self._steps.values()), default=1)
        total = self._steps.get(job.name, (0, typical))[1]
        self._count(job.name, total, total)

    def _take(self, name: str, line: str) -> None:
        start, end = read_start(line), read_end(line, self.command)
        going_on, step = _GOING_ON.fullmatch(line), _STEP.fullmatch(line)
        if start is not None and start.command == self.command:
            self._start(name, start)
        elif end is not None:
            self._ends[name] = end
        elif going_on:
            self._show_again(name, f"goes on {going_on['place']}")
        elif step:
            self._show_again(name, "from its start")
            say(f"{name}{line}")
            self.progress.unit = f"{step['word']}s"
            self._count(name, int(step["done"]), int(step["total"]))

    def _start(self, name: str, start: Start) -> None:
        before = self._starts.get(name)
        self._show_again(name)
        if before is None:
            say(f"started   {name} on {start.place}")
        else:
            why = "it was killed"
            if self._ends.pop(name, "") == STOPPED:
                why = "it was stopped, and has saved"
            elif self.lost(before.host):
                why = f"{before.host} is gone"
            times = f"(attempt {start.number} of {start.attempts})"
            self._again[name] = f"again     {name} on {start.place}: {why}", times
        self._starts[name] = start

    def _show_again(self, name: str, where: str = "") -> None:
        """Show the line of a retry, if one is held, with where it goes on, if that is known."""
        if name in self._again:
            line, times = self._again.pop(name)
            say(f"{line}{where and '; '}{where} {times}")

    def _count(self, name: str, done: int, total: int) -> None:
        """Count a job's steps, and take those that have not begun to have as many."""
        before = sum(done for done, _ in self._steps.values())
        self._steps[name] = max(done, self._steps.get(name, (0, 0))[0]), total
        totals = [total for _, total in self._steps.values()]
        expected = sum(totals) + max(totals) * (self._number - len(totals))
        self.progress.expect(expected)
        ended = self._number - len(self.jobs)
        note = f"{ended} of {self._number} finished"
        self.progress.advance(sum(done for done, _ in self._steps.values()) - before, note)


def _size(job: Job) -> int:
    """The bytes that a job's log has."""
    try:
        return job.log.stat().st_size
    except OSError:
        return 0
