"""The versions of what makes pixels and networks: recorded with all that is computed, and compared
when it is used.
"""

import functools
import re
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

from kit.system.console import warn
from kit.system.errors import problem

# A part of every key of kept probabilities and of the cache: raise it when `decode`, `fit` or a
# view changes what a network sees.
PIXELS_VERSION = 2


_OPENCV = (
    "opencv-python-headless",
    "opencv-python",
    "opencv-contrib-python-headless",
    "opencv-contrib-python",
)


_PACKAGES = {
    "torch": ("torch",),
    "torchvision": ("torchvision",),
    "timm": ("timm",),
    "opencv": _OPENCV,
    "pillow": ("pillow",),
    "albumentations": ("albumentations",),
}


_OF_TRAINING = (
    "torchvision",
    "albumentations",
)  # which mix and augment photos, and do nothing in inference


@functools.cache
def versions() -> Mapping[str, str]:
    """What is installed: each package's version by its name, empty where it is not found, and
    `pixels`, `PIXELS_VERSION`.
    """

    def installed(names: tuple[str, ...]) -> str:
        for name in names:
            try:
                return metadata.version(name)
            except metadata.PackageNotFoundError:
                continue
        return ""

    return {name: installed(names) for name, names in _PACKAGES.items()} | {
        "pixels": str(PIXELS_VERSION)
    }


def inference_versions() -> dict[str, str]:
    """Of `versions`, those that can change what a trained network makes of a photo."""
    return {name: version for name, version in versions().items() if name not in _OF_TRAINING}


def check_pixels(place: str | Path, theirs: Mapping[str, str]) -> None:
    """Raise `KitError` unless photos were decoded and resized as this kit does it, by the versions
    `theirs`.
    """
    if theirs.get("pixels") != versions()["pixels"]:
        raise problem(
            place,
            "was made of photos that were decoded or resized otherwise (pixels "
            f"{theirs.get('pixels')}, here "
            f"{versions()['pixels']})",
            remedy="use the version of the kit that made it, or make it again",
        )


def warn_versions(place: str | Path, theirs: Mapping[str, str], training: bool = False) -> None:
    """Warn of packages of another major or minor version than `theirs`; those of augmentation count
    in `training` alone.
    """

    def minor(version: str) -> str:
        return ".".join(re.split(r"[.+]", version)[:2])

    ours = versions() if training else inference_versions()
    differ = [
        f"{name} {theirs.get(name) or 'none'} (here {version or 'none'})"
        for name, version in ours.items()
        if minor(theirs.get(name, "")) != minor(version)
    ]
    if differ:
        warn(
            f"{place}: was made with {', '.join(differ)}; other versions may round, decode or "
            "build networks otherwise"
        )
