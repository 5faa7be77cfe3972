import pytest
import torch

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


@pytest.mark.parametrize(
    "choice, said",
    [("hflp", "did you mean hflip?"), ("hflip+hflip", "named twice"), ("", "no view")],
)
def test_unknown_views(choice, said):
    with pytest.raises(KitError, match=said):
        make_views(choice)
