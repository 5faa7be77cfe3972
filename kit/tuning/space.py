"""The fields of a recipe that are varied, and over what: choices, or a range of numbers."""

import dataclasses
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, get_args

import numpy as np

from kit.competition import Competition
from kit.recipe import CHOICES, Recipe
from kit.system.errors import KitError, did_you_mean
from kit.training.checks import check_recipe

Settings = dict[str, Any]  # the value of each varied field

_FORMS: Final = "write lr=1e-4..1e-3:log, or drop_rate=0,.2,.4"
_WORDS: Final = {"true": True, "false": False, "none": None}
_DIGITS: Final = 3  # of a drawn number: more would decide nothing, and nobody could read them
_FIXED: Final = {
    "name": "the result is named by --out",
    "seed": "it is luck, which no search should pick",
} | dict.fromkeys(
    ("select", "monitor", "patience"),
    "it chooses the epoch by the photos that are scored, and would look better than it is",
)


@dataclass(frozen=True)
class Varied:
    """A field that is varied: one of `choices`, or a number from `low` to `high`.

    Of a range of which both ends are whole, all numbers are. With `log` its logarithm is uniform.
    """

    field: str
    choices: tuple[Any, ...] = ()
    low: float = 0
    high: float = 0
    log: bool = False

    @property
    def whole(self) -> bool:
        """True of a range of whole numbers."""
        return not self.choices and type(self.low) is int and type(self.high) is int

    @property
    def ends(self) -> tuple[Any, ...]:
        """The values that must make a valid recipe: the choices, or both ends."""
        return self.choices or (self.low, self.high)

    def has(self, value: Any) -> bool:
        """True if the field may be drawn to be a value."""
        if self.choices:
            return value in self.choices
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return number and self.low <= value <= self.high

    def rounded(self, value: Any) -> Any:
        """A drawn value as a recipe takes it: of a range of floats to three digits."""
        if self.choices or self.whole:
            return value
        return min(max(float(f"{value:.{_DIGITS}g}"), self.low), self.high)

    def draw(self, rng: np.random.Generator) -> Any:
        """A random value."""
        if self.choices:
            return self.choices[rng.integers(len(self.choices))]
        low, high = (math.log(end) if self.log else end for end in (self.low, self.high))
        value = float(rng.uniform(low, high + (self.whole and not self.log)))
        value = math.exp(value) if self.log else value
        if self.whole:
            return int(min(round(value) if self.log else math.floor(value), self.high))
        return self.rounded(value)

    def __str__(self) -> str:
        if self.choices:
            words = {repr(value): word for word, value in _WORDS.items()}
            values = (words.get(repr(value), str(value)) for value in self.choices)
            return f"{self.field}={','.join(values)}"
        return f"{self.field}={self.low}..{self.high}" + ":log" * self.log


@dataclass(frozen=True)
class Space:
    """The variants of a `recipe` over its `varied` fields."""

    recipe: Recipe
    varied: tuple[Varied, ...]

    @property
    def settings(self) -> Settings:
        """The recipe's own values of the varied fields."""
        return {one.field: getattr(self.recipe, one.field) for one in self.varied}

    def has(self, settings: Settings) -> bool:
        """True if settings lie in the space, as the recipe's own need not."""
        return all(one.has(settings[one.field]) for one in self.varied)

    def variant(self, name: str, settings: Settings) -> Recipe:
        """The recipe with settings and another name; raises `KitError` where they do not agree."""
        return dataclasses.replace(self.recipe, name=name, **settings)

    def suits(self, settings: Settings) -> bool:
        """True if settings suit each other: the fields of a recipe have rules."""
        try:
            self.variant(self.recipe.name, settings)
        except KitError:
            return False
        return True

    @property
    def idle(self) -> list[str]:
        """A sentence for each varied field that changes nothing beside the recipe's others."""
        known = set(self.recipe.idle)
        variants = (
            self.variant(self.recipe.name, {one.field: one.ends[-1]}) for one in self.varied
        )
        return [line for variant in variants for line in variant.idle if line not in known]

    def draw(self, rng: np.random.Generator) -> Settings:
        """Random settings."""
        return {one.field: one.draw(rng) for one in self.varied}

    def rounded(self, settings: Settings) -> Settings:
        """Settings as a recipe takes them."""
        return {one.field: one.rounded(settings[one.field]) for one in self.varied}


def read_space(texts: Sequence[str], recipe: Recipe, competition: Competition) -> Space:
    """The space that the texts of `--vary` describe.

    Raises `KitError` for an unknown field, for one named twice, and for a choice or an end that a
    recipe or the competition does not take.
    """
    space = Space(recipe, tuple(_read_varied(text, recipe) for text in texts))
    fields = [one.field for one in space.varied]
    for text, one in zip(texts, space.varied):
        if fields.count(one.field) > 1:
            raise KitError(f"--vary {text}: {one.field} is varied twice; join both into one")
        for value in one.ends:
            try:
                check_recipe(space.variant(recipe.name, {one.field: value}), competition)
            except KitError as error:
                raise KitError(f"--vary {text}: {error}") from error
    return space


def _read_varied(text: str, recipe: Recipe) -> Varied:
    """One `--vary`: `lr=1e-4..1e-3:log`, or `drop_rate=0,.2,.4`."""
    field, equals, values = (part.strip() for part in text.partition("="))
    types = {f.name: f.type for f in dataclasses.fields(recipe)}
    if not equals or not values:
        raise KitError(f"--vary {text}: names no values; {_FORMS}")
    if field not in types:
        hint = did_you_mean(field, list(types))
        raise KitError(
            f"--vary {text}: a recipe has no field {field!r}{hint}; kit/recipe.py has them all"
        )
    if field in _FIXED:
        raise KitError(
            f"--vary {text}: {field} cannot be varied, for {_FIXED[field]}; leave it out"
        )
    if ".." in values:
        kinds = (types[field], *get_args(types[field]))
        return _read_range(text, field, values, whole=int in kinds)
    names = CHOICES.get(field, ())  # of a field such as `mix`, "none" is a name
    words = [value.strip() for value in values.split(",")]
    choices = tuple(word if word in names else _read_value(word) for word in words)
    if len(choices) < 2 or len(set(map(repr, choices))) < len(choices):
        raise KitError(f"--vary {text}: needs two choices or more, all different; {_FORMS}")
    return Varied(field, choices)


def _read_range(text: str, field: str, values: str, whole: bool) -> Varied:
    """A range `low..high`, with `:log` behind it where its logarithm is uniform."""
    ends, colon, scale = values.partition(":")
    low, high = (_read_value(end.strip()) for end in ends.split("..", 1))
    numbers = all(type(end) in (int, float) and math.isfinite(end) for end in (low, high))
    if not numbers or (colon and scale != "log"):
        raise KitError(f"--vary {text}: is no range of numbers; {_FORMS}")
    if low >= high:
        raise KitError(f"--vary {text}: is no range; let the first number be below the second")
    if colon and low <= 0:
        raise KitError(
            f"--vary {text}: a logarithm needs numbers above 0; leave :log out, or raise the first"
        )
    if not whole:
        low, high = float(low), float(high)
    return Varied(field, low=low, high=high, log=bool(colon))


def _read_value(text: str) -> Any:
    """A value as it is typed: a whole number, a number, true, false, none, or a word."""
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if re.fullmatch(r"[+-]?\d+", text):
        return int(text)
    try:
        return float(text)
    except ValueError:
        return text


def show_settings(settings: Settings) -> str:
    """Settings in one line, as a recipe has them."""
    return ", ".join(f"{field}={value!r}" for field, value in settings.items())
