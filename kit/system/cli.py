"""A command's frame: its parser, its exit code, and the one line of an error."""

import argparse
import difflib
import functools
import io
import re
import shlex
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from kit.system.console import _reader_left, _silence, console_of
from kit.system.errors import KitError
from kit.system.signals import _sigterm_as_ctrl_c


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, with the nearest option where one was
    misspelt.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **kwargs
        )

    def error(self, message: str) -> NoReturn:
        # Of kit.system.options' types: their text begins with the value.
        message = re.sub(r"^argument (\S+): (?=\S+: take )", r"\1 ", message)
        known = [
            name
            for action in self._actions
            for name in action.option_strings
            if name.startswith("--")
        ]
        hint = ""
        for word in message.split():
            near = (
                difflib.get_close_matches(word.split("=")[0], known, n=1)
                if word.startswith("-")
                else []
            )
            if near and near[0] != word and message.startswith("unrecognized"):
                hint = f"; did you mean {near[0]}?"
                break
        choice = re.search(r"invalid choice: '(.*?)' \(choose from (.*)\)", message)
        if choice:
            near = difflib.get_close_matches(choice[1], re.findall(r"[\w-]+", choice[2]), n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
        raise KitError(f"{self.prog}: {message}{hint} (--help shows the options)")


def command_line(name: str, argv: Sequence[str] | None) -> str:
    """The command line of `python -m kit.NAME` as a person types it, for a record."""
    return shlex.join(
        ["python", "-m", f"kit.{name}", *map(str, sys.argv[1:] if argv is None else argv)]
    )


def command(main: Callable[[Sequence[str] | None], None]) -> Callable[..., int]:
    """Turn `main(argv)` into a command: its exit code is returned, a user's mistake is one line
    and code 2.
    """

    @functools.wraps(main)
    def run(argv: Sequence[str] | None = None) -> int:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(
                    errors="backslashreplace"
                )  # a Korean path in a terminal that knows ASCII alone
        try:
            with _sigterm_as_ctrl_c():
                main(argv)
            if sys.stdout:
                sys.stdout.flush()
            return 0
        except KitError as error:
            return _fail(str(error))
        except BrokenPipeError:
            if _reader_left():
                _silence()
                return 0
            raise
        except OSError as error:
            if error.strerror is None:
                raise
            return _fail(f"{error.filename or 'system'}: {error.strerror}")
        except KeyboardInterrupt:
            console_of(stderr=True).print("stopped", style="yellow")
            return 130

    return run


def _fail(line: str) -> int:
    console_of(stderr=True).print(f"error: {line}", style="red", markup=False, soft_wrap=True)
    return 2
