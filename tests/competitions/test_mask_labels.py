"""The mask competition's classes by hand."""

import numpy as np
from helpers import CLASS_NAMES, NUM_CLASSES, age_class, decode, encode

from kit.competitions.mask_labels import SHOTS


def test_encode_and_decode_are_inverse():
    labels = np.arange(NUM_CLASSES)
    assert (encode(*decode(labels)) == labels).all()
    assert encode(1, 1, 2) == 11 and decode(11) == (1, 1, 2)


def test_names_follow_the_competition():
    assert len(CLASS_NAMES) == 18
    assert (
        CLASS_NAMES[0] == "mask male <30"
        and CLASS_NAMES[11] == "wrong female >=60"
        and CLASS_NAMES[17] == "none female >=60"
    )


def test_age_boundaries():
    assert age_class(np.array([18, 29, 30, 59, 60, 99])).tolist() == [0, 0, 1, 1, 2, 2]


def test_a_person_has_five_masks_one_wrong_one_none():
    assert sorted(SHOTS.values()) == [0, 0, 0, 0, 0, 1, 2]
