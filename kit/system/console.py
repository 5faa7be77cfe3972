"""What a command prints: lines, warnings, tables, and progress with an ETA."""

import codecs
import json
import os
import select
import sys
import time
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

from kit.system.errors import escaped, without_secrets

# Piped output has no width of its own; 120 columns keep the widest table whole.
_PIPED_WIDTH = 120
# Seconds between two lines of progress where there is no terminal.
_LOG_SECONDS = 20.0


_muted: list[bool] = []  # holds something while this process prints nothing
_bars: list[Console] = []  # what the bars of progress are drawn on, while there are any


def mute(muted: bool) -> None:
    """Let this module print nothing from now on; or, if not `muted`, print again."""
    _muted[:] = [True] * muted


def is_muted() -> bool:
    """True while this module prints nothing."""
    return bool(_muted)


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Print nothing more once the reader (head, a pager) has left.

        rich itself would exit, and end a training with it.
        """
        silence_stdout()


def stdout_is_broken() -> bool:
    """True if the reader of standard output has left.

    A broken pipe is then this one, and not another of the program's.
    """
    poll = select.poll()
    poll.register(sys.stdout.fileno(), select.POLLOUT)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


def silence_stdout() -> None:
    """Send all that is still printed to standard output to /dev/null."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def console_of(stderr: bool = False) -> Console:
    """A rich console for standard output or standard error as it is now."""
    stream = sys.stderr if stderr else sys.stdout
    # A stream may be closed (None). No emoji: a path may hold `:star:`.
    return _Console(
        stderr=stderr,
        highlight=False,
        emoji=False,
        quiet=is_muted(),
        width=None if _is_terminal(stream) else _PIPED_WIDTH,
    )


def say(text: str = "", style: str | None = None) -> None:
    """Print one line to standard output, without markup or wrapping, as `escaped` has it."""
    _print(text, style)


def say_json(content: object) -> None:
    """Print a value as JSON, a line a value, in which a terminal finds no codes.

    Its letters are escaped where standard output is not in UTF-8.
    """
    encoding = codecs.lookup(sys.stdout.encoding or "ascii").name if sys.stdout else "utf-8"
    text = json.dumps(content, indent=1, ensure_ascii=encoding != "utf-8")
    print("".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text))


def warn(text: str) -> None:
    """Print one `warning:` line to standard error."""
    _print(without_secrets(f"warning: {text}"), "yellow", stderr=True)


def show_error(text: str) -> None:
    """Print one `error:` line to standard error."""
    _print(without_secrets(f"error: {text}"), "red", stderr=True)


def _is_terminal(stream: Any) -> bool:
    """True if a stream is a terminal, by its file: older rich's stand-ins deny it."""
    try:
        return stream is not None and os.isatty(stream.fileno())
    except (OSError, ValueError):
        return False


def _print(text: str, style: str | None, stderr: bool = False) -> None:
    """Print one line, above the bar if one is shown on the same terminal."""
    stream = sys.stderr if stderr else sys.stdout
    shown = _bars and _is_terminal(stream)
    console = _bars[-1] if shown else console_of(stderr)
    console.print(escaped(text), style=style, markup=False, soft_wrap=True)


def show_table(
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    total: Sequence[object] = (),
) -> None:
    """Print a table at its full width, with `total` as its last row.

    The first column is aligned to the left, the others, which hold numbers, to the right.
    """
    texts = [
        [escaped(str(cell)) for cell in row]
        for row in (columns, *rows, *([total] if total else []))
    ]
    # In columns of the terminal: a Korean letter takes two.
    lengths = [[cell_len(cell) for cell in row] for row in texts]
    widths = [max(column) for column in zip(*lengths)]
    lines = []
    for row, row_lengths in zip(texts, lengths):
        spaces = [" " * (width - length) for width, length in zip(widths, row_lengths)]
        lines.append(
            "  ".join(
                [row[0] + spaces[0], *(space + cell for space, cell in zip(spaces[1:], row[1:]))]
            ).rstrip()
        )
    say(title, style="bold")
    say(lines[0], style="dim")
    for line in lines[1 : len(lines) - bool(total)]:
        say(line)
    if total:
        say(lines[-1], style="bold")


class Progress:
    """Shows progress over `total` units: a bar with an ETA on a terminal, else a line every 20 s.

    It is written to standard error, so that programs can read standard output.
    """

    def __init__(self, what: str, total: int, unit: str = "photos") -> None:
        self.what, self.total, self.unit, self.done = escaped(what), total, unit, 0
        self._note = ""
        self._bar: Any = None

    def __enter__(self) -> "Progress":
        self._start = self._logged = time.monotonic()
        console = console_of(stderr=True)
        if console.is_terminal and not console.quiet:
            self._bar = RichProgress(
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=16),
                MofNCompleteColumn(),
                TextColumn("{task.fields[rate]}", markup=False),
                TextColumn("ETA", markup=False),
                TimeRemainingColumn(compact=True),
                TextColumn("{task.fields[note]}", markup=False),
                console=console,
                transient=True,
                redirect_stdout=bool(sys.stdout) and sys.stdout.isatty(),
            )
            self._bar.start()
            _bars.append(console)
            self._task = self._bar.add_task(self.what, total=self.total, rate="", note="")
        return self

    def expect(self, total: int) -> None:
        """Replace the total number of units."""
        self.total = total
        if self._bar is not None:
            self._bar.update(self._task, total=total)

    def advance(self, n: int = 1, note: str | None = None) -> None:
        """Count `n` more units as done, and show `note` behind the bar until there is another."""
        self.done += n
        self._note = self._note if note is None else escaped(note)
        now = time.monotonic()
        rate = self.done / max(now - self._start, 1e-9)
        if self._bar is not None:
            self._bar.update(
                self._task, completed=self.done, rate=speed(rate, self.unit), note=self._note
            )
        elif now - self._logged >= _LOG_SECONDS:
            self._logged = now
            eta = (self.total - self.done) / max(rate, 1e-9)
            console_of(stderr=True).print(
                f"{self.what}: {self.done:,}/{self.total:,} {self.unit}, {speed(rate)}, ETA "
                f"{duration(eta)} {self._note}".rstrip(),
                markup=False,
                soft_wrap=True,
            )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            _bars.remove(self._bar.console)
            self._bar.stop()


def speed(rate: float, unit: str = "") -> str:
    """Units a second as people read them: `12 photos/s`, or of slow ones `3.5 epochs/min`."""
    return (
        f"{rate:,.0f} {unit}/s".replace(" /", "/")
        if rate >= 1
        else (f"{rate * 60:.1f} {unit}/min".replace(" /", "/"))
    )


def duration(seconds: float) -> str:
    """Seconds in words: `42 s`, `3 min 05 s`, `2 h 10 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
