"""ImageNet weights from a local file."""

import os
import re
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from timm.models import adapt_input_conv
from torch import Tensor

from kit.system.errors import KitError, problem


def weights_path(source: str) -> Path:
    """The `.safetensors` or torch file that a recipe's `pretrained` names.

    It may use environment variables; raises `KitError` for one that is not set.
    """
    path = Path(os.path.expanduser(os.path.expandvars(source)))
    unset = re.findall(r"\$\{?(\w+)", str(path))
    if unset:
        raise KitError(
            f"pretrained '{source}': the environment variable {unset[0]} is not set; export "
            f"{unset[0]}=DIR first"
        )
    return path


def load_pretrained(body: Any, source: str, channels: int = 3) -> None:
    """Load ImageNet weights from a local file into a timm model, all but its head.

    `source` is as `weights_path` takes it. The first layer's weights are adapted to a number of
    `channels`, as timm does it. Raises `KitError` where a weight is missing, unknown or of another
    shape.
    """
    path = weights_path(source)
    try:
        # weights_only: a pickle may run anything.
        weights = (
            load_file(path)
            if path.suffix == ".safetensors"
            else torch.load(path, map_location="cpu", weights_only=True)
        )
        if not isinstance(weights, dict) or not all(
            isinstance(value, Tensor) for value in weights.values()
        ):
            raise ValueError("it holds something else than named tensors")
    except OSError as error:
        raise problem(
            path,
            f"pretrained weights cannot be read: {error.strerror or error}",
            remedy="check the path",
        ) from error
    except Exception as error:  # torch and safetensors each raise their own
        raise problem(
            path,
            f"is no weights file ({type(error).__name__}: {str(error)[:120]})",
            remedy="fetch it again",
        ) from error
    heads = body.pretrained_cfg.get("classifier") or ()
    names = [heads] if isinstance(heads, str) else heads
    head = tuple(f"{name}." for name in names) or ("\0",)
    if channels != 3:
        weights = _adapted(weights, body.pretrained_cfg.get("first_conv"), channels)
    expected = {n: value for n, value in body.state_dict().items() if not n.startswith(head)}
    given = {n: value for n, value in weights.items() if not n.startswith(head)}
    wrong = sorted(expected.keys() ^ given.keys()) or [
        n for n in expected if expected[n].shape != given[n].shape
    ]
    if wrong:
        raise problem(
            path,
            "holds the weights of another architecture",
            wrong,
            "let model and pretrained name the same one",
        )
    body.load_state_dict(given, strict=False)


def _adapted(
    weights: dict[str, Tensor], first: str | tuple[str, ...] | None, channels: int
) -> dict[str, Tensor]:
    """Weights whose `first` layers take photos of other channels than RGB."""
    names = [f"{name}.weight" for name in ([first] if isinstance(first, str) else first or ())]
    changed = {n: adapt_input_conv(channels, weights[n]) for n in names if n in weights}
    return weights | changed
