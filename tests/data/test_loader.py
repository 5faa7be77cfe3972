"""The loader: every photo once, and what a person is told if it fails."""

import multiprocessing
import os
import signal
import time

import pytest
import torch
from helpers import MASK, draw_photo, everywhere

import kit.data.cache
import kit.data.loader
from kit.data.geometry import Geometry
from kit.data.loader import (
    PhotoDataset,
    Rounds,
    batches_of,
    default_workers,
    end_workers,
    iterate,
    make_loader,
)
from kit.system.errors import KitError

CPU = torch.device("cpu")


GEOMETRY = Geometry((512, 384), (16, 12), MASK.frame)


@pytest.fixture
def place(tmp_path):
    """Eight photos in a folder."""
    (tmp_path / "photos").mkdir()
    for i in range(8):
        draw_photo(tmp_path / "photos" / f"{i}.jpg", i)
    return tmp_path


NAMES = [f"{i}.jpg" for i in range(8)]


def test_every_photo_comes_once_whatever_the_batch_and_workers(tmp_path):
    names = [f"{i}.jpg" for i in range(7)]
    for name in names:
        draw_photo(tmp_path / name, name)
    photos = PhotoDataset(
        tmp_path,
        names,
        [Geometry((512, 384), (16, 12), MASK.frame), Geometry((256, 192), (8, 6), MASK.frame)],
    )
    for workers in (0, 2):
        found = [
            (at, big, little)
            for at, (big, little) in make_loader(photos, batches_of(7, 3), workers, CPU)
        ]
        assert torch.cat([at for at, _, _ in found]).tolist() == list(range(7))
        assert [tuple(big.shape) for _, big, _ in found] == [
            (3, 16, 12, 3),
            (3, 16, 12, 3),
            (1, 16, 12, 3),
        ]
        assert (
            found[0][2].dtype == torch.uint8 and (found[0][2][1].numpy() == photos[1][1][1]).all()
        )


def test_loader_processes_that_give_nothing_are_not_waited_for_for_ever(place, monkeypatch):
    everywhere(monkeypatch, kit.data.loader, "_WAIT_SECONDS", 1)
    monkeypatch.setattr(PhotoDataset, "__getitem__", lambda *_: time.sleep(4))
    loader = make_loader(PhotoDataset(place / "photos", NAMES, [GEOMETRY]), [[0]], 1, CPU)
    with pytest.raises(
        KitError, match="no photos came from the loader processes for 1 seconds: .*take --workers 0"
    ):
        list(iterate(loader))
    end_workers()


def test_default_workers():
    cores = len(os.sched_getaffinity(0))
    assert default_workers("cpu") == 0 and 1 <= default_workers("cuda") <= max(1, cores)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_damaged_photo_is_one_line_from_a_worker_too(tmp_path, workers):
    (tmp_path / "a.jpg").write_bytes(b"no image")
    with pytest.raises(KitError) as error:
        list(
            iterate(
                make_loader(
                    PhotoDataset(tmp_path, ["a.jpg"], [Geometry((512, 384), (8, 6), MASK.frame)]),
                    [[0]],
                    workers,
                    CPU,
                )
            )
        )
    assert (
        str(error.value)
        == f"{tmp_path / 'a.jpg'}: is no image (JPEG, PNG, WEBP, TIFF, BMP); unpack the data again"
    )
    end_workers()


def test_rounds_call_before_each_one_with_or_without_a_batch():
    class Loader:
        dataset = "photos"

        def __iter__(self):
            yield from range(2)

    said = []
    rounds = Rounds(Loader(), 4, lambda: said.append("round"))
    for batch in rounds:
        said.append(batch)
    assert said == ["round", 0, "round", 1, "round", "round"] and rounds.dataset == "photos"


VICTIMS: list[int] = []


def kill_victims():
    while VICTIMS:
        os.kill(VICTIMS.pop(), signal.SIGKILL)
        time.sleep(0.2)  # the signal comes while Python drops errors


os.register_at_fork(after_in_parent=kill_victims)


def kill(loader_process):
    os.kill(loader_process.pid, signal.SIGKILL)
    time.sleep(0.2)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # what is dropped
@pytest.mark.parametrize("when", ["a fork", "its start", "errors are dropped"])
def test_a_loader_process_that_dies_is_noticed_whenever_it_does(place, monkeypatch, when):
    everywhere(monkeypatch, kit.data.loader, "_WAIT_SECONDS", 20)
    photos = PhotoDataset(place / "photos", NAMES, [GEOMETRY])
    loader = make_loader(photos, batches_of(8, 2), 1, CPU)
    if when == "its start":
        start = multiprocessing.process.BaseProcess.start

        def killed(process):
            start(process)
            kill(process)

        monkeypatch.setattr(multiprocessing.process.BaseProcess, "start", killed)
    else:
        assert len(list(iterate(loader))) == 4
        (process,) = multiprocessing.active_children()
    if when == "a fork":
        VICTIMS.append(process.pid)
        assert len(list(iterate(make_loader(photos, batches_of(8, 2), 1, CPU)))) == 4
    elif when == "errors are dropped":
        with pytest.raises(RuntimeError, match="DataLoader worker"):
            kill(process)
    started = time.monotonic()
    with pytest.raises(KitError, match="a loader process was killed"):
        list(iterate(loader))
    assert time.monotonic() - started < 10 and not VICTIMS
    end_workers()
