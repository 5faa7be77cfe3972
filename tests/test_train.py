import dataclasses
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import draw_photo, everywhere, make_data, small

import kit.data.photos
import kit.models.checkpoint
import kit.results.probs
import kit.results.run
import kit.scoring.metrics
import kit.system.profiler
import kit.system.threads
import kit.training.resume
import kit.training.trackers
from kit.competitions.mask_sample import draw_sample
from kit.data.loader import PhotoDataset, batches_of, make_loader
from kit.data.plan import read_plan
from kit.data.planning import plan_folds
from kit.inference.predict import predict
from kit.inference.views import make_views
from kit.models.checkpoint import load, read_checkpoint_info
from kit.recipe import load_recipe, shipped_recipe
from kit.results.probs import read_probs
from kit.results.run import Fold, oof_key, read_metrics
from kit.scoring.metrics import score
from kit.system.errors import KitError
from kit.system.locks import lock_folder
from kit.system.versions import versions
from kit.train import main
from kit.training.fold import train_fold
from kit.training.resume import load_state
from kit.training.run import chosen_folds, train

RECIPE = """from dataclasses import replace

from kit.recipe import load_recipe

recipe = replace(load_recipe({tiny!r}), name="{name}", size=(32, 24), batch_size=8{more})
"""


def recipe_file(folder: Path, name: str = "mine", more: str = ", epochs=2") -> Path:
    path = folder / f"{name}.py"
    path.write_text(RECIPE.format(tiny=str(shipped_recipe("tiny")), name=name, more=more))
    return path


# ------------------------------------------------------------ the pieces


def test_chosen_folds():
    assert chosen_folds("all", 3) == [0, 1, 2] and chosen_folds("2,0,2", 3) == [2, 0]
    for text in ("3", "x", "", "0,", "-1", "0-2"):
        with pytest.raises(KitError, match="the folds 0 to 2"):
            chosen_folds(text, 3)


# ------------------------------------------------------------ what a run writes


def test_oof_covers_every_photo_once_and_belongs_to_its_checkpoint(world):
    images = []
    for fold in range(3):
        files = Fold(world.runs / "small" / f"fold{fold}")
        assert sorted(p.name for p in files.folder.iterdir() if not p.name.startswith("probs")) == [
            ".lock",
            "best.safetensors",
            "metrics.csv",
            "oof.npz",
        ]
        card, oof, rows = (
            read_checkpoint_info(files.best),
            read_probs(files.oof),
            read_metrics(files.metrics),
        )
        assert (
            card.fold == fold and card.plan == world.plan.hash and card.recipe == small().describe()
        )
        assert oof.key == oof_key(files.best, world.plan, fold, "float32")
        held = world.plan.photos[world.plan.photos["fold"] == fold]
        assert oof.ids.tolist() == held["image"].tolist()
        scores = score(held["label"].to_numpy(), oof.probs.argmax(axis=1), MASK)
        last = rows[-1]
        assert card.epoch == last["epoch"] and card.score == last["val_f1_macro"] == pytest.approx(
            scores.f1
        )
        assert (last["val_f1_mask"], last["val_f1_age"]) == pytest.approx((scores.mask, scores.age))
        assert len(rows) == 2 and all(math.isfinite(v) for row in rows for v in row.values())
        photos = PhotoDataset(world.folder.train_images, held["image"].tolist(), [card.geometry])
        cpu = torch.device("cpu")
        loader = make_loader(photos, batches_of(len(photos), 5), 0, cpu)
        again = predict([load(files.best)], loader, make_views("none"), cpu)[0][0, 0]
        np.testing.assert_allclose(again, oof.probs, atol=1e-5)
        images += oof.ids.tolist()
    assert sorted(images) == world.plan.photos["image"].tolist()


def test_training_learns(tmp_path):
    """Photos whose class stands in their colours are learned: the loop does what it should."""
    from PIL import Image

    from kit.competitions.mask import SHOTS

    people = [(f"{i:06d}", ("male", "female")[i % 2], (20, 40, 60)[i // 2 % 3]) for i in range(24)]
    data = make_data(tmp_path / "data", people)
    for ident, gender, age in people:
        for shot, mask in SHOTS.items():
            colour = (40 + 80 * mask, 40 + 150 * (gender == "female"), 40 + 80 * (age // 20 - 1))
            Image.new("RGB", (96, 128), colour).save(
                (data / "train" / "images") / f"{ident}_{gender}_Asian_{age}" / f"{shot}.jpg"
            )
    plan, _ = plan_folds(mask_folder(data), tmp_path / "folds.csv", PlanOptions(folds=2, audit=False))
    scores = train_fold(FoldJob(small(epochs=20, augment=None), plan, mask_folder(data), 0, tmp_path / "runs", on_cpu(cache=False)))
    assert scores.f1 > 0.7 and scores.gender > 0.9


def test_workers_do_not_change_a_run(data, tmp_path):
    plan, _ = plan_folds(mask_folder(data), tmp_path / "folds.csv", PlanOptions(folds=3, audit=False))
    for workers in (0, 2):
        train_fold(FoldJob(small(epochs=2), plan, mask_folder(data), 0, tmp_path / f"runs{workers}", TrainOptions(compute=Compute("cpu", workers), cache=False)))
    a, b = (tmp_path / f"runs{w}" / "small" / "fold0" for w in (0, 2))
    assert (a / "best.safetensors").read_bytes() == (b / "best.safetensors").read_bytes()
    assert (a / "oof.npz").read_bytes() == (b / "oof.npz").read_bytes()


# ------------------------------------------------------------ interruptions


def without_times(path: Path) -> list[dict[str, float]]:
    return [
        {k: v for k, v in row.items() if not k.startswith("time")} for row in read_metrics(path)
    ]


# Whatever a run may have that is random or remembers.
FULL = (
    ", epochs=4, label_smoothing=0.1, head='tasks', sampler='sqrt', mix='cutmix', ema=0.9, "
    "accumulate=2, batch_size=4,"
    " clip=1.0, drop_rate=0.2, drop_path_rate=0.1, edges=(30, 58)"
)


@dataclasses.dataclass(frozen=True)
class Killable:
    """A command that trains, and the folder of the same run without interruptions."""

    command: list[str]
    recipe: Path
    whole: Fold


@pytest.fixture(scope="module")
def killable(tmp_path_factory):
    root = tmp_path_factory.mktemp("killable")
    data = make_data(root / "data")
    plan_folds(mask_folder(data), root / "folds.csv", PlanOptions(folds=3, audit=False))
    recipe = root / "mine.py"
    recipe.write_text(
        RECIPE.format(tiny=str(shipped_recipe("tiny")), name="mine", more=FULL).replace(
            "batch_size=8, ", ""
        )
    )
    command = [
        sys.executable,
        "-m",
        "kit.train",
        str(recipe),
        "--data",
        str(data),
        "--plan",
        str(root / "folds.csv"),
        "--device",
        "cpu",
        "--workers",
        "2",
        "--save-minutes",
        "0.0001",
    ]
    done = subprocess.run([*command, "--runs", str(root / "whole")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return Killable(command, recipe, Fold(root / "whole" / "mine" / "fold0"))


def assert_same_run(a: Fold, b: Fold) -> None:
    assert a.best.read_bytes() == b.best.read_bytes() and a.oof.read_bytes() == b.oof.read_bytes()
    assert (
        without_times(a.metrics) == without_times(b.metrics)
        and not a.last.exists()
        and not b.last.exists()
    )


def test_a_run_killed_at_any_moment_ends_as_if_nothing_had_happened(killable, tmp_path):
    """SIGKILL at ten random moments, from the start of the process to its last write, and the same
    command each time.

    `KIT_KILLS=100 python -m pytest tests/test_train.py -k killed_at_any_moment -s` does a hundred,
    and says what it met.
    """
    files, rng, kills, wholes = Fold(tmp_path / "mine" / "fold0"), np.random.default_rng(), 0, 0
    while kills < int(os.environ.get("KIT_KILLS", "10")):
        process = subprocess.Popen(
            [*killable.command, "--runs", str(tmp_path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        if rng.random() < 0.9:  # most while it trains, and not while Python starts
            for line in process.stdout:
                if "M parameters" in line:
                    break
        time.sleep(rng.uniform(0, 2))
        os.killpg(process.pid, signal.SIGKILL)  # the loader processes, too
        rest = process.communicate()[0]
        kills += 1
        assert "Traceback" not in rest and "error:" not in rest, rest
        if (
            process.returncode == 0
        ):  # finished before it was killed: a run of its own has been through
            assert_same_run(files, killable.whole)
            shutil.rmtree(files.folder)
            wholes += 1
        elif files.last.exists():
            state = load_state(files.last)
            print(
                f"kill {kills}: at epoch {len(state['rows'])}, step {state['step']}, {wholes} "
                "whole runs before"
            )
    done = subprocess.run(
        [*killable.command, "--runs", str(tmp_path)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert_same_run(files, killable.whole)


@pytest.mark.parametrize(
    "how, group", [(signal.SIGINT, True), (signal.SIGTERM, True), (signal.SIGTERM, False)]
)
def test_a_stopped_run_saves_first(killable, tmp_path, how, group):
    """Ctrl+C of a terminal and a scheduler's SIGTERM reach the loader processes, too."""
    files = Fold(tmp_path / "mine" / "fold0")
    command = [*killable.command, "--runs", str(tmp_path), "--save-minutes", "60"]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # Where the tests run in the background, SIGINT is ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    for line in process.stdout:
        if "epoch  2/4" in line:
            break
    time.sleep(0.2)
    (os.killpg if group else os.kill)(process.pid, how)
    out, err = process.communicate(timeout=60)
    assert (
        process.returncode == 130
        and "Traceback" not in err
        and "same command goes on from here" in err
    ), err
    state = load_state(files.last)
    assert (len(state["rows"]), state["step"]) > (2, 0) or "epoch  3/4" not in out
    done = subprocess.run([*command, "--resume"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"going on after epoch {len(state['rows'])}, step {state['step']} of" in done.stdout
    assert_same_run(files, killable.whole)


@pytest.mark.parametrize("moment", range(0, 40, 3))
def test_a_stop_at_any_moment_keeps_what_was_trained(world, tmp_path, monkeypatch, moment):
    """Ctrl+C after the n-th photo read: while training, while validating, and in between."""
    count, real = [0], PhotoDataset.__getitem__

    def reading(photos, at):
        count[0] += 1
        if count[0] == moment * 10 + 1:
            signal.raise_signal(signal.SIGTERM)
        return real(photos, at)

    recipe = small(name="stopped", epochs=2, ema=0.5)
    stopped = False
    with monkeypatch.context() as patch:
        patch.setattr(PhotoDataset, "__getitem__", reading)
        try:
            train(recipe, world.plan, world.folder, [0], tmp_path / "a", on_cpu())
        except KeyboardInterrupt:
            stopped = True
    assert stopped == (count[0] >= moment * 10 + 1)
    if stopped and moment:  # not before the first step
        state = load_state(Fold(tmp_path / "a" / "stopped" / "fold0").last)
        steps = math.ceil((world.plan.photos["fold"] != 0).sum() / 8)
        assert len(state["rows"]) * steps + state["step"] >= 1
    train(recipe, world.plan, world.folder, [0], tmp_path / "a", on_cpu())
    train(recipe, world.plan, world.folder, [0], tmp_path / "b", on_cpu())
    assert_same_run(*(Fold(tmp_path / name / "stopped" / "fold0") for name in ("a", "b")))


def test_a_stop_ends_the_waiting_for_photos(killable, tmp_path):
    code = (
        "import sys, time; from kit.data.loader import PhotoDataset as Photos; from kit.train "
        "import main; real = "
        "Photos.__getitem__\n"
        "def reading(photos, at):\n"
        "    time.sleep(60 if isinstance(at, tuple) and at[0] == 3 else 0)\n"
        "    return real(photos, at)\n"
        "Photos.__getitem__ = reading; sys.exit(main(sys.argv[1:]))"
    )
    arguments = [*killable.command[3:], "--runs", str(tmp_path)]
    with subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        for line in process.stdout:
            if "M parameters" in line:
                break
        time.sleep(2)
        process.terminate()
        _, err = process.communicate(timeout=20)
    assert process.returncode == 130 and "Traceback" not in err, err


def test_a_second_stop_ends_at_once(world, tmp_path, monkeypatch):
    from kit.training.learner import Learner

    monkeypatch.setattr(
        Learner, "step", lambda *_: [signal.raise_signal(signal.SIGTERM) for _ in range(2)]
    )
    with pytest.raises(KeyboardInterrupt):
        train(small(), world.plan, world.folder, [0], tmp_path, on_cpu())
    assert not Fold(tmp_path / "small" / "fold0").last.exists()


def test_a_run_whose_process_alone_was_killed_goes_on_at_once(killable, tmp_path):
    """The loader processes live on for some seconds, and must not hold the fold."""
    command = [*killable.command, "--runs", str(tmp_path)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        for line in process.stdout:
            if "epoch  1/4" in line:
                break
        process.kill()
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert_same_run(Fold(tmp_path / "mine" / "fold0"), killable.whole)


def test_a_cache_that_is_deleted_meanwhile_ends_no_training(world, tmp_path, monkeypatch, capsys):
    real = kit.training.learner.Learner.step

    def step(*args):
        for path in (tmp_path / "pixels").glob("*.npy"):
            path.unlink()
        return real(*args)

    monkeypatch.setattr(kit.training.learner.Learner, "step", step)
    train(small(), world.plan, world.folder, [0], tmp_path, on_cpu())
    assert "photos are decoded instead" in capsys.readouterr().err
    assert_same_run(*(Fold(runs / "small" / "fold0") for runs in (tmp_path, world.runs)))


def test_resume_asks_for_something_to_resume(killable, tmp_path, fails):
    arguments = [*killable.command[3:], "--runs", tmp_path, "--resume"]
    assert "there is no unfinished training to resume" in fails(main, *arguments)
    assert "take one of the two" in fails(main, *arguments, "--force")


@pytest.mark.parametrize("stop", range(1, 13))
def test_an_interruption_between_any_two_writes_changes_nothing(world, tmp_path, monkeypatch, stop):
    """The n-th file is not written and the process ends there; the next start makes the same run of
    it.
    """
    count = [0]

    class Killed(BaseException):
        """Nothing of the program runs after it, as after SIGKILL."""

    def dying(writer):
        def write(*args, **options):
            count[0] += 1
            if count[0] == stop:
                raise Killed
            return writer(*args, **options)

        return write

    recipe = small(epochs=3)
    with monkeypatch.context() as patch:
        for module, name in (
            (kit.models.checkpoint, "save"),
            (kit.training.resume, "save_state"),
            (kit.results.probs, "write_probs"),
            (kit.results.run, "write_metrics"),
        ):
            everywhere(patch, module, name, dying(getattr(module, name)))
        try:
            train(recipe, world.plan, world.folder, [0], tmp_path / "a", on_cpu())
        except Killed:
            pass
        else:
            assert count[0] < stop  # a run writes fewer files than that, and was whole
    train(recipe, world.plan, world.folder, [0], tmp_path / "a", on_cpu())
    train(recipe, world.plan, world.folder, [0], tmp_path / "b", on_cpu())
    a, b = (Fold(tmp_path / name / "small" / "fold0") for name in ("a", "b"))
    assert_same_run(a, b)


def test_a_full_disk_is_one_line_and_the_run_goes_on_later(world, tmp_path, monkeypatch):
    import os as system

    real, calls = system.fsync, [0]

    def full(descriptor):
        calls[0] += 1
        if calls[0] > 5:  # the cache and the four files of an epoch
            raise OSError(28, "No space left on device")
        real(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(system, "fsync", full)
        with pytest.raises(KitError, match="last.pt: cannot be written: No space left on device"):
            train(small(), world.plan, world.folder, [0], tmp_path, on_cpu())
    train(small(), world.plan, world.folder, [0], tmp_path, on_cpu())
    assert (
        Fold(tmp_path / "small" / "fold0").oof.read_bytes()
        == Fold(world.runs / "small" / "fold0").oof.read_bytes()
    )


def test_a_fold_is_trained_by_one_process(world, tmp_path):
    with lock_folder(tmp_path / "small" / "fold0"):
        (tmp_path / "small" / "fold0" / ".best.safetensors.123.tmp").write_bytes(b"half")
        with pytest.raises(KitError, match="another process is training this fold"):
            train(small(), world.plan, world.folder, [0], tmp_path, on_cpu())
    train(small(epochs=1), world.plan, world.folder, [0], tmp_path, on_cpu())
    assert not list((tmp_path / "small" / "fold0").glob(".*.tmp"))


def test_files_of_another_fold_are_refused(world, tmp_path):
    shutil.copytree(world.runs / "small" / "fold0", tmp_path / "small" / "fold1")
    with pytest.raises(KitError, match="holds files of fold 0"):
        train(small(), world.plan, world.folder, [1], tmp_path, on_cpu())


def test_lost_and_damaged_files_of_a_finished_fold(world, tmp_path, capsys):
    shutil.copytree(world.runs / "small", tmp_path / "small")
    files, whole = Fold(tmp_path / "small" / "fold0"), Fold(world.runs / "small" / "fold0")

    def again():
        train(small(), world.plan, world.folder, [0], tmp_path, on_cpu())

    for harm in (lambda: files.oof.unlink(), lambda: files.oof.write_bytes(b"damaged")):
        harm()
        again()
        assert (
            "making it again" in capsys.readouterr().err
            and files.oof.read_bytes() == whole.oof.read_bytes()
        )
    content = bytearray(files.best.read_bytes())
    content[-1] ^= 1
    files.best.write_bytes(bytes(content))
    with pytest.raises(KitError, match="it was changed or is damaged"):
        again()
    files.oof.unlink()
    files.metrics.write_text(
        whole.metrics.read_text()
        .replace(f"{read_metrics(whole.metrics)[0]['val_loss']}", "0.1")
        .replace(f"{read_metrics(whole.metrics)[1]['val_loss']}", "0.1")
    )
    with pytest.raises(KitError, match="has the loss .*, not the 0.100 it was saved with"):
        again()
    lines = whole.metrics.read_text().splitlines(keepends=True)
    for rows in (lines[:2], lines[:0]):
        shutil.copy(whole.best, files.best)
        files.metrics.write_text("".join(rows)) if rows else files.metrics.unlink()
        with pytest.raises(
            KitError, match=f"metrics of {len(rows[1:])} of 2 epochs, and no last.pt"
        ):
            again()
    assert files.best.read_bytes() == whole.best.read_bytes()


def test_a_best_checkpoint_that_went_is_told_when_going_on(world, tmp_path, monkeypatch):
    recipe = small(epochs=4, name="going", select="best")
    files = Fold(tmp_path / "going" / "fold0")
    real = kit.results.run.write_metrics

    def stop_after_three(path, rows):
        real(path, rows)
        if len(rows) == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        # The first epoch is the best.
        scores = iter([0.9, 0.1, 0.1, 0.1])
        everywhere(
            patch,
            kit.scoring.metrics,
            "score",
            lambda truth, predicted, competition: dataclasses.replace(score(truth, predicted, competition), f1=next(scores)),
        )
        everywhere(patch, kit.results.run, "write_metrics", stop_after_three)
        with pytest.raises(KeyboardInterrupt):
            train(recipe, world.plan, world.folder, [0], tmp_path, on_cpu())
    content = files.best.read_bytes()
    for harm in (lambda: files.best.unlink(), lambda: files.best.write_bytes(content[:-1] + b"x")):
        harm()
        with pytest.raises(
            KitError,
            match="is gone or damaged; put it back|it was changed or is damaged; put the right",
        ):
            train(recipe, world.plan, world.folder, [0], tmp_path, on_cpu())
        assert files.last.exists()
    files.best.write_bytes(content)
    train(recipe, world.plan, world.folder, [0], tmp_path, on_cpu())
    assert files.best.read_bytes() == content and not files.last.exists()


def test_what_one_fold_would_refuse_is_told_before_the_others_are_trained(world, tmp_path):
    shutil.copytree(world.runs / "small" / "fold0", tmp_path / "small" / "fold2")
    with pytest.raises(KitError, match="holds files of fold 0"):
        train(small(), world.plan, world.folder, [0, 1, 2], tmp_path, on_cpu())
    assert not (tmp_path / "small" / "fold0").exists()


def test_labels_changed_after_planning_are_said(data, tmp_path, capsys):
    plan, _ = plan_folds(mask_folder(data), tmp_path / "folds.csv", PlanOptions(folds=3, audit=False))
    csv = data / "train" / "train.csv"
    csv.write_text(csv.read_text() + "\n")
    train(small(epochs=1), plan, mask_folder(data), [0], tmp_path / "runs", on_cpu())
    assert "the plan's labels are used" in capsys.readouterr().err


def test_force_deletes_nothing_before_all_is_well(world, tmp_path, monkeypatch, capsys):
    shutil.copytree(world.runs / "small", tmp_path / "small")
    for options, recipe in (
        ({"device": "cuda:77"}, small()),
        ({}, small(pretrained="$NOT_SET_AT_ALL/w.pth")),
        ({}, small(model="resnet5O")),
    ):
        with pytest.raises(KitError):
            train(
                recipe,
                world.plan,
                world.data,
                [0],
                tmp_path,
                **{"device": "cpu", "workers": 0, **options},
                force=True,
            )
    files = Fold(tmp_path / "small" / "fold0")
    before = {path.name: path.read_bytes() for path in files.folder.iterdir()}
    with pytest.raises(KitError, match="not a finite number"):
        train(small(lr=1e6, warmup=0.0), world.plan, world.folder, [0], tmp_path, on_cpu(force=True))
    files.bad_batch.unlink()
    with monkeypatch.context() as patch:
        patch.setattr(PhotoDataset, "__getitem__", lambda *_: signal.raise_signal(signal.SIGTERM))
        with pytest.raises(KeyboardInterrupt):
            train(small(lr=0.1), world.plan, world.folder, [0], tmp_path, on_cpu(force=True))
    assert (
        "stopped before the first save of fold 0; the same command starts it again"
        in capsys.readouterr().err
    )
    assert {path.name: path.read_bytes() for path in files.folder.iterdir()} == before
    train(small(lr=0.1), world.plan, world.folder, [0], tmp_path, on_cpu(force=True))
    assert files.best.read_bytes() != before["best.safetensors"] and not list(
        files.folder.glob("probs-*")
    )


@pytest.mark.parametrize("after", [False, True])
def test_force_that_is_killed_at_its_first_save_keeps_no_epoch_of_the_training_before(
    world, tmp_path, monkeypatch, after
):

    class Killed(BaseException):
        pass

    plain = kit.training.resume.save_state

    def dies(path, state, before):
        def then():
            before()
            if not after:
                raise Killed  # between the clearing and the move into place

        plain(path, state, then)
        raise Killed

    old, new = small(lr=0.1), small()
    train(old, world.plan, world.folder, [0], tmp_path, on_cpu(keep_epochs=2))
    train(new, world.plan, world.folder, [0], tmp_path / "undisturbed", on_cpu(keep_epochs=2))
    with monkeypatch.context() as patch:
        everywhere(patch, kit.training.resume, "save_state", dies)
        with pytest.raises(Killed):
            train(new, world.plan, world.folder, [0], tmp_path, on_cpu(force=True, keep_epochs=2))
    train(new, world.plan, world.folder, [0], tmp_path, on_cpu(keep_epochs=2))
    files, same = (Fold(root / "small" / "fold0") for root in (tmp_path, tmp_path / "undisturbed"))
    kept, undisturbed = (
        [path.read_bytes() for path in (own.best, *own.epochs)] for own in (files, same)
    )
    assert kept == undisturbed and len(kept) == 3


def test_idle_settings_and_the_weight_decay_are_said(world, tmp_path, capsys):
    train(small(epochs=1, optimizer="sgd", mix_prob=0.3), world.plan, world.folder, [0], tmp_path, on_cpu())
    out, err = capsys.readouterr()
    assert "recipe small: mix_prob=0.3 changes nothing with mix='none'" in err
    assert ", sgd with weight decay 0.0001" in out and f", {torch.get_num_threads()} thread" in out


def test_what_goes_on_keeps_its_threads_and_says_other_versions(
    world, tmp_path, monkeypatch, capsys
):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    everywhere(monkeypatch, kit.system.threads, "_THREADS", 4)
    plain, before = kit.training.resume.save_state, torch.get_num_threads()

    def saved(path, state, *_):
        plain(
            path,
            state
            | {
                "threads": 3,
                "versions": state["versions"] | {"timm": "0.1.2", "albumentations": ""},
            },
        )
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        everywhere(patch, kit.training.resume, "save_state", saved)
        with pytest.raises(KeyboardInterrupt):
            train(small(), world.plan, world.folder, [0], tmp_path, on_cpu())
    capsys.readouterr()
    try:
        train(small(), world.plan, world.folder, [0], tmp_path, on_cpu())
        out, err = capsys.readouterr()
        assert torch.get_num_threads() == 3 and ", 3 threads, " in out
    finally:
        torch.set_num_threads(before)
    assert "last.pt: was made with timm 0.1.2 (here " in err and "albumentations none (here " in err
    assert read_checkpoint_info(Fold(tmp_path / "small" / "fold0").best).versions == dict(
        versions()
    )


def test_a_finished_fold_is_skipped_and_another_recipe_or_plan_refused(
    data, tmp_path, capsys, fails
):
    plan_path = tmp_path / "runs" / "folds.csv"
    plan_folds(mask_folder(data), plan_path, PlanOptions(folds=3, audit=False))
    recipe = recipe_file(tmp_path, more=", epochs=1")
    arguments = [
        recipe,
        "--data",
        data,
        "--plan",
        plan_path,
        "--runs",
        tmp_path / "runs",
        "--device",
        "cpu",
        "--workers",
        "0",
    ]
    assert main([str(a) for a in arguments]) == 0
    files = Fold(tmp_path / "runs" / "mine" / "fold0")
    before = files.best.read_bytes()
    assert main([str(a) for a in arguments]) == 0
    assert "finished before, skipped" in capsys.readouterr().out
    recipe_file(tmp_path, more=", epochs=1, lr=0.123")
    assert "another recipe: lr was 0.005, is 0.123" in fails(main, *arguments)
    recipe_file(tmp_path, more=", epochs=1")
    plan_folds(mask_folder(data), plan_path, PlanOptions(folds=3, seed=7, audit=False, force=True))
    assert "another fold plan" in fails(main, *arguments)
    assert files.best.read_bytes() == before
    assert main([str(a) for a in [*arguments, "--force"]]) == 0
    assert files.best.read_bytes() != before


# ------------------------------------------------------------ selection

BEST = {"select": "best"}


def scripted(monkeypatch, scores, losses=None):
    """Let the epochs score so, whatever they predict."""
    f1, loss = iter(scores), iter(losses or [1.0] * 99)
    everywhere(
        monkeypatch,
        kit.scoring.metrics,
        "score",
        lambda truth, predicted, competition: dataclasses.replace(score(truth, predicted, competition), f1=next(f1)),
    )
    everywhere(monkeypatch, kit.scoring.metrics, "log_loss", lambda probs, truth: next(loss))


@pytest.mark.parametrize(
    "changes, scores, losses, epochs, kept",
    [
        ({}, [0.1, 0.3, 0.2, 0.1], None, 4, 4),
        ({"ema": 0.9}, [0.1, 0.3, 0.2, 0.1], None, 4, 4),
        (BEST, [0.1, 0.3, 0.2, 0.3], None, 4, 2),
        (BEST | {"monitor": "loss"}, [0.1, 0.3, 0.2, 0.1], [4, 3, 1, 2], 4, 3),
        (BEST | {"patience": 1}, [0.1, 0.3, 0.2, 0.5], None, 3, 2),
        (BEST | {"patience": 2}, [0.3, 0.1, 0.2, 0.5], None, 3, 1),
        (BEST | {"patience": 2}, [0.3, 0.1, 0.4, 0.1], None, 4, 3),
        (BEST | {"patience": 1, "monitor": "loss"}, [0.1, 0.2, 0.3, 0.4], [1, 2, 3, 4], 2, 1),
        ({"patience": 1}, [0.3, 0.2, 0.1, 0.4], None, 2, 2),
    ],
)
def test_which_epoch_is_kept_and_when_training_ends(
    world, tmp_path, monkeypatch, capsys, changes, scores, losses, epochs, kept
):
    scripted(monkeypatch, scores, losses)
    recipe = small(name="chosen", epochs=4, **changes)
    done = train(recipe, world.plan, world.folder, [0], tmp_path, on_cpu())[0]
    files = Fold(tmp_path / "chosen" / "fold0")
    card, rows = read_checkpoint_info(files.best), read_metrics(files.metrics)
    assert (len(rows), card.epoch, card.select, card.averaged) == (
        epochs,
        kept,
        recipe.select,
        recipe.ema > 0,
    )
    assert (
        card.chosen_on_fold
        == recipe.chosen_on_fold
        == (recipe.select == "best" or "patience" in changes)
    )
    assert (
        card.score == scores[kept - 1] == done.f1
        and [row["val_f1_macro"] for row in rows] == scores[:epochs]
    )
    assert (
        read_probs(files.oof).key == oof_key(files.best, world.plan, 0, "float32")
        and not files.last.exists()
    )
    out = capsys.readouterr().out
    assert ("ended early" in out) == (epochs < 4)
    assert train(recipe, world.plan, world.folder, [0], tmp_path, on_cpu())[0].f1 == done.f1
    assert "finished before, skipped" in capsys.readouterr().out


def test_select_overrides_the_recipe(killable, tmp_path, fails, capsys):
    arguments = [str(a) for a in [*killable.command[3:], "--runs", tmp_path]]
    assert main([*arguments, "--select", "best"]) == 0
    card = read_checkpoint_info(Fold(tmp_path / "mine" / "fold0").best)
    assert (card.select, card.averaged) == ("best", True)
    assert "its best epoch, chosen on the fold" in capsys.readouterr().out
    assert "select was 'best', is 'last'" in fails(main, *arguments)


def test_the_moving_average_is_what_is_kept(world, tmp_path):
    recipe = small(name="ema", ema=0.9)
    train(recipe, world.plan, world.folder, [0], tmp_path, on_cpu())
    assert read_checkpoint_info(Fold(tmp_path / "ema" / "fold0").best).averaged
    train(dataclasses.replace(recipe, name="plain", ema=0.0), world.plan, world.folder, [0], tmp_path, on_cpu())
    averaged, plain = (
        load(Fold(tmp_path / name / "fold0").best).body.conv_stem.weight
        for name in ("ema", "plain")
    )
    assert not torch.equal(averaged, plain) and torch.allclose(averaged, plain, atol=0.1)


# ------------------------------------------------------------ labels of training photos alone


def test_training_labels_and_dropped_ages_leave_validation_alone(world, tmp_path):
    recipe = small(name="ages", epochs=1, edges=(30, 46), drop=(20, 25))
    scores = train(recipe, world.plan, world.folder, [0], tmp_path, on_cpu())[0]
    oof = read_probs(Fold(tmp_path / "ages" / "fold0").oof)
    held = world.plan.photos[world.plan.photos["fold"] == 0]
    assert oof.ids.tolist() == held["image"].tolist()
    assert scores.f1 == pytest.approx(score(held["label"].to_numpy(), oof.probs.argmax(axis=1), MASK).f1)
    with pytest.raises(KitError, match="photos are left to train on"):
        train(small(name="none", drop=(0, 120)), world.plan, world.folder, [0], tmp_path, on_cpu())


# ------------------------------------------------------------ a first try


def test_a_trial_is_a_run_of_its_own(killable, tmp_path, capsys, fails):
    arguments = [str(a) for a in [*killable.command[3:], "--runs", tmp_path]]
    assert main([*arguments, "--limit", "10", "--fold", "all"]) == 0
    out = capsys.readouterr().out
    assert (
        "10 photos to train, 10 to validate" in out
        and "next: the whole data, without --limit" in out
    )
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine-limit10"]
    files = Fold(tmp_path / "mine-limit10" / "fold0")
    assert read_checkpoint_info(files.best).limit == 10 and len(read_probs(files.oof).ids) == 10
    assert main([*arguments, "--limit", "10"]) == 0
    assert "finished before" in capsys.readouterr().out
    files.oof.unlink()
    assert main([*arguments, "--limit", "10"]) == 0 and len(read_probs(files.oof).ids) == 10
    capsys.readouterr()
    line = fails(
        kit.ensemble.main,
        tmp_path / "mine-limit10",
        *killable.command[4:8],
        "--out",
        tmp_path / "s.csv",
    )
    assert "is of a trial on 10 photos; train the recipe without --limit" in line
    assert "--limit 1" in fails(main, *arguments, "--limit", "1")


def test_a_dry_run_writes_nothing(killable, tmp_path, capsys):
    assert (
        main([str(a) for a in [*killable.command[3:], "--runs", tmp_path / "runs", "--dry-run"]])
        == 0
    )
    out = capsys.readouterr().out
    for word in (
        "decode, crop, resize",
        "training step",
        "validation batch",
        "peak memory",
        "an epoch about",
        "4 epochs",
        "once for the pixel cache",
    ):
        assert word in out
    assert (
        main(
            [str(a) for a in [*killable.command[3:], "--dry-run", "--limit", "12", "--fold", "all"]]
        )
        == 0
    )
    assert (
        "(2 steps)" in (out := capsys.readouterr().out)
        and "the 3 folds" in out
        and "pixel cache" not in out
    )
    assert not list(tmp_path.iterdir())


def test_the_list_of_recipes(capsys, tmp_path, monkeypatch, fails):
    assert main(["--list"]) == 0
    out = capsys.readouterr().out
    for path in shipped_recipe("tiny").parent.glob("*.py"):
        assert path.name in out
    assert "17.6" in out and "GFLOP" in out
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recipes").mkdir()
    assert "holds no recipes" in fails(main, "--list")
    assert "name a recipe" in fails(main)
    recipe_file(tmp_path / "recipes")
    (tmp_path / "recipes" / "broken.py").write_text("recipe = 3")
    assert main(["--list"]) == 0
    captured = capsys.readouterr()
    assert "mine.py" in captured.out and "broken.py" in captured.err


# ------------------------------------------------------------ the kit's own recipes


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A drawn sample and its plan."""
    root = tmp_path_factory.mktemp("drawn")
    draw_sample(root / "data", people=60, eval_people=1)
    return root / "data", plan_folds(mask_folder(root / "data"), root / "folds.csv", PlanOptions(audit=False))[0]


@pytest.mark.parametrize(
    "path", sorted(shipped_recipe("tiny").parent.glob("*.py")), ids=lambda p: p.stem
)
def test_every_recipe_trains_saves_goes_on_and_predicts(drawn, tmp_path, monkeypatch, path):
    data, plan = drawn
    recipe = dataclasses.replace(
        load_recipe(path), pretrained=False, size=(64, 48), epochs=2, warmup=0.0, batch_size=3
    )
    name, real = f"{recipe.name}-limit6", kit.results.run.write_metrics
    files = Fold(tmp_path / name / "fold0")

    def stop_after_one(path, rows):
        real(path, rows)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        everywhere(patch, kit.results.run, "write_metrics", stop_after_one)
        with pytest.raises(KeyboardInterrupt):
            train(recipe, plan, mask_folder(data), [0], tmp_path, on_cpu(limit=6))
    assert len(load_state(files.last)["rows"]) == 1
    train(recipe, plan, mask_folder(data), [0], tmp_path, on_cpu(limit=6))
    assert len(read_metrics(files.metrics)) == 2 and not files.last.exists()
    oof = read_probs(files.oof)
    photos = PhotoDataset((data / "train" / "images"), oof.ids.tolist(), [recipe.geometry(MASK.frame)])
    cpu = torch.device("cpu")
    again = predict(
        [load(files.best)], make_loader(photos, batches_of(6, 32), 0, cpu), make_views("none"), cpu
    )[0][0, 0]
    np.testing.assert_allclose(again, oof.probs, atol=1e-3)
    shutil.rmtree(tmp_path)  # gigabytes, of VGG19


# ------------------------------------------------------------ the cache


def test_a_run_with_the_cache_equals_one_without(data, tmp_path, monkeypatch):
    plan, _ = plan_folds(mask_folder(data), tmp_path / "folds.csv", PlanOptions(folds=3, audit=False))
    count, real = [0], kit.data.photos.decode
    everywhere(
        monkeypatch,
        kit.data.photos,
        "decode",
        lambda *a, **o: (count.__setitem__(0, count[0] + 1), real(*a, **o))[1],
    )
    train(small(), plan, mask_folder(data), [0, 1], tmp_path / "with", on_cpu())
    assert count[0] == len(plan.photos)  # every photo once, for both folds and all epochs
    train(small(), plan, mask_folder(data), [0, 1], tmp_path / "without", on_cpu(cache=False))
    assert (
        count[0] == len(plan.photos) * (1 + 2 * 2)
        and not (tmp_path / "without" / "pixels").exists()
    )
    for fold in range(2):
        assert_same_run(
            *(Fold(tmp_path / name / "small" / f"fold{fold}") for name in ("with", "without"))
        )


# ------------------------------------------------------------ bad input


def test_bad_input_is_one_line(data, tmp_path, fails):
    plan_path = tmp_path / "folds.csv"
    recipe = recipe_file(tmp_path)
    line = fails(main, recipe, "--data", data, "--plan", plan_path)
    assert "there is no fold plan" in line and "kit.folds" in line
    plan_folds(mask_folder(data), plan_path, PlanOptions(folds=3, audit=False))
    common = ["--data", data, "--plan", plan_path, "--runs", tmp_path / "runs", "--workers", "0"]
    assert "the folds 0 to 2" in fails(main, recipe, *common, "--fold", "3")
    assert "--device tpu" in fails(main, recipe, *common, "--device", "tpu")
    assert "--workers -1" in fails(main, recipe, *common[:-1], "-1")
    assert "did you mean" in fails(main, tmp_path / "mime.py", *common)
    assert "no such architecture" in fails(
        main, recipe_file(tmp_path, "odd", ", model='resnet5O'"), *common
    )
    plan = read_plan(plan_path)
    photo = (data / "train" / "images") / plan.photos["image"].iloc[0]
    draw_photo(photo, "another", (100, 130))
    assert "holds other photos than the fold plan" in fails(main, recipe, *common)
    photo.unlink()
    assert "photos of the fold plan that are not there" in fails(main, recipe, *common)
    assert not [p for p in (tmp_path / "runs").rglob("*") if p.is_file() and p.name != ".lock"]


def test_a_photo_that_breaks_later_is_one_line(data, tmp_path, fails):
    plan_path = tmp_path / "folds.csv"
    plan, _ = plan_folds(mask_folder(data), plan_path, PlanOptions(folds=3, audit=False))
    photo = (data / "train" / "images") / plan.photos.loc[plan.photos["fold"] == 1, "image"].iloc[0]
    photo.write_bytes(bytes(photo.stat().st_size))
    line = fails(
        main,
        recipe_file(tmp_path),
        "--data",
        data,
        "--plan",
        plan_path,
        "--runs",
        tmp_path / "runs",
        "--workers",
        "1",
    )
    assert f"{photo}: is no image" in line


def test_a_loss_that_is_no_number_names_the_step_and_its_photos(world, tmp_path):
    recipe = small("wild", lr=1e6, warmup=0.0)
    files = Fold(tmp_path / "wild" / "fold0")
    said = r"epoch 1, step \d+, is not a finite number.*bad_batch.txt .*lower lr or set clip"
    with pytest.raises(KitError, match=said) as error:
        train(recipe, world.plan, world.folder, [0], tmp_path, on_cpu())
    listed = files.bad_batch.read_text().splitlines()
    seen = set(world.plan.photos.loc[world.plan.photos["fold"] != 0, "image"])
    assert 1 < len(listed) <= 8 and set(listed) <= seen and listed[0] in str(error.value)
    assert not files.last.exists() and not files.best.exists()


def test_a_batch_too_large_for_the_memory_names_one_that_fits(world, tmp_path, monkeypatch):
    from kit.training.learner import Learner

    real = Learner.step

    def step(learner, batches, rate, seed):
        if max(len(labels) for _, labels in batches) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(learner, batches, rate, seed)

    monkeypatch.setattr(Learner, "step", step)
    with pytest.raises(
        KitError, match="batch_size=12 at 32 x 24; 3 fits: set batch_size=3, accumulate=4"
    ):
        train(small(batch_size=12), world.plan, world.folder, [0], tmp_path, on_cpu())
    with pytest.raises(KitError, match="no smaller one fits"):
        train(small(batch_size=5), world.plan, world.folder, [0], tmp_path, on_cpu())
    with pytest.raises(
        KitError, match="3 fits: set batch_size=3, accumulate=5, for steps of about as many photos"
    ):
        kit.training.estimate.estimate(small(batch_size=13), world.plan, world.folder, [0], tmp_path, on_cpu())
    with pytest.raises(KitError, match="3 fits: set batch_size=3$"):
        kit.training.estimate.estimate(small(batch_size=12, loss="f1"), world.plan, world.folder, [0], tmp_path, on_cpu())


def test_a_loader_process_that_is_killed_is_one_line(killable, tmp_path):
    """In a process of its own: torch goes on raising for the killed process, wherever the program
    is.
    """
    code = (
        "import os, signal, sys, torch; from kit.data.loader import PhotoDataset as Photos; from "
        "kit.train import main\n"
        "real = Photos.__getitem__\n"
        "def reading(photos, at):\n"
        "    if torch.utils.data.get_worker_info() and isinstance(at, tuple) and at[0] % 5 == 3:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return real(photos, at)\n"
        "Photos.__getitem__ = reading; sys.exit(main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *killable.command[3:], "--runs", str(tmp_path)],
        capture_output=True,
        text=True,
    )
    assert (
        done.returncode == 2
        and "error: a loader process was killed" in done.stderr
        and "Traceback" not in done.stderr
    )


# ------------------------------------------------------------ tracking


def test_tensorboard_has_every_epoch_once_whatever_interrupted_it(world, tmp_path, monkeypatch):
    pytest.importorskip("tensorboard")
    recipe, real = small(epochs=3), kit.results.run.write_metrics

    def stop_after_two(path, rows):
        real(path, rows)
        if len(rows) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        everywhere(patch, kit.results.run, "write_metrics", stop_after_two)
        with pytest.raises(KeyboardInterrupt):
            train(recipe, world.plan, world.folder, [0], tmp_path, on_cpu(track="tensorboard"))
    train(recipe, world.plan, world.folder, [0], tmp_path, on_cpu(track="tensorboard"))
    files = Fold(tmp_path / "small" / "fold0")
    code = (
        "import json, sys, warnings; warnings.simplefilter('ignore')\n"
        "from tensorboard.backend.event_processing.event_accumulator import EventAccumulator\n"
        "events = EventAccumulator(sys.argv[1]).Reload()\n"
        "print(json.dumps({t: [(e.step, e.value) for e in events.Scalars(t)] for t in "
        "events.Tags()['scalars']}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(files.folder / "tensorboard")],
        capture_output=True,
        text=True,
    )
    scalars = json.loads(done.stdout)
    assert set(scalars) == {
        "train/loss",
        "val/loss",
        "val/acc",
        "val/f1_macro",
        "val/f1_mask",
        "val/f1_gender",
        "val/f1_age",
        "lr",
        "time/data",
        "time/step",
    }
    rows = read_metrics(files.metrics)
    assert [step for step, _ in scalars["val/f1_macro"]] == [1, 2, 3]
    assert [value for _, value in scalars["train/loss"]] == pytest.approx(
        [row["train_loss"] for row in rows]
    )


def test_wandb_offline(killable, tmp_path):
    pytest.importorskip("wandb")
    root = Path(__file__).resolve().parents[1]
    environment = os.environ | {
        "WANDB_MODE": "offline",
        "HOME": str(tmp_path),
        "PYTHONPATH": str(root),
    }
    done = subprocess.run(
        [*killable.command, "--runs", str(tmp_path / "runs"), "--track", "wandb"],
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,
    )
    assert done.returncode == 0 and "gave up" not in done.stderr, done.stderr
    files = Fold(tmp_path / "runs" / "mine" / "fold0")
    assert list((files.folder / "wandb").glob("offline-run-*/run-*.wandb"))
    assert_same_run(files, killable.whole)


def test_a_tracker_that_fails_costs_no_training(world, tmp_path, monkeypatch, capsys):

    class Broken:
        def __init__(self, *args):
            pass

        def log(self, row):
            raise OSError("no space left")

        close = None

    everywhere(monkeypatch, kit.training.trackers, "_TensorBoard", Broken)
    train(small(), world.plan, world.folder, [0], tmp_path, on_cpu(track="tensorboard"))
    err = capsys.readouterr().err
    assert err.count("gave up (OSError: no space left); the training goes on") == 1
    assert_same_run(*(Fold(runs / "small" / "fold0") for runs in (tmp_path, world.runs)))


def test_a_tracker_that_is_not_installed_is_told_before_training(world, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(
        KitError, match=r"--track wandb: it is not installed .*pip install 'kfold-kit\[tracking\]'"
    ):
        train(small(), world.plan, world.folder, [0], tmp_path, on_cpu(track="wandb"))
