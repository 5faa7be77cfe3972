"""Which columns of a table lead to photos, and by which template of a path.

A value leads to a photo if it is the photo's name, its name without the end, or a part of the name
up to `_`, as in `ID_red.png`. Folders on the way are texts, or other columns.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import pandas as pd

from kit.starting.look import PHOTOS

ENOUGH: Final = 0.9  # share of rows whose photo must be there
_ROWS: Final = 2000  # of a table that are looked at
_VARIETY: Final = 0.3  # different photos for each row, at least: a class is no name
_MANY: Final = 12  # photos that one value may lead to
_COLOURS: Final = ("red", "green", "blue", "yellow")


@dataclass(frozen=True)
class Lead:
    """Templates over a table's columns that lead from its rows to photos; several are channels.

    `share` is the share of rows whose photo is there. `others` are templates of other photos to
    which the rows lead as well.
    """

    column: str
    templates: tuple[str, ...]
    share: float
    others: tuple[str, ...] = ()

    def fill(self, table: pd.DataFrame) -> list[str]:
        """The first template's photos of a table's rows."""
        rows = table.to_dict("records")
        return [_plain(self.templates[0].format_map(row)) for row in rows]


@dataclass(frozen=True)
class PhotoIndex:
    """Photos by what a value may say of their names."""

    photos: tuple[str, ...]

    @cached_property
    def known(self) -> frozenset[str]:
        """All photos."""
        return frozenset(self.photos)

    @cached_property
    def whole(self) -> dict[str, list[str]]:
        """Photos by their names, with and without their ends."""
        table = defaultdict[str, list[str]](list)
        for photo in self.photos:
            name = photo.rpartition("/")[2]
            for key in {name, _stem(name)}:
                table[key].append(photo)
        return dict(table)

    @cached_property
    def parts(self) -> dict[str, list[str]]:
        """Photos by the parts of their names before or after a `_` or `-`."""
        table = defaultdict[str, list[str]](list)
        for photo in self.photos:
            stem = _stem(photo.rpartition("/")[2])
            cuts = [n for n, letter in enumerate(stem) if letter in "_-"]
            for key in {stem[:cut] for cut in cuts[-1:]} | {stem[cut + 1 :] for cut in cuts}:
                table[key].append(photo)
        return dict(table)


@dataclass(frozen=True)
class _Hit:
    """A photo that a row leads to: folders, and what stands before and after the value."""

    row: int
    folders: tuple[str, ...]
    before: str
    after: str


def find_leads(table: pd.DataFrame, index: PhotoIndex, word: str = "") -> list[Lead]:
    """The leads of a table, the best first; of equal ones that with `word` in its path."""
    rows = np.unique(np.linspace(0, len(table) - 1, _ROWS).astype(int))
    some = table.iloc[rows].reset_index(drop=True)
    leads = []
    for column in map(str, table.columns):
        values = [_plain(value) for value in some[column]]
        if len(set(values)) < 2 and len(values) > 1:
            continue
        for names in (index.whole, index.parts):
            found = _lead(some, column, _hits(values, names), word)
            if found is not None and _variety(found, some) > _VARIETY:
                leads.append(found)
                break
    return sorted(leads, key=lambda lead: (-round(_variety(lead, some), 1), -lead.share))


def scattered(table: pd.DataFrame, index: PhotoIndex) -> list[str]:
    """The folders of a table's photos, where a column names photos and no template leads to them.

    Empty if no column does.
    """
    for column in map(str, table.columns):
        hits = _hits([_plain(value) for value in table[column]], index.whole)
        if len({hit.row for hit in hits}) >= ENOUGH * len(table) <= len(set(table[column])):
            return sorted({"/".join(hit.folders) for hit in hits})
    return []


def _variety(lead: Lead, table: pd.DataFrame) -> float:
    """The number of different photos for each row of a table."""
    return len(set(lead.fill(table))) / len(table)


def _stem(name: str) -> str:
    """A name without its end."""
    return name.rpartition(".")[0] or name


def _plain(path: str) -> str:
    """A path without `./` or `/` at its start."""
    return re.sub(r"^(\./|/)+", "", path)


def _hits(values: Sequence[str], names: dict[str, list[str]]) -> list[_Hit]:
    """The photos that values lead to."""
    hits = []
    for row, value in enumerate(values):
        name = value.rpartition("/")[2]
        photos = names.get(name) or names.get(_stem(name), [])
        for photo in photos if value and len(photos) <= _MANY else []:
            at = photo.rfind(value)
            if at >= 0 and (at == 0 or photo[at - 1] in "/_-"):
                folders, _, before = photo[:at].rpartition("/")
                parts = tuple(folders.split("/")) if folders else ()
                hits.append(_Hit(row, parts, before, photo[at + len(value) :]))
    return hits


def _lead(table: pd.DataFrame, column: str, hits: list[_Hit], word: str) -> Lead | None:
    """The best lead of a column by its hits, if there is one."""
    kinds = defaultdict[tuple[int, str, str], list[_Hit]](list)
    for hit in hits:
        if "/" not in hit.after:
            kinds[len(hit.folders), hit.before, hit.after].append(hit)
    found: list[tuple[float, str, str, str]] = []
    for (_, before, after), some in kinds.items():
        for folders, share in _folders(table, column, some):
            found.append((share, folders, before, after))
    found = [item for item in found if item[0] >= ENOUGH]
    if not found:
        return None

    def rank(item: tuple[float, str, str, str]) -> tuple[object, ...]:
        share, folders, before, after = item
        end = after or "." + column
        plain = PHOTOS.index(end) if end in PHOTOS else len(PHOTOS)
        return (-round(share, 2), word not in folders.lower(), plain, len(folders), folders, before)

    share, folders, before, after = min(found, key=rank)
    ends = sorted({item[3] for item in found if item[1:3] == (folders, before)}, key=_colour)
    if len(ends) == 1 or re.fullmatch(r"\.\w+", after) or not after:
        ends = [after]

    def template(folders: str, before: str, end: str) -> str:
        return f"{folders}/{before}{{{column}}}{end}" if folders else f"{before}{{{column}}}{end}"

    templates = tuple(template(folders, before, end) for end in ends)
    others = {template(*item[1:]) for item in found} - set(templates)
    return Lead(column, templates, share, tuple(sorted(others)))


def _folders(table: pd.DataFrame, column: str, hits: list[_Hit]) -> list[tuple[str, float]]:
    """Templates of folders that lead to hits of one form, each with the share of rows."""
    rows = len(table)
    by_place = defaultdict[tuple[str, ...], set[int]](set)
    for hit in hits:
        by_place[hit.folders].add(hit.row)
    plain = [("/".join(p), len(r) / rows) for p, r in by_place.items() if len(r) >= ENOUGH * rows]
    if plain or not hits[0].folders:
        return plain
    others = [str(name) for name in table if name != column and table[name].nunique() > 1]
    parts = []
    for level in range(len(hits[0].folders)):
        texts = {hit.folders[level] for hit in hits}
        if len(texts) == 1:
            parts.append(texts.pop())
            continue
        scores = {
            name: len({h.row for h in hits if table[name].iat[h.row] == h.folders[level]}) / rows
            for name in others
        }
        name = max(scores, key=scores.__getitem__, default="")
        if not name or scores[name] < ENOUGH:
            return []
        parts.append(f"{{{name}}}")
        hits = [h for h in hits if table[name].iat[h.row] == h.folders[level]]
    return [("/".join(parts), len({hit.row for hit in hits}) / rows)]


def _colour(end: str) -> tuple[int, str]:
    """The place of a file's end among channels: colours in their usual order, then by name."""
    return next((n for n, c in enumerate(_COLOURS) if c in end.lower()), len(_COLOURS)), end
