"""The log of a job: its lines are found again, and all that is printed goes into it."""

import os
import sys

from kit.scale.log import Start, attempts_of, logged, read_end, read_lines, read_start

START = Start(2, 4, "small/fold0", "box1 (NVIDIA RTX 4090, 8 cores)", 4711, "3f9a")


def test_the_lines_of_a_start_and_an_end_are_read_back():
    assert read_start(str(START)) == START and START.host == "box1"
    assert read_end(START.ended("error: a: b"), "3f9a") == "error: a: b"
    assert read_end(START.ended("finished"), "other") is None
    for line in ("", "  epoch 1/2  loss 1", "--- attempt 2"):
        assert read_start(line) is None and read_end(line, "3f9a") is None


def test_attempts_are_those_of_the_command(tmp_path):
    log = tmp_path / "log.txt"
    assert attempts_of(log, "3f9a") == 0
    other = Start(1, 4, "small/fold0", "box1 (1 core)", 4711, "0000")
    log.write_text(f"{START}\nbetween\n{other}\n{START}\n")
    assert (attempts_of(log, "3f9a"), attempts_of(log, "0000")) == (2, 1)


def test_half_a_line_waits_for_its_other_half(tmp_path):
    log = tmp_path / "log.txt"
    assert read_lines(log, 0) == ([], 0)
    log.write_bytes(b"eins\nzw")
    lines, offset = read_lines(log, 0)
    assert (lines, offset) == (["eins"], 5)
    log.write_bytes("eins\nzwö\n\xff".encode("latin-1"))
    assert read_lines(log, offset) == (["zw\ufffd"], 9)


def test_all_that_is_printed_is_appended(tmp_path, capfd):
    log = tmp_path / "fold0" / "log.txt"
    for word in ("first", "second"):
        with logged(log):
            print(word)
            print("error", file=sys.stderr)
            os.write(1, b"descriptor 1\n")
            os.write(2, b"descriptor 2\n")
    print("after")
    lines = log.read_text().splitlines()
    assert len(lines) == 8 and {"first", "second", "error", "descriptor 1"} <= set(lines)
    assert capfd.readouterr().out == "after\n"
