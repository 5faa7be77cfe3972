import dataclasses

import pytest
import torch
from kinds import LABELS, SIDES

from kit.inference.views import make_views
from kit.system.errors import KitError


def test_views_always_hold_the_plain_one_first():
    assert list(make_views("none")) == ["plain"]
    assert list(make_views("hflip")) == ["plain", "hflip"]
    assert list(make_views("hflip+bright")) == [
        "plain",
        "bright0.9",
        "bright1.1",
        "hflip",
        "hflip,bright0.9",
        "hflip,bright1.1",
    ]
    photos = torch.rand(2, 3, 4, 5)
    assert torch.equal(make_views("hflip")["plain"](photos), photos)
    assert torch.equal(make_views("hflip")["hflip"](photos), photos.flip(3))
    assert torch.allclose(make_views("bright")["bright0.9"](photos), photos * 0.9)
    brighter = make_views("bright")["bright1.1"](photos)
    assert (
        torch.allclose(brighter, (photos * 1.1).clamp(0, 1))
        and brighter.max() == 1 < (photos * 1.1).max()
    )


def test_crops_are_nine_tenths_of_a_photo_from_its_corners_and_its_middle():
    views = make_views("fivecrop")
    photo = torch.arange(20.0)[None, None, :, None] * 100 + torch.arange(40.0)[None, None, None]
    assert list(views)[0] == "plain" and len(views) == 6
    for name, (top, left) in {
        "fivecrop-top-left": (0, 0),
        "fivecrop-top-right": (0, 4),
        "fivecrop-bottom-left": (2, 0),
        "fivecrop-bottom-right": (2, 4),
        "fivecrop-centre": (1, 2),
    }.items():
        window = photo[:, :, top : top + 18, left : left + 36]
        expected = torch.nn.functional.interpolate(
            window, (20, 40), mode="bilinear", align_corners=False
        )
        assert torch.equal(views[name](photo), expected), name


@pytest.mark.parametrize(
    "choice, said",
    [("hflp", "did you mean hflip?"), ("hflip+hflip", "named twice"), ("", "no view")],
)
def test_unknown_views(choice, said):
    with pytest.raises(KitError, match=said):
        make_views(choice)


def test_a_mirrored_view_swaps_the_classes_and_others_do_not():
    views = make_views("hflip+bright", competition=SIDES)
    probs = torch.rand(4, 3)
    for name, view in views.items():
        swapped = probs[:, [1, 0, 2]] if "hflip" in name else probs
        assert torch.equal(view.classes(probs), swapped)
    of_labels = make_views("hflip", competition=LABELS)["hflip"]
    assert of_labels.classes(torch.arange(5)[None]).tolist() == [[0, 1, 2, 4, 3]]
    same = dataclasses.replace(SIDES, mirror={})
    for view in (*make_views("hflip").values(), *make_views("hflip", competition=same).values()):
        assert view.classes(probs) is probs


@pytest.mark.parametrize(
    "choice, mirror, said",
    [
        ("hflip", None, "--tta hflip: hflip mirrors photos, .* sides is None; leave hflip out"),
        ("bright+hflip", None, "hflip mirrors photos"),
        ("vflip", None, "vflip mirrors photos, .* is None"),
        ("vflip", {"left": "right"}, "vflip mirrors photos, .* from left to right alone"),
    ],
)
def test_views_that_the_mirror_does_not_allow_are_refused_even_if_forced(choice, mirror, said):
    with pytest.raises(KitError, match=said):
        make_views(choice, True, dataclasses.replace(SIDES, mirror=mirror))


def test_views_without_a_mirror_are_free():
    for mirror in ({}, None, {"left": "right"}):
        competition = dataclasses.replace(SIDES, mirror=mirror)
        assert len(make_views("shift", competition=competition)) == 5
        assert len(make_views("rot90", True, competition)) == 4
    assert len(make_views("vflip", True, dataclasses.replace(SIDES, mirror={}))) == 2
