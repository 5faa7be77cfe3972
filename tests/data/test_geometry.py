"""What a network sees of a photo is a key: the same numbers are the same geometry."""

import dataclasses
import pickle

import numpy as np
import pytest

from kit.data.geometry import Geometry
from kit.data.photos import crop_and_resize


def test_equal_numbers_are_the_same_key_and_nothing_changes_it():
    one, same = (Geometry((400, 300), (32, 24), (512, 384)) for _ in range(2))
    assert {one: 1}[same] == 1 and pickle.loads(pickle.dumps(one)) == one
    assert one != dataclasses.replace(one, size=(24, 32))
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.size = (1, 1)


@pytest.mark.parametrize("scale", [1, 2])
def test_the_field_of_view_is_the_same_at_any_size_of_the_photo(scale):
    photo = np.zeros((64, 48, 3), np.uint8)
    photo[16:48, 12:36] = 255  # what a crop of half the frame sees
    photo = photo.repeat(scale, 0).repeat(scale, 1)
    seen = crop_and_resize(photo, Geometry((32, 24), (8, 6), (64, 48)))
    assert seen.shape == (8, 6, 3) and seen.min() == 255
    wider = crop_and_resize(photo, Geometry((36, 28), (36, 28), (64, 48)))
    assert wider[:2].max() == 0 and wider[2:-2, 2:-2].min() == 255
