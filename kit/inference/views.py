"""Test-time augmentation: views of a photo, by ttach; the plain view is always one of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import ttach
from torch import Tensor
from torch.nn import functional
from ttach.base import ImageOnlyTransform

from kit.competition import Competition
from kit.system.errors import KitError, did_you_mean


@dataclass(frozen=True)
class View:
    """A view: `transform` takes and gives photos (N, channels, height, width) in 0..1.

    `swap` (C,) are the classes that a mirror makes of each, for a view that mirrors; it is empty
    where no class changes.
    """

    transform: Callable[[Tensor], Tensor]
    swap: tuple[int, ...] = ()

    def __call__(self, photos: Tensor) -> Tensor:
        """The photos as this view shows them."""
        return self.transform(photos)

    def classes(self, probs: Tensor) -> Tensor:
        """The probabilities (N, C) of the photos themselves, from those of their views."""
        return probs[:, self.swap] if self.swap else probs


class Crops(ImageOnlyTransform):
    """The whole photo, and ttach's five crops of nine tenths, resized to the photo's size."""

    identity_param = "whole"
    share = 0.9

    def __init__(self) -> None:
        super().__init__(
            "crop",
            [self.identity_param, "top-left", "top-right", "bottom-left", "bottom-right", "centre"],
        )

    def apply_aug_image(self, image: Tensor, crop: str = "whole", **_: Any) -> Tensor:
        """The crop of photos (N, channels, height, width)."""
        if crop == self.identity_param:
            return image
        cuts = {
            "top-left": ttach.functional.crop_lt,
            "top-right": ttach.functional.crop_rt,
            "bottom-left": ttach.functional.crop_lb,
            "bottom-right": ttach.functional.crop_rb,
            "centre": ttach.functional.center_crop,
        }
        height, width = image.shape[2:]
        part = cuts[crop](image, round(height * self.share), round(width * self.share))
        return functional.interpolate(part, (height, width), mode="bilinear", align_corners=False)


class Shifts(ImageOnlyTransform):
    """Small shifts, of a twenty-fifth of height or width; the photo's edge is repeated."""

    identity_param = "nowhere"
    share = 0.04

    def __init__(self) -> None:
        super().__init__("to", [self.identity_param, "left", "right", "up", "down"])

    def apply_aug_image(self, image: Tensor, to: str = "nowhere", **_: Any) -> Tensor:
        """The shift of photos (N, channels, height, width)."""
        if to == self.identity_param:
            return image
        height, width = image.shape[2:]
        down, right = max(1, round(height * self.share)), max(1, round(width * self.share))
        x, y = {"left": (-right, 0), "right": (right, 0), "up": (0, -down), "down": (0, down)}[to]
        padded = functional.pad(
            image, (max(x, 0), max(-x, 0), max(y, 0), max(-y, 0)), mode="replicate"
        )
        return padded[:, :, max(-y, 0) : max(-y, 0) + height, max(-x, 0) : max(-x, 0) + width]


class Brightness(ttach.Multiply):
    """ttach's factors of brightness, within 0..1: no training photo is brighter than white."""

    def apply_aug_image(self, image: Tensor, factor: float = 1, **_: Any) -> Tensor:
        """Photos (N, channels, height, width) times the factor."""
        brighter: Tensor = super().apply_aug_image(image, factor=factor)
        return brighter.clamp(0, 1)


@dataclass(frozen=True)
class Choice:
    """A name that `--tta` takes: a description in words, and its ttach transform.

    `odd` is True for one in which no photo is taken, `mirrors` for one that mirrors photos.
    """

    text: str
    make: Callable[[], Any]
    odd: bool = False
    mirrors: bool = False


# Each is a ttach transform by its parameters, of which the identity comes first.
CHOICES: Final = {
    "hflip": Choice("mirrored left to right", ttach.HorizontalFlip, mirrors=True),
    "fivecrop": Choice("four corners and the centre, of 90 %", Crops),
    "scale": Choice(
        "10 % smaller, and 10 % larger",
        lambda: ttach.Scale([1, 0.9, 1.1], "bilinear", align_corners=False),
    ),
    "shift": Choice("4 % to each side", Shifts),
    "bright": Choice("10 % darker, and 10 % brighter", lambda: Brightness([1, 0.9, 1.1])),
    "vflip": Choice("upside down", ttach.VerticalFlip, odd=True, mirrors=True),
    "rot90": Choice("turned by right angles", lambda: ttach.Rotate90([0, 90, 180, 270]), odd=True),
}


def make_views(
    choice: str, force: bool = False, competition: Competition | None = None
) -> dict[str, View]:
    """The views of a `--tta` choice by name, `plain` first.

    A choice is `none`, a name of `CHOICES`, or a product such as `hflip+bright`. Upside down and
    right angles are refused, unless forced, and so is what the competition's `mirror` does not
    allow. Without a competition no class changes in a mirror.
    """
    names = [] if choice.strip() == "none" else [name.strip().lower() for name in choice.split("+")]
    _check_names(choice, names, force)
    swap: tuple[int, ...] = ()
    if competition is not None:
        _check_mirrors(choice, names, competition)
        swap = tuple(competition.mirrored.tolist()) if competition.mirror else ()
    transforms = [CHOICES[name].make() for name in names]
    composed = ttach.Compose(transforms)
    views: dict[str, View] = {}
    for values, view in zip(composed.aug_transform_parameters, composed):
        parts = [
            name
            if value is True
            else f"{name}{'-' * (isinstance(value, str) or name[-1].isdigit())}{value}"
            for name, value, t in zip(names, values, transforms)
            if value != t.identity_param
        ]
        name = ",".join(parts) or "plain"
        views[name] = View(view.augment_image, swap if "hflip" in parts else ())
    if list(views).index("plain") or len(views) != len(composed):
        raise ValueError(f"views of {choice}: {list(views)}")
    return views


def _check_names(choice: str, names: Sequence[str], force: bool) -> None:
    """Raise `KitError` for a name that is unknown, is repeated, or is refused."""
    for name in names:
        if name not in CHOICES or names.count(name) > 1:
            wrong = "named twice" if name in CHOICES else "no view"
            usual = ", ".join(known for known, view in CHOICES.items() if not view.odd)
            hint = "" if name in CHOICES else did_you_mean(name, ["none", *CHOICES])
            raise KitError(
                f"--tta {choice}: '{name}' is {wrong}{hint}; take none, {usual}, or several joined "
                "by +"
            )
        if CHOICES[name].odd and not force:
            raise KitError(
                f"--tta {choice}: no photo of this kind is taken {CHOICES[name].text}, and no "
                "network was trained on such ones: the view would only lower the score; leave "
                f"{name} out, or --force-views"
            )


def _check_mirrors(choice: str, names: Sequence[str], competition: Competition) -> None:
    """Raise `KitError` for a view that mirrors where a competition's `mirror` does not allow it."""
    allowed = CHOICES if competition.mirror == {} else ["hflip"] if competition.mirror else []
    wrong = [name for name in names if CHOICES[name].mirrors and name not in allowed]
    if wrong:
        why = "swaps classes from left to right alone" if allowed else "is None"
        raise KitError(
            f"--tta {choice}: {wrong[0]} mirrors photos, and the mirror of the competition "
            f"{competition.name} {why}; leave {wrong[0]} out"
        )
