"""A search as its user sees it: a line a trial, the best ones, and what came of it."""

import math
from collections.abc import Sequence
from typing import Final

from kit.metrics.metric import MetricName
from kit.scoring.bootstrap import say_interval, show_interval
from kit.system.console import duration, say, show_table
from kit.tuning.space import show_settings
from kit.tuning.study import DONE, FAILED, PRUNED, Confirmation, Study, Trial

_SHOWN: Final = 5  # trials in the table


def say_folds(folds: Sequence[int]) -> str:
    """Folds in words: `fold 0`, or `folds 1, 2, 3`."""
    return f"fold{'s'[: len(folds) != 1]} {', '.join(map(str, folds))}"


def say_trial(study: Study, trial: Trial, metric: MetricName) -> None:
    """Print the line of a trial that has ended."""
    settings = show_settings(trial.settings) + ", as it is" * (trial.number == 0)
    if trial.state == DONE:
        result = f"{metric.title} {trial.score:.4f}"
        result += "  best so far" * (study.best(metric.sign) is trial)
    else:
        note = trial.note.split("; ")[0]  # what to do about it is for a training
        result = f"failed ({note})" if trial.state == FAILED else f"pruned {note}"
    say(f"trial {trial.number:3d} of {study.number}  {settings}  {result}")


def say_time_left(study: Study, seconds: float, slots: int) -> None:
    """Print how long a search may go on, by the seconds of a round; `slots` train at once."""
    rounds = math.ceil((study.number - len(study.trials)) / study.round)
    rest = math.ceil(2 * len(study.confirm_folds) / slots)  # a variant, and the recipe as it is
    say(
        f"about {duration(seconds * rounds)} more for the trials, and "
        f"{duration(seconds / len(study.search_folds) * rest)} to confirm the best one"
    )


def show_result(study: Study, metric: MetricName, groups: str) -> None:
    """Print the best trials, and the best one against the recipe as it was."""
    best = sorted(study.done, key=lambda trial: -metric.sign * (trial.score or 0.0))[:_SHOWN]
    number = {state: sum(t.state == state for t in study.trials) for state in (PRUNED, FAILED)}
    ended = "".join(f", {count} {state}" for state, count in number.items() if count)
    show_table(
        f"The best of {len(study.trials)} trials on {say_folds(study.search_folds)}{ended}",
        ["trial", *study.trials[0].settings, metric.title],
        [[_label(t), *map(_value, t.settings.values()), f"{t.score:.4f}"] for t in best],
    )
    if len(study.trials) < study.number:
        say(f"these are all settings that there are; {study.number} trials were wanted")
    say_verdict(study, metric, groups)


def _label(trial: Trial) -> str:
    return str(trial.number) if trial.number else "as it is"


def _value(value: object) -> str:
    return f"{value:g}" if type(value) is float else str(value)


def say_verdict(study: Study, metric: MetricName, groups: str) -> None:
    """Print the confirmation, and whether to take the trial or to keep the recipe."""
    confirmed = study.confirmation
    if confirmed is None:
        where = say_folds(study.search_folds)
        say(f"keep what you have: no trial is better than the recipe on {where}", style="bold")
        return
    trial, recipe = study.trials[confirmed.trial], study.trials[0]
    before, after = confirmed.scores
    old, new = recipe.score or 0.0, trial.score or 0.0
    rows = [
        [
            say_folds(study.search_folds),
            f"{old:.4f}",
            f"{new:.4f}",
            f"{metric.sign * (new - old):+.4f}",
        ],
        [say_folds(study.confirm_folds), f"{before:.4f}", f"{after:.4f}", f"{confirmed.gain:+.4f}"],
    ]
    show_table(
        f"Trial {trial.number} against the recipe: where it was chosen, which flatters it, and "
        "where nothing was",
        [metric.title, "as it is", f"trial {trial.number}", "gain"],
        rows,
    )
    interval = say_interval(confirmed.interval, confirmed.groups, "+.4f", of=groups)
    say(f"gain {confirmed.gain:+.4f} by {groups}: {interval}, p {confirmed.p:.3g}")
    gains = " ".join(f"{gain:+.4f}" for gain in confirmed.folds)
    interval = show_interval(confirmed.folds_interval, "+.4f")
    say(f"gain by trainings: {gains}, 95 % interval of the mean {interval}")
    if confirmed.above_chance:
        say(f"take it: {show_settings(trial.settings)}", style="bold")
    else:
        say(f"keep what you have: {_doubt(confirmed, groups)}", style="bold")


def _doubt(confirmed: Confirmation, groups: str) -> str:
    """Why a trial is not to be taken."""
    gain = f"the gain of trial {confirmed.trial}"
    if confirmed.gain <= 0:
        return f"trial {confirmed.trial} is not better on folds that nothing was chosen on"
    if confirmed.interval is None:
        return f"too few {groups} tell whether trial {confirmed.trial} is better"
    if confirmed.interval[0] <= 0:
        return f"{gain} is not above chance"
    return f"{gain} is no larger than trainings of one recipe may differ"
