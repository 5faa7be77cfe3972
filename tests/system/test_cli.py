"""A command's options, exit codes and errors."""

import os
import subprocess
import sys

import pytest

from kit.system.cli import Parser, command, command_line
from kit.system.errors import KitError, LoggedError
from kit.system.options import add_options, whole_number


def test_another_broken_pipe_is_no_success():
    code = (
        "from kit.system.cli import command\n@command\ndef main(argv=None):\n    raise "
        "BrokenPipeError(32, 'Broken pipe')\n"
        "raise SystemExit(main())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1 and "BrokenPipeError" in done.stderr


def test_a_bug_of_another_process_is_its_line_and_code_1(capsys):
    @command
    def main(argv=None):
        raise LoggedError("fold 1: ValueError: 3; log: log.txt")

    assert main([]) == 1
    assert capsys.readouterr().err == "error: fold 1: ValueError: 3; log: log.txt\n"


LEGACY = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.mark.parametrize("more, ran", [(LEGACY, False), (LEGACY | {"PYTHONUTF8": "1"}, True)])
def test_where_names_of_files_are_not_utf_8_a_command_says_what_to_set(more, ran):
    code = (
        "from kit.system.cli import command\n@command\ndef main(argv=None):\n    print('ran')\n"
        "raise SystemExit(main())"
    )
    words, variables = [sys.executable, "-c", code], os.environ | more
    done = subprocess.run(words, env=variables, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == ((0, "ran\n") if ran else (2, ""))
    assert ran or done.stderr.startswith("error: locale: by its encoding, ascii, names of files ")
    assert ran or done.stderr.endswith("; set PYTHONUTF8=1, and start again\n")


@pytest.mark.parametrize(
    "error",
    [MemoryError(), RuntimeError("can't start new thread"), OSError(12, "Cannot allocate memory")],
)
def test_memory_that_ran_out_is_one_line(capsys, error):
    @command
    def main(argv=None):
        raise error

    assert main([]) == 2
    said = capsys.readouterr().err
    assert "the memory of this machine ran out; close other programs" in said
    assert said.count("\n") == 1


def test_a_loader_process_that_was_killed_is_one_line_wherever_torch_says_so(capsys):
    @command
    def main(argv=None):
        raise RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed.")

    assert main([]) == 2
    assert "error: a loader process was killed" in capsys.readouterr().err


def parsed(*line):
    parser = Parser(prog="kit.test")
    add_options(parser, "workers", "force")
    parser.add_argument("--views", choices=["none", "hflip"])
    parser.add_argument("--rounds", type=whole_number(1, 9))
    return parser.parse_args([str(word) for word in line])


@pytest.mark.parametrize(
    "line, said",
    [
        (("--workers", -1), "kit.test: --workers -1: take 0 or more; --help shows the options"),
        (("--workers", "two"), "kit.test: --workers 'two': take a whole number, 0 or more"),
        (("--rounds", 10), "kit.test: --rounds 10: take 1 to 9"),
        (("--wokers", 1), "unrecognized arguments: --wokers 1 (did you mean --workers?)"),
        (("--views", "hflp"), "(did you mean hflip?)"),
        (("--xyz",), "unrecognized arguments: --xyz; --help shows the options"),
        (("--work", 1), "unrecognized"),  # no abbreviations: a later option would change them
    ],
)
def test_a_bad_option_is_one_line(line, said):
    with pytest.raises(KitError) as error:
        parsed(*line)
    assert said in str(error.value)


def test_the_command_line_can_be_typed():
    line = command_line("compare", ["my file.csv", "--json"])
    assert line == "python -m kit.compare 'my file.csv' --json"


@pytest.mark.parametrize(
    "error, code, said",
    [
        (None, 0, ""),
        (KitError("a.csv: is wrong"), 2, "error: a.csv: is wrong\n"),
        (FileNotFoundError(2, "No such file", "b.csv"), 2, "error: b.csv: No such file\n"),
        (KeyboardInterrupt(), 130, "stopped\n"),
    ],
)
def test_exit_codes(capsys, error, code, said):
    @command
    def main(argv=None):
        if error:
            raise error

    assert main([]) == code and capsys.readouterr().err == said


def test_a_bug_keeps_its_traceback():
    @command
    def main(argv=None):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        main([])
