"""How good an ensemble is by its members' out-of-fold probabilities: fitted, scored honestly, and
used only if it pays.
"""

import functools
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from kit.blending.fit import fit_rule, nested
from kit.blending.rule import FITTED, Rule, uniform_rule
from kit.competitions.mask import NUM_CLASSES
from kit.inference.oof import Oof, mean_of
from kit.scoring.agreement import correlations
from kit.scoring.bootstrap import GroupBootstrap, Interval
from kit.scoring.class_counts import rao_scott_correction
from kit.scoring.metrics import fast_macro_f1, log_loss, score
from kit.system.console import Progress

_FULL_TABLE: Final = 8


_PARTS: Final = 5


_KEPT_DRAWS: Final = 500


@dataclass(frozen=True)
class Candidate:
    """A blend and decision: macro-F1 `in_sample` and `nested`, with the latter's interval, and its
    gain over the mean.
    """

    name: str
    in_sample: float
    nested: float
    interval: Interval | None
    gain: float
    gain_interval: Interval | None


@dataclass(frozen=True)
class BlendSelection:
    """What the out-of-fold photos say: the `rule` to use, whether it is the one asked for, and
    `record`, plain values.

    `probs` (N, 18) are the photos' nested probabilities by that rule, whose argmax has the score.
    """

    rule: Rule
    kept_mean: bool
    strengths: list[float]
    record: dict[str, Any]
    probs: np.ndarray


def select_blend(oof: Oof, blend: str, decision: str, force: bool = False) -> BlendSelection:
    """Fit the blend and decision that are asked for, score them nested, and take them if their gain
    is above chance.

    The gain is nested macro-F1 over that of the uniform mean (or geometric mean or vote, if that is
    asked for) and plain argmax; it must have a 95 % interval above zero, by a bootstrap over
    people, unless `force`. Of too few people there is no interval, and the mean is kept.
    """
    probs, truth = oof.probs, oof.photos["label"].to_numpy()
    person, fold = oof.photos["person"].to_numpy(), oof.photos["fold"].to_numpy()
    people, members = GroupBootstrap(person, truth), len(probs)
    # With one fold alone its people are parted anew.
    parts = (
        fold
        if len(np.unique(fold)) > 1
        else np.random.default_rng(0).permutation(people.number)[people.at] % _PARTS
    )
    plain = "mean" if blend in FITTED else blend
    wanted = list(
        dict.fromkeys(
            [
                ("mean", "argmax"),
                (plain, "argmax"),
                (plain, decision),
                (blend, "argmax"),
                (blend, decision),
            ]
        )
    )
    candidates: dict[tuple[str, str], Candidate] = {}
    outcomes: dict[tuple[str, str], tuple[Rule, np.ndarray, np.ndarray, np.ndarray]] = {}
    with Progress("fitting", len({b for b, _ in wanted}), "blends") as progress:
        for b in dict.fromkeys(b for b, _ in wanted):
            most = decision if (b, decision) in wanted else "argmax"
            rule = fit_rule(probs, truth, person, b, most)
            outcomes[b, most] = (
                rule,
                *nested(
                    probs, truth, person, parts, functools.partial(fit_rule, blend=b, decision=most)
                ),
            )
            calibrated = outcomes[b, most][2]
            # The decision comes last: without it the same fit is that of the plain argmax.
            outcomes[b, "argmax"] = (
                Rule(b, rule.weights, rule.temperature),
                calibrated.argmax(axis=1),
                calibrated,
                calibrated,
            )
            progress.advance()
    base = people.macro(outcomes["mean", "argmax"][1])
    for which in wanted:
        rule, classes, _, _ = outcomes[which]
        draws = people.macro(classes)
        f1 = fast_macro_f1(classes, truth)
        candidates[which] = Candidate(
            " + ".join(which),
            fast_macro_f1(rule.classes(probs), truth),
            f1,
            people.interval(draws),
            f1 - fast_macro_f1(outcomes["mean", "argmax"][1], truth),
            people.interval(draws - base),
        )
    fitted = blend in FITTED or decision == "bias"
    asked, over = outcomes[blend, decision][1], outcomes[plain, "argmax"][1]
    tested: dict[str, Any] = {
        "over": f"{plain} + argmax",
        "gain": fast_macro_f1(asked, truth) - fast_macro_f1(over, truth),
        "interval": people.interval(people.macro(asked) - people.macro(over)),
    }
    pays = tested["interval"] is not None and tested["interval"][0] > 0
    used = (blend, decision) if pays or force or not fitted else (plain, "argmax")
    rule, classes, calibrated, decided = outcomes[used]
    scores, chosen = score(truth, classes), candidates[used]
    record: dict[str, Any] = {
        "photos": len(truth),
        "people": people.number,
        "effective": people.effective,
        **vars(scores),
        "interval": chosen.interval,
        "in_sample": chosen.in_sample,
        "folds": {
            int(k): fast_macro_f1(classes[fold == k], truth[fold == k]) for k in np.unique(fold)
        },
        "asked": [blend, decision],
        "used": list(used),
        "tested": tested if fitted else None,
        "forced": bool(force and fitted and not pays),
        "candidates": [vars(c) for c in candidates.values()],
        "log_loss": log_loss(calibrated, truth),
        "mean_log_loss": log_loss(outcomes["mean", "argmax"][2], truth),
        "classes": [
            {"f1": f1, "interval": bounds, "people": int(n)}
            for (f1, bounds), n in zip(people.by_class(classes), people.of_class)
        ],
        "tasks": {
            task: {"f1": f1, "interval": bounds}
            for task, (f1, bounds) in people.by_task(classes).items()
        },
        "true_counts": np.bincount(truth, minlength=NUM_CLASSES).tolist(),
        "predicted_counts": np.bincount(classes, minlength=NUM_CLASSES).tolist(),
        "rao_scott_correction": rao_scott_correction(classes, person),
        # One text, for a list would be a line each: with them kit.compare --board tells what
        # picking the best makes of noise.
        "draws": " ".join(f"{draw:.5f}" for draw in people.macro(classes)[:_KEPT_DRAWS]),
    }
    singles = [member.argmax(axis=1) for member in probs]
    strengths = [fast_macro_f1(single, truth) for single in singles]
    near = correlations(probs, truth)
    record["members"] = [
        {
            "f1": f1,
            "interval": people.interval(people.macro(single)),
            "log_loss": log_loss(member, truth),
            "correlations": row.tolist() if members <= _FULL_TABLE else [],
            "correlation": float((row.sum() - 1) / max(members - 1, 1)),
        }
        for f1, single, member, row in zip(strengths, singles, probs, near)
    ]
    if len(oof.views) > 1:
        record["views"] = view_gains(oof, uniform_rule(plain, members), people)
    return BlendSelection(rule, used != (blend, decision), strengths, record, decided)


def view_gains(oof: Oof, rule: Rule, people: GroupBootstrap) -> dict[str, dict[str, Any]]:
    """What each view adds: out-of-fold macro-F1 of all views minus that without it, with its
    interval; and its own alone.

    All by one `rule` that is fitted to none of them, so that they differ in the views only.
    """

    def classes(views: list[str]) -> np.ndarray:
        return rule.classes(mean_of([oof.views[view] for view in views]))

    truth, names = oof.photos["label"].to_numpy(), list(oof.views)
    together = classes(names)
    gains = {}
    for view in names:
        rest = classes([other for other in names if other != view])
        draws = people.macro(together) - people.macro(rest)
        gains[view] = {
            "alone": fast_macro_f1(classes([view]), truth),
            "adds": fast_macro_f1(together, truth) - fast_macro_f1(rest, truth),
            "interval": people.interval(draws),
        }
    return gains
