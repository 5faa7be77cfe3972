"""A plugin of pytest: which messages of the kit the tests got, and whose remedy they tried.

At the end of a whole run that has passed it tells each message that no test got, and each error
whose remedy no test tried (`remedies.tried`), unless `messages.UNTRIED` says why.
"""

import argparse
import contextlib
import functools
import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest
from messages import UNTRIED, WITHOUT_REMEDY, listed, sites

import kit.system.console
from kit.system.errors import KitError, LoggedError

KIT = Path(kit.__file__).parent
RECORD = "KIT_TESTS_MESSAGES"  # the folder of the record; processes of a run inherit it
Site = tuple[str, int]  # a file of the kit, and a line
_BETWEEN = {str(KIT / "system" / name) for name in ("errors.py", "console.py")}
_FOLDER, _LEFT = pytest.StashKey[str](), pytest.StashKey[list[str]]()
made: list[tuple[Site, str]] = []  # in this process, since it was last cleared
_noted: set[tuple[str, ...]] = set()


def note(kind: str, site: Site, message: str) -> None:
    """Add to the record what happened to the message of a line of the kit, and in which test."""
    test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0]
    key = (kind, str(Path(site[0]).relative_to(KIT)), str(site[1]), test)
    if RECORD in os.environ and key not in _noted:
        _noted.add(key)
        line_of_record = "\t".join([*key, " ".join(message.split())]) + "\n"
        with contextlib.suppress(OSError):  # a test may limit the size or the number of files
            with open(Path(os.environ[RECORD]) / f"{os.getpid()}.tsv", "a") as record:
                record.write(line_of_record)


def site_of_call() -> Site:
    """The file and line of the kit that made the message which is being made."""
    frame = sys._getframe(2)
    while frame.f_code.co_filename in _BETWEEN and frame.f_back:
        frame = frame.f_back
    return frame.f_code.co_filename, frame.f_lineno


def _got(site: Site, message: str) -> None:
    """A message was made."""
    if Path(site[0]).is_relative_to(KIT):
        made.append((site, message))
        note("got", site, message)


def watch(patch: pytest.MonkeyPatch) -> None:
    """Note each error and each warning from now on."""
    for error in (KitError, LoggedError, argparse.ArgumentTypeError):
        patch.setattr(error, "__init__", _noting(error.__init__))
    show = kit.system.console._print

    @functools.wraps(show)
    def shown(text: str, *args: object, **options: object) -> None:
        site = site_of_call()
        if text.startswith("warning: "):
            _got(site, text)
        show(text, *args, **options)

    patch.setattr(kit.system.console, "_print", shown)


def _noting(init):
    @functools.wraps(init)
    def made(error: Exception, *args: object) -> None:
        init(error, *args)
        _got(site_of_call(), str(error))

    return made


def pytest_configure(config: pytest.Config) -> None:
    """Begin the record, in the process that starts the others."""
    if RECORD not in os.environ:
        os.environ[RECORD] = config.stash[_FOLDER] = tempfile.mkdtemp(prefix="messages-")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the record."""
    if folder := config.stash.get(_FOLDER, ""):
        os.environ.pop(RECORD)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Find the messages that a whole run which has passed did not get or try."""
    config = session.config
    whole = config.args_source == config.ArgsSource.TESTPATHS and not config.option.keyword
    if not whole or hasattr(config, "workerinput") or session.exitstatus != pytest.ExitCode.OK:
        return
    config.stash[_LEFT] = left_out(Path(os.environ[RECORD]))


def left_out(record: Path) -> list[str]:
    """A line for each message that is not in a record as it should be."""
    rows = [
        row.split("\t") for file in record.glob("*.tsv") for row in file.read_text().splitlines()
    ]
    noted = {(row[0], row[1], int(row[2])) for row in rows}
    lines = []
    for site in sites():
        kinds = {kind for kind, file, line in noted if file == site.module and line in site.lines}
        missing = {"got"} if site.maker == "warn" else {"got", "tried"}
        if listed(site, WITHOUT_REMEDY):
            missing -= {"tried"}
        missing = set() if listed(site, UNTRIED) else missing - kinds
        lines += [f"no test has {kind}: {site.module}: {site.text}" for kind in sorted(missing)[:1]]
    return lines


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell the messages that no test got or tried."""
    if left := terminalreporter.config.stash.get(_LEFT, []):
        terminalreporter.section("messages: a test each, or a line in tests/messages.py")
        terminalreporter.write("\n".join([*left, ""]))


@pytest.fixture(scope="session", autouse=True)
def watched_messages():
    """Every message of the kit is noted."""
    with pytest.MonkeyPatch.context() as patch:
        watch(patch)
        yield
