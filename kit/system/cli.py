"""What all commands share: the parser, the exit code, and the one line of an error."""

import argparse
import functools
import io
import os
import re
import shlex
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from kit.system.console import console_of, show_error, silence_stdout, stdout_is_broken
from kit.system.errors import KitError, LoggedError, did_you_mean, explained, problem
from kit.system.signals import sigterm_as_ctrl_c


class Parser(argparse.ArgumentParser):
    """An argument parser that raises `KitError`, with the nearest option or choice for a typo."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **kwargs
        )

    def error(self, message: str) -> NoReturn:
        """Raise the `KitError` for a message of argparse."""
        # An error of a type in `options`: its text begins with the value.
        message = re.sub(r"^argument (\S+): (?=\S+: take )", r"\1 ", message)
        raise KitError(f"{self.prog}: {message}{self._nearest(message)}; --help shows the options")

    def _nearest(self, message: str) -> str:
        """` (did you mean X?)` for the misspelt option or choice in a message of argparse."""
        choice = re.search(r"invalid choice: '(.*?)' \(choose from (.*)\)", message)
        if choice:
            return did_you_mean(choice[1], re.findall(r"[\w-]+", choice[2]))
        if not message.startswith("unrecognized"):
            return ""
        options = [name for a in self._actions for name in a.option_strings if name[:2] == "--"]
        words = [word.split("=")[0] for word in message.split() if word.startswith("-")]
        return next((hint for word in words if (hint := did_you_mean(word, options))), "")


def command_line(name: str, argv: Sequence[str] | None) -> str:
    """The command line of `python -m kit.NAME` as a user types it, for a record.

    A record goes to others: it has `~` for the home folder, whose path often is a user's name.
    """
    words = map(str, sys.argv[1:] if argv is None else argv)
    return " ".join(["python", "-m", f"kit.{name}", *map(_quoted, words)])


def _quoted(word: str) -> str:
    """A word as a shell takes it, with `~` for the home folder."""
    home = os.path.expanduser("~").rstrip("/")
    if home in ("", "~") or not f"{word}/".startswith(f"{home}/"):
        return shlex.quote(word)
    rest = word[len(home) + 1 :]
    return f"~/{shlex.quote(rest)}" if rest else "~"


def command(main: Callable[[Sequence[str] | None], None]) -> Callable[..., int]:
    """`main(argv)` as a command: a function that returns its exit code.

    0 is success, 2 a user's mistake (`KitError`, or an error of the system), whose one line goes
    to standard error, and 130 Ctrl+C, SIGTERM or SIGHUP. A bug is raised; of one in another
    process (`LoggedError`) the line is printed, and the code is 1.
    """

    @functools.wraps(main)
    def run(argv: Sequence[str] | None = None) -> int:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                # For Korean paths in a terminal of ASCII alone.
                stream.reconfigure(errors="backslashreplace")
        try:
            _check_encoding()
            with sigterm_as_ctrl_c():
                main(argv)
            if sys.stdout:
                sys.stdout.flush()
            return 0
        except KitError as error:
            return _fail(str(error))
        except LoggedError as error:
            show_error(str(error))
            return 1
        except BrokenPipeError:
            if stdout_is_broken():
                silence_stdout()
                return 0
            raise
        except Exception as error:
            if line := explained("system", error):
                return _fail(str(line))
            if not isinstance(error, OSError) or error.strerror is None:
                raise
            return _fail(f"{error.filename or 'system'}: {error.strerror}")
        except KeyboardInterrupt:
            console_of(stderr=True).print("stopped", style="yellow")
            return 130

    return run


def _check_encoding() -> None:
    """Raise `KitError` where Python does not take the names of files for UTF-8.

    A photo that a table names would not be found, or a plan would name it otherwise than a plan
    that is made elsewhere.
    """
    encoding = sys.getfilesystemencoding()
    if encoding != "utf-8":
        what = f"by its encoding, {encoding}, names of files are others than in tables of UTF-8"
        raise problem("locale", what, remedy="set PYTHONUTF8=1, and start again")


def _fail(line: str) -> int:
    """Print an error, and return the exit code of a user's mistake."""
    show_error(line)
    return 2
