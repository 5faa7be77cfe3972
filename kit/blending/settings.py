"""What an ensemble is asked to be."""

from dataclasses import dataclass
from typing import Final

from kit.blending.rule import FITTED
from kit.system.errors import KitError

LINEAR: Final = ("mean", *FITTED)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What an ensemble is: views, whether they are scored, blend, decision, and whether photos are
    decided early.

    `agree` is the share of photos that must have the full run's class, `None` for all. `score`
    False is for members without out-of-fold probabilities.
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


def check_settings(settings: Settings) -> None:
    """Raise for settings that do not go together."""
    if not settings.score and (
        settings.blend in FITTED or settings.decision != "argmax" or settings.score_tta
    ):
        raise KitError(
            "--no-score: a fitted blend or decision, and --score-tta, need out-of-fold "
            "probabilities; leave one out"
        )
    if settings.fast and settings.blend not in LINEAR:
        raise KitError(
            f"--fast: of a {settings.blend} blend it cannot be told early what the members to "
            "come can change; take "
            f"--blend {', '.join(LINEAR)}"
        )
    if settings.score_tta and settings.tta == "none":
        raise KitError("--score-tta: there is no view to score; name some with --tta")
    if settings.force_blend and settings.blend not in FITTED and settings.decision == "argmax":
        raise KitError(
            "--force-blend: nothing is fitted; name what is to be, with --blend or --decide"
        )
    if settings.agree is not None and not 0.5 <= settings.agree < 1:
        raise KitError(
            f"--agree {settings.agree:g}: take a share from 0.5 to below 1, such as .998; --fast "
            "alone changes no "
            "class"
        )
