"""What an ensemble is asked to be, and where it is written."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kit.blending.choices import FITTED, LINEAR
from kit.blending.fit import decision_of
from kit.competition import Competition
from kit.metrics.metric import metric_of
from kit.scoring.metrics import by_expectation
from kit.system.errors import KitError


@dataclass(frozen=True, kw_only=True)
class EnsembleSettings:
    """How to ensemble: views, whether they are scored, blend, decision, early decisions.

    With `fast`, photos are decided before all passes have been run; `agree` is the share of photos
    that must have the full run's class, None for all. `score` False is for members without
    out-of-fold probabilities. With `allow_missing`, which is not recorded, runs may lack folds.
    """

    tta: str = "none"
    force_views: bool = False
    score_tta: bool = False
    blend: str = "mean"
    decision: str = "argmax"
    force_blend: bool = False
    score: bool = True
    fast: bool = False
    agree: float | None = None
    allow_missing: bool = False

    def describe(self) -> dict[str, Any]:
        """The settings as a record has them."""
        return {name: value for name, value in vars(self).items() if name != "allow_missing"}


@dataclass(frozen=True, kw_only=True)
class Output:
    """Where an ensemble is written.

    `path` None is a name in `submissions/` by members, views, blend and decision. `save_probs` is a
    file for the blended probabilities. `inputs` are places that nothing may be written to, beside
    the data and the members, and `command` is the command line that is recorded.
    """

    path: Path | None = None
    save_probs: Path | None = None
    force: bool = False
    inputs: tuple[Path, ...] = ()
    command: str = ""


def check_settings(settings: EnsembleSettings, competition: Competition) -> None:
    """Raise `KitError` for settings that do not go together, or not with a competition."""
    for option, given, why in (
        ("--fast", settings.fast, early_refusal(competition)),
        (f"--blend {settings.blend}", True, blend_refusal(settings.blend, competition)),
        ("--decide bias", settings.decision != "argmax", decision_refusal(competition)),
    ):
        if given and why:
            raise KitError(f"{option}: {why}; leave it out")
    fitted = settings.blend in FITTED or settings.decision != "argmax"
    if not settings.score and (fitted or settings.score_tta):
        raise KitError(
            "--no-score: a fitted blend or decision, and --score-tta, need out-of-fold "
            "probabilities; leave one out"
        )
    if settings.fast and settings.blend not in LINEAR:
        raise KitError(
            f"--fast: of a {settings.blend} blend it cannot be told early what the members to come "
            f"can change; take --blend {', '.join(LINEAR)}"
        )
    if settings.score_tta and settings.tta == "none":
        raise KitError("--score-tta: there is no view to score; name some with --tta")
    if settings.force_blend and not fitted:
        raise KitError(
            "--force-blend: nothing is fitted; name a fitted one with --blend or --decide"
        )
    if settings.agree is not None and not 0.5 <= settings.agree < 1:
        raise KitError(
            f"--agree {settings.agree:g}: take a share from 0.5 to below 1, such as .998; --fast "
            "alone changes no class"
        )


def early_refusal(competition: Competition) -> str:
    """Why photos cannot be decided early, in words; empty if they can."""
    if competition.several_labels:
        return "decides one class a photo, and a photo may have several"
    if not competition.answers_classes:
        return "decides classes, and a submission has probabilities"
    if by_expectation(competition):
        return "decides the most probable class, and the class is the expected one, cut"
    return ""


def blend_refusal(blend: str, competition: Competition) -> str:
    """Why a competition's members cannot be blended so, in words; empty if they can."""
    metric = metric_of(competition)
    if blend == "vote" and metric.of_probs:
        return f"decides answers, and {metric.title} scores probabilities"
    if blend == "vote" and not (competition.answers_classes or competition.several_labels):
        return "decides classes, and a submission has probabilities"
    if blend == "rank" and metric.column is None and not metric.is_function:
        return f"gives ranks, which are no probabilities, and {metric.title} needs them"
    if blend == "rank" and not competition.several_labels and competition.num_classes > 2:
        return "gives ranks, which do not sum to 1 over more than two classes"
    return ""


def decision_refusal(competition: Competition) -> str:
    """Why nothing can be fitted to decide a competition's answers, in words; empty if it can."""
    metric = metric_of(competition)
    if metric.column is not None:
        return (
            f"{metric.title} looks at the order of probabilities alone, which no decision changes"
        )
    if metric.is_function:
        return f"{metric.name} is a function of probabilities, and decides by itself"
    if not decision_of(metric, competition.several_labels):
        return f"nothing is fitted to {metric.title} of labels; leave it out"
    return ""
