"""The competitions that the kit knows by name, and how others are read from a file."""

import dataclasses
import importlib
import inspect
from pathlib import Path
from types import ModuleType
from typing import Any

from kit.competition import Competition
from kit.system.errors import did_you_mean, problem
from kit.system.script import ScriptFunction, run_script

DEFAULT = "mask"  # the one that is taken where none is defined


def find_competition(name: str | None = None) -> Competition:
    """The competition of a name in `kit/competitions/`, or of a definition file.

    A definition file is a Python file that a person wrote, with a variable `competition`. Without a
    name it is `competition.py` in the working folder; without that file, it is `mask`. Raises
    `KitError` for a name that is not known, and for a file that cannot be used.
    """
    if name is None:
        name = "competition.py" if Path("competition.py").is_file() else DEFAULT
    if name.endswith(".py"):
        module, text = run_script(Path(name), [f.name for f in dataclasses.fields(Competition)])
    else:
        try:
            module = importlib.import_module(f"kit.competitions.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"kit.competitions.{name}":
                raise  # a bug of the kit
            near, known = did_you_mean(name, competition_names()), ", ".join(competition_names())
            remedy = f"name a file, such as competition.py, or one of {known}"
            raise problem("--competition", f"there is no {name}{near}", remedy=remedy) from error
    competition = getattr(module, "competition", None)
    if not isinstance(competition, Competition):
        remedy = "write: competition = Competition(name=..., tasks=..., ...)"
        raise problem(name, "has no variable 'competition' that is a Competition", remedy=remedy)
    if not name.endswith(".py"):
        text = inspect.getsource(module)
    return _with_functions(competition, module, text)


def competition_names() -> list[str]:
    """The names that `find_competition` knows: those of the modules that define a competition."""
    files = Path(__file__).parent.glob("*.py")
    return sorted(f.stem for f in files if "\ncompetition: Final = " in f.read_text("utf-8"))


def _with_functions(competition: Competition, module: ModuleType, text: str) -> Competition:
    """A competition whose functions that are recorded are kept as the text of their file.

    Raises `KitError` for one that the file does not have by its name, such as a lambda.
    """
    functions = dict[str, Any]()
    for field in ("read", "metric"):
        function = getattr(competition, field)
        name = str(getattr(function, "__name__", ""))
        if callable(function):
            if getattr(module, name, None) is not function:
                remedy = f"write: def {field}(...), and {field}={field}"
                raise problem(str(module.__file__), f"{field} is no function by name", [], remedy)
            path = str(Path(str(module.__file__)).resolve())
            functions[field] = ScriptFunction(path, text, name, "competition")
    return dataclasses.replace(competition, **functions)
