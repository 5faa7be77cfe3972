"""Mirrors in a recipe's augmentation: found, counted, and refused where none is allowed."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import albumentations as A
import numpy as np
from albumentations.core.composition import BaseCompose

from kit.system.errors import KitError

# albumentations' transforms that mirror photos, and may turn them as well: what becomes of a class
# is not told by what a left-to-right mirror makes of it.
_OTHERS: Final = (A.VerticalFlip, A.Transpose, A.D4)  # SquareSymmetry is D4 by another name


class _Mirror(A.HorizontalFlip):  # type: ignore[misc]
    """albumentations' mirror, which counts how often it is applied."""

    count = 0

    def apply(self, img: np.ndarray, **params: Any) -> np.ndarray:
        """The mirrored photo."""
        self.count += 1
        mirrored: np.ndarray = super().apply(img, **params)
        return mirrored


class CountedMirrors:
    """An albumentations transform of photos, and whether the last photo was mirrored.

    Each `HorizontalFlip` in the Compose is replaced by one that counts; pixels stay the same for
    each seed. A photo that is mirrored twice is not mirrored.
    """

    def __init__(self, transform: Any) -> None:
        check_mirrors(transform, {"": ""})
        self.transform, self.mirrors, self.mirrored = transform, _count(transform), False

    def set_random_seed(self, seed: int) -> None:
        """Seed the transform."""
        self.transform.set_random_seed(seed)

    def __call__(self, image: np.ndarray) -> dict[str, Any]:
        """The transformed photo, as albumentations gives it."""
        before = sum(mirror.count for mirror in self.mirrors)
        changed: dict[str, Any] = self.transform(image=image)
        self.mirrored = (sum(mirror.count for mirror in self.mirrors) - before) % 2 == 1
        return changed


@dataclass(frozen=True)
class CountingAugment:
    """A recipe's `augment`, whose transform tells which photos it has mirrored."""

    augment: Callable[[], Any]

    def __call__(self) -> CountedMirrors:
        """A new transform."""
        return CountedMirrors(self.augment())


def check_mirrors(transform: Any, mirror: dict[str, str] | None) -> None:
    """Raise `KitError` for a transform that mirrors photos where a competition has no mirror.

    `mirror` is the competition's. With one that swaps classes, `HorizontalFlip` alone is allowed.
    """
    if mirror == {}:
        return
    if not isinstance(transform, BaseCompose):
        raise KitError(
            "augment returns no albumentations Compose, in which mirrors can be found, and the "
            f"competition's mirror is {mirror or None}; return A.Compose([...])"
        )
    allowed: tuple[type, ...] = ()
    why = "is None; take it out, for no photo may be mirrored"
    if mirror:
        allowed = (A.HorizontalFlip, _Mirror)
        why = "swaps classes; take HorizontalFlip alone"
    for part in _parts(transform):
        if isinstance(part, (A.HorizontalFlip, *_OTHERS)) and type(part) not in allowed:
            name = type(part).__name__
            raise KitError(f"augment has {name}, and the competition's mirror {why}")


def _count(transform: Any) -> list[_Mirror]:
    """Replace the mirrors in a Compose by such as count; returns these."""
    counting = []
    for n, part in enumerate(transform.transforms):
        if isinstance(part, BaseCompose):
            counting += _count(part)
        elif isinstance(part, A.HorizontalFlip):
            transform.transforms[n] = _Mirror(p=part.p)
            counting.append(transform.transforms[n])
    return counting


def _parts(transform: Any) -> Iterator[Any]:
    """The transforms of a Compose, those of Composes within it among them."""
    if isinstance(transform, BaseCompose):
        for part in transform.transforms:
            yield from _parts(part)
    else:
        yield transform
