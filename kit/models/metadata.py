"""What a checkpoint says of itself, checked field by field: it may come from anywhere."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, Final

from kit.data.recorded import recorded_competition
from kit.recipe import CHOICES, WHOLE, Recipe
from kit.scoring.losses import LOSSES
from kit.system.errors import KitError
from kit.system.fields import Rule, is_file_name, is_text, is_whole_tuple
from kit.system.typed import is_plain, is_unicode

SELECTED: Final = ("last", "best", "soup")  # how an epoch was chosen, or that it is a mean
_MOST_SIZE: Final = 4096  # pixels of a side of a network's input, as a recipe takes it
_MOST_PIXELS: Final = 10**5  # and of a photo's
_MOST_PARAMETERS: Final = 10**12
_MOST_VALUE: Final = 1e3  # of a mean or a std: pixels are in 0..1


def recorded_recipe(record: Any) -> dict[str, Any]:
    """The recipe that `Recipe.describe` has recorded, completed.

    A field that the record lacks, because the kit did not know it then, has its default; one that
    this kit does not know stays, so that it is another recipe. Raises `ValueError` for values that
    no recipe may have.
    """
    if not isinstance(record, dict) or not is_plain(record):
        raise ValueError("its recipe is damaged: it is no object of plain values")
    names = [field.name for field in dataclasses.fields(Recipe)]
    values: dict[str, Any] = {
        name: tuple(v) if isinstance(v, list) else v for name, v in record.items() if name in names
    }
    code = values.pop("augment", None)
    if code is not None and not isinstance(code, str):
        raise ValueError("its recipe is damaged: augment is no text")
    try:
        described = Recipe(**values).describe()
    except (TypeError, KitError) as error:
        raise ValueError(f"its recipe is damaged ({str(error)[:300]})") from error
    unknown = {name: value for name, value in record.items() if name not in names}
    return described | {"augment": code} | unknown


def with_defaults(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe as described, with the defaults of fields that it lacks."""
    fields = {field.name: field.default for field in dataclasses.fields(Recipe)}
    known = {n: default for n, default in fields.items() if default is not dataclasses.MISSING}
    return known | dict(recipe)


def metadata_rules(info: Any) -> Iterator[Rule]:
    """The rules of the fields of a `CheckpointInfo`, whose recipe is a `recorded_recipe`.

    Raises `ValueError` for a competition that no definition could say.
    """
    recipe, competition = info.recipe, recorded_competition(info.competition)
    yield "model", info.model == recipe["model"], f"its recipe's, {recipe['model']}"
    yield "head", info.head in CHOICES["head"] and info.head == recipe["head"], "its recipe's"
    yield "cosine", info.cosine == LOSSES[recipe["loss"]].cosine, "as its recipe's loss has it"
    for name, most in (("crop", _MOST_PIXELS), ("frame", _MOST_PIXELS), ("size", _MOST_SIZE)):
        good = is_whole_tuple(getattr(info, name), 1, most)
        yield name, good, f"a pair (height, width) of pixels up to {most}"
    inside = info.crop[0] <= info.frame[0] and info.crop[1] <= info.frame[1]
    yield "crop", inside, f"within the frame {info.frame}"
    for name in ("mean", "std"):
        values, channels = getattr(info, name), competition.channels
        good = len(values) == channels and all(abs(v) <= _MOST_VALUE for v in values)
        yield name, good, f"{channels} numbers up to {_MOST_VALUE:g}, one a channel"
    yield "std", all(value > 1e-6 for value in info.std), "numbers above 0"
    for name, low, high in (
        ("fold", 0, 999),
        ("epoch", 1, WHOLE["epochs"][1]),
        ("parameters", 0, _MOST_PARAMETERS),
        ("limit", 0, 10**9),
    ):
        good = low <= getattr(info, name) <= high
        yield name, good, f"a whole number from {low} to {high}"
    yield "select", info.select in SELECTED, f"one of {', '.join(SELECTED)}"
    for name in ("plan", "kit"):
        yield name, is_file_name(getattr(info, name)), "of letters, digits, dots and dashes"


def check_versions(versions: Any) -> None:
    """Raise `ValueError` unless versions are short texts by short texts."""
    if not (
        isinstance(versions, dict)
        and all(is_text(name) and _is_version(text) for name, text in versions.items())
    ):
        raise ValueError("its versions are damaged")


def _is_version(value: object) -> bool:
    """True for the text of a version; that of a package that is not installed is empty."""
    return value == "" or is_text(value) and is_unicode(str(value)) and len(str(value)) <= 100
