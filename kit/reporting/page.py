"""The page of runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kit.competition import Competition
from kit.data.folder import DataFolder, check_data, read_ids
from kit.data.plan import Plan
from kit.data.targets import targets
from kit.inference.engine import Compute
from kit.inference.member import Member, unique_names
from kit.inference.members import find_members
from kit.inference.oof import oof_probs
from kit.metrics.metric import MetricName
from kit.reporting import figures
from kit.reporting.by_number import near_edges, number_tasks, say_edges
from kit.reporting.html import check_page, photo_uris, write_page
from kit.reporting.numbers import ReportNumbers, measure, worst_errors
from kit.results.run import Fold, read_metrics
from kit.scoring.mislabel import corrects_photos, find_mislabelled
from kit.scoring.suspect import Suspect

_SUSPECTS: Final = 30  # shown; all have their line
_SHOWN: Final = 3  # photos of a suspect
_BESIDE: Final = 4  # numbers on each side of an edge in the table
_WIDE: Final = 10  # classes from which on a confusion matrix needs a row of its own


@dataclass(frozen=True, kw_only=True)
class ReportOptions:
    """How to report: views, where networks run, and whether the page holds photos."""

    tta: str = "none"
    compute: Compute = Compute()
    photos: bool = True
    force: bool = False


def report(
    runs: Sequence[Path],
    plan: Plan,
    data: DataFolder | None,
    out: Path,
    options: ReportOptions = ReportOptions(),
) -> tuple[ReportNumbers, list[Suspect]]:
    """Write the page of runs, their mean if there are several; its numbers, and suspect labels.

    The competition's folder may be None where neither photos, views nor other teams' files need it.
    Raises `KitError` where a run has no checkpoint, and where `out` is taken.
    """
    competition = plan.competition
    folder = data or DataFolder(Path("data"), competition)
    check_page(out, [*folder.inputs, *runs], options.force)
    if data is not None:
        check_data(data, plan)
    ids = read_ids(data) if data is not None else []
    members = find_members(runs, plan, ids, allow_missing=True)
    oof = oof_probs(members, plan, folder, options.tta, options.compute)
    probs = oof.probs.mean(axis=0)
    suspects = find_mislabelled(oof.photos, targets(oof.photos, competition), probs, competition)
    numbers = measure(oof)
    worst = worst_errors(oof.photos, probs, competition)
    shown = suspects[:_SUSPECTS]
    images = [error.image for error in worst] + [i for s in shown for i in s.images[:_SHOWN]]
    uris = {}
    if data is not None and options.photos:
        uris = photo_uris(data.train_images, list(dict.fromkeys(images)), competition)
    names = unique_names(members)
    content = {
        "title": " + ".join(names),
        "numbers": numbers,
        "metrics": list(numbers.score.scores.metrics),
        "metric": numbers.score.scores.metric,
        "class_title": numbers.score.class_title,
        "names": names,
        "tta": options.tta,
        "plan": plan,
        "by_number": _by_number(numbers, competition),
        "uris": uris,
        "worst": worst,
        **_suspects(suspects, plan, uris),
        **_members(members, names, numbers.score.scores.metric),
        "wide": competition.num_classes > _WIDE,
        "most": figures.MOST_CLASSES,
        "header": "id,target,value" if corrects_photos(competition) else "path,field,value",
        "svg": _figures(numbers, names, competition),
    }
    write_page(out, competition, content, options.force)
    return numbers, suspects


def _suspects(suspects: Sequence[Suspect], plan: Plan, uris: Mapping[str, str]) -> dict[str, Any]:
    """The page's suspects: the clearest ones with photos, and the correction lines of all.

    A label that a correction has changed before has no line, for `kit.folds` would refuse a second
    one.
    """
    corrected = {(fix["path"], fix["field"]): fix["new"] for fix in plan.meta["corrections"]}
    rows = [
        (
            suspect,
            [image for image in suspect.images[:_SHOWN] if image in uris],
            corrected.get((suspect.path, suspect.field)),
        )
        for suspect in suspects[:_SUSPECTS]
    ]
    lines = [s.line for s in suspects if (s.path, s.field) not in corrected]
    return {"suspects": rows, "lines": lines, "every_suspect": len(suspects)}


def _members(members: Sequence[Member], names: Sequence[str], metric: MetricName) -> dict[str, Any]:
    """The page's words on members: whether some are files or flattered, and learning curves."""
    checkpoints = [checkpoint for member in members for checkpoint in member.checkpoints]
    return {
        "foreign": any(member.files for member in members),
        "flattered": any(checkpoint.info.chosen_on_fold for checkpoint in checkpoints),
        "curves": {
            name: _curves(name, member, metric)
            for name, member in zip(names, members)
            if member.checkpoints
        },
    }


def _curves(name: str, member: Member, metric: MetricName) -> str:
    """The learning curves of a member's folds; empty where it has no epochs of its own."""
    folds = {
        c.info.fold: read_metrics(Fold(c.path.parent).metrics, c.origin) for c in member.checkpoints
    }
    trained = {fold: rows for fold, rows in sorted(folds.items()) if rows}
    chosen = {c.info.fold: c.info.epoch for c in member.checkpoints}
    title = f"learning curves of {name}"
    return figures.curves(title, trained, chosen, metric) if trained else ""


def _by_number(numbers: ReportNumbers, competition: Competition) -> list[dict[str, Any]]:
    """The page's parts on each task of numbers: errors around its edges, and the rows near them."""
    sections = []
    for task in number_tasks(competition):
        rows = numbers.by_number[task.name]
        sections.append(
            {
                "task": task,
                "near": near_edges(rows, task),
                "edges": say_edges(task),
                "rows": [
                    row
                    for row in rows
                    if any(e - _BESIDE <= row.number < e + _BESIDE for e in task.edges)
                ],
                "svg": figures.by_number(
                    f"predicted {task.name} class by true {task.column}",
                    rows,
                    task,
                    competition.groups,
                ),
            }
        )
    return sections


def _figures(
    numbers: ReportNumbers, names: Sequence[str], competition: Competition
) -> dict[str, Any]:
    """The figures of the page but for those of numbers and learning curves."""
    groups, labels, parts = competition.groups, competition.class_names, competition.parts
    pooled = (numbers.score.scores.score, numbers.score.interval)
    of_folds = {f"fold {k}": (fold.score, fold.interval) for k, fold in numbers.folds.items()}
    runs = {"mean": pooled} | {
        name: (member.score, member.interval) for name, member in zip(names, numbers.score.members)
    }
    title, of_class = numbers.score.scores.metric.title, numbers.score.class_title
    members = ""
    if len(names) > 1:
        members = figures.intervals(f"{title} of each run", runs, title, groups)
    scores, bounds, sizes = (
        [getattr(row, key) for row in numbers.score.classes]
        for key in ("score", "interval", "groups")
    )
    block = competition.num_classes // competition.shape[0] if parts else 0
    every, confusion = f"confusion of the {competition.num_classes} classes", ""
    if numbers.confusion is not None:
        confusion = figures.confusion(every, numbers.confusion, labels, block)
    return {
        "folds": figures.intervals(f"{title} by fold", {"all": pooled} | of_folds, title, groups),
        "members": members,
        "classes": figures.class_scores(
            f"{of_class} of each class", of_class, scores, bounds, sizes, competition
        ),
        "confusion": confusion,
        "tasks": {
            task.name: figures.confusion(
                f"confusion of {task.name}", numbers.by_task[task.name], task.classes
            )
            for task in parts
        },
        "reliability": figures.reliability("reliability diagram", numbers.bins),
    }
