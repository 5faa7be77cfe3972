"""From members to a checked submission and its record."""

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kit import __version__
from kit.blending.copies import find_copies
from kit.blending.margins import sample_size
from kit.blending.member_record import default_name, describe_members
from kit.blending.record import Record
from kit.blending.rule import plain_rule
from kit.blending.saved_probs import save_probs
from kit.blending.select import BlendSelection, select_blend
from kit.blending.settings import EnsembleSettings, Output, check_settings
from kit.blending.steps import (
    Ensemble,
    answer,
    check_output,
    classify_photos,
    photo_ids,
    with_outcome,
    write_ensemble,
)
from kit.data.folder import DataFolder
from kit.data.plan import Plan
from kit.inference.elsewhere import with_modes
from kit.inference.engine import Compute
from kit.inference.member import Member
from kit.inference.members import find_members, inference_modes
from kit.inference.oof import oof_probs
from kit.results.probs import Probs
from kit.results.unfinished import begun, is_unfinished
from kit.scoring.bootstrap import say_interval
from kit.system.console import warn
from kit.system.errors import KitError
from kit.system.profiler import stage
from kit.system.versions import versions


def ensemble(
    paths: Sequence[Path],
    plan: Plan | None,
    data: DataFolder,
    output: Output = Output(),
    settings: EnsembleSettings = EnsembleSettings(),
    compute: Compute = Compute(),
) -> tuple[Path, Record]:
    """Ensemble members into a submission, and its record beside it: the path, and the record.

    Files of probabilities need neither photos nor, without a score, a plan.
    """
    started = time.monotonic()
    check_settings(settings, data.competition)
    ids = photo_ids(paths, data)
    if settings.agree is not None:
        sample_size(len(ids), settings.agree)
    members = find_members(paths, plan, ids, settings.allow_missing, data.competition)
    # Before anything long: what is asked for is most likely what will be written.
    asked = check_output(output, members, paths, data, settings)
    selected = _select(members, plan, data, ids, settings, compute)
    compute = with_modes(selected.members, compute)
    rule = selected.rule
    decision = selected.oof.used[1] if selected.oof else settings.decision
    used = dataclasses.replace(settings, blend=rule.blend, decision=decision)
    out = asked
    if output.path is None and default_name(selected.members, used) != asked.stem:
        out = check_output(output, selected.members, paths, data, used)
    if rule.blend == "vote":  # a close call of one member turns its whole vote
        compute = dataclasses.replace(compute, exact=True)
    outcome, settings = classify_photos(selected, ids, data, settings, compute)
    record = Record(
        kit=__version__,
        command=output.command,
        settings=settings,
        used=rule.blend,
        plan=plan.hash if plan else "",
        versions=dict(versions()),
        batch_size=compute.batch_size,
        modes=inference_modes(selected.members, compute),
        temperature=rule.temperature,
        biases=tuple(rule.biases.tolist()),
        several=rule.several,
        cuts=tuple(rule.cuts.tolist()) if rule.cuts is not None else (),
        clip=rule.clip,
        members=describe_members(selected.members, rule.weights, out),
        oof=selected.oof,
    )
    record = with_outcome(record, outcome, started)
    with stage("write"):
        if output.save_probs is not None:
            probs = rule.calibrated(outcome.blended)
            table = Probs(np.array(ids, dtype=np.str_), probs)
            place, force = output.save_probs, output.force or is_unfinished(out, output.command)
            with begun(out, record.describe()):
                save_probs(place, table, selected.oof_table, plan, data.competition, force)
        record = write_ensemble(out, answer(outcome, rule, data), record, data, output.force)
    return out, record


def _select(
    members: Sequence[Member],
    plan: Plan | None,
    data: DataFolder,
    ids: Sequence[str],
    settings: EnsembleSettings,
    compute: Compute,
) -> Ensemble:
    """The members without copies, and the rule to use by their out-of-fold score.

    Without a score it is the uniform rule of the blend that is asked for.
    """
    if not settings.score:
        return Ensemble(members, plain_rule(settings.blend, len(members), data.competition))
    if plan is None:
        raise KitError(
            "a score needs the fold plan, which has the labels: name it with --plan, or --no-score"
        )
    tta = settings.tta if settings.score_tta else "none"
    oof = oof_probs(members, plan, data, tta, compute, settings.force_views)
    copies = find_copies(members, oof.probs, ids)
    oof = oof.without(copies)
    selection = select_blend(oof, settings.blend, settings.decision, settings.force_blend)
    if selection.kept_mean:
        warn(_kept_mean(selection, data.competition.groups))
    return Ensemble(
        [member for m, member in enumerate(members) if m not in copies],
        selection.rule,
        selection.score,
        Probs(oof.photos["image"].to_numpy().astype(np.str_), selection.probs),
    )


def _kept_mean(selection: BlendSelection, groups: str) -> str:
    """The reason why the blend that was asked for is not used.

    `groups` is the competition's word for several groups.
    """
    oof, tested = selection.score, selection.score.tested
    assert tested is not None
    certain = "is not above chance" if tested.interval else "cannot be told from chance"
    interval = say_interval(tested.interval, oof.effective, "+.4f", " to ", groups)
    return (
        f"{' + '.join(oof.asked)} is not used, but {tested.over}: its nested gain over that, "
        f"{tested.gain:+.4f}, {certain} ({interval}); --force-blend uses it all the same"
    )
