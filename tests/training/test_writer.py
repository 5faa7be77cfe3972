import shutil
import signal

import pytest
from helpers import everywhere, small
from trainings import assert_same_run, on_cpu

import kit.models.checkpoint
import kit.results.probs
import kit.results.run
import kit.training.resume
from kit.data.loader import PhotoDataset
from kit.inference.engine import Compute
from kit.models.checkpoint import read_checkpoint_info
from kit.results.run import Fold
from kit.system.errors import KitError
from kit.training.job import TrainOptions
from kit.training.run import train


@pytest.mark.parametrize("stop", range(1, 13))
def test_an_interruption_between_any_two_writes_changes_nothing(
    world, made_once, tmp_path, monkeypatch, stop
):
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
    whole = made_once(
        "three_epochs", lambda runs: train(recipe, world.plan, world.folder, [0], runs, on_cpu())
    )
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
    assert_same_run(*(Fold(runs / "small" / "fold0") for runs in (tmp_path / "a", whole)))


def test_a_full_disk_is_one_line_and_the_run_goes_on_later(world, tmp_path, monkeypatch):
    import os as system

    real, calls = system.fsync, [0]

    def full(descriptor):
        calls[0] += 1
        if calls[0] > 6:  # the cache, the owner and the four files of an epoch
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


def test_force_deletes_nothing_before_all_is_well(world, tmp_path, monkeypatch, capsys):
    shutil.copytree(world.runs / "small", tmp_path / "small")
    for device, recipe in (
        ("cuda:77", small()),
        ("cpu", small(pretrained="$NOT_SET_AT_ALL/w.pth")),
        ("cpu", small(model="resnet5O")),
    ):
        options = TrainOptions(compute=Compute(device, 0), force=True)
        with pytest.raises(KitError):
            train(recipe, world.plan, world.folder, [0], tmp_path, options)
    files = Fold(tmp_path / "small" / "fold0")
    before = {path.name: path.read_bytes() for path in files.folder.iterdir()}
    with pytest.raises(KitError, match="not a finite number"):
        train(
            small(lr=1e6, warmup=0.0), world.plan, world.folder, [0], tmp_path, on_cpu(force=True)
        )
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


def test_the_last_epochs_are_kept_and_the_best_is_one_of_all(kept):
    for fold in range(3):
        files = Fold(kept / "kept" / f"fold{fold}")
        assert [path.name for path in files.epochs] == [
            "epoch0002.safetensors",
            "epoch0003.safetensors",
        ]
        best, cards = (
            read_checkpoint_info(files.best),
            [read_checkpoint_info(path) for path in files.epochs],
        )
        assert [info.epoch for info in cards] == [2, 3]
        if best.epoch > 1:
            assert files.epoch(best.epoch).read_bytes() == files.best.read_bytes()


def test_kept_epochs_after_an_interruption_are_those_without(world, kept, tmp_path, monkeypatch):
    runs, whole = (
        tmp_path / "runs",
        [path.read_bytes() for path in Fold(kept / "kept" / "fold0").epochs],
    )
    plain, saved = kit.training.resume.save_state, []

    def stop(path, state, *more):
        plain(path, state, *more)
        saved.append(len(state["rows"]))
        if saved.count(2) == 1 and len(saved) == 2:
            raise KeyboardInterrupt  # after last.pt of epoch 2, before its weights are kept

    everywhere(monkeypatch, kit.training.resume, "save_state", stop)
    with pytest.raises(KeyboardInterrupt):
        train(small("kept", epochs=3), world.plan, world.folder, [0], runs, on_cpu(keep_epochs=2))
    monkeypatch.undo()
    assert [path.name for path in Fold(runs / "kept" / "fold0").epochs] == ["epoch0001.safetensors"]
    train(small("kept", epochs=3), world.plan, world.folder, [0], runs, on_cpu(keep_epochs=2))
    assert [path.read_bytes() for path in Fold(runs / "kept" / "fold0").epochs] == whole
