"""Values of JSON as the types that a dataclass says: what a file tells of itself is not trusted."""

import dataclasses
import functools
import math
import types
from collections.abc import Mapping
from typing import Any, Final, TypeVar, Union, get_args, get_origin, get_type_hints

from kit.system.fields import LONGEST

MOST: Final = 2**53  # of a whole number: JSON of other programs keeps no more
_DEEPEST: Final = 20  # of nested values whose type is not said
T = TypeVar("T")


def from_json(kind: type[T], content: Any) -> T:
    """The dataclass `kind` of the JSON object `content`, every value of its field's type.

    Lists become tuples, and numbers are finite. A field that the object lacks has its default.
    Raises `ValueError` for another type, for a field that is not there, and for one too many.
    """
    if not isinstance(content, dict):
        raise ValueError(f"{_shown(content)} is no object")
    hints: Mapping[str, Any] = _hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    needed = [
        name
        for name, field in fields.items()
        if field.default is field.default_factory is dataclasses.MISSING
    ]
    lacking = [name for name in needed if name not in content]
    if lacking:
        raise ValueError(f"it has no {lacking[0]}")
    extra = [name for name in content if name not in fields]
    if extra:
        raise ValueError(f"it has {_shown(extra[0])}, which is not known")
    return kind(**{name: value_of(hints[name], v, name) for name, v in content.items()})


_hints: Any = functools.cache(get_type_hints)


def value_of(hint: Any, value: Any, name: str = "it") -> Any:
    """A value of JSON as the type `hint`; raises `ValueError`, which calls it `name`."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in parts:
            return None
        (hint,) = [part for part in parts if part is not type(None)]
        return value_of(hint, value, name)
    if dataclasses.is_dataclass(hint):
        return from_json(hint, value)  # type: ignore[arg-type]
    if origin is tuple and isinstance(value, list):
        hints = parts[:1] * len(value) if parts[1:] == (...,) else parts
        if len(hints) == len(value):
            return tuple(
                value_of(h, v, f"{name}[{n}]") for n, (h, v) in enumerate(zip(hints, value))
            )
    elif origin is dict and isinstance(value, dict):
        keys = [int(key) if parts[0] is int and key.isdecimal() else key for key in value]
        whole = zip(keys, value.items())
        return {
            value_of(parts[0], key, name): value_of(parts[1], v, f"{name}[{_shown(text)}]")
            for key, (text, v) in whole
        }
    elif _is_of(hint, value):
        return value
    raise ValueError(f"{name} is {_shown(value)}")


def _is_of(hint: Any, value: Any) -> bool:
    """True if a value that has no parts is of a type."""
    if hint is Any:
        return is_plain(value)
    if hint is float:
        return type(value) in (int, float) and abs(value) <= 1e300 and math.isfinite(value)
    if hint is int:
        return type(value) is int and abs(value) <= MOST
    return hint in (str, bool) and type(value) is hint and (hint is bool or is_unicode(value))


def is_plain(value: Any, depth: int = _DEEPEST) -> bool:
    """True if a value is made of texts, finite numbers, lists and objects, and not too deep."""
    if isinstance(value, (list, tuple, dict)):
        inner = [*value, *value.values()] if isinstance(value, dict) else value
        return depth > 0 and all(is_plain(one, depth - 1) for one in inner)
    return value is None or any(_is_of(kind, value) for kind in (str, bool, int, float))


def is_unicode(text: str) -> bool:
    """True if a text can be written as UTF-8, and is no longer than a file of code is."""
    try:
        return len(text) <= LONGEST**2 and bool(text.encode()) or text == ""
    except UnicodeEncodeError:  # half of a pair
        return False


def _shown(value: object) -> str:
    """A value in an error, cut short."""
    return f"{value!r:.60}"
