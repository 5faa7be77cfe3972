"""One page to look at: what runs get right and wrong out of fold, or, without a run, what the data hold.

    python -m kit.report runs/effb4_5fold

writes `report.html`, one file with all of its figures and photos in it, which needs no network: the score with its interval,
learning curves, confusion matrices, F1 of each class, reliability, what happens around 30 and 60, blends, the worst errors, and
photos that are probably mislabelled, with the lines for a corrections file. Several runs are reported as their mean.

    python -m kit.report

writes `data.html`: classes, ages, sizes and brightness, look-alikes, and photos of each class.
"""

import sys
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from kit import __version__, figures
from kit.audit import audit_photos
from kit.console import Parser, command, duration, say, warn
from kit.data import apply_corrections, check_data, eval_images, find_data, info_csv, read_eval, read_layout, train_images
from kit.errors import KitError, problem
from kit.labels import AGE_BOUNDARIES, AGES, CLASS_NAMES, GENDERS, NUM_CLASSES, TASK_NAMES, TASKS, age_class, decode
from kit.members import PROBABILITY_FILES, Engine, Member, Oof, find_members, named_apart, oof_probs
from kit.metrics import People, calibration, log_loss, say_interval, show_interval
from kit.mislabel import Suspect, find_mislabelled
from kit.pixels import decode as decode_photo
from kit.pixels import for_each_photo, size_of
from kit.sheet import contact_sheet, data_uri, thumbnails
from kit.standing import judge
from kit.tables import Fold, Plan, read_info, read_metrics, read_plan, refuse_existing, refuse_input, writing

_ERRORS: Final = 24  # photos in the gallery of the worst errors
_SUSPECTS: Final = 30
_OF_CLASS: Final = 12  # photos a class


# ---------------------------------------------------------------- numbers

def years(photos: pd.DataFrame, predicted: np.ndarray) -> list[dict[str, Any]]:
    """For each age in years: its `people` and `photos`, the shares `predicted` (3,) as each age class, and what is `right`."""
    age = photos["age"].to_numpy()
    classes = decode(predicted)[2]
    found = []
    for year in np.unique(age).tolist():
        own = age == year
        shares = np.bincount(classes[own], minlength=len(AGES)) / own.sum()
        found.append({"age": year, "people": int(photos["person"][own].nunique()), "photos": int(own.sum()),
                      "predicted": shares.tolist(), "right": float(shares[int(age_class(np.array(year)))])})
    return found


def measure(oof: Oof) -> dict[str, Any]:
    """All that a report says in numbers, of members' out-of-fold probabilities, as plain values.

    Those of the mean of the members and the plain argmax: `f1`, `accuracy`, `interval`, `folds`, `classes`, `tasks` and the rest
    of `standing.judge`'s record, with the blends that it compares; `of_folds` adds intervals. `confusion` has the counts of the
    18 `classes`, `mask`, `gender` and `age`, true ones down; `precision` and `recall` are (18,); `ece` and `bins` are those of
    `metrics.calibration`, `years` those of `years`.
    """
    from sklearn.metrics import confusion_matrix, precision_recall_fscore_support
    numbers = dict(judge(oof, "mean", "argmax").record)
    asked = [("mean", "bias")] if len(oof.probs) == 1 else [("greedy", "bias"), ("weights", "argmax"), ("gmean", "argmax"),
                                                            ("vote", "argmax")]
    rows: dict[str, dict[str, Any]] = {}
    for blend, decision in asked:
        rows |= {row["name"]: row for row in judge(oof, blend, decision).record["candidates"]}
    numbers["candidates"] = list(rows.values())
    photos, probs = oof.photos, oof.probs.mean(axis=0)
    truth, predicted = photos["label"].to_numpy(), probs.argmax(axis=1)
    person, fold = photos["person"].to_numpy(), photos["fold"].to_numpy()
    numbers["of_folds"] = {}
    for k in np.unique(fold).tolist():
        own = fold == k
        people = People(person[own], truth[own])
        numbers["of_folds"][k] = {"f1": numbers["folds"][k], "people": people.number, "photos": int(own.sum()),
                                  "interval": people.interval(people.macro(predicted[own]))}
    precision, recall, _, _ = precision_recall_fscore_support(truth, predicted, labels=range(NUM_CLASSES), zero_division=0)
    numbers |= {"precision": precision.tolist(), "recall": recall.tolist()}
    numbers["confusion"] = {"classes": confusion_matrix(truth, predicted, labels=range(NUM_CLASSES)).tolist()}
    for (task, names), true, guess in zip(TASK_NAMES.items(), decode(truth), decode(predicted)):
        numbers["confusion"][task] = confusion_matrix(true, guess, labels=range(len(names))).tolist()
    numbers["log_loss"] = log_loss(probs, truth)  # as it is, where the record's is that of a fitted temperature
    numbers["ece"], numbers["bins"] = calibration(probs, truth)
    numbers["years"] = years(photos, predicted)
    return numbers


def worst_errors(photos: pd.DataFrame, probs: np.ndarray, number: int = _ERRORS) -> list[dict[str, Any]]:
    """The photos whose true class is the least probable, one of each person, as plain values."""
    truth, predicted = photos["label"].to_numpy(), probs.argmax(axis=1)
    own = probs[np.arange(len(truth)), truth]
    found: dict[str, dict[str, Any]] = {}
    for i in np.argsort(own, kind="stable").tolist():
        person = photos["person"].iloc[i]
        if predicted[i] != truth[i] and person not in found:
            found[person] = {"image": photos["image"].iloc[i], "age": int(photos["age"].iloc[i]),
                             "fold": int(photos["fold"].iloc[i]), "true": CLASS_NAMES[truth[i]], "true_prob": float(own[i]),
                             "predicted": CLASS_NAMES[predicted[i]], "prob": float(probs[i, predicted[i]])}
        if len(found) == number:
            break
    return list(found.values())


def boundary(of_years: Sequence[Mapping[str, Any]], within: int = 2) -> dict[str, float]:
    """How errors of age lie about 30 and 60: the shares of `errors` and of `photos` at the ages so many years around one."""
    near = [any(b - within <= row["age"] < b + within for b in AGE_BOUNDARIES) for row in of_years]
    photos = np.array([row["photos"] for row in of_years], dtype=np.float64)
    wrong = photos * (1 - np.array([row["right"] for row in of_years]))
    return {"errors": float(wrong[near].sum() / max(wrong.sum(), 1e-9)), "photos": float(photos[near].sum() / photos.sum()),
            "wrong": round(float(wrong.sum()))}


# ---------------------------------------------------------------- the page of runs

def report(runs: Sequence[Path], plan: Plan, data: Path | None, out: Path, tta: str = "none", engine: Engine = Engine(),
           photos: bool = True, force: bool = False) -> dict[str, Any]:
    """Write the page of runs, their mean if there are several, and return its numbers: those of `measure`, and `suspects`.

    The competition's folder `data` may be None where neither photos, views nor other teams' files need it. Raises `KitError`
    where a run has no checkpoint, and where `out` is taken.
    """
    _check_place(out, data, force, runs)
    if data is not None:
        check_data(data, plan)
    members = find_members(runs, plan, read_info(info_csv(data)) if data is not None else [], allow_missing=True)
    oof = oof_probs(members, plan, data or Path(), tta, engine)
    names, probs = named_apart(members), oof.probs.mean(axis=0)
    numbers = measure(oof)
    suspects = find_mislabelled(oof.photos, probs)
    numbers["suspects"] = [{"line": s.line, "given": s.given, "suggested": s.suggested, "given_prob": s.given_prob,
                            "suggested_prob": s.suggested_prob, "stands_out": s.stands_out} for s in suspects]
    corrected = {(fix["path"], fix["field"]): fix["new"] for fix in plan.meta["corrections"]}
    worst, shown = worst_errors(oof.photos, probs), suspects[:_SUSPECTS]
    images = list(dict.fromkeys([error["image"] for error in worst] + [i for s in shown for i in _to_show(s)]))
    uris = _photos(train_images(data), images) if data is not None and photos else {}
    scores = {"all": (numbers["f1"], numbers["interval"])} | {
        f"fold {k}": (own["f1"], own["interval"]) for k, own in numbers["of_folds"].items()}
    own_f1 = {"mean": (numbers["f1"], numbers["interval"])} | {
        name: (own["f1"], own["interval"]) for name, own in zip(names, numbers["members"])}
    matrices = numbers["confusion"]
    _write_page(out, force, {
        "title": " + ".join(names), "numbers": numbers, "names": names, "tta": tta, "plan": plan, "tasks": TASKS,
        "class_names": CLASS_NAMES, "boundary": boundary(numbers["years"]), "uris": uris, "worst": worst,
        "suspects": [(s, [i for i in _to_show(s) if i in uris], corrected.get((s.correction.path, s.correction.field)))
                     for s in shown],
        "lines": [s.line for s in suspects if (s.correction.path, s.correction.field) not in corrected],
        "every_suspect": len(suspects), "foreign": any(member.files for member in members),
        "flattered": any(c.card.chosen_on_fold for member in members for c in member.checkpoints),
        "svg": {
            "folds": figures.intervals("macro-F1 by fold", scores),
            "members": figures.intervals("macro-F1 of each run", own_f1) if len(names) > 1 else "",
            "classes": figures.class_scores("F1 of each class", *([c[key] for c in numbers["classes"]]
                                                                  for key in ("f1", "interval", "people"))),
            "confusion": figures.confusion("confusion of the 18 classes", np.array(matrices["classes"]), CLASS_NAMES),
            **{task: figures.confusion(f"confusion of {task}", np.array(matrices[task]), names)
               for task, names in TASK_NAMES.items()},
            "reliability": figures.reliability("reliability diagram", numbers["bins"]),
            "ages": figures.by_age("predicted age class by true age", numbers["years"])},
        "curves": {name: _curves(name, member) for name, member in zip(names, members) if member.checkpoints}})
    return numbers


def _check_place(out: Path, data: Path | None, force: bool, inputs: Sequence[Path] = ()) -> None:
    if out.suffix not in (".html", ".htm"):
        raise problem(out, "is no name for a page", remedy="let --out end in .html")
    refuse_input(out, data or Path("data"), *inputs)
    if not force:
        refuse_existing(out)


def _to_show(suspect: Suspect) -> tuple[str, ...]:
    return suspect.images[:3]


def _photos(root: Path, images: Sequence[str]) -> dict[str, str]:
    """Photos as addresses that the page holds within itself."""
    return dict(zip(images, map(data_uri, thumbnails(root, images))))


def _curves(name: str, member: Member) -> str:
    folds = {c.card.fold: read_metrics(Fold(c.path.parent).metrics) for c in member.checkpoints}
    there = {fold: rows for fold, rows in sorted(folds.items()) if rows}
    chosen = {c.card.fold: c.card.epoch for c in member.checkpoints}
    return figures.curves(f"learning curves of {name}", there, chosen) if there else ""


# ---------------------------------------------------------------- the page of the data

def report_data(data: Path, out: Path, force: bool = False) -> dict[str, Any]:
    """Write the page of a competition's folder and return its numbers.

    `counts` (18,) of the training photos; `people`; `sizes` and `brightness` (mean, standard deviation) of the `train` and `eval`
    photos, sizes as width, height and number of photos, the most frequent first; and the audit's `links`, those of `test`
    photos apart.
    """
    _check_place(out, data, force)
    layout = read_layout(data)
    photos, _ = apply_corrections(layout, [], data / "train" / "train.csv")
    photos = photos.sort_values("image", ignore_index=True)
    for remark in layout.remarks:
        warn(remark)
    root, ids = train_images(data), read_eval(data)
    images, labels = photos["image"].tolist(), photos["label"].to_numpy()
    found = audit_photos(root, images, photos["person"].tolist(), eval_images(data), ids)
    looks = {"train": _look(root, images, "training photos"), "eval": _look(eval_images(data), ids, "photos to predict")}
    people = photos.drop_duplicates("person")
    gender, counts = decode(people["label"].to_numpy())[1], np.bincount(labels, minlength=NUM_CLASSES)
    table = np.bincount(gender * len(AGES) + age_class(people["age"].to_numpy()), minlength=6).reshape(2, 3)
    numbers = {"photos": len(images), "people": len(people), "eval": len(ids), "counts": counts.tolist(),
               "groups": table.tolist(),
               "links": [link.record() for link in found.links], "test": [link.record() for link in found.test],
               "sizes": {name: _sizes(size) for name, (size, _) in looks.items()},
               "brightness": {name: (float(own.mean()), float(own.std())) for name, (_, own) in looks.items()}}
    linked = found.links[:_ERRORS]
    uris = _photos(root, list(dict.fromkeys(image for link in linked for image in (link.a, link.b))))
    _write_page(out, force, {
        "title": data.resolve().name, "data": numbers, "class_names": CLASS_NAMES, "genders": GENDERS, "age_names": AGES,
        "uris": uris, "links": linked, "sheets": _class_sheets(root, photos),
        "svg": {"counts": figures.photo_counts("photos a class", counts),
                "ages": figures.ages("people by age", people["age"].to_numpy(), gender),
                "brightness": figures.brightness("brightness of the photos", {name: own for name, (_, own) in looks.items()})}})
    return numbers


def _look(root: Path, images: Sequence[str], what: str) -> tuple[np.ndarray, np.ndarray]:
    """The sizes (N, 2), width and height, and the mean brightness (N,), 0..255, of photos."""
    def one(path: Path) -> tuple[int, int, float]:
        light = float(decode_photo(path, least=32)[0].mean())
        return *size_of(path), light

    table = np.array(for_each_photo(root, images, one, what))
    return table[:, :2].astype(int), table[:, 2]


def _sizes(sizes: np.ndarray) -> list[tuple[int, int, int]]:
    different, count = np.unique(sizes, axis=0, return_counts=True)
    order = np.argsort(-count, kind="stable")
    return [(int(different[i, 0]), int(different[i, 1]), int(count[i])) for i in order]


def _class_sheets(root: Path, photos: pd.DataFrame) -> dict[int, str]:
    """A contact sheet of each class that has photos, of different people as far as there are."""
    shuffled = photos.iloc[np.random.default_rng(0).permutation(len(photos))]
    chosen = {c: (own if len(one) < _OF_CLASS else one).head(_OF_CLASS) for c, own in shuffled.groupby("label")
              for one in [own.drop_duplicates("person")]}
    small = iter(thumbnails(root, [image for own in chosen.values() for image in own["image"]], 96))
    return {int(c): data_uri(contact_sheet([next(small) for _ in range(len(own))],
                                           [(f"{age} y {Path(image).stem}",) for age, image in zip(own["age"], own["image"])], 6))
            for c, own in chosen.items()}


# ---------------------------------------------------------------- writing

def _write_page(out: Path, force: bool, content: dict[str, Any]) -> None:
    from jinja2 import Environment, PackageLoader, StrictUndefined
    environment = Environment(loader=PackageLoader("kit", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
                              lstrip_blocks=True)
    environment.filters["number"] = lambda value, digits=3: f"{value:.{digits}f}"
    environment.filters["signed"] = lambda value, digits=3: f"{value:+.{digits}f}"
    environment.filters["interval"] = show_interval
    environment.globals["say_interval"] = say_interval
    environment.filters["whole"] = lambda value: f"{value:,}"
    made = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    page = environment.get_template("report.html").render(version=__version__, made=made, **content)
    with writing(out, force) as temporary:
        temporary.write_text(page, encoding="utf-8", newline="\n")


@command
def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    parser = Parser(prog="kit.report", description=__doc__)
    parser.add_argument("runs", nargs="*", type=Path, metavar="RUN", help="runs' folders, or single folds; none: the data alone")
    parser.add_argument("--data", help="the competition's folder (default: $KIT_DATA, then data/)")
    parser.add_argument("--plan", type=Path, default=Path("runs/folds.csv"), help="default: runs/folds.csv")
    parser.add_argument("--out", type=Path, help="default: report.html, and data.html without a run")
    parser.add_argument("--tta", default="none", help="views as kit.ensemble has them, such as hflip (default: none)")
    parser.add_argument("--no-photos", action="store_true", help="leave photos out of the page; it still names people's folders")
    parser.add_argument("--device",
                        help="for --tta and bare checkpoints: cpu, cuda or cuda:1 (default: the first GPU, else the CPU)")
    parser.add_argument("--force", action="store_true", help="overwrite an existing page")
    args = parser.parse_intermixed_args(argv)
    started = time.monotonic()
    if args.runs:
        bare = any(run.suffix == ".safetensors" or Fold(run).best.exists() and not Fold(run).oof.exists() for run in args.runs)
        if args.device and args.tta == "none" and not bare:
            raise KitError("--device: is for --tta, for without views no network is run; leave it out")
        out = args.out or Path("report.html")
        alone = args.no_photos and args.tta == "none" and not any(run.suffix in PROBABILITY_FILES for run in args.runs)
        data = None if alone else find_data(args.data)
        numbers = report(args.runs, read_plan(args.plan), data, out, args.tta, Engine(args.device), not args.no_photos,
                         args.force)
        say(f"macro-F1 {numbers['f1']:.3f} out of fold ({say_interval(numbers['interval'], numbers['effective'])}), of "
            f"{numbers['photos']:,} photos of {numbers['people']:,} people; the networks are at odds with "
            f"{len(numbers['suspects'])} labels")
    else:
        idle = [name for name in ("plan", "tta", "no_photos", "device") if getattr(args, name) != parser.get_default(name)]
        if idle:
            raise KitError(f"--{idle[0].replace('_', '-')}: is of a report on runs; name one, such as runs/effb4_5fold")
        out = args.out or Path("data.html")
        found = report_data(find_data(args.data), out, args.force)
        say(f"{found['photos']:,} photos of {found['people']:,} people, {found['eval']:,} to predict; {len(found['links'])} "
            "pairs of people share a photo or a near-identical one")
    say(f"wrote {out} ({out.stat().st_size / 1e6:.1f} MB) in {duration(time.monotonic() - started)}: open it in a browser"
        + ("" if args.no_photos else "; it holds photos, so keep it to yourself"))


if __name__ == "__main__":
    sys.exit(main())
