"""Drawn members and photos are what they say."""

import numpy as np
import pytest
from helpers import MASK, mask_folder
from kinds import GRADES, LABELS, SIDES

from kit.benchmarks.synthetic import drawn_members, drawn_photos, training_photos
from kit.data.targets import targets
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


@pytest.mark.parametrize("competition", [SIDES, GRADES, LABELS], ids=lambda c: c.name)
def test_members_are_drawn_for_every_kind(competition):
    probs, photos = drawn_members(60, 2, competition)
    assert probs.shape == (2, 420, competition.num_classes) and probs.min() >= 0
    truth, mean = targets(photos, competition), probs.mean(axis=0)
    if competition.several_labels:
        assert 0.5 < truth.mean() < 0.7 and mean[truth == 1].mean() > mean[truth == 0].mean() + 0.3
        assert probs.max() <= 1
    else:
        assert np.allclose(probs.sum(axis=2), 1, atol=1e-5)
        assert (mean.argmax(axis=1) == truth).mean() > 0.6


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
