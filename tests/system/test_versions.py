"""Versions are recorded, and other ones are told."""

import pytest

from kit.system.errors import KitError
from kit.system.versions import check_pixels, inference_versions, versions, warn_versions


def test_versions_of_what_makes_pixels_and_networks():
    assert set(versions()) == {
        "torch",
        "torchvision",
        "timm",
        "opencv",
        "pillow",
        "albumentations",
        "pixels",
    }
    assert all(versions().values())
    assert set(versions()) - set(inference_versions()) == {"torchvision", "albumentations"}


def test_photos_that_were_made_otherwise_are_refused():
    check_pixels("a.csv", versions())
    for theirs in ({"pixels": "1"}, {}):
        with pytest.raises(KitError, match="decoded or resized otherwise"):
            check_pixels("a.csv", theirs)


def test_another_minor_version_is_told_and_another_patch_is_not(capsys):
    ours = dict(versions())
    major, minor = ours["torch"].split("+")[0].split(".")[:2]
    warn_versions("a.csv", ours | {"torch": f"{major}.{minor}.99+cpu", "albumentations": "0.1"})
    assert capsys.readouterr().err == ""
    warn_versions("a.csv", ours | {"torch": "1.0.0"})
    assert f"torch 1.0.0 (here {ours['torch']})" in capsys.readouterr().err
    warn_versions("a.csv", ours | {"albumentations": "0.1"}, training=True)
    assert "albumentations 0.1" in capsys.readouterr().err
