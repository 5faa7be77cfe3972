"""The blend and decision to use: fitted out of fold, scored nested, and used only if they pay."""

import dataclasses
import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from kit.blending.choices import FITTED
from kit.blending.fit import fit_rules, nested_each
from kit.blending.oof_photos import Fitted, OofPhotos
from kit.blending.oof_score import (
    Candidate,
    ClassScore,
    GainTest,
    MemberScore,
    OofScore,
    TaskScore,
    ViewGain,
)
from kit.blending.rule import Rule, plain_rule
from kit.blending.target import CELLS
from kit.inference.oof import Oof, mean_of
from kit.metrics.sums import log_loss
from kit.scoring.agreement import error_correlations
from kit.scoring.class_counts import class_counts, rao_scott_correction
from kit.scoring.metrics import decided, score
from kit.system.console import Progress

_FULL_TABLE: Final = 8  # members, of more of which single correlations are not recorded
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


def select_blend(oof: Oof, blend: str, decision: str, force: bool = False) -> BlendSelection:
    """Fit the blend and decision that are asked for, and use them if their gain is above chance.

    The gain is in the nested score, over that of the uniform mean (or geometric mean or vote, if
    that is asked for) and plain decision; it must have a 95 % interval above zero, by a bootstrap
    over groups, unless `force`. Of too few groups there is no interval, and the mean is kept.
    """
    photos = OofPhotos(oof)
    asked, plain = (blend, decision), ("mean" if blend in FITTED else blend, "argmax")
    pairs = [_MEAN, plain, (plain[0], decision), (blend, "argmax"), asked]
    pairs = list(dict.fromkeys(pairs))
    outcomes = _fit_all(oof.probs, photos, pairs, decision)
    candidates = {pair: _candidate(pair, photos, outcomes) for pair in pairs}
    tested = None
    if blend in FITTED or decision == "bias":
        pair = (photos.scored(outcomes[which]) for which in (asked, plain))
        gain, interval = photos.gain(*pair)
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
    probs: np.ndarray, photos: OofPhotos, pairs: list[tuple[str, str]], decision: str
) -> dict[tuple[str, str], Fitted]:
    """The outcome of each pair of blend and decision, each blend fitted once."""
    outcomes, blends = {}, list(dict.fromkeys(blend for blend, _ in pairs))
    with Progress("fitting", len(blends), "blends") as progress:
        for blend in blends:
            most = decision if (blend, decision) in pairs else "argmax"
            fit = functools.partial(fit_rules, blend=blend, decision=most)
            which, (answers, calibrated, own) = _honest(probs, photos, fit)
            rule = fit(probs, photos.target)[which]
            plain = dataclasses.replace(
                plain_rule(blend, len(probs), photos.competition),
                weights=rule.weights,
                temperature=rule.temperature,
            )
            inside = photos.in_sample((rule, plain), rule.probs(probs))
            outcomes[blend, most] = Fitted(rule, answers, calibrated, own, inside[0])
            if most != "argmax":
                # The decision comes last: without it the same fit is that of the plain one.
                answers = decided(calibrated, photos.competition)
                outcomes[blend, "argmax"] = Fitted(
                    plain, answers, calibrated, calibrated, inside[1]
                )
            progress.advance()
    return outcomes


def _honest(
    probs: np.ndarray, photos: OofPhotos, fit: Callable[..., tuple[Rule, ...]]
) -> tuple[int, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Which of `fit_rules` to take, and its nested outcome: no temperature, unless it pays."""
    target = photos.target
    outcomes = nested_each(probs, target, photos.parts, fit)
    of = 2 if target.metric.of_probs else 0
    scores = [target.goodness(outcome[of]) for outcome in outcomes]
    which = len(scores) - 1 - int(np.argmax(scores[::-1]))  # of equals the one without
    return which, outcomes[which]


def _candidate(
    pair: tuple[str, str], photos: OofPhotos, outcomes: dict[tuple[str, str], Fitted]
) -> Candidate:
    """The record of a blend and decision."""
    outcome = outcomes[pair]
    answers = photos.scored(outcome)
    gain, gain_interval = photos.gain(answers, photos.scored(outcomes[_MEAN]))
    return Candidate(
        " + ".join(pair),
        outcome.in_sample,
        photos.target.score(answers),
        photos.bootstrap.interval(photos.bootstrap.draws(answers)),
        gain,
        gain_interval,
    )


def _scores(photos: OofPhotos, used: Fitted, mean: Fitted) -> dict[str, Any]:
    """The fields of `OofScore` for the outcome that is used."""
    target, fold, bootstrap = photos.target, photos.fold, photos.bootstrap
    truth, answers, competition = target.truth, photos.scored(used), photos.competition
    draws = bootstrap.draws(answers)[:_KEPT_DRAWS]
    of_probs = used.decided if target.metric.of_probs else None
    by_class = zip(bootstrap.by_class(used.answers, of_probs), bootstrap.of_class)
    by_task = bootstrap.by_task(used.answers, competition, of_probs)
    folds = {int(k): fold == k for k in np.unique(fold)}
    return {
        "photos": len(truth),
        "groups": bootstrap.number,
        "effective": bootstrap.effective,
        "scores": score(truth, used.answers, competition, of_probs),
        "class_title": target.metric.class_title,
        "folds": {k: target.part(rows).score(answers[rows]) for k, rows in folds.items()},
        "log_loss": log_loss(truth, used.calibrated),
        "mean_log_loss": log_loss(truth, mean.calibrated),
        "classes": tuple(ClassScore(value, bounds, int(n)) for (value, bounds), n in by_class),
        "tasks": {task: TaskScore(value, bounds) for task, (value, bounds) in by_task.items()},
        "true_counts": tuple(class_counts(truth, photos.classes).tolist()),
        "predicted_counts": tuple(class_counts(used.answers, photos.classes).tolist()),
        "rao_scott_correction": rao_scott_correction(used.answers, target.groups, photos.classes),
        # One text, for a list would be a line each: with them kit.compare --board tells what
        # picking the best makes of noise.
        "draws": " ".join(f"{draw:.5f}" for draw in draws),
    }


def _member_scores(probs: np.ndarray, photos: OofPhotos) -> tuple[MemberScore, ...]:
    """The record of each member's own score."""
    members, bootstrap, target = len(probs), photos.bootstrap, photos.target
    rule, rows = plain_rule("mean", 1, photos.competition), target.some(2 * CELLS)
    correlated = error_correlations(probs[:, rows], target.truth[rows])
    scores = []
    for member, row in zip(probs, correlated):
        answers = photos.answered(rule, member[None])
        interval = bootstrap.interval(bootstrap.draws(answers))
        correlations = tuple(row.tolist()) if members <= _FULL_TABLE else ()
        others = float((row.sum() - 1) / max(members - 1, 1))
        loss = log_loss(target.truth, member)
        scores.append(MemberScore(target.score(answers), interval, loss, correlations, others))
    return tuple(scores)


def _view_gains(oof: Oof, photos: OofPhotos, blend: str) -> dict[str, ViewGain]:
    """The score of each view alone, and the gain of all views over all but it.

    All are by one uniform blend that is fitted to none of them, so that they differ in the views
    only.
    """
    names, rule = list(oof.views), plain_rule(blend, len(oof.probs), photos.competition)
    together = photos.answered(rule, oof.probs)
    gains = {}
    for view in names:
        rest = mean_of([oof.views[other] for other in names if other != view])
        adds, interval = photos.gain(together, photos.answered(rule, rest))
        alone = photos.target.score(photos.answered(rule, oof.views[view]))
        gains[view] = ViewGain(alone, adds, interval)
    return gains
