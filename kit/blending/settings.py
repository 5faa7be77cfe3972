"""What an ensemble is asked to be, and where it is written."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kit.blending.rule import FITTED, LINEAR
from kit.competition import Competition
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
    """Raise `KitError` for settings that do not go together, or not with the form of an answer."""
    if not competition.answers_classes:
        for option, given in (
            ("--fast", settings.fast),
            ("--decide bias", settings.decision != "argmax"),
            ("--blend vote", settings.blend == "vote"),
        ):
            if given:
                raise KitError(f"{option}: decides classes, and a submission has probabilities")
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
