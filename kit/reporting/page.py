"""The page of runs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from kit.competitions.mask import CLASS_NAMES, TASK_NAMES, TASKS
from kit.data.folder import check_data, info_csv, read_info, train_images
from kit.data.plan import Plan
from kit.inference.engine import Compute
from kit.inference.member import Member, unique_names
from kit.inference.members import find_members
from kit.inference.oof import oof_probs
from kit.reporting import figures
from kit.reporting.html import _photos, _write_page, check_page
from kit.reporting.numbers import boundary, measure, worst_errors
from kit.results.run import Fold, read_metrics
from kit.scoring.mislabel import Suspect, find_mislabelled

_SUSPECTS: Final = 30


def report(
    runs: Sequence[Path],
    plan: Plan,
    data: Path | None,
    out: Path,
    tta: str = "none",
    engine: Compute = Compute(),
    photos: bool = True,
    force: bool = False,
) -> dict[str, Any]:
    """Write the page of runs, their mean if there are several, and return its numbers: those of
    `measure`, and `suspects`.

    The competition's folder `data` may be None where neither photos, views nor other teams' files
    need it. Raises `KitError` where a run has no checkpoint, and where `out` is taken.
    """
    check_page(out, data, force, runs)
    if data is not None:
        check_data(data, plan)
    members = find_members(
        runs, plan, read_info(info_csv(data)) if data is not None else [], allow_missing=True
    )
    oof = oof_probs(members, plan, data or Path(), tta, engine)
    names, probs = unique_names(members), oof.probs.mean(axis=0)
    numbers = measure(oof)
    suspects = find_mislabelled(oof.photos, probs)
    numbers["suspects"] = [
        {
            "line": s.line,
            "given": s.given,
            "suggested": s.suggested,
            "given_prob": s.given_prob,
            "suggested_prob": s.suggested_prob,
            "z_score": s.z_score,
        }
        for s in suspects
    ]
    corrected = {(fix["path"], fix["field"]): fix["new"] for fix in plan.meta["corrections"]}
    worst, shown = worst_errors(oof.photos, probs), suspects[:_SUSPECTS]
    images = list(
        dict.fromkeys([error["image"] for error in worst] + [i for s in shown for i in _to_show(s)])
    )
    uris = _photos(train_images(data), images) if data is not None and photos else {}
    scores = {"all": (numbers["f1"], numbers["interval"])} | {
        f"fold {k}": (own["f1"], own["interval"]) for k, own in numbers["of_folds"].items()
    }
    own_f1 = {"mean": (numbers["f1"], numbers["interval"])} | {
        name: (own["f1"], own["interval"]) for name, own in zip(names, numbers["members"])
    }
    matrices = numbers["confusion"]
    _write_page(
        out,
        force,
        {
            "title": " + ".join(names),
            "numbers": numbers,
            "names": names,
            "tta": tta,
            "plan": plan,
            "tasks": TASKS,
            "class_names": CLASS_NAMES,
            "boundary": boundary(numbers["years"]),
            "uris": uris,
            "worst": worst,
            "suspects": [
                (
                    s,
                    [i for i in _to_show(s) if i in uris],
                    corrected.get((s.correction.path, s.correction.field)),
                )
                for s in shown
            ],
            "lines": [
                s.line for s in suspects if (s.correction.path, s.correction.field) not in corrected
            ],
            "every_suspect": len(suspects),
            "foreign": any(member.files for member in members),
            "flattered": any(
                c.card.chosen_on_fold for member in members for c in member.checkpoints
            ),
            "svg": {
                "folds": figures.intervals("macro-F1 by fold", scores),
                "members": figures.intervals("macro-F1 of each run", own_f1)
                if len(names) > 1
                else "",
                "classes": figures.class_scores(
                    "F1 of each class",
                    *([c[key] for c in numbers["classes"]] for key in ("f1", "interval", "people")),
                ),
                "confusion": figures.confusion(
                    "confusion of the 18 classes", np.array(matrices["classes"]), CLASS_NAMES
                ),
                **{
                    task: figures.confusion(f"confusion of {task}", np.array(matrices[task]), names)
                    for task, names in TASK_NAMES.items()
                },
                "reliability": figures.reliability("reliability diagram", numbers["bins"]),
                "ages": figures.by_age("predicted age class by true age", numbers["years"]),
            },
            "curves": {
                name: _curves(name, member)
                for name, member in zip(names, members)
                if member.checkpoints
            },
        },
    )
    return numbers


def _to_show(suspect: Suspect) -> tuple[str, ...]:
    return suspect.images[:3]


def _curves(name: str, member: Member) -> str:
    folds = {c.card.fold: read_metrics(Fold(c.path.parent).metrics) for c in member.checkpoints}
    there = {fold: rows for fold, rows in sorted(folds.items()) if rows}
    chosen = {c.card.fold: c.card.epoch for c in member.checkpoints}
    return figures.curves(f"learning curves of {name}", there, chosen) if there else ""
