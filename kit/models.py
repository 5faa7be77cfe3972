"""Networks: a timm architecture with 18 outputs, which normalises its own input."""

import difflib
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from kit.data import Geometry
from kit.errors import KitError, problem
from kit.labels import NUM_CLASSES
from kit.recipe import Recipe


class Network(nn.Module):
    """A classifier of photos: (N, 3, height, width) in 0..1 -> logits (N, 18).

    Geometry, mean and std travel with it, so that inference cannot differ from training.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, model: str, geometry: Geometry, mean: tuple[float, ...] | None = None,
                 std: tuple[float, ...] | None = None, **options: Any) -> None:
        super().__init__()
        self.body = _create(model, geometry, **options)
        config = self.body.pretrained_cfg
        self.geometry = geometry
        self.statistics = (tuple(mean or config["mean"]), tuple(std or config["std"]))
        self.register_buffer("mean", torch.tensor(self.statistics[0]).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(self.statistics[1]).view(1, 3, 1, 1), persistent=False)

    def forward(self, photos: Tensor) -> Tensor:
        logits: Tensor = self.body((photos - self.mean) / self.std)
        return logits


def build(recipe: Recipe) -> Network:
    """The network that a recipe starts from, with its pretrained weights and a new head."""
    torch.manual_seed(recipe.seed)
    network = Network(recipe.model, recipe.geometry, pretrained=recipe.pretrained is True, drop_rate=recipe.drop_rate,
                      drop_path_rate=recipe.drop_path_rate)
    if isinstance(recipe.pretrained, str):
        load_pretrained(network.body, recipe.pretrained)
    try:
        with torch.no_grad():
            network.eval()(torch.zeros(1, 3, *recipe.size))
    except Exception as error:  # each architecture says it in its own way
        raise KitError(f"recipe {recipe.name}: {recipe.model} cannot take photos of {recipe.size[0]} x {recipe.size[1]} "
                       f"({type(error).__name__}: {str(error)[:120]}); change size") from error
    head = network.body.get_classifier()
    if isinstance(head, nn.Linear):
        # timm's own start is scaled for 1,000 outputs: with 18 the first loss is 4.8 instead of log 18 = 2.9, and undoing
        # that disturbs the pretrained features.
        nn.init.normal_(head.weight, std=0.01)
        nn.init.zeros_(head.bias)
    return network


def _create(model: str, geometry: Geometry, pretrained: bool = False, **options: Any) -> Any:
    import timm
    if not timm.is_model(model):
        near = difflib.get_close_matches(model, timm.list_models(), n=1)
        raise KitError(f"model '{model}': timm has no such architecture" + (f"; did you mean {near[0]}?" if near else ""))
    options = {name: value for name, value in options.items() if value}  # some architectures know no drop_path_rate
    config = timm.get_pretrained_cfg(model)
    if config is not None and config.fixed_input_size:
        options["img_size"] = geometry.size
    create: Callable[..., Any] = timm.create_model
    try:
        return create(model, pretrained=pretrained, num_classes=NUM_CLASSES, **options)
    except TypeError as error:
        if re.search(r"unexpected keyword argument '(drop_rate|drop_path_rate)'", str(error)):
            raise KitError(f"model '{model}': it has no such option ({error}); take it out of the recipe") from error
        raise
    except Exception as error:
        if "img_size" in options and isinstance(error, (AssertionError, ValueError)):
            raise KitError(f"model '{model}' cannot take photos of {geometry.size[0]} x {geometry.size[1]} ({str(error)[:120]}); "
                           "change size") from error
        if not pretrained:
            raise
        raise KitError(f"model '{model}': its ImageNet weights could not be fetched ({type(error).__name__}: "
                       f"{str(error)[:200]}); where there is no network, let pretrained name a local weights file") from error


def load_pretrained(body: Any, source: str) -> None:
    """Load ImageNet weights from a local `.safetensors` or torch file into a timm model, all but its head.

    `source` may use environment variables. Raises `KitError` where a weight is missing, unknown or of another shape.
    """
    from safetensors.torch import load_file
    path = Path(os.path.expanduser(os.path.expandvars(source)))
    unset = re.findall(r"\$\{?(\w+)", str(path))
    if unset:
        raise KitError(f"pretrained '{source}': the environment variable {unset[0]} is not set; export {unset[0]}=DIR first")
    try:
        # weights_only: a pickle may run anything.
        weights = load_file(path) if path.suffix == ".safetensors" else torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(weights, dict) or not all(isinstance(value, Tensor) for value in weights.values()):
            raise ValueError("it holds something else than named tensors")
    except OSError as error:
        raise problem(path, f"pretrained weights cannot be read: {error.strerror or error}", remedy="check the path") from error
    except Exception as error:  # torch and safetensors each raise their own
        raise problem(path, f"is no weights file ({type(error).__name__}: {str(error)[:120]})",
                      remedy="fetch it again") from error
    heads = body.pretrained_cfg.get("classifier") or ()
    prefixes = tuple(f"{head}." for head in ([heads] if isinstance(heads, str) else heads))
    own = {name: value for name, value in body.state_dict().items() if not name.startswith(prefixes or ("\0",))}
    given = {name: value for name, value in weights.items() if not name.startswith(prefixes or ("\0",))}
    wrong = sorted(own.keys() ^ given.keys()) or [n for n in own if own[n].shape != given[n].shape]
    if wrong:
        raise problem(path, "holds the weights of another architecture", wrong, "let model and pretrained name the same one")
    body.load_state_dict(given, strict=False)
