"""What is wrong with an ensemble's members and options is told, and mended as told."""

import dataclasses
import functools
import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import safetensors.torch
from helpers import ensemble_arguments, mask_folder, theirs
from remedies import after, command, tried

import kit.folds
from kit.blending.margins import sample_size
from kit.blending.settings import EnsembleSettings, Output, check_settings
from kit.blending.submit import ensemble as blended
from kit.competition import Competition
from kit.data.folder import read_test
from kit.data.plan import Plan, read_plan
from kit.ensemble import main
from kit.inference.engine import Compute
from kit.inference.members import find_members
from kit.inference.views import make_views
from kit.models.checkpoint import load, read_checkpoint_info, save
from kit.results.probs import read_probs, write_probs
from kit.results.run import Fold
from kit.system.disk import write_json


def ensemble(root: Path, *more: object, members: tuple[object, ...] = ()):
    """A call of kit.ensemble in a copy of the world, with other members than its run."""
    words = ensemble_arguments(root, "--force", *more)
    return command(main, *(members or (words[0],)), *words[1:])


@pytest.fixture
def finds(copy):
    """`finds(...)` is a call that finds the members that paths name."""
    ids, path = read_test(mask_folder(copy / "data")), copy / "runs" / "folds.csv"

    def find(*paths: Path, **options: bool):
        return lambda: len(find_members(paths, read_plan(path), ids, **options))

    return lambda *paths, **options: after(find(*paths, **options), lambda: None)


def test_runs(copy, finds):
    run, good = copy / "runs" / "small", finds(copy / "runs" / "small")
    said = f"there is no such run (did you mean {run}?); train it with python -m kit.train RECIPE"
    tried(finds(copy / "runs" / "smal"), said, good)
    loose = copy / "loose" / "one.safetensors"
    loose.parent.mkdir()
    shutil.copy(run / "fold0" / "best.safetensors", loose)
    said = f"holds no checkpoint; name the files in it, such as {loose}"
    tried(finds(loose.parent), said, finds(loose))
    tried(finds(run, run), "the same checkpoint twice (3 found", good)
    tried(finds(theirs(copy), theirs(copy)), "the same file twice; name each member once", good)
    (run / "fold1").rename(copy / "away")
    said = "train them with python -m kit.train RECIPE --fold 1, or --allow-missing-folds"
    tried(finds(run), said, after(lambda: (copy / "away").rename(run / "fold1"), good))
    (run / "fold1").rename(copy / "away")
    tried(finds(run), said, finds(run, allow_missing=True))
    (run / "fold0").rename(run / "fold1")
    said = "is the checkpoint of fold 0; move it to its own folder"
    moved = after(
        lambda: (run / "fold1").rename(run / "fold0"),
        lambda: (copy / "away").rename(run / "fold1"),
        good,
    )
    tried(finds(run, allow_missing=True), said, moved)
    Fold(run / "fold0").last.write_bytes(b"")
    said = "fold0: training is not finished (2 of 2 epochs)"
    tried(good, said, after(Fold(run / "fold0").last.unlink, good))


def test_checkpoints(copy, finds):
    run, good = copy / "runs" / "small", finds(copy / "runs" / "small")
    best = Fold(run / "fold0").best
    info, network, whole = read_checkpoint_info(best), load(best), best.read_bytes()

    def with_changes(**changes: object):
        return lambda: save(best, network, dataclasses.replace(info, **changes))

    said = "is damaged, or not the checkpoint that oof.npz beside it is of; put a copy back; "
    back = after(lambda: best.write_bytes(whole), good)
    tried(after(with_changes(score=0.1), good), said, back)
    for path in (Fold(best.parent).oof, Fold(best.parent).metrics):
        path.unlink()  # they are of this checkpoint alone
    right = after(with_changes(), good)
    other = info.competition | {"name": "hats"}
    tried(
        after(with_changes(competition=other), good),
        "was trained for another competition (hats) than the fold plan's (mask); name its plan",
        right,
    )
    said = "was trained on another fold plan; name its plan with --plan, or train it again on this"
    tried(after(with_changes(plan="0" * 64), good), said, right)
    said = "is of a trial on 10 photos; train the recipe without --limit"
    tried(after(with_changes(limit=10), good), said, right)
    said = "decoded or resized otherwise (pixels 1, here 2); use the version of the kit that made"
    old = info.versions | {"pixels": "1"}
    tried(after(with_changes(versions=old), good), said, right)
    said = "was made with timm 0.1 (here"
    tried(after(with_changes(versions=info.versions | {"timm": "0.1"}), good), said, right)
    said = "its folds were trained by different recipes"
    tried(after(with_changes(recipe=info.recipe | {"lr": 1.0}), good), said, right)
    said = "is of fold 9, and the plan has 3; train the fold again"
    tried(
        after(with_changes(fold=9), good_alone := finds(best)),
        said,
        after(with_changes(), good_alone),
    )
    best.write_bytes(whole[:5000])
    tried(good, "is no checkpoint of the kit", right)
    best.unlink()
    best.mkdir()
    again = after(best.rmdir, lambda: best.write_bytes(whole), good)
    tried(good, "cannot be read: ", again)
    tensors = safetensors.torch.load_file(best)
    name = next(name for name in tensors if name.endswith("conv_stem.weight"))
    with safetensors.safe_open(best, "pt") as file:
        metadata = file.metadata()
    safetensors.torch.save_file({k: v for k, v in tensors.items() if k != name}, best, metadata)
    made = after(with_changes(), lambda: load(best) and None)  # by its training
    said = f"{name} is not there); put a copy of it back, or make it again: its training or its"
    tried(functools.partial(load, best), said, made)
    safetensors.torch.save_file(tensors | {name: tensors[name] + 1}, best, metadata)
    said = "their checksum does not fit: the file is damaged); put a copy of it back, or make it"
    tried(functools.partial(load, best), said, made)


def test_files_of_other_teams(copy, finds):
    path = theirs(copy)
    oof, good = copy / "theirs.oof.csv", finds(path)
    table, beside = (pd.read_csv(file, dtype={"ImageID": str}) for file in (path, oof))

    def written(frame: pd.DataFrame, file: Path = path):
        return after(lambda: frame.to_csv(file, index=False), good)

    right = written(table)
    said = f"there is no such file (did you mean {path}?); name a run's folder, or a file of"
    tried(finds(copy / "their.csv"), said, good)
    stranger = pd.concat([table, table[:1].assign(ImageID="no.jpg")])
    tried(written(stranger), "(1 found: no.jpg); training photos are called as in the plan", right)
    tried(written(table[:-2]), "lacks photos to predict (2 found", right)
    tried(written(beside[:-3], oof), "every one of them needs a row", written(beside, oof))
    both = pd.concat([beside, table[:1]])
    said = "has ids that theirs.csv has, too; keep each in one of the two"
    tried(written(both, oof), said, written(beside, oof))
    oof.unlink()
    score = ensemble(copy, members=(path,))
    said = "put them into theirs.oof.csv beside it, or --no-score"
    tried(score, said, ensemble(copy, "--no-score", members=(path,)))
    tried(score, said, after(lambda: beside.to_csv(oof, index=False), score))


def test_out_of_fold_files(copy):
    run, score = copy / "runs" / "small", ensemble(copy)
    oof = Fold(run / "fold1").oof
    whole = oof.read_bytes()
    said = "python -m kit.train RECIPE --fold 1 makes it again"
    oof.unlink()
    again = after(lambda: oof.write_bytes(whole), score)  # `test_tried_trainings.py` trains
    tried(score, f"is not there; {said}", again)
    table = read_probs(oof)
    plan = read_plan(copy / "runs" / "folds.csv").hash
    oof.unlink()
    write_probs(oof, dataclasses.replace(table, key=table.key.replace(plan, "0" * 64)))
    tried(score, f"belongs to another checkpoint than the one beside it; {said}", again)
    shutil.copy(Fold(run / "fold0").oof, oof)
    said = "put a copy back; python -m kit.train RECIPE --fold 1 makes oof.npz again"
    tried(score, said, again)
    one, other = run / "fold0", copy / "other" / "fold1"
    shutil.copytree(run / "fold1", other)
    apart = ensemble(copy, members=(one, other))
    said = "have no photo in common, so that their ensemble has no out-of-fold score; name whole"
    tried(apart, said, score)
    tried(apart, said, ensemble(copy, "--no-score", members=(one, other)))
    some = ensemble(copy, members=(one, theirs(copy)))
    said = "is of 42 of 126 training photos: "
    tried(some, said, ensemble(copy, members=(run, theirs(copy))))


def test_what_is_written(copy):
    path = theirs(copy)
    (copy / "theirs.oof.csv").unlink()
    out = copy / "p.csv"
    probs = functools.partial(ensemble, copy, "--save-probs")
    said = "is no name for probabilities; let --save-probs end in .csv or .npz"
    tried(probs(copy / "p.txt"), said, probs(out))
    out.write_text("x\n")
    said = "; delete it, or choose another name for --save-probs"
    tried(probs(out), said, after(out.unlink, probs(out)))
    said = "is the submission's own name; choose another one for --save-probs"
    tried(probs(copy / "s.csv"), said, probs(out))
    said = "--save-probs: needs every pass of every photo; leave --fast and --agree out"
    tried(probs(out, "--fast"), said, probs(out))
    left = ensemble(copy, "--save-probs", out, members=(copy / "runs" / "small" / "fold0",))
    tried(left, "so that none are written", probs(out))
    (copy / "s.profile.json").mkdir()
    said = "the profile is not kept: "
    fresh = lambda: [path.unlink() for path in copy.glob("runs/*/*/probs-*")]  # noqa: E731
    profile = after(fresh, ensemble(copy, "--profile"))
    tried(profile, said, after((copy / "s.profile.json").rmdir, profile))
    assert path.exists()


def test_plans_and_records(copy):
    assert ensemble(copy)() == 0
    run, source, out = copy / "runs" / "small", copy / "s.json", copy / "t.csv"
    again = [*ensemble_arguments(copy)[1:5], "--device", "cpu", "--force", "--out", out]
    remake = functools.partial(command, main, "--from")
    good = remake(source, *again)
    said = f"there is no such file (did you mean {source}?); name the .json beside a submission"
    tried(remake(copy / "ss.json", *again), said, good)
    tried(remake(copy / "s.csv", *again), "is a table, and no record; name the .json", good)
    record = json.loads(source.read_text())
    write_json(copy / "bad.json", record | {"members": []})
    tried(remake(copy / "bad.json", *again), "is no record of a submission", good)
    best = Fold(run / "fold1").best
    whole = best.read_bytes()
    best.write_bytes(whole + b" ")
    back = after(lambda: best.write_bytes(whole), good)
    tried(good, "that are not the files they were (1 found: ", back)
    best.unlink()
    tried(good, "that are not where they were (1 found: ", back)
    tried(remake(source, *again, "--blend", "vote"), "for the record says it; leave it out", good)
    several = remake(source, *again, "--device", "cpu,cpu")
    tried(several, "--from: --device cpu,cpu are several; name one", good)
    write_json(copy / "other.json", record | {"sha256": "0" * 64})
    said = "is not made again: its answers differ from the record's; make it on the device and with"
    tried(remake(copy / "other.json", *again), said, good)
    said = "takes one of three; name members, such as runs/effb4_5fold, or --from FILE.json, or"
    tried(command(main), said, good)
    check = ["--check", copy / "s.csv", *again[:2]]
    tried(command(main), said, command(main, *check))
    tried(
        command(main, *check, "--tta", "hflip"),
        "takes no --tta; leave it out",
        command(main, *check),
    )
    said = "; name a submission"
    tried(command(main, "--check", copy / "x.csv", *again[:2]), said, command(main, *check))
    bare = ["--data", copy / "data", "--out", copy / "u.csv", "--device", "cpu", "--force"]
    said = "there is no fold plan; make one with python -m kit.folds"
    tried(command(main, run, *bare, "--plan", copy / "none.csv"), said, good)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(copy / "data")  # where no plan lies
        remade = remake(source, *bare)
        tried(remade, "needs the fold plan it was trained on; name it with --plan", good)


def test_a_score_needs_a_plan(copy):
    data, plan = mask_folder(copy / "data"), read_plan(copy / "runs" / "folds.csv")
    output, compute = Output(path=copy / "u.csv", force=True), Compute("cpu", 0)

    def blend(known: Plan | None, score: bool):
        settings = EnsembleSettings(score=score)
        return lambda: blended([theirs(copy)], known, data, output, settings, compute) and None

    said = "a score needs the fold plan, which has the labels; name it with --plan, or --no-score"
    tried(blend(None, True), said, blend(plan, True))
    tried(blend(None, True), said, blend(None, False))


def test_submissions_that_are_checked(copy):
    assert ensemble(copy)() == 0
    out, plan = copy / "s.csv", copy / "runs" / "folds.csv"
    text, words = out.read_text(), ["--data", copy / "data", "--plan", plan]
    check = command(main, "--check", out, *words)
    right = after(lambda: out.write_text(text), check)
    out.write_text(text.replace("\n", ",1\n"))
    said = "make it again by the record's command, or give a changed one another name"
    tried(check, said, right)
    out.with_suffix(".json").unlink()
    out.write_text(text.replace("\n", ",1\n"))
    tried(check, "would not pass", right)
    plan_text = plan.read_text()
    plan.write_text(plan_text + "\n")
    said = "without the plan's labels: "
    tried(check, said, after(lambda: plan.write_text(plan_text), check))


MASK_LIKE = Competition(
    name="m", classes=("a", "b", "c"), kind="classes", metric="f1_macro", answer="class"
)


def test_settings():
    def of(competition: Competition = MASK_LIKE, **settings: object):
        return lambda: check_settings(EnsembleSettings(**settings), competition)

    said = "need out-of-fold probabilities; leave one out"
    tried(of(score=False, decision="bias"), said, of(score=False))
    tried(of(score=False, decision="bias"), said, of(decision="bias"))
    said = "take --blend mean, greedy, weights"
    tried(of(fast=True, blend="gmean"), said, of(fast=True, blend="mean"))
    tried(of(score_tta=True), "name some with --tta", of(score_tta=True, tta="hflip"))
    said = "--force-blend: nothing is fitted; name a fitted one with --blend or --decide"
    tried(of(force_blend=True), said, of(force_blend=True, blend="weights"))
    tried(of(force_blend=True), said, of(force_blend=True, decision="bias"))
    tried(of(fast=True, agree=2), "--agree 2: take a share from 0.5", of(fast=True, agree=0.998))
    labels = Competition(
        name="l", kind="labels", classes=("a", "b"), metric="f1_samples", answer="list"
    )
    said = "a photo may have several; leave it out"
    tried(of(labels, fast=True), said, of(labels))
    said = "to differ: to be 95 % sure of it, most of them must be run in full; take --fast alone"
    tried(lambda: sample_size(10, 0.998), said, of(fast=True))


def test_copies_and_views(copy):
    path = theirs(copy)
    both = theirs(copy, "again.csv")
    tried(
        ensemble(copy, members=(path, both)),
        "has the same probabilities as theirs, and is left out",
        ensemble(copy, members=(path,)),
    )
    tta = functools.partial(ensemble, copy, "--tta")
    tried(tta("hflp"), "(did you mean hflip?); take none, hflip", tta("hflip"))
    tried(tta("hflip+hflip"), "'hflip' is named twice; take none,", tta("hflip"))
    said = "; leave vflip out, or --force-views"
    tried(tta("vflip"), said, tta("none"))
    tried(tta("vflip"), said, tta("vflip", "--force-views"))
    still = dataclasses.replace(MASK_LIKE, mirror=None)
    said = "is None; leave hflip out"
    wrong = functools.partial(make_views, "hflip", competition=still)
    tried(wrong, said, functools.partial(make_views, "none", competition=still))


def test_a_plan_of_another_seed(copy):
    words = ["--data", copy / "data", "--out", copy / "other.csv", "--folds", 3, "--seed", 1]
    assert command(kit.folds.main, *words, "--no-audit")() == 0
    wrong = ensemble(copy, "--plan", copy / "other.csv")
    tried(wrong, "was trained on another fold plan; name its plan with --plan", ensemble(copy))
