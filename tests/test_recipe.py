import dataclasses
import json
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import MASK, make_data, small

from kit.data.geometry import Geometry
from kit.data.loader import PhotoDataset
from kit.recipe import Recipe, load_recipe, shipped_recipe
from kit.system.errors import KitError
from kit.training.checks import check_augment

GOOD = (
    'from kit.recipe import Recipe\n\nrecipe = Recipe(name="good", model="test_efficientnet", '
    "pretrained=False)\n"
)


def write(tmp_path, content, name="good.py"):
    (tmp_path / name).write_text(content, encoding="utf-8")
    return tmp_path / name


@pytest.mark.parametrize(
    "path", sorted(shipped_recipe("tiny").parent.glob("*.py")), ids=lambda p: p.stem
)
def test_the_kits_own_recipes_load_and_say_all_they_are(path):
    recipe = load_recipe(path)
    assert recipe.name == path.stem
    described = json.loads(json.dumps(recipe.describe()))
    assert set(described) == {f.name for f in dataclasses.fields(Recipe)}
    assert "A.HorizontalFlip" in described["augment"]
    assert 8 <= len(path.read_text().splitlines()) <= 30


def test_the_hash_tells_recipes_apart(tmp_path):
    base = load_recipe(write(tmp_path, GOOD))
    assert (
        base == load_recipe(tmp_path / "good.py")
        and base.describe() != dataclasses.replace(base, lr=2e-3).describe()
    )


@pytest.mark.parametrize(
    "content, said",
    [
        (GOOD.replace("pretrained", "pretraind"), "line 3: TypeError.*did you mean pretrained?"),
        (GOOD.replace('"good"', '"other"'), "holds the recipe 'other'; name both alike"),
        (GOOD.replace("False)", "False"), r"line 3: syntax error: '\(' was never closed"),
        (GOOD.replace("recipe = ", "receipt = "), "no variable 'recipe'"),
        (GOOD.replace("False)", "False, epochs=0)"), "epochs=0 must be a whole number from 1"),
        (GOOD.replace("False)", "False, lr=-1)"), "lr=-1 must be a number"),
        (
            GOOD.replace("False)", "False, size=(32, 24.5))"),
            r"size=\(32, 24.5\) must be a pair \(height, width\)",
        ),
        (GOOD.replace("False)", "False, crop=(0, 300))"), "crop=.*must be a pair"),
        (GOOD.replace("False)", "False, augment=lambda: None)"), "augment is no named function"),
        (GOOD.replace("Recipe(", "Recip("), "line 3: NameError"),
        ("import nothing_like_this\n" + GOOD, "line 1: ModuleNotFoundError"),
        ("import sys\nsys.exit()\n" + GOOD, "line 2: SystemExit"),
        (GOOD.replace("False)", "False, lr=float('inf'))"), "lr=inf must be a number"),
        (
            GOOD.replace("False)", "False, batch_size=2)"),
            "batch_size=2 must be a whole number from 3",
        ),
        (GOOD.replace("False)", "False, epochs=True)"), "epochs=True must be a whole number"),
        (GOOD.replace("False)", "False, augment=3)"), "augment=3 must be a function"),
    ],
)
def test_a_bad_recipe_is_one_line(tmp_path, content, said):
    with pytest.raises(KitError, match=said) as error:
        load_recipe(write(tmp_path, content))
    assert "good.py" in str(error.value)


def test_a_crop_larger_than_the_frame_is_told_where_the_frame_is_known(tmp_path):
    recipe = load_recipe(write(tmp_path, GOOD.replace("False)", "False, crop=(600, 300))")))
    with pytest.raises(KitError, match="recipe good: crop=.*at most"):
        recipe.geometry(MASK)
    larger = dataclasses.replace(MASK, frame=(600, 300))
    assert recipe.geometry(larger).crop == (600, 300)


@pytest.mark.parametrize(
    "frame, changes, crop, size",
    [
        ((512, 384), {"crop": (400, 300), "size": 300}, (400, 300), (300, 225)),
        ((512, 384), {"crop": (0.78125, 0.78125), "size": 300}, (400, 300), (300, 225)),
        ((480, 640), {"crop": (0.9, 0.9), "size": 300}, (432, 576), (225, 300)),
        ((480, 640), {"crop": None, "size": 256}, (480, 640), (192, 256)),
        ((96, 96), {"crop": None, "size": 300}, (96, 96), (300, 300)),
        ((137, 236), {"crop": None, "size": (128, 128)}, (137, 236), (128, 128)),
        ((2, 3000), {"crop": (0.1, 1.0), "size": 96}, (1, 3000), (1, 96)),
    ],
)
def test_shares_and_a_longer_side_fit_any_frame(frame, changes, crop, size):
    competition = dataclasses.replace(MASK, frame=frame, crop=(1.0, 1.0))
    geometry = Recipe(name="a", model="m", **changes).geometry(competition)
    assert geometry == Geometry(crop, size, frame)
    assert Recipe(name="a", model="m", size=300).geometry(MASK).size == (300, 225)
    assert Recipe(name="a", model="m", size=300).geometry(MASK).crop == (400, 300)


@pytest.mark.parametrize(
    "changes, field",
    [
        ({"size": 0}, "size"),
        ({"size": (32, 0)}, "size"),
        ({"size": 3.5}, "size"),
        ({"crop": (1.5, 0.5)}, "crop"),
        ({"crop": (0.5, 100)}, "crop"),
        ({"crop": (0.0, 0.5)}, "crop"),
        ({"crop": (0.5,)}, "crop"),
        ({"crop": 0.5}, "crop"),
    ],
)
def test_other_sizes_and_crops_are_refused(changes, field):
    with pytest.raises(KitError, match=f"{field}=.* must be a pair"):
        Recipe(name="a", model="m", **changes)


def test_a_recipe_that_is_not_there(tmp_path):
    write(tmp_path, GOOD)
    with pytest.raises(KitError, match=r"no such recipe \(did you mean .*good.py\?\)"):
        load_recipe(tmp_path / "god.py")


def test_a_variant_is_a_replacement(tmp_path):
    base = shipped_recipe("tiny")
    path = write(
        tmp_path,
        "from dataclasses import replace\n\nfrom kit.recipe import load_recipe\n\n"
        f"recipe = replace(load_recipe({str(base)!r}), name='tiny_slow', lr=1e-4)\n",
        "tiny_slow.py",
    )
    variant = load_recipe(path)
    assert (
        variant.lr == 1e-4
        and variant.describe()["augment"] == load_recipe(base).describe()["augment"]
    )


@pytest.mark.parametrize(
    "path", sorted(shipped_recipe("tiny").parent.glob("*.py")), ids=lambda p: p.stem
)
def test_augmentation_shifts_photos_no_way_on_average(path):
    """What training sees stands where validation and test see it."""
    transform = load_recipe(path).augment()
    photo = np.zeros((120, 120, 3), np.uint8)
    photo[55:65, 55:65] = 255
    centres = []
    for seed in range(300):
        transform.set_random_seed(seed)
        weight = transform(image=photo)["image"].mean(axis=2).astype(float)
        weight -= weight.min()
        weight[weight < weight.max() / 2] = 0
        centres.append(
            [(weight.sum(axis=axis) * np.arange(120)).sum() / weight.sum() for axis in (0, 1)]
        )
    assert (
        np.ptp(centres, axis=0).min() > 4
        or "A.Affine" not in load_recipe(path).describe()["augment"]
    )
    assert np.abs(np.mean(centres, axis=0) - 59.5).max() < 1


def test_augmentation_of_another_module_is_refused(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    write(tmp_path, "def augment():\n    return None\n", "helper_of_augment.py")
    text = GOOD.replace("\n\n", "\nfrom helper_of_augment import augment\n\n", 1).replace(
        "False)", "False, augment=augment)"
    )
    with pytest.raises(KitError, match="takes augment from another module"):
        load_recipe(write(tmp_path, text))


@pytest.mark.parametrize(
    "body, said",
    [
        ("return A.Compose([A.Normalize()])", "must give a uint8 photo of the size it gets"),
        ("return A.Compose([A.RandomCrop(8, 8)])", "must give a uint8 photo"),
        ("return None", "augment fails .AttributeError"),
        ("return A.Compose([1 / 0])", "augment fails .ZeroDivisionError"),
    ],
)
def test_augmentation_that_a_network_cannot_take_is_told_before_training(tmp_path, body, said):
    recipe = load_recipe(
        write(
            tmp_path,
            "import albumentations as A\n\nfrom kit.recipe import Recipe\n\n\ndef augment():\n"
            f"    {body}\n\n\nrecipe = Recipe(name='good', model='m', augment=augment, size=(32, "
            "24))\n",
        )
    )
    with pytest.raises(KitError, match=said):
        check_augment(recipe, MASK)


def test_editing_a_recipe_changes_nothing_in_what_was_loaded(tmp_path):
    text = (
        "import albumentations as A\n\nfrom kit.recipe import Recipe\n\nP = 1.0\n\n\ndef "
        "augment():\n"
        "    return A.Compose([A.HorizontalFlip(p=P)])\n\n\n"
        "recipe = Recipe(name='good', model='test_efficientnet', pretrained=False, "
        "augment=augment)\n"
    )
    recipe = load_recipe(write(tmp_path, text))
    before, photo = recipe.describe(), np.arange(12, dtype=np.uint8).reshape(1, 4, 3)
    copy = pickle.dumps(recipe)
    write(tmp_path, text.replace("P = 1.0", "P = 0.0"))
    assert recipe.describe() == before and "P = 1.0" in before["augment"]
    assert (pickle.loads(copy).augment()(image=photo)["image"] == photo[:, ::-1]).all()
    changed = load_recipe(tmp_path / "good.py")
    assert changed.describe() != before and (changed.augment()(image=photo)["image"] == photo).all()
    write(tmp_path, "# a remark\n" + text.replace("augment=augment", "lr=0.5, augment=augment"))
    again = load_recipe(tmp_path / "good.py").describe()
    assert {key for key in again if again[key] != before[key]} == {"lr"}


def test_augmentation_follows_the_seed_alone_and_survives_a_spawned_process(tmp_path):
    data = make_data(tmp_path / "data")
    recipe = small()
    images = [f"000000_male_Asian_20/mask{i}.jpg" for i in range(1, 6)]
    photos = PhotoDataset(
        data / "train" / "images", images, [recipe.geometry(MASK)], recipe.augment
    )
    first = [photos[0, seed][1][0] for seed in range(8)]
    photos[1, 99]
    assert all((photos[0, seed][1][0] == image).all() for seed, image in enumerate(first))
    assert len({image.tobytes() for image in first}) > 4
    assert first[0].shape == (32, 24, 3) and photos[0][1][0].tobytes() == photos[0][1][0].tobytes()
    (tmp_path / "photos.pickle").write_bytes(pickle.dumps(photos))
    code = (
        "import pickle, sys; p = pickle.load(open(sys.argv[1], 'rb')); "
        "sys.stdout.write(''.join(p[0, s][1][0].tobytes().hex() for s in range(8)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "photos.pickle")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "".join(image.tobytes().hex() for image in first)


@pytest.mark.parametrize(
    "changes, said",
    [
        ({}, ""),
        (
            {"mix": "half", "mix_alpha": 0.4},
            "mix_alpha=0.4 changes nothing with mix='half', which draws no share",
        ),
        ({"mix": "mixup", "mix_alpha": 0.4}, ""),
        ({"mix_prob": 0.4}, "mix_prob=0.4 changes nothing with mix='none'"),
        (
            {"schedule": "onecycle", "warmup": 2.0},
            "warmup=2.0 changes nothing with schedule='onecycle', which has its own",
        ),
        ({"warmup": 2.0}, ""),
        ({"lr_step": 3}, "lr_step=3 changes nothing with schedule='cosine'"),
        ({"schedule": "step", "lr_step": 3}, ""),
        ({"focal_gamma": 3.0}, "focal_gamma=3.0 changes nothing with loss='ce'"),
        ({"monitor": "loss"}, "monitor='loss' changes nothing with select='last' without patience"),
        ({"monitor": "loss", "patience": 2}, ""),
        ({"sampler": "sqrt"}, ""),
        (
            {"sampler": "balanced", "class_weights": "inverse"},
            "both favour rare classes, whose weight is doubled",
        ),
    ],
)
def test_settings_that_change_nothing_or_twice_are_told(changes, said):
    found = Recipe(name="a", model="resnet18", **changes).idle
    assert len(found) == bool(said) and all(said in line for line in found)


def test_the_kits_own_recipes_set_nothing_in_vain_and_choose_on_no_fold():
    for path in Path("recipes").glob("*.py"):
        recipe = load_recipe(path)
        assert not recipe.idle and recipe.select == "last"
