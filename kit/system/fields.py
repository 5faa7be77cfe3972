"""Rules of the fields that a user sets in a definition, as (field, is good, what it must be)."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from kit.system.errors import KitError, did_you_mean

Rule = tuple[str, bool, str]
LONGEST: Final = 1000  # characters of a text, such as a class's name or a template


def check_rules(what: str, values: Any, rules: Iterator[Rule]) -> None:
    """Raise `KitError` for the first rule that the fields of `values` break."""
    for field, good, text in rules:
        if not good:
            raise KitError(f"{what:.80}: {field}={getattr(values, field)!r:.100} must be {text}")


def choices(values: Any, table: Mapping[str, Sequence[str]]) -> Iterator[Rule]:
    """The rules of fields that are one of some names."""
    for field, names in table.items():
        value = getattr(values, field)
        hint = did_you_mean(str(value), names) if value not in names else ""
        yield field, value in names, f"one of {', '.join(names)}{hint}"


def whole_numbers(values: Any, table: Mapping[str, tuple[int, int]]) -> Iterator[Rule]:
    """The rules of fields that are whole numbers from a least to a most one."""
    for field, (least, most) in table.items():
        value = getattr(values, field)
        good = type(value) is int and least <= value <= most
        yield field, good, f"a whole number from {least} to {most}"


def numbers(values: Any, most: Mapping[str, float], above: Sequence[str]) -> Iterator[Rule]:
    """The rules of fields that are numbers from 0, or above 0, to a most one."""
    for field, top in most.items():
        value, positive = getattr(values, field), field in above
        good = type(value) in (int, float) and 0 <= value <= top and (not positive or value > 0)
        yield field, good, f"a number {'above' if positive else 'from'} 0 to {top:g}"


def is_whole_tuple(value: object, least: int = 0, most: int = 10**9) -> bool:
    """True if a value is a tuple of whole numbers from `least` to `most`."""
    return isinstance(value, tuple) and all(type(n) is int and least <= n <= most for n in value)


def is_text(value: object) -> bool:
    """True for a text that is not empty nor endless, and that a terminal prints as it is."""
    return isinstance(value, str) and 0 < len(value) <= LONGEST and value.isprintable()


def are_texts(values: object) -> bool:
    """True for a tuple of different texts, one or more."""
    return (
        isinstance(values, tuple)
        and all(map(is_text, values))
        and 0 < len(set(values)) == len(values)
    )


def are_shares(value: object) -> bool:
    """True for a tuple of floats above 0, up to 1."""
    return isinstance(value, tuple) and all(type(n) is float and 0 < n <= 1 for n in value)


def is_pattern(value: object) -> bool:
    """True for an empty text, and for a regular expression with one group."""
    try:
        return value == "" or is_text(value) and re.compile(str(value)).groups == 1
    except (re.error, RecursionError, OverflowError):
        return False


def is_place(value: object) -> bool:
    """True for a text that names a file or folder below another one: not absolute, without `..`."""
    return is_text(value) and not str(value).startswith("/") and ".." not in str(value).split("/")


def is_file_name(value: object) -> bool:
    """True for letters, digits, dots and dashes that name a file in any folder."""
    return isinstance(value, str) and re.fullmatch(r"\w[\w.-]{0,99}", value) is not None


def is_model_name(value: object) -> bool:
    """True for the form of timm's own names: no address, from which timm would load weights."""
    return isinstance(value, str) and bool(re.fullmatch(r"\w{1,100}(\.\w{1,100})?", value, re.A))
