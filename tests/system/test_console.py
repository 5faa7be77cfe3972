"""What is printed: lines as they are, tables in columns, progress without a terminal."""

import io
import json
import os
import re
import subprocess
import sys

import pytest
from helpers import everywhere

import kit.system.console
from kit.system.console import (
    Progress,
    duration,
    is_muted,
    mute,
    say,
    say_json,
    show_error,
    show_table,
    speed,
    warn,
)


def test_progress_without_a_terminal_is_plain_lines(capsys, monkeypatch):
    everywhere(monkeypatch, kit.system.console, "_LOG_SECONDS", 0.0)
    with Progress("reading", 10) as progress:
        progress.advance(5, "note")
    line = capsys.readouterr().err
    assert line.startswith("reading: 5/10 photos, ") and "ETA" in line and line.endswith("note\n")


def test_lines_stand_above_the_bar_of_a_terminal():
    code = (
        "from kit.system.console import Progress, say, warn\n"
        "with Progress('reading', 10):\n    say('a line')\n    warn('careful')\n"
        "say('the end')\n"
    )
    terminal, end = os.openpty()
    with os.fdopen(terminal, "rb", buffering=0) as screen:
        variables = os.environ | {"TERM": "xterm"}
        words = [sys.executable, "-c", code]
        subprocess.run(words, stdout=end, stderr=end, env=variables, check=True)
        os.close(end)
        printed = re.sub(r"\x1b\[[\d;]*m", "", os.read(screen.fileno(), 65536).decode())
    # Each begins where the terminal has erased the bar.
    for line in ("a line", "warning: careful", "the end"):
        assert f"\x1b[2K{line}\r\n" in printed


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "iso8859-1"])
def test_json_is_json_in_every_encoding(encoding, monkeypatch):
    content = {"\uac1c": "\xe9 \U0001f415"}
    out = io.TextIOWrapper(io.BytesIO(), encoding, errors="backslashreplace")
    monkeypatch.setattr(sys, "stdout", out)
    say_json(content)
    out.flush()
    text = out.buffer.getvalue().decode(encoding)
    assert json.loads(text) == content and ("\U0001f415" in text) == (encoding == "utf-8")


def test_durations():
    assert [duration(s) for s in (0.4, 59, 185, 7800)] == [
        "0 s",
        "59 s",
        "3 min 05 s",
        "2 h 10 min",
    ]


def test_speeds():
    assert speed(12.4, "photos") == "12 photos/s" and speed(1234.0) == "1,234/s"
    assert speed(0.0583, "epochs") == "3.5 epochs/min" and speed(0.5) == "30.0/min"


def test_lines_are_printed_as_they_are(capsys):
    say(f"[bold]:star: {'x' * 300}")
    warn("[red]careful")
    show_error("[red]wrong")
    captured = capsys.readouterr()
    assert (
        captured.out == f"[bold]:star: {'x' * 300}\n"
        and captured.err == "warning: [red]careful\nerror: [red]wrong\n"
    )


def test_a_table_is_aligned_in_columns_of_the_terminal(capsys):
    show_table("Title", ["name", "n"], [["얼굴", 1], ["b", 10]], ["all", 11])
    assert capsys.readouterr().out.splitlines() == [
        "Title",
        "name   n",
        "얼굴   1",
        "b     10",
        "all   11",
    ]


def test_a_muted_process_prints_nothing(capsys, monkeypatch):
    everywhere(monkeypatch, kit.system.console, "_LOG_SECONDS", 0.0)

    def print_all():
        say("a line")
        warn("careful")
        show_table("Title", ["name"], [["a"]])
        with Progress("reading", 10) as progress:
            progress.advance(5)

    mute(True)
    try:
        print_all()
        assert is_muted() and capsys.readouterr() == ("", "")
    finally:
        mute(False)
    print_all()
    printed = capsys.readouterr()
    assert not is_muted() and "a line\nTitle" in printed.out and "reading: 5/10" in printed.err
