"""The blend and decision to use: fitted out of fold, scored nested, and used only if they pay."""

import functools
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from kit.blending.fit import fit_rule, nested
from kit.blending.oof_score import (
    Candidate,
    ClassScore,
    GainTest,
    MemberScore,
    OofScore,
    TaskScore,
    ViewGain,
)
from kit.blending.rule import FITTED, Rule, uniform_rule
from kit.inference.oof import Oof, mean_of
from kit.scoring.agreement import error_correlations
from kit.scoring.bootstrap import GroupBootstrap
from kit.scoring.class_counts import rao_scott_correction
from kit.scoring.metrics import log_loss, macro_f1, score
from kit.system.console import Progress

_FULL_TABLE: Final = 8  # members, of more of which single correlations are not recorded
_PARTS: Final = 5
_KEPT_DRAWS: Final = 500
_MEAN: Final = ("mean", "argmax")


@dataclass(frozen=True)
class BlendSelection:
    """The `rule` to use, and its out-of-fold `score`.

    `kept_mean` is True if the rule is not the one that was asked for. `probs` (N, C) are the
    photos' nested probabilities by the rule, whose argmax has the score.
    """

    rule: Rule
    kept_mean: bool
    score: OofScore
    probs: np.ndarray

    @property
    def record(self) -> dict[str, Any]:
        """The score as JSON has it."""
        return self.score.describe()


@dataclass(frozen=True)
class _Outcome:
    """A blend and decision, fitted to all photos, and the nested outcome of fitting them.

    `classes` are (N,), `calibrated` (N, C) the probabilities at the temperature, and `decided` the
    same with the biases.
    """

    rule: Rule
    classes: np.ndarray
    calibrated: np.ndarray
    decided: np.ndarray


class _Photos:
    """The out-of-fold photos as arrays (N,), and the bootstrap over their groups."""

    def __init__(self, oof: Oof) -> None:
        self.competition, columns = oof.competition, oof.photos
        self.truth, self.groups = columns["label"].to_numpy(), columns["group"].to_numpy()
        self.fold, self.classes = columns["fold"].to_numpy(), oof.competition.num_classes
        self.bootstrap = GroupBootstrap(self.groups, self.truth, self.classes)

    @functools.cached_property
    def parts(self) -> np.ndarray:
        """The parts of nested fits: the folds; a single fold is parted by its groups anew."""
        if len(np.unique(self.fold)) > 1:
            return self.fold
        drawn = np.random.default_rng(0).permutation(self.bootstrap.number)
        return np.asarray(drawn[self.bootstrap.at] % _PARTS)

    def f1(self, predicted: np.ndarray) -> float:
        """Macro-F1 of predicted classes (N,)."""
        return macro_f1(self.truth, predicted, self.classes)

    def gain(self, predicted: np.ndarray, base: np.ndarray) -> tuple[float, Any]:
        """The gain in macro-F1 of predicted classes over others, and its interval."""
        bootstrap = self.bootstrap
        draws = bootstrap.macro(predicted) - bootstrap.macro(base)
        return self.f1(predicted) - self.f1(base), bootstrap.interval(draws)


def select_blend(oof: Oof, blend: str, decision: str, force: bool = False) -> BlendSelection:
    """Fit the blend and decision that are asked for, and use them if their gain is above chance.

    The gain is nested macro-F1 over that of the uniform mean (or geometric mean or vote, if that is
    asked for) and plain argmax; it must have a 95 % interval above zero, by a bootstrap over
    groups, unless `force`. Of too few groups there is no interval, and the mean is kept.
    """
    photos = _Photos(oof)
    asked, plain = (blend, decision), ("mean" if blend in FITTED else blend, "argmax")
    pairs = [_MEAN, plain, (plain[0], decision), (blend, "argmax"), asked]
    pairs = list(dict.fromkeys(pairs))
    outcomes = _fit_all(oof.probs, photos, pairs, decision)
    candidates = {pair: _candidate(pair, oof.probs, photos, outcomes) for pair in pairs}
    tested = None
    if blend in FITTED or decision == "bias":
        gain, interval = photos.gain(outcomes[asked].classes, outcomes[plain].classes)
        tested = GainTest(" + ".join(plain), gain, interval)
    pays = tested is not None and tested.interval is not None and tested.interval[0] > 0
    used = asked if pays or force or tested is None else plain
    shown = OofScore(
        **_scores(photos, outcomes[used], outcomes[_MEAN]),
        interval=candidates[used].interval,
        in_sample=candidates[used].in_sample,
        asked=asked,
        used=used,
        tested=tested,
        forced=bool(force and tested is not None and not pays),
        candidates=tuple(candidates.values()),
        members=_member_scores(oof.probs, photos),
        views=_view_gains(oof, photos, plain[0]) if len(oof.views) > 1 else None,
    )
    return BlendSelection(outcomes[used].rule, used != asked, shown, outcomes[used].decided)


def _fit_all(
    probs: np.ndarray, photos: _Photos, pairs: list[tuple[str, str]], decision: str
) -> dict[tuple[str, str], _Outcome]:
    """The outcome of each pair of blend and decision, each blend fitted once."""
    outcomes, blends = {}, list(dict.fromkeys(blend for blend, _ in pairs))
    shape = photos.competition.shape
    with Progress("fitting", len(blends), "blends") as progress:
        for blend in blends:
            most = decision if (blend, decision) in pairs else "argmax"
            fit = functools.partial(fit_rule, blend=blend, decision=most, shape=shape)
            rule = fit(probs, photos.truth, photos.groups)
            honest = nested(probs, photos.truth, photos.groups, photos.parts, fit)
            outcomes[blend, most] = _Outcome(rule, *honest)
            calibrated = outcomes[blend, most].calibrated
            # The decision comes last: without it the same fit is that of the plain argmax.
            plain = Rule(blend, rule.weights, rule.temperature, np.zeros(photos.classes))
            outcomes[blend, "argmax"] = _Outcome(
                plain, calibrated.argmax(axis=1), calibrated, calibrated
            )
            progress.advance()
    return outcomes


def _candidate(
    pair: tuple[str, str],
    probs: np.ndarray,
    photos: _Photos,
    outcomes: dict[tuple[str, str], _Outcome],
) -> Candidate:
    """The record of a blend and decision."""
    outcome = outcomes[pair]
    gain, gain_interval = photos.gain(outcome.classes, outcomes[_MEAN].classes)
    return Candidate(
        " + ".join(pair),
        photos.f1(outcome.rule.classes(probs)),
        photos.f1(outcome.classes),
        photos.bootstrap.interval(photos.bootstrap.macro(outcome.classes)),
        gain,
        gain_interval,
    )


def _scores(photos: _Photos, used: _Outcome, mean: _Outcome) -> dict[str, Any]:
    """The fields of `OofScore` for the outcome that is used."""
    truth, classes, fold, bootstrap = photos.truth, used.classes, photos.fold, photos.bootstrap
    draws = bootstrap.macro(classes)[:_KEPT_DRAWS]
    by_class = zip(bootstrap.by_class(classes), bootstrap.of_class)
    by_task = bootstrap.by_task(classes, photos.competition)
    number = photos.classes
    return {
        "photos": len(truth),
        "groups": bootstrap.number,
        "effective": bootstrap.effective,
        "scores": score(truth, classes, photos.competition),
        "folds": {
            int(k): macro_f1(truth[fold == k], classes[fold == k], number) for k in np.unique(fold)
        },
        "log_loss": log_loss(used.calibrated, truth),
        "mean_log_loss": log_loss(mean.calibrated, truth),
        "classes": tuple(ClassScore(f1, bounds, int(n)) for (f1, bounds), n in by_class),
        "tasks": {task: TaskScore(f1, bounds) for task, (f1, bounds) in by_task.items()},
        "true_counts": tuple(np.bincount(truth, minlength=number).tolist()),
        "predicted_counts": tuple(np.bincount(classes, minlength=number).tolist()),
        "rao_scott_correction": rao_scott_correction(classes, photos.groups, number),
        # One text, for a list would be a line each: with them kit.compare --board tells what
        # picking the best makes of noise.
        "draws": " ".join(f"{draw:.5f}" for draw in draws),
    }


def _member_scores(probs: np.ndarray, photos: _Photos) -> tuple[MemberScore, ...]:
    """The record of each member's own score."""
    members, bootstrap = len(probs), photos.bootstrap
    scores = []
    for member, row in zip(probs, error_correlations(probs, photos.truth)):
        predicted = member.argmax(axis=1)
        interval = bootstrap.interval(bootstrap.macro(predicted))
        correlations = tuple(row.tolist()) if members <= _FULL_TABLE else ()
        others = float((row.sum() - 1) / max(members - 1, 1))
        loss = log_loss(member, photos.truth)
        scores.append(MemberScore(photos.f1(predicted), interval, loss, correlations, others))
    return tuple(scores)


def _view_gains(oof: Oof, photos: _Photos, blend: str) -> dict[str, ViewGain]:
    """The macro-F1 of each view alone, and the gain of all views over all but it.

    All are by one uniform blend that is fitted to none of them, so that they differ in the views
    only.
    """
    names, rule = list(oof.views), uniform_rule(blend, len(oof.probs), photos.classes)
    together = rule.classes(oof.probs)
    gains = {}
    for view in names:
        rest = mean_of([oof.views[other] for other in names if other != view])
        adds, interval = photos.gain(together, rule.classes(rest))
        gains[view] = ViewGain(photos.f1(rule.classes(oof.views[view])), adds, interval)
    return gains
