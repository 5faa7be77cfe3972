"""Remedies tried: get a message, do what it says, and it works."""

import contextlib
import io
from collections.abc import Callable

import recorder

from kit.system.errors import KitError

Call = Callable[[], object]


def tried(wrong: Call, message: str, right: Call) -> None:
    """Get a message by `wrong`, and then, as it says, call `right`, which must succeed without it.

    Each raises a `KitError`, returns a command's exit code, or warns.
    """
    recorder.made.clear()
    said = _said_by(wrong)
    assert message in said, said
    sites = [(site, text) for site, text in recorder.made if text in said]
    after = _said_by(right)
    assert "error: " not in after and message not in after, after
    assert sites, said
    for site, text in sites:
        recorder.note("tried", site, text)


def after(*calls: Call) -> Call:
    """A call that makes calls one after another, and gives what the last one does."""
    return lambda: [call() for call in calls][-1]


def command(main: Callable[[list[str]], object], *words: object) -> Call:
    """A call of a command."""
    return lambda: main([str(word) for word in words])


def _said_by(call: Call) -> str:
    """All that a call says of mistakes: its warnings and its error."""
    with contextlib.redirect_stderr(io.StringIO()) as stream:
        try:
            code = call()
        except KitError as error:
            code = 2
            print(f"error: {error}", file=stream)
    text = stream.getvalue()
    assert ("error: " in text) == (type(code) is int and code != 0), (code, text)
    return text
