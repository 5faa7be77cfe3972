"""Options that do not go together are told, and mended as told, until the command takes them."""

import functools
import importlib.util
import sys
from pathlib import Path

import torch
from helpers import MASK, World, small, write_classes
from kinds import SIDES
from remedies import after, command, tried
from trainings import recipe_file

import kit.bench
import kit.compare
import kit.demo
import kit.report
import kit.scale.cluster
import kit.scale.place
import kit.system.signals
import kit.system.threads
import kit.train
import kit.tune
from kit.benchmarks.scaling import worker_counts
from kit.benchmarks.synthetic import training_photos
from kit.competitions import find_competition
from kit.data.folder import DataFolder
from kit.data.split import assign_folds
from kit.metrics.metric import find_metric, of_function
from kit.scale.attempt import Terms, attempt, gave_up
from kit.scale.group import Group
from kit.scale.job import Job, Shared
from kit.scale.nodes import Node, gpu_share
from kit.scale.place import choose_place
from kit.scale.ranks import Ranks, find_ranks
from kit.scale.sight import check_sight
from kit.starting.guess import guess
from kit.starting.look import look
from kit.system.cli import Parser
from kit.system.options import add_place_options
from kit.tuning.sampler import load_optuna
from kit.tuning.space import read_space


def test_kit_train():
    def of(*words: object):
        def check() -> None:
            kit.train.check_options(kit.train.build_parser().parse_args(list(map(str, words))))

        return check

    said = "kit.train: name a recipe, such as recipes/effb4_5fold.py; --list shows them"
    tried(command(kit.train.main), said, command(kit.train.main, "--list"))
    tried(command(kit.train.main), said, of("recipes/effb4_5fold.py"))
    said = "--save-minutes 0.0: is no time; take a number above 0"
    tried(of("a.py", "--save-minutes", 0), said, of("a.py", "--save-minutes", 0.5))
    said = "--dry-run measures this machine; leave --cluster out"
    tried(of("a.py", "--dry-run", "--cluster"), said, of("a.py", "--dry-run"))
    said = "--force replaces it; take one of them"
    tried(of("a.py", "--resume", "--force"), said, of("a.py", "--resume"))
    tried(of("a.py", "--resume", "--force"), said, of("a.py", "--force"))
    said = "--workers -1: take 0 or more; --help shows the options"
    tried(of("a.py", "--workers", -1), said, of("a.py", "--workers", 0))
    said = "--workers 'two': take a whole number, 0 or more; --help shows the options"
    tried(of("a.py", "--workers", "two"), said, of("a.py", "--workers", 2))
    tried(of("--lst"), "(did you mean --list?); --help shows the options", of("a.py", "--list"))


def test_kit_train_s_folds(world: World, tmp_path):
    recipe = recipe_file(tmp_path, more=", epochs=1")
    places = ["--data", world.data, "--plan", world.plan_path, "--runs", tmp_path / "runs"]
    call = functools.partial(command, kit.train.main, recipe, *places, "--device", "cpu", "--limit")
    said = "--fold 3: the plan has the folds 0 to 2; take one, some as 0,2, or all"
    tried(call(8, "--fold", 3), said, call(8, "--fold", 2))
    said = "there is no data folder; name the competition's folder with --data or KIT_DATA, or draw"
    lost = command(kit.train.main, recipe, "--data", tmp_path / "none", *places[2:])
    tried(lost, said, call(8))
    empty = tmp_path / "empty"
    empty.mkdir()
    lost = command(kit.train.main, recipe, "--data", empty, *places[2:])
    tried(lost, "or describe it in competition.py, which python -m kit.start writes", call(8))


def test_kit_compare(tmp_path, world: World):
    a, b = (write_classes(tmp_path / f"{n}.csv", [0, 1, 2]) for n in "ab")
    call = functools.partial(command, kit.compare.main)
    two, board = call(a, b), ["--log", tmp_path / "board.csv"]
    said = "--all-flips: is for --json of a comparison; leave it out"
    tried(call(a, b, "--all-flips"), said, two)
    said = "--public and --private: are of --record; add --record NAME"
    (tmp_path / "board.csv").write_text(
        "submission,sha256,made,members,oof,low,high,public,private\na.csv,x,now,m,,,,,\n"
    )
    scored = ["--public", ".5", *board]
    tried(call(a, b, *scored), said, call("--record", "a", *scored))
    said = "--record and --board take no files; leave them out"
    tried(call(a, "--board", *board), said, call("--board", *board))
    said = "--record: lacks the site's score; add --public or --private"
    tried(call("--record", "a", *board), said, call("--record", "a", *scored))
    said = "kit.compare: lacks a file; name submissions, --board or --record NAME"
    tried(call(), said, two)
    tried(call(a), "name a second submission or --answers FILE", two)
    tried(call(a), "name a second submission or --answers FILE", call(a, "--answers", b))
    said = "--plan: is for runs, which are compared out of fold; leave it out"
    tried(call(a, b, "--plan", world.plan_path), said, two)
    tried(call(a, b, "--data", tmp_path), "--data: is for --vote or --show; leave it out", two)
    tried(call(a, b, "--sheet", "x.png"), "--sheet: is for --show; leave it out", two)
    said = "name a second submission, or leave --show out"
    tried(call(a, "--answers", b, "--show", 1), said, call(a, "--answers", b))
    run = world.runs / "small"
    said = "leave files, --answers and --vote out"
    plan = ["--plan", world.plan_path]
    tried(call(run, a), said, two)
    said = "the paths are one run; name another to compare it with"
    tried(call(run / "fold0", run / "fold1", *plan), said, two)
    named = ["--data", world.data]
    text = (world.data / "eval" / "info.csv").read_text()
    files = [tmp_path / f"{name}.csv" for name in "xy"]
    for file, answer in zip(files, "01"):
        file.write_text(text.replace(",0\n", f",{answer}\n"))
    show = [*files, "--show", 2, *named, "--force", "--sheet"]
    said = "let --sheet end in .jpg or .png"
    tried(call(*show, tmp_path / "s.gif"), said, call(*show, tmp_path / "s.png"))
    differing = write_classes(tmp_path / "z.csv", [1, 0, 2])
    said = "lacks photos that are to be shown"
    strangers = call(a, differing, "--show", 2, *named, "--sheet", tmp_path / "t.png")
    tried(strangers, said, call(*show, tmp_path / "s.png"))
    odd = [tmp_path / f"{name}.csv" for name in "pq"]
    for file, answer in zip(odd, "01"):
        file.write_text(f"ImageID,ans\n../a.jpg,{answer}\n")
    said = "has ids that are no names of photos (1 found: ../a.jpg); compare submissions to one"
    strange = call(*odd, "--show", 2, *named, "--sheet", tmp_path / "u.png")
    tried(strange, said, call(*show, tmp_path / "s.png"))
    said = "vote on submissions to this competition"
    vote = ["--vote", tmp_path / "v.csv", "--force", *named]
    tried(call(a, differing, *vote), said, call(*files, *vote))


def test_kit_report(world: World, tmp_path):
    out, run = ["--out", tmp_path / "r.html", "--force"], world.runs / "small"
    call = functools.partial(command, kit.report.main)
    bare = ["--no-photos", "--plan", world.plan_path]
    right = functools.cache(call(run, *bare, *out))
    said = "--no-photos: is of a report on runs; name one, such as runs/effb4_5fold"
    tried(call("--no-photos", *out), said, right)
    said = "without views no network is run; leave it out"
    tried(call(run, *bare, "--device", "cpu", *out), said, right)
    said = "is no name for a page; let --out end in .html"
    tried(call(run, *bare, "--out", tmp_path / "r.pdf"), said, right)


def test_numbers_of_folds(world: World, tmp_path):
    photos = world.plan.photos.drop(columns="fold")

    def of(folds: int):
        return lambda: assign_folds(photos, MASK, folds, 42)

    tried(of(1), "--folds 1: is no number of folds; take 2 or more", of(2))
    tried(of(4), "; take --folds 3 or fewer", of(3))
    sides = photos.assign(label=photos["label"] % 3)

    def parted(folds: int):
        return lambda: assign_folds(sides, SIDES, folds, 42)

    tried(parted(19), "18 photos can be parted; take --folds 18 or fewer", parted(18))


def test_kit_demo(tmp_path, monkeypatch):
    out = tmp_path / "demo"
    prepare = kit.demo.prepare_folder
    said = "take 50 or more people, so that each class has some in five folds, and 1 or more eval"
    with monkeypatch.context() as patch:
        patch.setattr(kit.demo, "draw", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        small_demo = command(kit.demo.main, "--people", 9, "--out", out)
        tried(small_demo, said, lambda: prepare(out, False))
    said = "exists already; choose another --out, or --force to run the demo anew"
    tried(lambda: prepare(out, False), said, lambda: prepare(out, True))
    tried(lambda: prepare(out, False), said, lambda: prepare(tmp_path / "other", False))
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "thesis.txt").touch()
    said = "is not a folder that the demo made; choose another --out"
    tried(lambda: prepare(foreign, True), said, lambda: prepare(tmp_path / "third", True))


def test_kit_bench(world: World, tmp_path):
    def people(what: str, number: int):
        return lambda: kit.bench.check_people(what, number)

    tried(people("audit", 20), "enough people; take 1000 to 2000000", people("audit", 1000))
    tried(people("blend", 20), "is no number for blend; take 50 to 20000", people("blend", 50))

    def given(what: str, path: Path):
        return lambda: kit.bench.recipe_or_run(what, path)

    recipe, run = recipe_file(tmp_path), world.runs / "small"
    said = "name a recipe's file; a trained run's folder is for kit.bench infer"
    tried(given("train", run), said, given("train", recipe))
    tried(given("train", run), said, given("infer", run))
    said = "; name a trained run's folder, or a recipe's file"
    tried(given("infer", world.runs / "smal"), said, given("infer", run))
    most = torch.get_num_threads()
    said = "; take at most as many"
    tried(lambda: worker_counts(0, 999), said, lambda: worker_counts(0, most))
    said = "holds no photos; unpack the data again, or take drawn photos: no --data, no KIT_DATA"
    (tmp_path / "bare" / "train" / "images").mkdir(parents=True)
    bare = DataFolder(tmp_path / "bare", MASK)
    (tmp_path / "links").mkdir()
    links = functools.partial(training_photos, folder=tmp_path / "links", photos=3)
    tried(lambda: links(bare), said, lambda: links(world.folder))


def test_kit_start(tmp_path, monkeypatch):
    sample = "id,label\n" + "".join(f"t{n},0\n" for n in range(6))
    train = "id,label\n" + "".join(f"a{n},{n % 2}\n" for n in range(20))
    amounts = "id,label\n" + "".join(f"a{n},{n * 7}\n" for n in range(20))
    photos = [f"test/t{n}.jpg" for n in range(6)] + [f"train/a{n}.jpg" for n in range(20)]
    both = {"sample_submission.csv": sample, "train.csv": train}
    numbers = iter(range(99))

    def of(tables: dict[str, str], photos: list[str] = photos, named: str = ""):
        root = tmp_path / str(next(numbers))
        for name in (*tables, *photos):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(tables.get(name, ""))
        return lambda: guess(look(root), named)

    good = of(both)
    tried(of({"train.csv": train}), "put the sample submission there, a CSV with a row for", good)
    named = of(both | {"b.csv": train}, named="b.csv")
    said = "(2 found, the first: b.csv); name one with --train"
    tried(of(both | {"b.csv": train}), said, named)
    said = "--train: c.csv is no table whose rows lead to photos (did you mean b.csv?); it has"
    tried(of(both | {"b.csv": train}, named="c.csv"), said, named)
    scattered = photos[:6] + [f"part_{1 + n % 2}/a{n}.jpg" for n in range(20)]
    said = "(2 found, the first: part_1); put the photos to train on into one folder"
    tried(of(both, scattered), said, good)
    monkeypatch.chdir(tmp_path)
    hand = tmp_path / "competition.py"
    hand.write_text(
        "from kit.competition import Competition\n\ncompetition = Competition(name='own', "
        "train='train.csv', image='train/{id}.jpg', target='label', test_image='test/{id}.jpg')\n"
    )
    written = lambda: find_competition(None)  # noqa: E731
    said = "and no folder a class"
    tried(of({"sample_submission.csv": sample}), said, written)
    tried(of(both | {"train.csv": amounts}), "write competition.py by hand", written)
    tried(lambda: look(tmp_path / "no"), "there is no such folder; name the", good)
    (tmp_path / "e").mkdir()
    tried(lambda: look(tmp_path / "e"), "unpack the data there", good)
    (tmp_path / "e" / "a.dcm").touch()
    said = "unpack the data, or convert them to PNG"
    tried(lambda: look(tmp_path / "e"), said, good)


def test_kit_tune(world: World, tmp_path, monkeypatch):
    def space(text: str, **changes: object):
        return lambda: read_space([*text.split()], small(**changes), MASK)

    forms = "; write lr=1e-4..1e-3:log, or drop_rate=0,.2,.4"
    ranged, chosen = space("lr=1e-4..1e-3:log"), space("drop_rate=0,.2,.4")
    tried(space("lr"), f"names no values{forms}", ranged)
    tried(space("lr"), f"names no values{forms}", chosen)
    tried(space("lrr=1,2"), "(did you mean lr?); kit/recipe.py has them all", space("lr=1,2"))
    said = "seed cannot be varied, for it is luck, which no search should pick; leave it out"
    tried(space("lr=1e-4,1e-3 seed=1,2"), said, space("lr=1e-4,1e-3"))
    said = f"needs two choices or more, all different{forms}"
    tried(space("lr=1e-3"), said, space("lr=1e-3,1e-4"))
    tried(space("lr=a..b"), f"is no range of numbers{forms}", ranged)
    said = "is no range; let the first number be below the second"
    tried(space("lr=1e-3..1e-4"), said, space("lr=1e-4..1e-3"))
    said = "a logarithm needs numbers above 0; leave :log out, or raise the first"
    tried(space("drop_rate=0..0.5:log"), said, space("drop_rate=0..0.5"))
    tried(space("drop_rate=0..0.5:log"), said, space("drop_rate=0.1..0.5:log"))
    tried(space("lr=1,2 lr=3,4"), "lr is varied twice; join both into one", space("lr=1,2,3,4"))
    said = "loss='bce' is no loss for the competition mask"
    tried(space("loss=bce,ce"), said, space("loss=ce,focal"))
    monkeypatch.setitem(sys.modules, "optuna", None)
    said = "pip install 'kfold-kit[tune]'"
    right = after(lambda: monkeypatch.delitem(sys.modules, "optuna"), load_optuna)
    tried(load_optuna, said, right)
    recipe = recipe_file(tmp_path, "weak", ", epochs=1")
    places = ["--data", world.data, "--plan", world.plan_path, "--runs", tmp_path / "runs"]
    words = [recipe, "--vary", "lr=1e-4..1e-1:log", "--trials", 2, *places, "--device", "cpu"]
    monkeypatch.setattr("kit.tuning.search.run_search", lambda search, study: study)
    monkeypatch.setattr("kit.tuning.confirm.confirm", lambda search, study: study)
    monkeypatch.setattr("kit.tuning.variant.publish", lambda search, study, *_: study)
    monkeypatch.setattr("kit.tuning.show.show_result", lambda *_: None)
    call = functools.partial(command, kit.tune.main)
    good = call(*words, "--force")
    tried(call(recipe, *words[3:]), "nothing varies; name a field, such as --vary lr=", good)
    said = "to confirm the best trial on: it takes 2; name fewer"
    tried(call(*words, "--search-folds", "0,1"), said, good)
    said = "is no name for a variant of the recipe; let --out end in another name and .py"
    tried(call(*words, "--out", "mine.txt"), said, call(*words, "--out", tmp_path / "mine.py"))


def test_places_of_jobs(tmp_path, monkeypatch):
    def place(*words: str):
        parser = Parser(prog="kit.test")
        add_place_options(parser)
        return lambda: choose_place(parser.parse_args(words), Shared((), tmp_path), 3)

    check = kit.scale.cluster._check_options
    monkeypatch.setattr(kit.scale.place, "on_cluster", lambda args, *_: check(args))
    here, cluster = place(), place("--cluster")
    tried(place("--gpus", "1"), "; add --cluster", place("--gpus", "1", "--cluster"))
    tried(place("--retries", "1"), "or several devices", place("--retries", "1", "--cluster"))
    aside = place("--retries", "1", "--device", "cpu,cpu")
    tried(place("--retries", "1"), "or several devices", aside)
    said = "1.5: take a share of a GPU, or a whole number"
    tried(place("--cluster", "--gpus", "1.5"), said, place("--cluster", "--gpus", ".5"))
    said = "are no devices; take GPUs, as cuda:0,cuda:1, or cpu,cpu"
    tried(place("--device", "0,1"), said, place("--device", "cpu,cpu"))
    said = "torch sees 2 GPUs; name those that there are"
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    tried(place("--device", "cuda:1,cuda:2"), said, place("--device", "cuda:0,cuda:1"))
    said = "for an address; write --cluster last, or an option behind it"
    tried(place("--cluster", "recipes/tiny.py"), said, cluster)
    said = "is no device of a cluster; take cpu or cuda"
    tried(place("--cluster", "--device", "cuda:1"), said, place("--cluster", "--device", "cuda"))
    said = "--gpus 0 leaves --device cuda without a GPU; take one of them"
    tried(place("--cluster", "--device", "cuda", "--gpus", "0"), said, cluster)
    with monkeypatch.context() as patch:
        patch.setattr(importlib.util, "find_spec", lambda name: None)
        said = "pip install 'kfold-kit[cluster]'"
        tried(cluster, said, after(patch.undo, lambda: None))
    ranks = {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "2"}
    for name, value in ranks.items():
        monkeypatch.setenv(name, value)
    said = "several devices give each job one; take one of these ways"
    tried(cluster, said, here)
    monkeypatch.setenv("WORLD_SIZE", "abc")
    unset = functools.partial(monkeypatch.delenv, "WORLD_SIZE")
    said = "start it by torchrun, or unset WORLD_SIZE"
    tried(find_ranks, said, after(unset, find_ranks))


def test_nodes_and_ranks(tmp_path, monkeypatch):
    head = [Node("c", "head", 4, 0)]
    said = "--device cuda: the cluster has 4 cores, and no GPU; take cpu"
    wrong, right = (functools.partial(gpu_share, head, name, None) for name in ("cuda", "cpu"))
    tried(wrong, said, right)
    group = Group(Ranks(5, 8, 1, 4))
    said = "torchrun gives each process a GPU of its own; take cuda or cpu"
    for name in ("cuda", "cpu"):
        tried(lambda: group.device("cuda:0"), said, functools.partial(group.device, name))
    same = {"kit": "1", "torch": "2", "/data": "a folder"}
    for name, remedy in (
        ("kit", "has another version of the kit; install the same one on all machines"),
        ("torch", "has torch 0, this machine 2; install the same versions on all machines"),
        ("/data", "; mount the same folder at the same path on all machines"),
    ):
        look_at = functools.partial(check_sight, "box2")
        other = same | {name: "0"}
        tried(lambda: look_at(other, same), remedy, lambda: look_at(same, same))
    monkeypatch.setattr(kit.system.signals, "_patient", [])  # an attempt changes its process
    monkeypatch.setattr(kit.system.threads, "_taken", [])
    log = tmp_path / "log.txt"
    log.mkdir()
    job, terms = Job("small/fold0", str, (1,), log), Terms("3f9a", 2, "cpu", 1)

    def run() -> None:
        error = attempt(job, terms)[1]
        if error:
            raise error

    said = "make room, or let it be written; the same command goes on"
    tried(run, said, after(log.rmdir, run))

    def killed() -> None:
        raise gave_up(job, 1)

    said = "killed or lost once, most likely for memory; the same command goes on from the last"
    tried(killed, said, run)


def test_metrics():
    said = "there is no such metric (did you mean accuracy?); take accuracy"
    tried(lambda: find_metric("acuracy"), said, lambda: find_metric("accuracy"))

    def scored(function):
        truth = torch.zeros(2).numpy().astype(int)
        probs = torch.ones(2, 2).numpy() / 2
        return lambda: of_function(function, True).value(truth, probs, 2)

    right = scored(lambda truth, probs: 0.5)
    said = "failed (ZeroDivisionError: division by zero); mend it"
    tried(scored(lambda truth, probs: 1 / 0), said, right)
    said = "is nan of 2 photos; let it return a finite number"
    tried(scored(lambda truth, probs: float("nan")), said, right)
