"""What stops a training is told, and mended as told, until it trains."""

import dataclasses
import errno
import fcntl
import functools
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import albumentations as A
import numpy as np
import pytest
import timm
import torch
from helpers import MASK, World, draw_photo, everywhere, small
from kinds import GRADES, LABELS, SIDES
from PIL import Image
from remedies import after, command, tried
from safetensors.torch import save_file
from trainings import on_cpu

import kit.data.cache
import kit.folds
import kit.results.run
import kit.soup
import kit.system.locks
import kit.training.memory
import kit.training.trackers
from kit.competition import Competition
from kit.data.cache import pixel_cache
from kit.data.folder import read_test
from kit.data.geometry import Geometry
from kit.data.loader import PhotoDataset
from kit.data.plan import read_plan
from kit.data.reading import read_photo
from kit.inference.members import find_members
from kit.inference.oof import read_oof
from kit.models.architecture import architecture_of
from kit.models.checkpoint import load, read_checkpoint_info, save
from kit.models.network import Network, build
from kit.recipe import Recipe
from kit.reporting.contact_sheet import thumbnails
from kit.results.run import Fold, origin_of, read_metrics, write_metrics
from kit.system.device import choose_device
from kit.system.disk import atomic_write
from kit.system.fence import OWNER, owned
from kit.system.locks import lock_folder
from kit.system.script import ScriptFunction
from kit.training.checks import check_recipe
from kit.training.learner import Learner
from kit.training.resume import load_state, save_state
from kit.training.run import fold_jobs, train

Trains = Callable[..., Callable[[], object]]


@pytest.fixture
def trains(world: World, tmp_path: Path) -> Trains:
    """`trains(recipe)` is a call that trains fold 0 on eight photos."""

    def call(recipe: Recipe | None = None, *, plan=world.plan, folds=(0,), **options: object):
        recipe, chosen = recipe or small(), on_cpu(limit=8, cache=False, **options)
        return lambda: train(recipe, plan, world.folder, folds, tmp_path, chosen) and None

    return call


@pytest.fixture
def files(trains: Trains, tmp_path: Path) -> Fold:
    """The files of a finished fold."""
    trains()()
    return Fold(tmp_path / "small-limit8" / "fold0")


def test_what_a_fold_s_folder_holds(trains, files, world, tmp_path):
    anew = trains(force=True)
    other = small(lr=0.5)
    said = "is 0.5); give the recipe another name, or --force to train it anew"
    tried(trains(other), said, trains(dataclasses.replace(other, name="other")))
    tried(trains(other), said, trains(other, force=True))
    anew()
    plan = dataclasses.replace(world.plan, hash="0" * 64)
    said = "was trained with another fold plan; give the recipe another name, or --force to train"
    tried(trains(plan=plan), said, trains(small("second"), plan=plan))
    first, *others = MASK.tasks
    renamed = dataclasses.replace(first, classes=tuple(f"{c}s" for c in first.classes))
    hats = dataclasses.replace(world.plan.competition, tasks=(renamed, *others))
    plan = dataclasses.replace(world.plan, competition=hats)
    said = "was trained for another competition than the fold plan's; name its plan with --plan, or"
    tried(trains(plan=plan), said, trains())
    tried(trains(plan=plan), said, trains(plan=plan, force=True))
    anew()
    moved = files.folder.with_name("fold1")
    files.folder.rename(moved)
    said = "holds files of fold 0; move them back, or --force to train it anew"
    tried(trains(folds=(1,)), said, after(lambda: moved.rename(files.folder), trains()))
    info = read_checkpoint_info(files.best)
    origin = origin_of(info.recipe, info.plan, info.fold)
    write_metrics(files.metrics, read_metrics(files.metrics, origin)[:1], origin)
    said = "has metrics of 1 of 2 epochs, and no last.pt to go on from; --force to train it anew"
    tried(trains(), said, anew)


def test_damaged_files_of_a_finished_fold(trains, files):
    anew, whole = trains(force=True), files.best.read_bytes()
    files.oof.unlink()
    tried(trains(), "is gone, damaged or of another checkpoint; making it again", trains())
    damaged = whole[:-1] + bytes([whole[-1] ^ 1])
    files.best.write_bytes(damaged)
    said = "put a copy of it back, or make it again: its training or its soup, with --force"
    tried(trains(), said, after(lambda: files.best.write_bytes(whole), trains()))
    files.best.write_bytes(damaged)
    tried(trains(), said, anew)
    info, whole = read_checkpoint_info(files.best), files.best.read_bytes()
    save(files.best, load(files.best), dataclasses.replace(info, epoch=1))
    said = "is of epoch 1, and the fold's is of epoch 2; put a copy of that one back, or train the"
    tried(trains(), said, after(lambda: files.best.write_bytes(whole), trains()))
    files.oof.unlink()
    origin = origin_of(info.recipe, info.plan, info.fold)
    rows = [row | {"val_loss": 0.1} for row in read_metrics(files.metrics, origin)]
    write_metrics(files.metrics, rows, origin)
    said = "of its epoch: it is of another training; put a copy of the right one back, or train the"
    tried(trains(), said, anew)
    said = "its epochs were not kept; --keep-epochs needs it to be trained anew, with --force"
    tried(trains(keep_epochs=1), said, trains(keep_epochs=1, force=True))


@pytest.fixture
def stopped(trains: Trains, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fold:
    """The files of a fold that was stopped after its first epoch of two."""
    files, plain = Fold(tmp_path / "small-limit8" / "fold0"), kit.results.run.write_metrics

    def stop(*of_file: object) -> None:
        plain(*of_file)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        everywhere(patch, kit.results.run, "write_metrics", stop)
        with pytest.raises(KeyboardInterrupt):
            trains(keep_epochs=1)()
    return files


def test_damaged_states(trains, stopped, tmp_path):
    shutil.copytree(stopped.folder, tmp_path / "copy")
    state = load_state(stopped.last)

    def back() -> None:
        shutil.rmtree(stopped.folder)
        shutil.copytree(tmp_path / "copy", stopped.folder)

    go_on, anew = trains(keep_epochs=1), trains(keep_epochs=1, force=True)
    said = "--keep-epochs was given before and is not now"
    tried(trains(), said, after(back, go_on))
    back()
    stopped.last.write_bytes(stopped.last.read_bytes()[:999])
    tried(go_on, "train the fold again with --fold 0 --force", anew)
    back()
    save_state(stopped.last, state | {"version": 0})
    said = "was written by another version of the kit; finish the fold with that version, or train"
    tried(go_on, said, anew)
    back()
    save_state(stopped.last, state | {"learner": state["learner"] | {"network": {}}})
    said = "does not fit the recipe's network and optimizer ("
    tried(go_on, said, anew)
    back()
    save_state(stopped.last, state | {"precision": "float16"})
    said = "began in float16 on"
    tried(go_on, said, after(back, go_on))
    said = "there is no unfinished training to resume; start it without --resume"
    tried(trains(resume=True, keep_epochs=1), said, go_on)


def test_trainings_that_diverge(trains, monkeypatch):
    said = "the network has diverged: lower lr or set clip in its recipe, and train it anew with"
    tried(trains(small(lr=1e6, optimizer="sgd")), said, trains(small(lr=1e-3), force=True))
    wild = small("wild", lr=1e6, optimizer="sgd", batch_size=3)
    said = "is not a finite number, for the photos listed in bad_batch.txt"
    tried(trains(wild), said, trains(small("wild", batch_size=3), force=True))
    with monkeypatch.context() as patch:
        patch.setattr(Learner, "stalled", property(lambda learner: True))
        stalled = trains(force=True)
        said = "lower lr or set clip in the recipe, and start with --force"

        def lower() -> object:
            patch.undo()
            return trains(small(lr=1e-4), force=True)()

        tried(stalled, said, lower)


def test_recipes_that_do_not_fit(trains, world):
    good = trains()
    said = "are left to train on; let drop take fewer"
    tried(trains(small(drop=(0, 120))), said, trains(small(drop=(25, 28)), force=True))
    said = "makes another number of classes; take 2 numbers, as (30, 60) are"
    tried(trains(small("e", edges=(30,))), said, trains(small("e", edges=(30, 58))))
    tried(
        trains(small(model="resnet5O"), force=True),
        "timm has no such architecture (did you mean resnet50?); take one of timm.list_models()",
        trains(force=True),
    )
    tried(
        trains(small(model="test_efficientnet.no_such"), force=True),
        "take test_efficientnet alone",
        trains(small(model="test_efficientnet"), force=True),
    )
    twice = functools.partial(
        fold_jobs, [small(), small()], world.plan, world.folder, [0], Path(), on_cpu()
    )
    tried(twice, "recipe small: is named twice, for one run; name each once", good)


def mirrored():
    return A.Compose([A.HorizontalFlip()])


def upside_down():
    return A.Compose([A.VerticalFlip()])


def brighter():
    return A.Compose([A.RandomBrightnessContrast()])


def no_compose():
    return A.HorizontalFlip()


def larger():
    return A.Compose([A.Resize(99, 99)])


def failing():
    raise KeyError("colour")


def test_recipes_that_do_not_fit_a_competition():
    def of(competition: Competition = SIDES, **changes: object):
        recipe = small("mine", **{"crop": None, "augment": None} | changes)
        return lambda: check_recipe(recipe, competition)

    said = "has several labels a photo; take one of ce, focal, f1, bce, asl"
    tried(of(LABELS, loss="ldam"), said, of(LABELS, loss="bce"))
    said = "has several labels a photo; take head='classes'"
    tried(of(LABELS, head="tasks"), said, of(LABELS, head="classes"))
    said = "take head='classes', or kind='order' in the competition's definition"
    tried(of(head="ordinal"), said, of(head="classes"))
    tried(of(head="ordinal"), said, of(GRADES, head="ordinal"))
    said = "and the competition sides has no such task; take it out"
    tried(of(edges=(30, 60)), said, of())
    tried(of(crop=(400, 300)), "frame of the competition's photos; take shares, or None", of())
    tried(of(crop=(400, 300)), "take shares, or None", of(crop=(0.9, 0.9)))
    said = "swaps classes; take HorizontalFlip alone"
    tried(of(augment=upside_down), said, of(augment=mirrored))
    still = dataclasses.replace(SIDES, mirror=None)
    said = "is None; take it out, for no photo may be mirrored"
    tried(of(still, augment=mirrored), said, of(still, augment=brighter))
    said = "and the competition's mirror is None; return A.Compose([...])"
    tried(of(still, augment=no_compose), said, of(still, augment=brighter))
    said = (
        "of the size it gets; leave cropping, resizing, normalising and making tensors to the kit"
    )
    tried(of(augment=larger), said, of(augment=brighter))
    said = "(KeyError: 'colour'); it must return an albumentations Compose"
    tried(of(augment=failing), said, of(augment=brighter))


def test_networks(tmp_path, monkeypatch):
    def of(**changes: object):
        return lambda: build(small(**changes), MASK) and None

    def of_size(height: int, width: int, **changes: object):
        recipe = small(size=(height, width), crop=None, **changes)
        return functools.partial(Network, architecture_of(recipe, MASK))

    def on_meta(call: Callable[[], object]):
        def make() -> None:
            with torch.device("meta"):  # no weights are drawn
                call()

        return make

    levit = {"model": "levit_128s"}
    said = "its last layer is no linear one, which loss='ldam' replaces; take another loss"
    wrong, right = (on_meta(of_size(64, 64, loss=loss, **levit)) for loss in ("ldam", "ce"))
    tried(wrong, said, right)
    wrong, right = (on_meta(of_size(*size, model="test_maxvit")) for size in ((40, 24), (64, 64)))
    tried(wrong, "test_maxvit' cannot take photos of 40 x 24 (", right)
    vgg = architecture_of(small(model="vgg11", size=(64, 48)), MASK)
    said = "(VGG.__init__() got an unexpected keyword argument 'drop_path_rate'); take it out of"
    wrong = on_meta(functools.partial(Network, vgg, drop_path_rate=0.1))
    tried(wrong, said, on_meta(functools.partial(Network, vgg)))
    vit = {"model": "test_vit", "drop_rate": 0.0}
    tried(of(size=(40, 24), **vit), "; change size", of(size=(64, 48), **vit))

    def offline(*args: object, **options: object) -> None:
        raise ConnectionError("no network")

    weights = tmp_path / "w.safetensors"
    save_file(timm.create_model("test_efficientnet").state_dict(), weights)
    with monkeypatch.context() as patch:
        patch.setattr(timm, "create_model", offline)
        wrong = of(pretrained=True)
        said = "where there is no network, let pretrained name a local weights file"

        def right() -> None:
            patch.undo()
            of(pretrained=str(weights))()

        tried(wrong, said, right)
    monkeypatch.delenv("WEIGHTS", raising=False)
    by_variable = of(pretrained="$WEIGHTS/w.safetensors")
    said = "the environment variable WEIGHTS is not set; export WEIGHTS=DIR first"
    tried(
        by_variable, said, after(lambda: monkeypatch.setenv("WEIGHTS", str(tmp_path)), by_variable)
    )
    here = of(pretrained=str(weights))
    lost = of(pretrained=str(tmp_path / "none.safetensors"))
    tried(lost, "pretrained weights cannot be read: No such file or directory", here)
    whole = weights.read_bytes()
    weights.write_bytes(b"x")
    tried(here, "; fetch it again", after(lambda: weights.write_bytes(whole), here))
    said = "; let model and pretrained name the same one"
    tried(of(pretrained=str(weights), model="test_resnet"), said, here)


def test_memory_that_is_too_small(trains, monkeypatch):
    fits = [4]

    def too_large(*args: object) -> None:
        raise torch.OutOfMemoryError("out of memory")

    step = Learner.step
    everywhere(monkeypatch, kit.training.memory, "largest_fitting_batch", lambda *_: fits[0])

    def fails(message: str, number: int | None, recipe: Recipe, right: Recipe) -> None:
        fits[0] = number
        monkeypatch.setattr(Learner, "step", too_large)
        good = after(lambda: monkeypatch.setattr(Learner, "step", step), trains(right, force=True))
        tried(trains(recipe, force=True), message, good)

    eight = small(batch_size=8)
    said = "4 fits: set batch_size=4, accumulate=2, and the steps stay the same"
    fails(said, 4, eight, small(batch_size=4, accumulate=2))
    fails("; no smaller one fits either: lower size, or free", None, eight, small(size=(16, 12)))
    several = small(batch_size=8, loss="f1")
    fails("4 fits: set batch_size=4", 4, several, small(batch_size=4, loss="f1"))


def test_photos(tmp_path):
    root, names = tmp_path / "photos", [f"{i}.jpg" for i in range(4)]
    root.mkdir()
    geometry = Geometry((128, 96), (16, 12), (128, 96))
    for name in names:
        draw_photo(root / name, name)
    photo, whole = root / names[0], (root / names[0]).read_bytes()

    def read() -> None:
        read_photo(root, names[0], [geometry])

    again = after(lambda: photo.write_bytes(whole), read)  # unpacked again
    for content, said in (
        (b"", "is an empty file; unpack the data again"),
        (b"hello", "is no image (JPEG, PNG, WEBP, TIFF, BMP); unpack the data again"),
        (whole[:900], "; unpack the data again"),
    ):
        photo.write_bytes(content)
        tried(read, said, again)
    photo.unlink()
    tried(read, "cannot be read: No such file or directory; unpack the data again", again)
    Image.fromarray(np.zeros((8, 6), np.float32)).save(root / "a.tiff")

    def of(name: str, read_by: str = "", channels: int = 3, **options: object):
        text = f"import numpy as np\n\n\ndef read(path):\n    return {read_by}\n"
        read = ScriptFunction("", text, "read", "competition") if read_by else None
        geometry = Geometry((8, 6), (4, 3), (8, 6), channels)
        return lambda: read_photo(root, name, [geometry], read) is None or None

    good = of("a.tiff", "np.zeros((8, 6, 3), np.uint8)")
    said = "have no known white; give the competition a function read(path)"
    tried(of("a.tiff"), said, good)
    said = "(ZeroDivisionError: division by zero); mend the competition's read"
    tried(of("a.tiff", "1 / 0"), said, good)
    said = "mend the competition's read, or its channels"
    four = "np.zeros((8, 6, 4), np.uint8)"
    tried(of("a.tiff", four), said, good)
    tried(of("a.tiff", four), said, of("a.tiff", four, channels=4))
    said = "as the photos of the plan; mend the definition's image or test_image"
    two = "|".join(names[:2])
    tried(of(two, channels=4), said, of("|".join(names), channels=4))
    draw_photo(root / "wide.jpg", 9, (50, 128))
    said = "unpack the data again, or leave the photo out"
    tried(of(f"{names[0]}|wide.jpg", channels=2), said, of(two, channels=2))


def test_photos_in_bulk(tmp_path):
    root = tmp_path / "photos"
    root.mkdir()
    draw_photo(root / "a.jpg", "a")
    (root / "b.jpg").write_bytes(b"x")

    def look(*names: str):
        return lambda: for_all(names, root)

    def for_all(names: tuple[str, ...], root: Path) -> None:
        thumbnails(root, names, (128, 96))

    mended = after(lambda: draw_photo(root / "b.jpg", "b"), look("a.jpg", "b.jpg"))
    tried(look("a.jpg", "b.jpg"), "b.jpg: is no image", mended)


def test_loaders_and_caches(tmp_path, monkeypatch):
    root, pixels, names = tmp_path / "photos", tmp_path / "pixels", [f"{i}.jpg" for i in range(4)]
    root.mkdir()
    for name in names:
        draw_photo(root / name, name)
    geometry = Geometry((128, 96), (16, 12), (128, 96))

    def cached(folder: Path = pixels):
        return lambda: pixel_cache(folder, root, names, geometry) and None

    with monkeypatch.context() as patch:
        everywhere(patch, kit.data.cache, "_FREE_BYTES", 2**62)
        wrong = cached()
        tried(wrong, "too little free disk", after(patch.undo, cached()))
    (tmp_path / "file").touch()
    tried(cached(tmp_path / "file"), "the pixel cache cannot be written (", cached())
    cache = pixel_cache(pixels, root, names, geometry)
    whole = cache.path.read_bytes()
    cache.path.write_bytes(whole[:-9])
    tried(cached(), "is damaged; making it again", cached())
    cache.path.unlink()
    build = kit.data.cache._build

    def slow(*args: object) -> None:
        build(*args)
        draw_photo(root / "0.jpg", "new", (100, 130))

    with monkeypatch.context() as patch:
        everywhere(patch, kit.data.cache, "_build", slow)
        said = "photos were changed while they were read; start again when nothing writes there"
        tried(cached(), said, after(patch.undo, cached()))

    def failing_on(transform: object):
        photos = PhotoDataset(root, names, [geometry], lambda: transform)
        return lambda: photos[0, 1] and None

    said = "augment fails on it (ValueError: no); mend the recipe's augment"
    tried(failing_on(Odd(ValueError("no"))), said, failing_on(brighter()))
    tried(failing_on(larger()), "leave cropping, resizing,", failing_on(brighter()))


class Odd:
    """A transform that fails."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def set_random_seed(self, seed: int) -> None:
        pass

    def __call__(self, **photo: np.ndarray) -> object:
        raise self.error


def test_trackers(trains, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "wandb", None)
        said = "pip install 'kfold-kit[tracking]'"
        tried(trains(track="wandb"), said, trains())

    class Broken:
        def __init__(self, *args: object) -> None:
            pass

        def log(self, row: object) -> None:
            raise OSError("no space left")

        close = None

    with monkeypatch.context() as patch:
        everywhere(patch, kit.training.trackers, "_TensorBoard", Broken)
        said = "gave up (OSError: no space left); the training goes on"
        broken = trains(track="tensorboard", force=True)
        tried(broken, said, trains(force=True))
        patch.setattr(Broken, "__init__", Broken.log)
        said = "it does not start (OSError: no space left); train without --track"
        tried(broken, said, trains(force=True))


def test_owners_and_locks(tmp_path, monkeypatch):
    path = tmp_path / "fold0"

    def lose() -> None:
        with owned(path):
            (path / OWNER).write_text('{"host": "box2", "pid": 77, "token": "x"}')
            with atomic_write(path / "a") as temporary:
                temporary.touch()

    def keep() -> None:
        with owned(path), atomic_write(path / "a") as temporary:
            temporary.touch()

    said = "process 77 on box2 took it over; this process stops, and has written nothing since; "
    tried(lose, said + "the same command goes on from what is there", keep)

    def hold() -> None:
        with lock_folder(path):
            pass

    def held() -> None:
        with open(path / ".lock", "w") as other:
            fcntl.flock(other, fcntl.LOCK_EX)
            hold()

    tried(held, "another process is training this fold; wait for it, or stop it first", hold)

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "flock", refuse)
        patch.setattr(kit.system.locks, "_unlocked", set())
        tried(hold, "its file system has no locks (No locks available)", after(patch.undo, hold))


def test_devices(monkeypatch):
    choose = functools.partial(functools.partial, choose_device)
    right = choose("cpu")
    no = lambda call: after(call, lambda: None)  # noqa: E731
    tried(no(choose("gpu")), "no such device; take cpu, cuda or cuda:1", no(right))
    tried(no(choose("mps")), "is none that the kit computes on; take cpu or cuda", no(right))
    tried(no(choose("cuda:99")), "GPUs; take cpu, or check the driver", no(right))
    for name, value in (
        ("is_available", True),
        ("device_count", 1),
        ("set_device", None),
        ("get_arch_list", ["sm_75", "sm_80"]),
        ("get_device_name", "Tesla V100"),
        ("get_device_capability", (7, 0)),
    ):
        monkeypatch.setattr(torch.cuda, name, lambda *_, value=value: value)
    said = "install torch's build for CUDA 12.6 (cu126), or take --device cpu"
    tried(no(choose("cuda")), said, no(right))
    built = lambda: monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_70"])  # noqa: E731
    tried(no(choose("cuda")), said, after(built, no(choose("cuda"))))


def test_soups(world, kept, tmp_path):
    shutil.copytree(kept, tmp_path / "runs")
    runs, best = tmp_path / "runs", Fold(tmp_path / "runs" / "small" / "fold0").best
    shutil.copytree(world.runs / "small", runs / "small")
    words = ["--data", world.data, "--plan", runs / "folds.csv", "--device", "cpu"]
    out = ["--out", tmp_path / "soup", "--force"]
    a, b = (Fold(runs / "kept" / f"fold{k}").epochs for k in (0, 1))

    def soup(*more: object):
        return command(kit.soup.main, *words, *more)

    good = functools.cache(soup(*a, *out))
    said = (
        f"there is no such run or checkpoint (did you mean {runs / 'kept'}?); name a run's folder"
    )
    tried(soup(runs / "kpt", *out), said, good)
    said = "has no kept epochs; train it with python -m kit.train RECIPE --keep-epochs 3"
    tried(soup(runs / "small", *out), said, good)
    tried(soup(a[0], *a, *out), "the same checkpoint twice (1 found", good)
    said = "is one checkpoint alone; name two or more of its fold, or train with --keep-epochs 3"
    tried(soup(a[0], *out), said, good)
    tried(soup(a[0], b[0], *out), "and others are not (1 found: ", good)
    tried(soup(a[0], best, *out), "; average the epochs of one training; kit.ensemble", good)
    tried(soup(*a, "--last", 2, *out), "and files are named; leave it out", good)
    said = "is the folder of a training, which no soup may replace; choose another --out"
    tried(soup(runs / "kept" / "fold0", "--out", runs / "kept", "--force"), said, good)
    twin = shutil.copytree(runs / "kept" / "fold0", tmp_path / "other" / "fold0")
    said = "would be made twice (1 found: "
    tried(soup(runs / "kept" / "fold0", twin, *out), said, good)
    loose = [shutil.copy(path, tmp_path) for path in a]
    said = "lies in no fold of a run, so that the soup has no place; name one with --out"
    tried(soup(*loose), said, soup(*loose, *out))
    other = ["--plan", tmp_path / "other.csv"]
    folds = ["--data", world.data, "--out", other[1], "--folds", 3, "--seed", 1, "--no-audit"]
    assert command(kit.folds.main, *folds)() == 0
    said = "was trained on another fold plan (2 found, the first: "
    tried(soup(*a, *out, *other), said, good)
    oof = Fold(tmp_path / "soup" / "fold0").oof
    plan = read_plan(runs / "folds.csv")
    oof.unlink()
    score = lambda: [  # noqa: E731
        read_oof(checkpoint, plan)
        for member in find_members([tmp_path / "soup" / "fold0"], plan, read_test(world.folder))
        for checkpoint in member.checkpoints
    ]
    tried(score, "is not there; make the soup again, with --force", after(soup(*a, *out), score))
