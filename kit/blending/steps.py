"""The steps that making an ensemble and making it again share."""

import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kit.blending.classify import classify
from kit.blending.early_rule import EarlyPolicy
from kit.blending.member_record import default_name
from kit.blending.oof_score import OofScore
from kit.blending.outcome import Outcome
from kit.blending.record import Record
from kit.blending.rule import Rule
from kit.blending.saved_probs import check_save_probs
from kit.blending.settings import EnsembleSettings, Output
from kit.data.folder import DataFolder, answer_rows, read_ids, read_test, test_photos
from kit.inference.blocks import Blocks
from kit.inference.engine import Compute
from kit.inference.member import Member, member_passes
from kit.inference.member_files import only_files
from kit.inference.photo_set import PhotoSet
from kit.inference.views import make_views
from kit.results.check import check_place
from kit.results.probs import Probs
from kit.results.submission import Original, Predicted, pool, write_submission
from kit.results.unfinished import is_unfinished
from kit.scoring.class_counts import class_counts
from kit.system.console import warn
from kit.system.errors import KitError


@dataclass(frozen=True)
class Ensemble:
    """Members and the rule of their blend, with its out-of-fold score.

    `oof_table` has the training photos' nested probabilities by the rule.
    """

    members: Sequence[Member]
    rule: Rule
    oof: OofScore | None = None
    oof_table: Probs | None = None


def photo_ids(paths: Sequence[Path], data: DataFolder) -> list[str]:
    """The ids to predict; raises `KitError` if a photo is missing that a network needs.

    Members that are all files need no photos.
    """
    return read_ids(data) if only_files(paths) else read_test(data)


def check_output(
    output: Output,
    members: Sequence[Member],
    paths: Sequence[Path],
    data: DataFolder,
    settings: EnsembleSettings,
) -> Path:
    """The submission's path; raises `KitError` unless every output may be written."""
    if settings.fast and answer_rows(data).pooled:
        raise KitError(
            "--fast: decides photos one by one, and a row of the submission is of several; leave "
            "--fast and --agree out"
        )
    out = output.path or Path("submissions") / f"{default_name(members, settings)}.csv"
    places = [place for member in members for place in member.places]
    inputs = [*data.inputs, *output.inputs, *paths, *places]
    check_place(out, inputs, output.force, output.command)
    if output.save_probs is not None:
        force = output.force or is_unfinished(out, output.command)
        check_save_probs(output.save_probs, out, settings, data.competition, inputs, force)
    return out


def classify_photos(
    job: Ensemble,
    ids: Sequence[str],
    data: DataFolder,
    settings: EnsembleSettings,
    compute: Compute,
) -> tuple[Outcome, EnsembleSettings]:
    """The classes of the photos to predict, and the settings that were used.

    If all passes are kept from before, `agree` is dropped: it would save nothing.
    """
    # Members without a weight change nothing, and are not run.
    active = np.flatnonzero(job.rule.weights > 0).tolist()
    rule = dataclasses.replace(job.rule, weights=job.rule.weights[active])
    views = make_views(settings.tta, settings.force_views, data.competition)
    members, images = [job.members[m] for m in active], tuple[str, ...]()
    if any(member.checkpoints for member in members):
        images = tuple(test_photos(data).values())
    read = data.competition.read
    photos = PhotoSet(data.test_images, tuple(ids), images=images, read=read)
    blocks = Blocks(member_passes(members, views), photos, views, compute)
    if not settings.fast:
        return classify(blocks, rule, exact=data.competition.answers_classes), settings
    if settings.agree is not None and blocks.all_known():
        warn(
            "--agree: all passes are kept from before, so that there is nothing to save; the "
            "classes are the full run's"
        )
        settings = dataclasses.replace(settings, agree=None)
    strengths = [0.0] * len(active)
    if job.oof is not None:
        sign = job.oof.scores.metric.sign
        strengths = [sign * job.oof.members[m].score for m in active]
    return classify(blocks, rule, EarlyPolicy(strengths, settings.agree)), settings


def with_outcome(record: Record, outcome: Outcome, started: float) -> Record:
    """A record completed by the outcome of its ensemble, which has `started` at a moment."""
    counts = class_counts(outcome.classes, len(record.biases))
    return dataclasses.replace(
        record,
        photos=len(outcome.classes),
        views=outcome.views,
        passes=outcome.passes,
        passes_computed=outcome.passes_computed,
        early=outcome.early,
        close=outcome.close,
        counts=tuple(counts.tolist()),
        seconds=round(time.monotonic() - started, 1),
    )


def answer(outcome: Outcome, rule: Rule, data: DataFolder) -> Predicted:
    """What is predicted of the units of a submission, whose photos are pooled where it has several.

    Pooled are the blended probabilities that are decided, or, where probabilities are the answer,
    those at the temperature, too.
    """
    rows, competition, blended = answer_rows(data), data.competition, outcome.blended
    calibrated = None if competition.decided else rule.calibrated(blended)
    if not rows.pooled:
        photo = np.argsort(rows.of_photo)  # of each unit
        probs = calibrated[photo] if calibrated is not None else None
        return Predicted(rows.units, outcome.classes[photo], probs)
    classes = rule.decide(pool(blended, rows, competition))
    probs = pool(calibrated, rows, competition) if calibrated is not None else None
    return Predicted(rows.units, classes, probs)


def write_ensemble(
    out: Path,
    predicted: Predicted,
    record: Record,
    data: DataFolder,
    force: bool,
    original: Original | None = None,
) -> Record:
    """Write a submission, its record and its row in the leaderboard log; the complete record.

    A submission that is made again must be the `original`.
    """
    described = record.describe()
    written = write_submission(out, predicted, data, described, force, original)
    remade_as = written.get("remade_as", "")
    return dataclasses.replace(record, sha256=written["sha256"], remade_as=remade_as)
