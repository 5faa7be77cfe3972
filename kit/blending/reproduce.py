"""A submission made again from its record."""

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path

from kit import __version__
from kit.blending.member_record import seen_from
from kit.blending.record import MemberRecord, Record
from kit.blending.settings import Output, check_settings
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
from kit.inference.engine import Compute
from kit.inference.members import read_members
from kit.results.record_file import check_record
from kit.results.submission import Original
from kit.system.disk import file_hash
from kit.system.errors import problem
from kit.system.profiler import stage
from kit.system.versions import check_pixels, versions, warn_versions


def reproduce(
    source: Path,
    plan: Plan | None,
    data: DataFolder,
    output: Output = Output(),
    compute: Compute = Compute(),
) -> tuple[Path, Record]:
    """Make the submission of a record again: the same answers, or a `KitError` and no file.

    Classes and lists are the same bytes. Probabilities may differ by 1e-5, to which a device rounds
    them, if the record's submission lies beside it; the new record says how they equal it.

    It is `ensemble` with members and rule from the record. Members' paths are relative to the
    record's folder, and their hashes must be those of the record. Every network runs again:
    probabilities kept from before would prove nothing.
    """
    started = time.monotonic()
    record = Record.read(source)
    if len(record.biases) != data.competition.num_classes:
        what = f"is of a competition with {len(record.biases)} classes, and this one has "
        raise problem(source, f"{what}{data.competition.num_classes}", remedy="name its --plan")
    check_settings(record.settings, data.competition)
    check_pixels(source, record.versions)
    warn_versions(source, record.versions)
    paths = _member_paths(source, record)
    files = [path for of_member in paths for path in of_member]
    ids = photo_ids(files, data)
    members = [
        read_members(member.name, of_member, plan, ids, data.competition)
        for member, of_member in zip(record.members, paths)
    ]
    output = dataclasses.replace(output, path=output.path or source.with_suffix(".csv"))
    out = check_output(output, members, files, data, record.settings)
    if out.resolve() != source.with_suffix(".csv").resolve():  # which it would replace
        check_record(source.with_suffix(".csv"))
    batch_size = compute.batch_size or record.batch_size
    compute = dataclasses.replace(compute, modes=record.modes, batch_size=batch_size, fresh=True)
    job = Ensemble(members, record.rule, record.oof)
    outcome, _ = classify_photos(job, ids, data, record.settings, compute)
    record = dataclasses.replace(
        record,
        kit=__version__,
        versions=dict(versions()),
        members=_seen_from(out, record, paths),
        remade_by=output.command,
    )
    record = with_outcome(record, outcome, started)
    original = Original(record.sha256, source.with_suffix(".csv"))
    with stage("write"):
        predicted = answer(outcome, record.rule, data)
        return out, write_ensemble(out, predicted, record, data, output.force, original)


def _member_paths(source: Path, record: Record) -> list[list[Path]]:
    """The files of each member of a record.

    Raises `KitError` unless their hashes are those of the record.
    """
    folder = source.resolve().parent
    paths = [[folder / file.path for file in member.files] for member in record.members]
    hashes = [file.sha256 for member in record.members for file in member.files]
    files = list(zip([path for of_member in paths for path in of_member], hashes))
    absent = [str(path) for path, _ in files if not path.is_file()]
    if absent:
        raise problem(source, "members that are not where they were", absent, "put them back")
    changed = [str(path) for path, digest in files if file_hash(path) != digest]
    if changed:
        what = "members that are not the files they were"
        raise problem(source, what, changed, "put them back")
    return paths


def _seen_from(
    out: Path, record: Record, paths: Sequence[Sequence[Path]]
) -> tuple[MemberRecord, ...]:
    """The members of a record, with their files' paths relative to another folder."""
    members = []
    for member, of_member in zip(record.members, paths):
        files = tuple(
            dataclasses.replace(file, path=seen_from(path, out))
            for file, path in zip(member.files, of_member)
        )
        members.append(dataclasses.replace(member, files=files))
    return tuple(members)
