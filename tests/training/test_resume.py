import dataclasses
import json
import shutil

import pytest
import torch
from helpers import everywhere, small
from trainings import assert_same_run, on_cpu

import kit.results.run
import kit.scoring.metrics
import kit.system.threads
import kit.training.resume
from kit.models.checkpoint import read_checkpoint_info
from kit.results.run import Fold
from kit.scoring.metrics import score
from kit.system.device import kind_of
from kit.system.errors import KitError
from kit.system.versions import versions
from kit.training.learner import Learner
from kit.training.resume import STATE_VERSION, load_state, save_state
from kit.training.run import train


def test_files_of_another_fold_are_refused(world, tmp_path):
    shutil.copytree(world.runs / "small" / "fold0", tmp_path / "small" / "fold1")
    with pytest.raises(KitError, match="holds files of fold 0"):
        train(small(), world.plan, world.folder, [1], tmp_path, on_cpu())


def test_a_fold_of_another_competition_is_refused(world, tmp_path):
    shutil.copytree(world.runs / "small" / "fold0", tmp_path / "small" / "fold0")
    first, *others = world.plan.competition.tasks
    renamed = dataclasses.replace(first, classes=tuple(f"{c}s" for c in first.classes))
    other = dataclasses.replace(world.plan.competition, tasks=(renamed, *others))
    plan = dataclasses.replace(world.plan, competition=other)
    with pytest.raises(KitError, match="was trained for another competition"):
        train(small(), plan, world.folder, [0], tmp_path, on_cpu())


def test_a_best_checkpoint_that_went_is_told_when_going_on(world, tmp_path, monkeypatch):
    recipe = small(epochs=4, name="going", select="best")
    files = Fold(tmp_path / "going" / "fold0")
    real = kit.results.run.write_metrics

    def stop_after_three(path, rows, *origin):
        real(path, rows, *origin)
        if len(rows) == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        # The first epoch is the best.
        scores = iter([0.9, 0.1, 0.1, 0.1])
        everywhere(
            patch,
            kit.scoring.metrics,
            "score",
            lambda truth, predicted, competition, probs: dataclasses.replace(
                score(truth, predicted, competition, probs), score=next(scores)
            ),
        )
        everywhere(patch, kit.results.run, "write_metrics", stop_after_three)
        with pytest.raises(KeyboardInterrupt):
            train(recipe, world.plan, world.folder, [0], tmp_path, on_cpu())
    content = files.best.read_bytes()
    for harm in (lambda: files.best.unlink(), lambda: files.best.write_bytes(content[:-1] + b"x")):
        harm()
        with pytest.raises(
            KitError,
            match="is gone, and the fold's is of epoch 1; put a copy|checksum does not fit: the",
        ):
            train(recipe, world.plan, world.folder, [0], tmp_path, on_cpu())
        assert files.last.exists()
    files.best.write_bytes(content)
    train(recipe, world.plan, world.folder, [0], tmp_path, on_cpu())
    assert files.best.read_bytes() == content and not files.last.exists()


def test_what_goes_on_keeps_its_threads_and_says_other_versions_and_devices(
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
                "precision": "float16",
                "device": "another GPU",
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
    folder = tmp_path / "small" / "fold0"
    here = f"float32 on {kind_of(torch.device('cpu'))}"
    assert (
        f"warning: {folder}: began in float16 on another GPU and goes on in {here}: its sums are "
        "rounded otherwise\n"
    ) in err
    assert "last.pt: was made with timm 0.1.2 (here " in err and "albumentations none (here " in err
    assert read_checkpoint_info(Fold(tmp_path / "small" / "fold0").best).versions == dict(
        versions()
    )


def test_the_state_is_plain_and_runs_nothing(tmp_path):
    state = {
        "recipe": json.dumps(small().describe()),
        "plan": "abc",
        "fold": 0,
        "rows": [{"epoch": 1, "f1": 0.5}],
        "step": 3,
        "loss": 0.5,
        "seconds": 1.0,
        "waited": 0.1,
        "versions": dict(versions()),
        "threads": 1,
        "version": STATE_VERSION,
        "precision": "float32",
        "device": "CPU",
        "learner": {"network": {"w": torch.arange(3)}, "optimizer": {}},
    }
    save_state(tmp_path / "last.pt", state)
    assert load_state(tmp_path / "last.pt")["rows"] == [{"epoch": 1, "f1": 0.5}]
    save_state(tmp_path / "other.pt", state | {"versions": dict(versions()) | {"pixels": "0"}})
    with pytest.raises(KitError, match="decoded or resized otherwise"):
        load_state(tmp_path / "other.pt")
    for version in (None, 0, STATE_VERSION + 1):
        other = state | {"version": version}
        save_state(tmp_path / "other.pt", other if version is not None else {"rows": []})
        with pytest.raises(KitError, match="other.pt: was written by another version of the kit; "):
            load_state(tmp_path / "other.pt")
    for bad in ({"f": print}, [], 3, {"version": STATE_VERSION}, state | {"recipe": "no JSON"}):
        save_state(tmp_path / "bad.pt", bad)
        with pytest.raises(KitError, match="cannot be continued from"):
            load_state(tmp_path / "bad.pt")
    content = bytearray((tmp_path / "last.pt").read_bytes())
    for at in range(0, len(content), 97):
        content[at] ^= 4
        (tmp_path / "bad.pt").write_bytes(content)
        with pytest.raises(KitError, match="the file is damaged"):
            load_state(tmp_path / "bad.pt")
        content[at] ^= 4


def test_a_training_that_was_given_its_share_goes_on_with_the_threads_it_began_with(
    world, tmp_path, monkeypatch, capsys
):
    """Whatever the environment of the next process says: a runner sets it, and not a person."""
    monkeypatch.setattr(kit.system.threads, "_taken", [])
    everywhere(monkeypatch, kit.system.threads, "machine_cores", lambda: 8)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    plain, before = kit.training.resume.save_state, torch.get_num_threads()

    def saved(path, state, *_):
        plain(path, state)
        raise KeyboardInterrupt

    try:
        kit.system.threads.take_cores(2)
        with monkeypatch.context() as patch:
            everywhere(patch, kit.training.resume, "save_state", saved)
            with pytest.raises(KeyboardInterrupt):
                train(small(), world.plan, world.folder, [0], tmp_path, on_cpu(limit=8))
        files = Fold(tmp_path / "small-limit8" / "fold0")
        assert load_state(files.last)["threads"] == 2
        kit.system.threads.take_cores(1)
        capsys.readouterr()
        train(small(), world.plan, world.folder, [0], tmp_path, on_cpu(limit=8))
        out, err = capsys.readouterr()
        assert ", 2 threads, " in out and "rounded otherwise" not in err
    finally:
        torch.set_num_threads(before)


def test_a_state_that_the_system_cannot_read_is_not_called_damaged(tmp_path):
    with pytest.raises(KitError, match="last.pt: cannot be read: Is a directory; check the path"):
        (tmp_path / "last.pt").mkdir()
        load_state(tmp_path / "last.pt")


def test_a_damaged_state_names_what_stands_without_it(world, tmp_path):
    folder = shutil.copytree(world.runs / "small" / "fold0", tmp_path / "small" / "fold0")
    files = Fold(folder)

    def said():
        with pytest.raises(KitError) as error:
            train(small(), world.plan, world.folder, [0], tmp_path, on_cpu())
        return str(error.value)

    files.last.write_bytes(b"")
    assert "last.pt: cannot be continued from" in said()
    assert said().endswith("; delete it: all epochs have ended")
    files.metrics.unlink()
    assert said().endswith(f"--force; until then kit.ensemble takes {files.best}")
    files.best.unlink()
    assert said().endswith("; train the fold again with --fold 0 --force")
    shutil.copytree(world.runs / "small" / "fold0", folder, dirs_exist_ok=True)
    files.last.unlink()
    assert train(small(), world.plan, world.folder, [0], tmp_path, on_cpu())


def test_a_damaged_checkpoint_that_is_soon_replaced_stops_no_training(world, tmp_path, monkeypatch):
    files, steps, real = Fold(tmp_path / "small" / "fold0"), [], Learner.step

    def step(*arguments):
        steps.append(1)
        if len(steps) == 15:
            raise KeyboardInterrupt
        return real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Learner, "step", step)
        with pytest.raises(KeyboardInterrupt):
            train(small(), world.plan, world.folder, [0], tmp_path, on_cpu())
    assert load_state(files.last)["step"] and files.best.exists()
    files.best.write_bytes(files.best.read_bytes()[:-1])
    train(small(), world.plan, world.folder, [0], tmp_path, on_cpu())
    assert_same_run(files, Fold(world.runs / "small" / "fold0"))
