"""The versions of the packages that decide on pixels and networks.

Checkpoints and probabilities record them, and they are compared when these are used.
"""

import functools
import re
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

from kit.system.console import warn
from kit.system.errors import problem

# A part of every key of saved probabilities and of the pixel cache: raise it when `decode`,
# `crop_and_resize` or a view changes what a network sees.
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
# They mix and augment photos in training, and do nothing in inference.
_TRAINING_ONLY = ("torchvision", "albumentations")


@functools.cache
def versions() -> Mapping[str, str]:
    """The version of each package by its name, and `pixels`, which is `PIXELS_VERSION`.

    A package that is not installed has an empty version.
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
    """The `versions` of the packages that can change a trained network's probabilities."""
    return {name: version for name, version in versions().items() if name not in _TRAINING_ONLY}


def check_pixels(place: str | Path, recorded: Mapping[str, str]) -> None:
    """Raise `KitError` if a file was made of photos that were decoded or resized otherwise.

    `place` is the file, and `recorded` are the versions that it was made with.
    """
    if recorded.get("pixels") != versions()["pixels"]:
        raise problem(
            place,
            "was made of photos that were decoded or resized otherwise (pixels "
            f"{recorded.get('pixels')}, here "
            f"{versions()['pixels']})",
            remedy="use the version of the kit that made it, or make it again",
        )


def warn_versions(place: str | Path, recorded: Mapping[str, str], training: bool = False) -> None:
    """Warn if a file was made with packages of another major or minor version.

    `place` is the file, and `recorded` are the versions that it was made with. Packages of
    augmentation are compared in `training` alone.
    """

    def minor(version: str) -> str:
        return ".".join(re.split(r"[.+]", version)[:2])

    installed = versions() if training else inference_versions()
    differ = [
        f"{name} {recorded.get(name) or 'none'} (here {version or 'none'})"
        for name, version in installed.items()
        if minor(recorded.get(name, "")) != minor(version)
    ]
    if differ:
        warn(
            f"{place}: was made with {', '.join(differ)}; other versions may round, decode or "
            "build networks otherwise"
        )
