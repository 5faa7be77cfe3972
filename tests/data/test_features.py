"""Local features, and codes that a mirrored photo shares."""

import cv2
import numpy as np
from draws import texture
from PIL import Image

import kit.data.features
from kit.data.features import CODE_BITS, both_codes, feature_codes, local_features, small_photo


def test_codes_are_those_of_the_mirrored_photo():
    descriptors = kit.data.features.local_features(cv2.cvtColor(texture(0), cv2.COLOR_RGB2GRAY))[1]
    codes = feature_codes(descriptors)
    assert len(codes) == len(descriptors) > 50
    assert (feature_codes(descriptors[:, kit.data.features.MIRROR]) == codes).all()
    assert len(feature_codes(np.zeros((0, 128), np.float32))) == 0


def test_both_codes_differ_in_the_least_sure_bit_by_hand():
    codes = np.array([0b1010 | 1 << CODE_BITS, 0b1010 | 2 << CODE_BITS], np.uint64)
    plain, turned = both_codes(codes)
    assert plain.tolist() == [0b1010, 0b1010] and turned.tolist() == [0b1000, 0b1110]
    again = both_codes(turned | codes >> np.uint64(CODE_BITS) << np.uint64(CODE_BITS))
    assert (again[1] == plain).all()


def test_features_have_norm_1_and_a_flat_photo_has_none():
    places, descriptors = local_features(cv2.cvtColor(texture(3), cv2.COLOR_RGB2GRAY), most=40)
    assert places.shape == (len(descriptors), 2) and 20 < len(places) <= 42
    np.testing.assert_allclose(np.linalg.norm(descriptors, axis=1), 1, atol=1e-2)
    assert [part.shape for part in local_features(np.full((96, 72), 9, np.uint8))] == [
        (0, 2),
        (0, 128),
    ]


def test_a_photo_is_compared_at_one_size_and_a_strip_stays_small(tmp_path):
    for size, shape in (((384, 512), (128, 96)), ((512, 384), (96, 128)), ((30, 3000), (384, 96))):
        Image.new("RGB", size, (10, 200, 30)).save(tmp_path / "a.png")
        grey, content = small_photo(tmp_path, "a.png")
        assert grey.shape == shape and content == (tmp_path / "a.png").read_bytes()
        assert np.ptp(grey) == 0 and abs(int(grey[0, 0]) - (0.299 * 10 + 0.587 * 200 + 3.42)) < 1
