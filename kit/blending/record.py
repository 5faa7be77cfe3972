"""The record of a submission: the `.json` beside it, from which it can be made again."""

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np

from kit.blending.choices import BLENDS
from kit.blending.oof_score import RECORD_ERRORS, OofScore, plain, read_oof_score
from kit.blending.rule import Rule
from kit.blending.settings import EnsembleSettings
from kit.inference.runtime import InferenceMode, read_mode
from kit.system.disk import near, read_json
from kit.system.errors import problem
from kit.system.typed import from_json, value_of


@dataclass(frozen=True)
class MemberFile:
    """A file of a member: its path relative to the record's folder, and its SHA-256.

    A checkpoint has a fold, the way its epoch was chosen, and its score on the fold.
    """

    path: str
    sha256: str
    fold: int | None = None
    epoch: int = 0
    select: str = ""
    chosen_on_fold: bool = False
    score: float = 0.0

    def describe(self) -> dict[str, Any]:
        """The file as JSON has it; a file of probabilities has two values alone."""
        values = dataclasses.asdict(self)
        return values if self.fold is not None else {"path": self.path, "sha256": self.sha256}


@dataclass(frozen=True)
class MemberRecord:
    """A member: its weight, its files, and its networks' weights and GFLOP a photo."""

    name: str
    weight: float
    files: tuple[MemberFile, ...]
    parameters: int
    gflop: float

    @property
    def folds(self) -> int:
        """How many of its files are checkpoints."""
        return sum(file.fold is not None for file in self.files)

    def describe(self) -> dict[str, Any]:
        """The member as JSON has it."""
        return vars(self) | {"files": [file.describe() for file in self.files]}


@dataclass(frozen=True)
class CloseCallsRecord:
    """The close calls: how many photos were run again in fp32, and what that proves.

    `drawn` of them were drawn at random. `changed` got another class, and `error` is the largest
    rounding error found. With `confidence` at most a `share` of all photos have a larger one than
    those drawn.
    """

    photos: int
    drawn: int
    changed: int
    error: float
    confidence: float
    share: float
    passes_computed: float


@dataclass(frozen=True)
class AgreeRecord:
    """Margins fitted to a sample, for a share of photos that must have the full run's class."""

    share: float
    sample: int
    fitted_on: int
    tested_on: int
    differ: int
    allowed: int
    margins: tuple[float, ...]


@dataclass(frozen=True)
class EarlyRecord:
    """The share of passes that deciding early saved, and how many photos each pass decided."""

    saved: float
    decided_after: tuple[int, ...]
    agree: AgreeRecord | None = None


@dataclass(frozen=True, kw_only=True)
class Record:
    """The members and the rule of a submission, and its out-of-fold score.

    `used` is the blend that was used, `plan` the hash of the fold plan, or empty; `temperature` to
    `clip` are those of its `Rule`. What follows
    `oof` is known when the photos are classified: `counts` (C,) are the photos of each class,
    `views` the seconds of each view, `passes` the networks' passes, of which `passes_computed` ran.
    `sha256` is the submission's; `remade_by` is the command line that has made it again, and
    `remade_as` says how it equals the first one.
    """

    kit: str
    command: str
    settings: EnsembleSettings
    used: str
    plan: str
    versions: dict[str, str]
    batch_size: int | None
    modes: dict[str, InferenceMode]
    temperature: float
    biases: tuple[float, ...]
    several: bool
    cuts: tuple[float, ...]
    clip: float
    members: tuple[MemberRecord, ...]
    oof: OofScore | None
    photos: int = 0
    views: dict[str, float] = dataclasses.field(default_factory=dict)
    passes: int = 0
    passes_computed: float = 0
    early: EarlyRecord | None = None
    close: CloseCallsRecord | None = None
    counts: tuple[int, ...] = ()
    seconds: float = 0.0
    sha256: str = ""
    remade_by: str = ""
    remade_as: str = ""

    @property
    def rule(self) -> Rule:
        """The rule by which members' probabilities became classes."""
        weights = np.array([member.weight for member in self.members])
        biases, cuts = (np.array(part, dtype=np.float64) for part in (self.biases, self.cuts))
        rule = Rule(self.used, weights, self.temperature, biases, self.several)
        return dataclasses.replace(rule, cuts=cuts if self.cuts else None, clip=self.clip)

    def describe(self) -> dict[str, Any]:
        """The record as JSON has it; what does not apply is left out."""
        early = dataclasses.asdict(self.early) if self.early is not None else {}
        close = dataclasses.asdict(self.close) if self.close is not None else None
        values = vars(self) | {
            "settings": self.settings.describe() | {"used": self.used},
            "modes": {name: mode.describe() for name, mode in self.modes.items()},
            "members": [member.describe() for member in self.members],
            "oof": self.oof.describe() if self.oof is not None else None,
        }
        remade = {"remade_by": self.remade_by, "remade_as": self.remade_as}
        optional = early | {"close": close, "sha256": self.sha256} | remade
        always = {name: v for name, v in values.items() if name not in ("used", "early", *optional)}
        return dict(
            plain(always | {name: v for name, v in optional.items() if v not in (None, "")})
        )

    @staticmethod
    def read(path: Path) -> "Record":
        """Read and check the record of a submission; raises `KitError` for anything else."""
        remedy = "name the .json beside a submission that kit.ensemble has written"
        if not path.is_file():
            raise problem(path, f"there is no such file{near(path)}", remedy=remedy)
        if path.suffix == ".csv":
            raise problem(path, "is a table, and no record", remedy=remedy)
        content = read_json(path, "put a copy back, or make the submission again from its members")
        try:
            record = _read_record(content)
            _check(record)
        except RECORD_ERRORS as error:
            what = f"is no record of a submission ({type(error).__name__}: {error})"
            raise problem(path, what, remedy=remedy) from error
        return record


def _read_record(content: Mapping[str, Any]) -> Record:
    """The record that `Record.describe` has described."""
    settings = {name: value for name, value in content["settings"].items() if name != "used"}
    hints: Mapping[str, Any] = get_type_hints(Record)
    oof, early = content["oof"], {name: content.get(name) for name in ("saved", "decided_after")}
    values = {
        "used": value_of(str, content["settings"]["used"], "used"),
        "modes": {str(name): read_mode(mode) for name, mode in content["modes"].items()},
        "oof": None if oof is None else read_oof_score(oof),
        "early": None,
    }
    if "saved" in content:
        values["early"] = from_json(EarlyRecord, early | {"agree": content.get("agree")})
    given = dict(content) | {"settings": settings}
    return Record(
        **values
        | {
            name: value_of(hints[name], value, name)
            for name, value in given.items()
            if name in hints and name not in values
        }
    )


def _check(record: Record) -> None:
    """Raise `ValueError` for a record that cannot be made again or shown."""
    rule, size = record.rule, record.batch_size
    if size is not None and size < 1:
        raise ValueError("its batch size is damaged")
    whole = (
        rule.blend in BLENDS
        and rule.biases.shape == (len(record.counts),)
        and np.isfinite([*rule.biases, *record.cuts]).all()
        and bool(np.isclose(rule.weights.sum(), 1))
        and (rule.weights >= 0).all()
        and 0 < rule.temperature < np.inf
        and 0 <= rule.clip < 0.5
        and len(record.cuts) in (0, len(record.biases) - 1)
        and re.fullmatch("[0-9a-f]{64}", record.sha256)
    )
    files = [file for member in record.members for file in member.files]
    if not whole or not all(member.files for member in record.members):
        raise ValueError("its rule is damaged")
    named = all(member.name for member in record.members)
    if not named or any(f.path.startswith("/") or "\0" in f.path for f in files):
        raise ValueError("its members are damaged")
    oof = record.oof
    if oof is not None and (
        oof.photos < 1
        or len(oof.members) != len(record.members)
        or {len(oof.classes), len(oof.true_counts), len(oof.predicted_counts)} != {len(rule.biases)}
    ):
        raise ValueError("its out-of-fold score is damaged")
