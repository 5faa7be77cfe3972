"""Drawn members and photos are what they say."""

import numpy as np
import pytest
from helpers import MASK, mask_folder

from kit.benchmarks.synthetic import drawn_members, drawn_photos, training_photos
from kit.system.errors import KitError


def test_drawn_photos_have_seven_shots_a_person_and_every_class():
    photos = drawn_photos(500, MASK)
    assert (photos.groupby("group").size() == 7).all() and photos["image"].is_unique
    assert photos["label"].nunique() == 18


def test_drawn_members_are_probabilities_and_folds_part_people():
    probs, photos = drawn_members(60, 3, MASK)
    assert probs.shape[:2] == (3, len(photos)) and np.allclose(probs.sum(axis=2), 1, atol=1e-5)
    assert (photos.groupby("group")["fold"].nunique() == 1).all()
    again, _ = drawn_members(60, 3, MASK)
    assert (again == probs).all()


def test_photos_are_linked_in_order(world, tmp_path):
    photos = training_photos(world.folder, tmp_path, 5)
    links = sorted((photos.links / "photos").iterdir())
    assert [link.resolve() for link in links] == [
        (photos.root / image).resolve() for image in photos.images
    ]
    assert len(links) == 5
    (tmp_path / "bare" / "train" / "images").mkdir(parents=True)
    with pytest.raises(KitError, match="holds no photos"):
        training_photos(mask_folder(tmp_path / "bare"), tmp_path / "other", 5)
