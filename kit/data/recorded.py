"""A competition as files record it: every field checked, and no function of it ever run."""

import dataclasses
from pathlib import Path
from typing import Any, Final

import kit
from kit.competition import FUNCTIONS, Competition
from kit.system.errors import KitError, problem
from kit.system.script import RecordedFunction, ScriptFunction
from kit.system.typed import from_json
from kit.task import Task

DEFINITION: Final = "competition.py"  # the definition in the working folder
_SHIPPED: Final = Path(str(kit.__file__)).parent / "competitions"


def recorded_competition(record: Any) -> Competition:
    """The competition that `Competition.describe` has recorded.

    Its functions are `RecordedFunction`s, which cannot be called. A field that the record lacks has
    its default. Raises `ValueError` for anything that no definition could say.
    """
    if record is None:
        raise ValueError("its competition is missing, as in files of an older version of the kit")
    try:
        tasks = tuple(from_json(Task, task) for task in record["tasks"])
        if not tasks:
            raise ValueError("it has no tasks")
        values: dict[str, Any] = {
            name: tuple(v) if isinstance(v, list) else v for name, v in record.items()
        }
        functions = {
            name: _function(record[name])
            for name in FUNCTIONS
            if isinstance(record.get(name), dict)
        }
        return Competition(**values | {"tasks": tasks} | functions)
    except (TypeError, KeyError, AttributeError, ValueError, KitError) as error:
        raise ValueError(f"its competition is damaged ({str(error)[:300]})") from error


def _function(record: dict[str, Any]) -> RecordedFunction:
    """A function as a record has it."""
    text, name = record.get("text"), record.get("name")
    if record.keys() != {"path", "text", "name"} or not isinstance(text, str):
        raise ValueError("a function is no text")
    if not (isinstance(name, str) and name.isidentifier()) or record["path"] != "":
        raise ValueError(f"a function is called {name!r:.40}")
    return RecordedFunction("", text, name, "competition")


def same_competition(one: Competition, other: Competition) -> bool:
    """True if two competitions are the same, with functions of the same text."""
    return one.describe() == other.describe()


def with_own_functions(competition: Competition, record: Path) -> Competition:
    """A recorded competition whose functions can be called.

    They are those of a definition of one's own: `competition.py` in the working folder, or one that
    the kit knows by name. Raises `KitError` where neither has the text that the file `record` has:
    the file may be of others.
    """
    recorded = {name: getattr(competition, name) for name in FUNCTIONS}
    recorded = {n: one for n, one in recorded.items() if isinstance(one, RecordedFunction)}
    if not recorded:
        return competition
    files = [Path(DEFINITION), *_SHIPPED.glob("*.py")]
    texts = {_text_of(path) for path in files if path.is_file()}
    foreign = [name for name, function in recorded.items() if function.text not in texts]
    if foreign:
        what = "its competition has functions that no definition here has, and what a file of data"
        remedy = f"put the definition that was planned with here, as {DEFINITION}"
        raise problem(record, f"{what} says is never run", foreign, remedy)
    functions: dict[str, Any] = {
        name: ScriptFunction("", one.text, one.name, one.result) for name, one in recorded.items()
    }
    return dataclasses.replace(competition, **functions)


def own_competition(record: Any) -> Competition:
    """The competition that another process of this command has described."""
    return with_own_functions(recorded_competition(record), Path(DEFINITION))


def _text_of(path: Path) -> str:
    """The text of a Python file as it is run; empty if it is no text."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return ""
