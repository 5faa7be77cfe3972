"""Networks: a timm architecture with a head for the 18 classes, which normalises its own input."""

import functools
import re
from collections.abc import Callable
from typing import Any

import timm
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from kit.data.photos import Geometry
from kit.models.heads import OUTPUTS, Cosine, combine
from kit.models.pretrained import load_pretrained
from kit.recipe import Recipe
from kit.system.errors import KitError, did_you_mean


class Network(nn.Module):
    """A classifier of photos: (N, 3, height, width) in 0..1 -> logits (N, 18).

    Geometry, mean, std and head travel with it, so that inference cannot differ from training.
    `cosine` makes the last layer a `Cosine`. `architecture` is what it was made of, without
    options: all that its speed hangs on.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        model: str,
        geometry: Geometry,
        head: str = "classes",
        cosine: bool = False,
        mean: tuple[float, ...] | None = None,
        std: tuple[float, ...] | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        self.body = _create(model, geometry, OUTPUTS[head], **options)
        self.head = head
        self.architecture = (model, geometry, head, cosine)
        if cosine:
            self._make_cosine(model)
        config = self.body.pretrained_cfg
        self.geometry = geometry
        self.statistics = (tuple(mean or config["mean"]), tuple(std or config["std"]))
        self.register_buffer(
            "mean", torch.tensor(self.statistics[0]).view(1, 3, 1, 1), persistent=False
        )
        self.register_buffer(
            "std", torch.tensor(self.statistics[1]).view(1, 3, 1, 1), persistent=False
        )
        self.parameters_count = count_parameters(self)

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
        return combine(self.body((photos - self.mean) / self.std), self.head)


def count_parameters(network: nn.Module) -> int:
    """The number of a network's weights."""
    return sum(p.numel() for p in network.parameters())


def build(recipe: Recipe) -> Network:
    """The network that a recipe starts from, with its pretrained weights and a new head."""
    torch.manual_seed(recipe.seed)
    network = Network(
        recipe.model,
        recipe.geometry,
        recipe.head,
        recipe.loss == "ldam",
        pretrained=recipe.pretrained is True,
        drop_rate=recipe.drop_rate,
        drop_path_rate=recipe.drop_path_rate,
    )
    if isinstance(recipe.pretrained, str):
        load_pretrained(network.body, recipe.pretrained)
    _try(f"recipe {recipe.name}: {recipe.model}", network)
    last = network.body.get_classifier()
    if isinstance(last, nn.Linear):
        # timm's own start is scaled for 1,000 outputs: with 18 the first loss is 4.8 instead of log
        # 18 = 2.9, and undoing that disturbs the pretrained features.
        nn.init.normal_(last.weight, std=0.01)
        nn.init.zeros_(last.bias)
    return network


def _try(whose: str, network: Network) -> None:
    height, width = network.geometry.size
    try:
        with torch.no_grad():
            network.eval()(torch.zeros(1, 3, height, width, device=network.mean.device))
    except Exception as error:  # each architecture says it in its own way
        raise KitError(
            f"{whose} cannot take photos of {height} x {width} "
            f"({type(error).__name__}: {str(error)[:120]}); change size"
        ) from error


@functools.cache
def cost(model: str, geometry: Geometry, head: str, cosine: bool) -> tuple[int, float]:
    """What a network costs: its number of weights, and GFLOP a photo forward (a multiplication and
    an addition are 2).

    Counted on torch's meta device: nothing is computed, and no weights are read.
    """
    with torch.device("meta"):
        network = Network(model, geometry, head, cosine)
    with FlopCounterMode(display=False) as counter:
        _try(f"model {model}", network)
    return count_parameters(network), counter.get_total_flops() / 1e9


def _create(
    model: str, geometry: Geometry, outputs: int, pretrained: bool = False, **options: Any
) -> Any:
    if not timm.is_model(model):
        hint = did_you_mean(model, timm.list_models())
        raise KitError(f"model '{model}': timm has no such architecture{hint}")
    options = {
        name: value for name, value in options.items() if value
    }  # some architectures know no drop_path_rate
    config = timm.get_pretrained_cfg(model)
    if config is not None and config.fixed_input_size:
        options["img_size"] = geometry.size
    create: Callable[..., Any] = timm.create_model
    try:
        return create(model, pretrained=pretrained, num_classes=outputs, **options)
    except TypeError as error:
        if re.search(r"unexpected keyword argument '(drop_rate|drop_path_rate)'", str(error)):
            raise KitError(
                f"model '{model}': it has no such option ({error}); take it out of the recipe"
            ) from error
        raise
    except Exception as error:
        if "img_size" in options and isinstance(error, (AssertionError, ValueError)):
            raise KitError(
                f"model '{model}' cannot take photos of {geometry.size[0]} x {geometry.size[1]} "
                f"({str(error)[:120]}); "
                "change size"
            ) from error
        if not pretrained:
            raise
        raise KitError(
            f"model '{model}': its ImageNet weights could not be fetched ({type(error).__name__}: "
            f"{str(error)[:200]}); where there is no network, let pretrained name a local weights "
            "file"
        ) from error
