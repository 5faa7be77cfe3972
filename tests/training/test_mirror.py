"""Mirrors in an augmentation: counted without a change of seeds or pixels, and refused."""

import pickle

import albumentations as A
import numpy as np
import pytest
from helpers import draw_photo

from kit.data.geometry import Geometry
from kit.data.loader import PhotoDataset
from kit.system.errors import KitError
from kit.training.mirror import CountedMirrors, CountingAugment, check_mirrors

MIRROR = {"left": "right"}


def flip():
    return A.Compose([A.HorizontalFlip(p=0.5)])


def nested():
    once = A.OneOf([A.HorizontalFlip(p=0.5), A.NoOp(p=0.5)], p=0.7)
    return A.Compose([A.HorizontalFlip(p=0.5), once, A.Sequential([A.HorizontalFlip(p=0.3)])])


def with_colours():
    bright = A.RandomBrightnessContrast(0.2, 0.2, p=0.5)
    return A.Compose([bright, A.HorizontalFlip(p=0.5), A.GaussNoise(std_range=(0.01, 0.02), p=0.3)])


@pytest.mark.parametrize("augment", [flip, nested, with_colours])
def test_pixels_are_those_of_the_recipe_s_own_transform(augment):
    plain, counted = augment(), CountedMirrors(augment())
    photo = np.random.default_rng(0).integers(0, 256, (8, 6, 3), dtype=np.uint8)
    for seed in range(40):
        plain.set_random_seed(seed)
        counted.set_random_seed(seed)
        assert (plain(image=photo)["image"] == counted(image=photo)["image"]).all()


@pytest.mark.parametrize("augment", [flip, nested])
def test_a_mirrored_photo_is_told(augment):
    counted, told = CountedMirrors(augment()), []
    photo = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    for seed in range(60):
        counted.set_random_seed(seed)
        changed = counted(image=photo)["image"]
        mirrored = bool((changed == photo[:, ::-1]).all())
        assert counted.mirrored == mirrored and mirrored != (changed == photo).all()
        told.append(mirrored)
    assert 15 < sum(told) < 45


def test_the_number_of_a_mirrored_photo_is_that_of_its_twin(tmp_path):
    for n in range(3):
        draw_photo(tmp_path / f"{n}.png", n)
    names, geometry = [f"{n}.png" for n in range(3)], Geometry((128, 96), (16, 12), (128, 96))
    plain = PhotoDataset(tmp_path, names, [geometry])
    photos = PhotoDataset(tmp_path, names, [geometry], CountingAugment(flip))
    photos = pickle.loads(pickle.dumps(photos))
    seen = set()
    for seed in range(20):
        for i in range(3):
            number, (photo,) = photos[i, seed]
            whole = plain[i][1][0]
            assert (photo == (whole[:, ::-1] if number >= 3 else whole)).all() and number % 3 == i
            seen.add(number)
    assert seen == set(range(6)) and photos[1][0] == 1
    usual = PhotoDataset(tmp_path, names, [geometry], flip)
    assert {usual[i, seed][0] for i in range(3) for seed in range(20)} == {0, 1, 2}


class Own(A.HorizontalFlip):
    """A mirror of somebody's own."""


@pytest.mark.parametrize(
    "part",
    [A.VerticalFlip, A.Transpose, A.D4, getattr(A, "SquareSymmetry", A.D4), Own, A.HorizontalFlip],
)
def test_what_mirrors_is_refused_where_no_class_is_known_for_it(part):
    transform = A.Compose([A.OneOf([part(p=0.5), A.NoOp()])])
    check_mirrors(transform, {})
    with pytest.raises(KitError, match=f"has {part.__name__}, and .* mirror is None; take it out"):
        check_mirrors(transform, None)
    if part is A.HorizontalFlip:
        return check_mirrors(transform, MIRROR)
    with pytest.raises(KitError, match=f"has {part.__name__}, and .* take HorizontalFlip alone"):
        check_mirrors(transform, MIRROR)


def test_turns_and_shifts_do_not_mirror():
    turns = A.Compose([A.RandomRotate90(), A.Rotate(180), A.Affine(rotate=(-10, 10))])
    check_mirrors(turns, None)
    check_mirrors(turns, MIRROR)


def test_a_transform_that_cannot_be_looked_into_is_refused():
    check_mirrors(np.fliplr, {})
    for mirror in (None, MIRROR):
        with pytest.raises(KitError, match="returns no albumentations Compose"):
            check_mirrors(np.fliplr, mirror)
