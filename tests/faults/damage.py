"""Files of the kit with bits flipped, cut short, grown, or swapped with another of their kind.

Either the command that reads the file ends with one line that names it, changes nothing, and what
the line says to do brings the undisturbed results; or they come at once, as the file is made again.
"""

import io
import random
import re
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import pandas as pd

from faults.commands import World
from faults.damage_cases import DELETE, RESTORE, Case, cases_of
from faults.digests import differences, digest, leftovers
from faults.forked import Ended, run_forked
from faults.trials import Trial, random_of

# Probabilities kept from before are no results: who loses them computes them again.
_KEPT: Final = re.compile(r".*/(probs|part|few|oof)-[^/]*[.]npz")
_ANEW: Final = (
    "again.json",
    "submissions/mine.json",
    "submissions/blend.json",
    "submissions/leaderboard.csv",
    "runs/tune/weak_tuned/tune.json",
)
# The remedy is tried in each so many-th trial of a case: most are a training.
_MENDED: Final = 4
_references: dict[tuple[Path, str], dict[str, str]] = {}
Damage = Callable[[bytes, random.Random], bytes]


def cases(world: World) -> Sequence[str]:
    """The kinds of files, each with a command that reads it."""
    return list(cases_of(world))


def trial(world: World, case: str, number: int, seed: int, place: Path) -> Trial:
    """Damage a file, run the command, do what its error says, and compare."""
    rng, started, row = (
        random_of("damage", case, number, seed),
        time.monotonic(),
        cases_of(world)[case],
    )
    reference = undisturbed(world, case, place.with_name("undisturbed"))
    _restore(world, row, place)
    file = rng.choice(sorted(place.glob(row.files)))
    whole = file.read_bytes()
    content, note = damaged(row, file, place, rng)
    file.write_bytes(content)
    note = f"{file.relative_to(place)} {note}"
    damaged_place = digest(place)
    ended = run_forked(row.words, place)
    losses, silent, told = [], [], file.name in ended.output
    if ended.code == 2 and not ended.traceback and len(ended.errors) == 1:
        losses += [] if said(ended, file) else [f"not named, or no remedy: {ended.errors[0]}"]
        now = digest(place)
        changes = [n for n in now | damaged_place if now.get(n) != damaged_place.get(n)]
        # An error of one fold does not end the others, whose results are as they should be.
        wrong = [name for name in changes if now.get(name) != reference.get(name)]
        losses += [f"after an error {name} differs" for name in wrong]
        if not number % _MENDED:
            gone = _mend(world, row, place, file, whole)
            again = run_forked(row.words, place)
            lost = differences(_results(reference, gone), _results(digest(place), gone))
            losses += [f"after the remedy {line}" for line in lost]
            if again.code:
                losses.append(f"after the remedy it ended with {again.code}: {again.output[-500:]}")
        losses += [f"{ended.errors[0]}"] if losses else []
    elif ended.code or ended.traceback:
        losses.append(f"it ended with {ended.code}: {ended.output[-800:]}")
    elif not (row.told and told):
        silent = differences(_results(reference, row.hashed), _results(digest(place), row.hashed))
        silent += [ended.output[-800:]] if silent else []
    seconds, left = time.monotonic() - started, leftovers(place)
    met = bool(ended.code) or told and "warning" in ended.output
    return Trial(
        "damage", case, number, tuple(losses), tuple(silent), tuple(left), seconds, note, met
    )


def said(ended: Ended, file: Path) -> bool:
    """True if the error names a damaged file, or its folder, and what to do."""
    (line,) = ended.errors
    place, _, remedy = line.partition("; ")
    return bool(remedy) and any(name in place for name in (file.name, file.parent.name + ":"))


def undisturbed(world: World, case: str, place: Path) -> dict[str, str]:
    """The digest after the command of a case on files that are whole, in a folder for that."""
    row, key = cases_of(world)[case], (world.root, case)
    if row.before and world.argv(row.before) == row.words:
        return world.after[row.before]
    if key not in _references:
        _restore(world, row, place)
        ended = run_forked(row.words, place)
        if ended.code:
            raise RuntimeError(f"{case}: {ended.output}")
        _references[key] = digest(place)
        shutil.rmtree(place)
    return _references[key]


def _restore(world: World, row: Case, place: Path) -> None:
    """The working folder before the command of a case, or the one after all commands."""
    if row.before:
        world.restore(row.before, place)
        return
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(world.root / "work", place, symlinks=True)


def damaged(row: Case, file: Path, place: Path, rng: random.Random) -> tuple[bytes, str]:
    """The damaged bytes of a file, and the damage in words."""
    whole = file.read_bytes()
    others = (
        [o for o in sorted(place.glob(row.others)) if o.read_bytes() != whole] if row.others else []
    )
    kinds = ["cells", "cells", "cut", "empty", "grown"] if row.columns else list(_DAMAGES)
    how = rng.choice([*kinds, *["swap"] * (2 if others else 0)])
    if how == "swap":
        other = rng.choice(others)
        return other.read_bytes(), f"is {other.relative_to(place)}"
    while True:
        if how == "cells":
            content = _cells(whole, row.columns, rng)
        else:
            content = _DAMAGES[how](whole, rng)
        if content != whole:
            changed = next(
                (n for n, (a, b) in enumerate(zip(whole, content)) if a != b), len(content)
            )
            return content, f"{how} at {changed} of {len(whole)}"


def _flip(whole: bytes, rng: random.Random) -> bytes:
    content = bytearray(whole)
    content[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
    return bytes(content)


def _garble(whole: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(whole))
    return whole[:start] + rng.randbytes(rng.randint(1, 64)) + whole[start + 64 :]


def _head(whole: bytes, rng: random.Random) -> bytes:
    """A flip among the first bytes, where headers are."""
    return _flip(whole[:600], rng) + whole[600:]


def _digit(whole: bytes, rng: random.Random) -> bytes:
    """Another digit in place of a digit, as a table or JSON has them."""
    places = [n for n, byte in enumerate(whole[:20_000]) if chr(byte).isdigit()]
    if not places:
        return _flip(whole, rng)
    content = bytearray(whole)
    content[rng.choice(places)] = ord(rng.choice("0123456789"))
    return bytes(content)


_DAMAGES: Final[dict[str, Damage]] = {
    "flip": _flip,
    "header flip": _head,
    "digit": _digit,
    "garbage": _garble,
    "cut": lambda whole, rng: whole[: rng.randrange(len(whole))],
    "empty": lambda whole, rng: b"",
    "grown": lambda whole, rng: whole + rng.randbytes(rng.randint(1, 1000)),
}


def _cells(whole: bytes, columns: Sequence[str], rng: random.Random) -> bytes:
    """A table with another letter or digit in a cell of `columns`."""
    table = pd.read_csv(io.BytesIO(whole), dtype=str, keep_default_na=False)
    column, n = rng.choice(columns), rng.randrange(len(table))
    cell = table.loc[n, column]
    if cell:
        at = rng.randrange(min(len(cell), 6))  # a later digit is one that a spreadsheet rounds
        other = rng.choice("0123456789" if cell[at].isdigit() else "abcdef")
        table.loc[n, column] = cell[:at] + other + cell[at + 1 :]
    return table.to_csv(index=False, lineterminator="\n").encode()


def _mend(world: World, row: Case, place: Path, file: Path, whole: bytes) -> Sequence[str]:
    """Do what the error says; the files that are gone by it, or are not as before."""
    if row.remedy == RESTORE:
        file.write_bytes(whole)
    elif row.remedy == DELETE:
        file.unlink()
        return [str(file.relative_to(place))]
    elif not isinstance(row.remedy, str):
        for words in row.remedy(world, place, file):
            ended = run_forked(words, place)
            if ended.code:
                raise RuntimeError(f"{words}: {ended.output}")
        # These say that they replace others, or come in another order.
        return _ANEW
    return []


def _results(made: dict[str, str], gone: Sequence[str] = ()) -> dict[str, str]:
    return {n: v for n, v in made.items() if n not in gone and not _KEPT.fullmatch(n)}
