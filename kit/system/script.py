"""Python files that a user writes: how they are executed, with errors of one line."""

import ast
import functools
import io
import re
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from kit.system.disk import text_hash
from kit.system.errors import KitError, did_you_mean, problem
from kit.system.inputs import open_input


@functools.cache
def module_of(path: str, text: str) -> ModuleType:
    """The module of a file's text, executed once in a process, even if the file changes."""
    module = ModuleType(f"kit_script_{text_hash(path + text)[:8]}")
    module.__file__ = path
    sys.modules[module.__name__] = module
    try:
        exec(compile(text, path, "exec"), module.__dict__)
    except BaseException:
        del sys.modules[module.__name__]
        raise
    return module


def run_script(path: Path, fields: Sequence[str] = ()) -> tuple[ModuleType, str]:
    """Execute a Python file; its module, and its text.

    Raises `KitError`, with the line if it is known, for every error in the file; a misspelt keyword
    is compared with the known `fields`.
    """
    absolute = str(path.resolve())
    try:
        with io.TextIOWrapper(open_input(path), encoding="utf-8-sig") as file:
            text = file.read()
    except UnicodeDecodeError as error:
        raise problem(path, f"cannot be read ({error})", remedy="save it as UTF-8 text") from error
    try:
        return module_of(absolute, text), text
    except SyntaxError as error:
        what = f"syntax error: {error.msg}"
        raise problem(f"{path} line {error.lineno or '?'}", what, remedy="mend it") from error
    except KitError as error:
        raise KitError(f"{path}: {error}") from error
    except (Exception, SystemExit) as error:  # whatever a user's file raises is theirs to mend
        trace = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in trace if frame.filename == absolute]
        misspelt = re.search(r"unexpected keyword argument '(\w+)'", str(error))
        told = "Did you mean" in str(error)  # by Python, from 3.13 on
        hint = did_you_mean(misspelt[1], fields) if misspelt and not told else ""
        raise KitError(
            f"{path} line {lines[-1] if lines else '?'}: {type(error).__name__}: {error}{hint}; "
            "mend the file"
        ) from error


@dataclass(frozen=True)
class ScriptFunction:
    """A function of a user's file: the path, the file's text as it was executed, and its `name`.

    It travels to spawned workers as that text, so that editing the file changes nothing in a run
    under way. `result` is the variable that the file exists for.
    """

    path: str
    text: str
    name: str
    result: str

    @property
    def code(self) -> str:
        """The code that the function may depend on.

        That is the file's code without comments, its docstring, and the assignment of `result`.
        """
        body = ast.parse(self.text).body
        if isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
            body = body[1:]
        rest = [node for node in body if not self._assigns_result(node)]
        return ast.unparse(ast.Module(rest, []))

    def _assigns_result(self, node: ast.stmt) -> bool:
        names = [ast.unparse(t) for t in node.targets] if isinstance(node, ast.Assign) else []
        return names == [self.result]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return getattr(module_of(self.path, self.text), self.name)(*args, **kwargs)


class RecordedFunction(ScriptFunction):
    """A function as a file of data has it, such as a checkpoint: a text, which is never run."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Raise `KitError`."""
        what = "is recorded as text, and what a file of data says is never run"
        raise problem(f"function {self.name}", what, remedy="use the definition that it is of")
