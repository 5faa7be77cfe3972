"""Networks: a timm architecture with a head for the classes, which normalises its own input."""

import functools
import re
from collections.abc import Callable
from typing import Any

import timm
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from kit.competition import Competition
from kit.models.architecture import Architecture, architecture_of
from kit.models.heads import Cosine, combine
from kit.models.pretrained import load_pretrained
from kit.recipe import Recipe
from kit.system.errors import KitError, did_you_mean
from kit.system.fields import is_model_name


class Network(nn.Module):
    """A classifier of photos: (N, channels, height, width) in 0..1 -> logits (N, C).

    Its `architecture`, mean and std travel with it, so that inference cannot differ from training.
    Those of other channels than RGB are the means of the weights' own three.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        architecture: Architecture,
        statistics: tuple[tuple[float, ...], tuple[float, ...]] | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        self.architecture, self.geometry = architecture, architecture.geometry
        self.body = _create(architecture, **options)
        if architecture.cosine:
            self._make_cosine(architecture.model)
        self.statistics = statistics or self._own_statistics()
        for name, values in zip(("mean", "std"), self.statistics):
            self.register_buffer(name, torch.tensor(values).view(1, -1, 1, 1), persistent=False)
        self.parameters_count = count_parameters(self)

    def _own_statistics(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """The mean and std of each channel in the photos of the pretrained weights."""
        config, channels = self.body.pretrained_cfg, self.geometry.channels
        mean, std = tuple(config["mean"]), tuple(config["std"])
        if channels == len(mean):
            return mean, std
        return (sum(mean) / len(mean),) * channels, (sum(std) / len(std),) * channels

    def _make_cosine(self, model: str) -> None:
        last = self.body.get_classifier()
        name = next((n for n, module in self.body.named_modules() if module is last), "")
        if not isinstance(last, nn.Linear) or not name:
            raise KitError(
                f"model '{model}': its last layer is no linear one, which loss='ldam' replaces; "
                "take another loss"
            )
        self.body.set_submodule(name, Cosine(last.in_features, last.out_features))

    def forward(self, photos: Tensor) -> Tensor:
        """The logits (N, C) of photos (N, channels, height, width) in 0..1."""
        return combine(self.body((photos - self.mean) / self.std), self.architecture)


def count_parameters(network: nn.Module) -> int:
    """The number of a network's weights."""
    return sum(p.numel() for p in network.parameters())


def build(recipe: Recipe, competition: Competition) -> Network:
    """The network that a recipe starts from, with its pretrained weights and a new head."""
    torch.manual_seed(recipe.seed)
    network = Network(
        architecture_of(recipe, competition),
        pretrained=recipe.pretrained is True,
        drop_rate=recipe.drop_rate,
        drop_path_rate=recipe.drop_path_rate,
    )
    if isinstance(recipe.pretrained, str):
        load_pretrained(network.body, recipe.pretrained, network.geometry.channels)
    _try(f"recipe {recipe.name}: {recipe.model}", network)
    last = network.body.get_classifier()
    if isinstance(last, nn.Linear):
        # timm's own start is scaled for 1,000 outputs: with few, the first loss is far above the
        # logarithm of their number, and undoing that disturbs the pretrained features.
        nn.init.normal_(last.weight, std=0.01)
        nn.init.zeros_(last.bias)
    return network


def _try(whose: str, network: Network) -> None:
    height, width = network.geometry.size
    photo = torch.zeros(1, network.geometry.channels, height, width, device=network.mean.device)
    try:
        with torch.no_grad():
            network.eval()(photo)
    except Exception as error:  # each architecture says it in its own way
        raise KitError(
            f"{whose} cannot take photos of {height} x {width} "
            f"({type(error).__name__}: {str(error)[:120]}); change size"
        ) from error


@functools.cache
def blueprint(architecture: Architecture) -> Network:
    """The network of an architecture on torch's meta device, where its weights take no memory."""
    with torch.device("meta"):
        return Network(architecture)


@functools.cache
def cost(architecture: Architecture) -> tuple[int, float]:
    """The cost of a network: its number of weights, and GFLOP a photo forward.

    A multiplication and an addition are 2. They are counted on torch's meta device: nothing is
    computed, and no weights are read.
    """
    network = blueprint(architecture)
    with FlopCounterMode(display=False) as counter:
        _try(f"model {architecture.model}", network)
    return count_parameters(network), counter.get_total_flops() / 1e9


# What architectures of one size raise for another.
_OF_SIZES = (AssertionError, ValueError, RuntimeError)


def _create(architecture: Architecture, pretrained: bool = False, **options: Any) -> Any:
    """The timm model of an architecture; raises `KitError` where timm cannot make it."""
    model, size = architecture.model, architecture.geometry.size
    if not is_model_name(model) or not timm.is_model(model):
        hint = did_you_mean(model, timm.list_models())
        raise KitError(
            f"model '{model}': timm has no such architecture{hint}; take one of timm.list_models()"
        )
    # Some architectures know no drop_path_rate.
    options = {name: value for name, value in options.items() if value}
    try:
        config = timm.get_pretrained_cfg(model)
    except RuntimeError as error:  # the name of weights behind the dot that it does not know
        name = model.partition(".")[0]
        raise KitError(
            f"model '{model}': timm has no such weights ({error}); take {name} alone"
        ) from error
    if config is not None and config.fixed_input_size:
        options["img_size"] = size
    if architecture.geometry.channels != 3:
        options["in_chans"] = architecture.geometry.channels
    create: Callable[..., Any] = timm.create_model
    try:
        return create(model, pretrained=pretrained, num_classes=architecture.outputs, **options)
    except TypeError as error:
        if re.search(r"unexpected keyword argument '(drop_rate|drop_path_rate)'", str(error)):
            raise KitError(
                f"model '{model}': it has no such option ({error}); take it out of the recipe"
            ) from error
        raise
    except Exception as error:
        if "img_size" in options and isinstance(error, _OF_SIZES):
            raise KitError(
                f"model '{model}' cannot take photos of {size[0]} x {size[1]} "
                f"({str(error)[:120]}); change size"
            ) from error
        if not pretrained:
            raise
        raise KitError(
            f"model '{model}': its ImageNet weights could not be fetched ({type(error).__name__}: "
            f"{str(error)[:200]}); where there is no network, let pretrained name a local weights "
            "file"
        ) from error
