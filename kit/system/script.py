"""Python files that a person writes, executed, with errors of one line."""

import functools
import re
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from kit.system.disk import text_hash
from kit.system.errors import KitError, did_you_mean, problem


@functools.cache
def module_of(path: str, text: str) -> ModuleType:
    """The module of a file's text: executed once in a process, whatever becomes of the file."""
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

    Raises `KitError`, with the line where there is one, for whatever goes wrong in it; a misspelt
    keyword is held against the known `fields`.
    """
    absolute = str(path.resolve())
    try:
        text = path.read_text(encoding="utf-8-sig")
        return module_of(absolute, text), text
    except (OSError, UnicodeDecodeError) as error:
        raise problem(path, f"cannot be read ({error})", remedy="save it as UTF-8 text") from error
    except SyntaxError as error:
        raise KitError(f"{path} line {error.lineno}: syntax error: {error.msg}") from error
    except KitError as error:
        raise KitError(f"{path}: {error}") from error
    except (Exception, SystemExit) as error:  # whatever a person's file raises is theirs to mend
        trace = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in trace if frame.filename == absolute]
        misspelt = re.search(r"unexpected keyword argument '(\w+)'", str(error))
        hint = did_you_mean(misspelt[1], fields) if misspelt else ""
        raise KitError(
            f"{path} line {lines[-1] if lines else '?'}: {type(error).__name__}: {error}{hint}"
        ) from error
