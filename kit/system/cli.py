"""What all commands share: the parser, the exit code, and the one line of an error."""

import argparse
import functools
import io
import re
import shlex
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from kit.system.console import console_of, show_error, silence_stdout, stdout_is_broken
from kit.system.errors import KitError, LoggedError, did_you_mean, explained
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
    """The command line of `python -m kit.NAME` as a user types it, for a record."""
    return shlex.join(
        ["python", "-m", f"kit.{name}", *map(str, sys.argv[1:] if argv is None else argv)]
    )


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


def _fail(line: str) -> int:
    """Print an error, and return the exit code of a user's mistake."""
    show_error(line)
    return 2
