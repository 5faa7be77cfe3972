"""The rest: data that changed, groups of processes, searches, submissions made again."""

import dataclasses
import fcntl
import functools
import json
import shutil
from argparse import Namespace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from answer_forms import form, form_folder, plan_of, team_file
from helpers import MASK, World, draw_photo, ensemble_arguments, everywhere, mask_folder, small
from remedies import after, command, tried
from trainings import on_cpu, recipe_file

import kit.data.cache
import kit.data.loader
import kit.ensemble
import kit.folds
import kit.report
import kit.system.threads
import kit.training.estimate
import kit.training.fold
import kit.training.trackers
import kit.tune
from kit.benchmarks.folds import run_folds
from kit.blending.reproduce import reproduce
from kit.blending.settings import EnsembleSettings, Output
from kit.blending.submit import ensemble
from kit.data.cache import temporary_cache
from kit.data.folder import check_data, read_ids
from kit.data.geometry import Geometry
from kit.data.loader import PhotoDataset, end_workers, iterate, make_loader
from kit.data.plan import read_plan
from kit.inference.elsewhere import find_place
from kit.inference.engine import Compute, explain_out_of_memory
from kit.inference.predict import check_views
from kit.inference.views import make_views
from kit.models.checkpoint import Origin, checkpoint_info, save
from kit.models.network import build
from kit.results.run import Fold
from kit.results.submission import Predicted, write_submission
from kit.scale.group import Group, joined
from kit.scale.ranks import Ranks
from kit.system.disk import file_hash, write_json
from kit.training.alike import check_alike
from kit.training.estimate import estimate
from kit.training.fold_data import check_shares
from kit.training.job import FoldJob
from kit.training.learner import Learner
from kit.training.resume import ResumeStatus, TrainingState
from kit.training.run import train
from kit.tuning.study import Trial, read_study, study_path, write_study

CPU = torch.device("cpu")


def test_data_that_changed_since_the_plan(data, tmp_path):
    path = tmp_path / "folds.csv"
    words = ["--data", data, "--out", path, "--folds", 3, "--no-audit", "--force"]
    plan = command(kit.folds.main, *words)
    assert plan() == 0
    check = lambda: check_data(mask_folder(data), read_plan(path))  # noqa: E731
    photo = data / "train" / "images" / read_plan(path).photos["image"].iloc[0]
    whole = photo.read_bytes()
    photo.unlink()
    put_back = after(lambda: photo.write_bytes(whole), check)
    said = "photos of the fold plan that are missing (1 found: "
    tried(check, said, put_back)
    draw_photo(photo, "another", (100, 130))
    said = "name the planned folder with --data, or plan again with python -m kit.folds --force"
    tried(check, said, after(plan, check))
    table = data / "train" / "train.csv"
    text = table.read_text()
    table.write_text(text + "\n")
    said = "to use the new ones, plan again with python -m kit.folds --force"
    tried(check, said, after(plan, check))


def test_groups_of_processes(world: World, tmp_path, monkeypatch):
    class Other(Group):
        """A group of two, whose other process has another precision."""

        def gather_values(self, value):
            return [value, value | {"precision": "float16"}]

    class Same(Group):
        """A group of two alike."""

        def gather_values(self, value):
            return [value, value]

    def alike(kind: type[Group]):
        group = kind(Ranks(0, 2))
        job = FoldJob(small(), world.plan, world.folder, 0, tmp_path, on_cpu(group=group))
        learner = Learner(job.recipe, MASK, np.ones(18), CPU)
        return lambda: check_alike(job, learner, TrainingState(step=3))

    said = "give all of them the same files, versions and kind of device"
    tried(alike(Other), said, alike(Same))

    def shares(size: int, **changes: object):
        options, recipe = on_cpu(group=Group(Ranks(0, size, 0, size))), small(**changes)
        job = FoldJob(recipe, world.plan, world.folder, 0, tmp_path, options)
        return lambda: check_shares(job, 84)

    said = "start at most 4, or raise accumulate, which is 4"
    few = {"batch_size": 4, "accumulate": 4}
    tried(shares(8, **few), said, shares(4, **few))
    tried(shares(8, **few), said, shares(8, batch_size=4, accumulate=11))
    said = "loss='f1' is of a whole batch: start one process"
    tried(shares(8, loss="f1"), said, shares(1, loss="f1"))

    def dry(**options: object):
        chosen = on_cpu(limit=8, cache=False, **options)
        return lambda: estimate(small(), world.plan, world.folder, [0], tmp_path, chosen)

    alone = dry()
    said = "--dry-run measures one process; start it without torchrun"
    tried(dry(group=Group(Ranks(0, 2))), said, alone)

    def wild() -> None:
        recipe = small(lr=1e6, optimizer="sgd")
        estimate(recipe, world.plan, world.folder, [0], tmp_path, on_cpu(limit=8, cache=False))

    tried(wild, "; lower lr or set clip", alone)
    group = Group(Ranks(0, 2))

    def lost(_: object) -> None:
        raise RuntimeError("Connection closed by peer")

    with monkeypatch.context() as patch:
        patch.setattr(torch.distributed, "all_reduce", lost)
        said = "does not answer; the same command goes on from the last save"
        tried(lambda: group.sum([torch.ones(3)]), said, lambda: Group().sum([torch.ones(3)]))
    for name in ("MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("kit.scale.group.take_cores", lambda number: None)
    monkeypatch.setattr("kit.scale.group.mute", lambda muted: None)
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")

    def join(ranks: Ranks):
        def call() -> None:
            with joined(ranks):
                pass

        return call

    said = "does not find the others"
    tried(join(Ranks(0, 2, 0, 2)), said, join(Ranks()))


def test_networks_and_their_memory(world: World):
    def out_of_memory() -> None:
        with explain_out_of_memory(Compute("cpu", 0, batch_size=8), CPU):
            raise torch.OutOfMemoryError("out of memory")

    def enough() -> None:
        with explain_out_of_memory(Compute("cpu", 0, batch_size=4), CPU):
            pass

    said = "is too small for 8 photos a batch; take a smaller --batch-size, or another --device"
    tried(out_of_memory, said, enough)

    class OfOneSize:
        """A network that takes photos of 64 x 48 alone."""

        geometry = Geometry((128, 96), (64, 48), (128, 96))

        def __call__(self, photos: torch.Tensor) -> None:
            assert photos.shape[2:] == self.geometry.size, "another size"

    def views(choice: str):
        return lambda: check_views([OfOneSize()], make_views(choice, True), CPU)

    tried(views("rot90"), "; leave it out of --tta", views("hflip"))


def test_loader_processes(tmp_path, monkeypatch):
    draw_photo(tmp_path / "a.jpg", "a")
    names, geometry = ["a.jpg"], Geometry((128, 96), (8, 6), (128, 96))
    photos = PhotoDataset(tmp_path, names, [geometry])

    def load(workers: int):
        return lambda: list(iterate(make_loader(photos, [[0]], workers, CPU)))

    class Hangs:
        dataset = photos

        def __iter__(self):
            raise RuntimeError(self.said)

    def fails(said: str):
        Hangs.said = said
        return lambda: list(iterate(Hangs()))

    said = "; take --workers 0, or give it more (docker run --shm-size=8g)"
    tried(fails("DataLoader timed out after 120 seconds"), said, load(0))
    said = "most likely for memory; take fewer --workers; the same command goes on from the last"
    tried(fails("DataLoader worker (pid 3) is killed"), said, load(0))
    end_workers()
    everywhere(monkeypatch, kit.data.cache, "_FREE_BYTES", 2**62)
    (tmp_path / "t").mkdir()
    cache = functools.partial(temporary_cache, tmp_path / "t", tmp_path, names, geometry)
    tried(cache, "no pixel cache (no room for", after(monkeypatch.undo, cache))
    (tmp_path / "a.jpg").rename(tmp_path / "b.jpg")
    stamp = functools.partial(kit.data.cache._stamp, tmp_path, names, geometry, None)
    back = after(lambda: (tmp_path / "b.jpg").rename(tmp_path / "a.jpg"), stamp)
    tried(stamp, "cannot be read: No such file or directory; unpack the data again", back)


def test_places_and_benchmarks_of_runs(world: World, copy, tmp_path):
    args = Namespace(device="cpu,cpu", cluster=None, gpus=None, task_cpus=None, retries=None)
    one = Namespace(**vars(args) | {"device": None})
    file, run = [world.runs / "theirs.csv"], world.runs / "small"
    said = "are for networks, and no member has one; leave them out"
    tried(
        lambda: find_place(args, file, world.folder),
        said,
        lambda: find_place(one, file, world.folder),
    )
    folds = lambda path, place: lambda: run_folds(path, tmp_path / place, CPU)  # noqa: E731
    said = "holds no checkpoint; name a recipe's file or a trained run's folder"
    tried(folds(tmp_path, "a"), said, folds(run, "b"))
    recipe = small("wide", size=(48, 36))
    network, mixed = build(recipe, MASK).eval(), copy / "runs" / "small"
    info = checkpoint_info(recipe, network, Origin(world.plan, 1), epoch=1, score=0.0)
    save(Fold(mixed / "fold1").best, network, info)
    tried(
        folds(mixed, "c"), "holds folds of different networks; name a run of one", folds(run, "d")
    )


def test_searches(world: World, tmp_path, fails, monkeypatch):
    recipe = recipe_file(tmp_path, "weak", ", epochs=1")
    places = ["--data", world.data, "--plan", world.plan_path, "--runs", tmp_path / "runs"]
    words = [recipe, "--vary", "lr=1e-4..1e-1:log", "--trials", 2, *places, "--device", "cpu"]
    monkeypatch.setattr("kit.tuning.search.run_search", lambda search, study: study)
    monkeypatch.setattr("kit.tuning.confirm.confirm", lambda search, study: study)
    monkeypatch.setattr("kit.tuning.variant.publish", lambda search, study, *_: study)
    monkeypatch.setattr("kit.tuning.show.show_result", lambda *_: None)
    call = functools.partial(command, kit.tune.main, *words)
    folder = tmp_path / "runs" / "tune" / "weak_tuned"
    assert call()() == 0
    said = "search under another name with --out, or anew with --force"
    tried(call("--seed", 1), said, call("--seed", 1, "--force"))
    tried(call("--seed", 2), said, call("--seed", 2, "--out", tmp_path / "other.py"))
    path = study_path(folder)
    write_json(path, json.loads(path.read_text()) | {"round": 0}, force=True)
    tried(call("--seed", 1), "is no record of a search", call("--seed", 1, "--force"))
    others = dataclasses.replace(read_study(folder), trials=(Trial(0, {"lr": 9.0}),))
    write_study(folder, others)
    said = "has trials of settings that are not asked for (1 found: 0); search under another name"
    tried(call("--seed", 1), said, call("--seed", 1, "--force"))
    lock = folder / ".lock"

    def held() -> object:
        with open(lock, "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            return call("--seed", 1)()

    said = "another process searches here; wait for it, or stop it first"
    tried(held, said, call("--seed", 1))
    ranks = {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "2"}
    with monkeypatch.context() as patch:
        for name, value in ranks.items():
            patch.setenv(name, value)
        said = "start it without: several --device or --cluster run them side by side"
        tried(call("--seed", 1), said, after(patch.undo, lambda: None))


def blended(root: Path, name: str, **changes: object):
    """A competition's folder, its plan, and members' files."""
    competition = form(name, **changes)
    data, plan = form_folder(root / "data", competition), plan_of(competition)
    return data, plan, [team_file(root / f"{n}.npz", data, plan, n) for n in range(2)]


def test_submissions_made_again(tmp_path):
    data, plan, files = blended(tmp_path, "probability")
    out, _ = ensemble(files, plan, data, Output(path=tmp_path / "s.csv"))
    again = Output(path=tmp_path / "again.csv", force=True)
    record = out.with_suffix(".json")
    remake = lambda: reproduce(record, plan, data, again) and None  # noqa: E731
    text, told = out.read_bytes(), record.read_text()
    table = pd.read_csv(out, dtype={"image": str})
    table["target"] += 3e-5
    table.to_csv(out, index=False, lineterminator="\n", float_format="%.9g")
    write_json(record, json.loads(told) | {"sha256": file_hash(out)}, force=True)
    said = "; make it on the device and with the versions of torch and timm it was made with"
    back = after(lambda: out.write_bytes(text), lambda: record.write_text(told), remake)
    tried(remake, f"from {out}{said}", back)
    write_json(record, json.loads(told) | {"sha256": "0" * 64}, force=True)
    out.unlink()
    tried(remake, "to compare it with; put that submission back, or make it on", back)


def test_a_record_of_another_competition(tmp_path):
    data, plan, files = blended(tmp_path / "a", "probability")
    out, _ = ensemble(files, plan, data, Output(path=tmp_path / "s.csv"))
    again, record = Output(path=tmp_path / "again.csv", force=True), out.with_suffix(".json")
    other, its_plan, _ = blended(tmp_path / "b", "class")
    said = "is of a competition with 2 classes, and this one has 3; name its --plan"
    wrong = functools.partial(reproduce, record, its_plan, other, again)
    tried(wrong, said, functools.partial(reproduce, record, plan, data, again))


def test_answers_of_several_photos_and_votes(tmp_path):
    data, plan, files = blended(tmp_path, "pooled", kind="classes", answer="class")
    output = Output(path=tmp_path / "s.csv", force=True)

    def blend(**settings: object):
        chosen = EnsembleSettings(**settings)
        return lambda: ensemble(files, plan, data, output, chosen) and None

    said = "a row of the submission is of several; leave --fast and --agree out"
    tried(blend(fast=True), said, blend())
    probs = form_folder(tmp_path / "p", form("probabilities"))
    ids = read_ids(probs)
    classes = np.zeros(len(ids), np.int64)
    table = np.full((len(ids), 3), 1 / 3, np.float32)

    def write(given: np.ndarray | None):
        predicted = Predicted(ids, classes, given)
        return lambda: write_submission(tmp_path / "v.csv", predicted, probs, {}, True) and None

    said = "which votes and classes do not give; take another --blend"
    tried(write(None), said, write(table))


def test_warnings_of_commands(world: World, copy, tmp_path, monkeypatch, capsys):
    stranger = copy / "data" / "train" / "images" / "stranger"
    shutil.copytree(next(stranger.parent.iterdir()), stranger)
    page = command(
        kit.report.main, "--data", copy / "data", "--out", tmp_path / "d.html", "--force"
    )
    said = "folders that train.csv does not list, left out (1, the first: stranger)"
    tried(page, said, after(lambda: shutil.rmtree(stranger), page))
    assert command(kit.ensemble.main, *ensemble_arguments(copy))() == 0
    bad = [copy / f"{name}.csv" for name in "xy"]
    for path in bad:
        path.write_text((copy / "s.csv").read_text().replace("ImageID", "Image"))
    places = ["--data", copy / "data", "--plan", world.plan_path, "--check"]
    check = functools.partial(command, kit.ensemble.main, *places)
    tried(check(*bad), f"warning: {bad[1]}: has no column 'ImageID'", check(copy / "s.csv"))
    recipe = recipe_file(tmp_path, "weak", ", epochs=1")
    places = ["--data", world.data, "--plan", world.plan_path, "--runs", tmp_path / "runs"]
    words = [recipe, "--trials", 2, *places, "--device", "cpu", "--force", "--vary"]
    monkeypatch.setattr("kit.tuning.confirm.confirm", lambda search, study: study)
    monkeypatch.setattr("kit.tuning.variant.publish", lambda search, study, *_: study)
    monkeypatch.setattr("kit.tuning.show.show_result", lambda *_: None)
    monkeypatch.setattr("kit.tuning.search.run_search", lambda search, study: study)
    tune = functools.partial(command, kit.tune.main, *words)
    said = "changes nothing with mix='none'"
    tried(tune("mix_prob=.1,.9"), said, tune("mix=none,cutmix"))

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("kit.tuning.search.run_search", stop)
    assert tune("lr=1e-4,1e-3")() == 130
    said = "stopped; the same command, without --force, goes on from here"
    assert said in capsys.readouterr().err


def test_warnings_of_trainings(world: World, tmp_path, monkeypatch):
    class Second:
        """A tracker that starts once."""

        started = 0

        def __init__(self, *_: object) -> None:
            Second.started += 1
            if Second.started > 1:
                raise OSError("no room")

        def log(self, row: object) -> None:
            pass

        close = None

    everywhere(monkeypatch, kit.training.trackers, "_TensorBoard", Second)

    def fold(**options: object):
        chosen = on_cpu(limit=8, cache=False, force=True, **options)
        return lambda: train(small(), world.plan, world.folder, [0, 1], tmp_path, chosen) and None

    said = "it does not start (OSError: no room); the training goes on without it"
    tried(fold(track="tensorboard"), said, fold())
    job = FoldJob(small(), world.plan, world.folder, 0, tmp_path, on_cpu())
    everywhere(monkeypatch, kit.system.threads, "share_threads", lambda begun: begun and 2)

    def threads(number: int):
        return lambda: kit.training.fold._threads(job, ResumeStatus({"threads": number})) and None

    tried(threads(3), "began with 3 threads and goes on with 2: its sums are", threads(2))
