"""A command's options, exit codes and errors."""

import argparse
import subprocess
import sys
from pathlib import Path

import pytest

from kit.system.cli import DEFAULT_PLAN, Parser, add_options, command, command_line, whole_number
from kit.system.errors import KitError


def test_another_broken_pipe_is_no_success():
    code = (
        "from kit.system.cli import command\n@command\ndef main(argv=None):\n    raise "
        "BrokenPipeError(32, 'Broken pipe')\n"
        "raise SystemExit(main())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1 and "BrokenPipeError" in done.stderr


def parsed(*line, options=("data", "plan", "device", "workers", "force")):
    parser = Parser(prog="kit.test")
    add_options(parser, *options)
    parser.add_argument("--views", choices=["none", "hflip"])
    parser.add_argument("--rounds", type=whole_number(1, 9))
    return parser.parse_args([str(word) for word in line])


def test_the_common_options_have_their_types_and_defaults():
    assert vars(parsed()) == {
        "data": None,
        "plan": DEFAULT_PLAN,
        "device": None,
        "workers": None,
        "force": False,
        "views": None,
        "rounds": None,
    }
    args = parsed("--plan", "p.csv", "--workers", 0, "--force", "--rounds", 9)
    assert args.plan == Path("p.csv") and (args.workers, args.force, args.rounds) == (0, True, 9)


def test_a_command_may_word_an_option_itself(capsys):
    parser = Parser(prog="kit.test")
    add_options(parser, "data", force="replace the page")
    text = parser.format_help()
    assert "replace the page" in text and "default: $KIT_DATA" in text and "--plan" not in text


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


def test_a_whole_number_is_no_fraction():
    with pytest.raises(argparse.ArgumentTypeError, match="take a whole number, 2 or more"):
        whole_number(2)("2.5")
    assert whole_number(2)("2") == 2


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
