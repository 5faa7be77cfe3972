"""Test-time augmentation: views of a photo, by ttach. The plain view is always one of them."""

import difflib
from collections.abc import Callable
from typing import Any

from torch import Tensor

from kit.errors import KitError

View = Callable[[Tensor], Tensor]

# Each is a ttach transform by its parameters, of which the identity comes first.
CHOICES = {"hflip": "mirrored left to right", "bright": "10 % darker, and 10 % brighter"}


def make_views(choice: str) -> dict[str, View]:
    """The views of a `--tta` choice by name, `plain` first: `none`, a name of `CHOICES`, or a product such as `hflip+bright`.

    A view takes and gives photos (N, 3, height, width) in 0..1.
    """
    import ttach
    known: dict[str, Callable[[], Any]] = {"hflip": ttach.HorizontalFlip, "bright": lambda: ttach.Multiply([1, 0.9, 1.1])}
    names = [] if choice == "none" else choice.split("+")
    for name in names:
        if name not in known or names.count(name) > 1:
            near = difflib.get_close_matches(name, ["none", *known], n=1)
            raise KitError(f"--tta {choice}: '{name}' is {'named twice' if name in known else 'no view'}; take none, "
                           f"{', '.join(known)}, or several joined by +" + (f"; did you mean {near[0]}?" if near else ""))
    transforms = [known[name]() for name in names]
    composed = ttach.Compose(transforms)
    views: dict[str, View] = {}
    for values, view in zip(composed.aug_transform_parameters, composed):
        parts = [name if value is True else f"{name}{value}" for name, value, t in zip(names, values, transforms)
                 if value != t.identity_param]
        views[",".join(parts) or "plain"] = view.augment_image
    return views
