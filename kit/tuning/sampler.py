"""The next settings to try: Optuna's TPE sampler, asked anew for each trial."""

import importlib
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from kit.system.errors import KitError
from kit.tuning.space import Settings, Space, Varied
from kit.tuning.study import DONE, PRUNED, Trial

_TRIES: Final = 1000  # random draws for settings that were not tried, before all count as tried


def load_optuna() -> Any:
    """The package optuna, quiet; raises `KitError` where it is not installed."""
    try:
        optuna = importlib.import_module("optuna")  # here: it is optional, and slow to import
    except ImportError as error:
        raise KitError(
            f"kit.tune: optuna is not installed ({error}); pip install 'kfold-kit[tune]'"
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def propose(
    space: Space, seed: int, number: int, told: Sequence[Trial], known: Sequence[Trial], sign: int
) -> Settings | None:
    """The settings of a trial by its number, or None if all were tried.

    The first ten are random, the others by a tree-structured Parzen estimator (Bergstra et al.,
    Algorithms for hyper-parameter optimization, 2011) of the trials that are `told`. They differ
    from those of all `known` trials: training the same twice says nothing new. They depend on
    nothing else, so that a search that was killed goes on as if it had not been. More is better of
    a score times `sign`.
    """
    optuna = load_optuna()
    state = np.random.SeedSequence([seed, number]).generate_state(1)[0]
    sampler = optuna.samplers.TPESampler(seed=int(state))
    study = optuna.create_study(direction="maximize", sampler=sampler)
    distributions = {one.field: _distribution(optuna, one) for one in space.varied}
    for trial in told:
        # Of one that has failed nothing is known, and the recipe's own settings may lie outside.
        if trial.state in (DONE, PRUNED) and space.has(trial.settings):
            study.add_trial(_told(optuna, trial, distributions, sign))
    settings = space.rounded(dict(study.ask(fixed_distributions=distributions).params))
    tried = [trial.settings for trial in known]
    rng = np.random.default_rng([seed, number])
    for _ in range(_TRIES):
        if settings not in tried and space.suits(settings):
            return settings
        settings = space.draw(rng)
    return None


def _distribution(optuna: Any, one: Varied) -> Any:
    """A varied field as optuna has it."""
    if one.choices:
        return optuna.distributions.CategoricalDistribution(one.choices)
    kind = "IntDistribution" if one.whole else "FloatDistribution"
    return getattr(optuna.distributions, kind)(one.low, one.high, log=one.log)


def _told(optuna: Any, trial: Trial, distributions: dict[str, Any], sign: int) -> Any:
    """A trial as optuna has it; a pruned one counts by how far it came, and its score there."""
    values = [sign * value for curve in trial.curves for value in curve]
    states = optuna.trial.TrialState
    return optuna.trial.create_trial(
        state=states.COMPLETE if trial.state == DONE else states.PRUNED,
        value=None if trial.score is None else sign * trial.score,
        params=trial.settings,
        distributions=distributions,
        intermediate_values=dict(enumerate(values)),
    )
