"""The record of a search, `tune.json`: what was asked, every trial, and what came of it."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kit.models.metadata import with_defaults
from kit.scoring.bootstrap import Interval
from kit.system.disk import read_json, write_json
from kit.system.errors import problem
from kit.system.typed import from_json
from kit.tuning.space import Settings

Curves = tuple[tuple[float, ...], ...]  # of each fold that was begun, the score of each epoch

ASKED, DONE, PRUNED, FAILED = "asked", "done", "pruned", "failed"  # a trial's states
_ANEW: Final = "search under another name with --out, or anew with --force"


@dataclass(frozen=True)
class Trial:
    """One variant of the recipe, trained on the search folds; number 0 is the recipe as it was.

    `curves` has for each search fold that was begun the score of each epoch, and `score` is that of
    the kept epochs, pooled; None unless the trial is done. `note` says why it is not.
    """

    number: int
    settings: Settings
    state: str = ASKED
    score: float | None = None
    curves: Curves = ()
    note: str = ""


@dataclass(frozen=True)
class Confirmation:
    """A trial against the recipe as it was, on the folds that nothing was chosen on.

    `scores` are the recipe's and the trial's. `gain` is positive where the trial is better,
    `interval` is its 95 % one by drawing groups, of which there are `groups` effective ones; `p` is
    that of a paired permutation test. `folds` are the gains of single folds, and `folds_interval`
    is the 95 % one of their mean.
    """

    trial: int
    scores: tuple[float, float]
    gain: float
    interval: Interval | None
    groups: float
    p: float
    folds: tuple[float, ...]
    folds_interval: Interval | None

    @property
    def above_chance(self) -> bool:
        """True if the gain is above what other photos, and other trainings, make by chance.

        Drawn groups tell of other photos alone: two trainings of one recipe differ, and with many
        photos clearly. How much a gain varies from training to training shows in the folds' gains.
        """
        both = (self.interval, self.folds_interval)
        return all(interval is not None and interval[0] > 0 for interval in both)


@dataclass(frozen=True, kw_only=True)
class Study:
    """A search: what was asked, its trials in order, and its confirmation.

    `recipe` is as described, `plan` the fold plan's hash, `space` the varied fields as text. Trials
    are asked in rounds of `round`, each of which knows the results of those before. `number` is how
    many trials are wanted. `replaces` is True if its results may replace earlier ones, and
    `published` once they are in their places.
    """

    name: str
    recipe: dict[str, Any]
    plan: str
    metric: str
    space: tuple[str, ...]
    search_folds: tuple[int, ...]
    confirm_folds: tuple[int, ...]
    number: int
    round: int
    seed: int
    prune: bool
    replaces: bool = False
    trials: tuple[Trial, ...] = ()
    confirmation: Confirmation | None = None
    published: bool = False

    @property
    def asked(self) -> list[Trial]:
        """The trials of the round under way that have not ended."""
        return [trial for trial in self.trials if trial.state == ASKED]

    @property
    def done(self) -> list[Trial]:
        """The trials that were trained to their end."""
        return [trial for trial in self.trials if trial.state == DONE]

    def before_round(self, number: int) -> Sequence[Trial]:
        """The trials of the rounds before the one of a trial."""
        return self.trials[: number // self.round * self.round]

    def best(self, sign: int) -> Trial:
        """The trial of the best score on the search folds, the first of equals."""
        return max(self.done, key=lambda trial: sign * (trial.score or 0.0))

    def ended(self, *trials: Trial) -> "Study":
        """The study with trials in place of those of the same numbers."""
        changed = {trial.number: trial for trial in trials}
        now = tuple(changed.get(trial.number, trial) for trial in self.trials)
        return dataclasses.replace(self, trials=now)


def study_path(folder: Path) -> Path:
    """The record of a study in its folder."""
    return folder / "tune.json"


def write_study(folder: Path, study: Study) -> None:
    """Write a study's record, in place of the one before."""
    write_json(study_path(folder), dataclasses.asdict(study), force=True)


def read_study(folder: Path) -> Study:
    """The study of a folder; raises `KitError` for a record that is damaged."""
    path = study_path(folder)
    content = read_json(path, f"put a copy back, or {_ANEW}")
    try:
        study = from_json(Study, content)
        _check(study)
    except ValueError as error:
        what = f"is no record of a search ({type(error).__name__}: {str(error)[:120]})"
        raise problem(path, what, remedy=_ANEW) from error
    return study


def _check(study: Study) -> None:
    """Raise `ValueError` for a study whose values are at odds."""
    numbers = [trial.number for trial in study.trials]
    if numbers != list(range(len(numbers))) or study.round < 1 or study.seed < 0:
        raise ValueError("its trials are not in order")
    if study.confirmation is not None and study.confirmation.trial not in numbers:
        raise ValueError("it confirms no trial of its own")
    for trial in study.trials:
        if trial.state not in (ASKED, DONE, PRUNED, FAILED):
            raise ValueError(f"trial {trial.number} is {trial.state!r:.60}")
        if (trial.state == DONE) != (trial.score is not None):
            said = f"{trial.state} with the score {trial.score!r}"
            raise ValueError(f"trial {trial.number} is {said}")


def check_same(folder: Path, before: Study, now: Study) -> None:
    """Raise `KitError` unless a study goes on as it was asked, naming what differs.

    The number of trials may change until the winner is confirmed: whoever has seen that would
    otherwise search until chance says yes.
    """
    # A run of the name is written, and one before it removed.
    fields = ["name", "recipe", "plan", "metric", "space", "search_folds", "confirm_folds"]
    fields += ["seed", "prune"]
    if before.confirmation is not None:
        fields.append("number")
    names = {"number": "--trials", "space": "--vary", "search_folds": "--search-folds"}
    lines = []
    for field in fields:
        old, new = getattr(before, field), getattr(now, field)
        if field == "recipe":
            old, new = with_defaults(old), with_defaults(new)
            changed = [key for key in old | new if old.get(key) != new.get(key)]
            lines += [f"{key} was {old.get(key)!r}, is {new.get(key)!r}"[:150] for key in changed]
        elif old != new and field == "plan":
            lines.append("the fold plan was another")
        elif old != new:
            lines.append(f"{names.get(field, field)} was {_words(old)}, is {_words(new)}")
    if lines:
        what = f"is another search: {lines[0]}"
        raise problem(study_path(folder), what, lines[1:], _ANEW)


def _words(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
