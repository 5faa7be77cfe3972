"""Networks: a timm architecture with a head for the 18 classes, which normalises its own input."""

import difflib
import functools
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from kit.errors import KitError, problem
from kit.labels import AGES, GENDERS, MASKS, NUM_CLASSES
from kit.pixels import Geometry
from kit.recipe import Recipe


# The outputs of each head. `ordinal`: the last two are the log-odds of 30 or older, and of 60 or older among those.
OUTPUTS = {"classes": NUM_CLASSES, "tasks": len(MASKS) + len(GENDERS) + len(AGES), "ordinal": len(MASKS) + len(GENDERS) + 2}
# Cao et al., NeurIPS 2019 (LDAM): the scale of the cosines.
COSINE_SCALE = 30.0


class Cosine(nn.Module):
    """A last layer whose logits are `COSINE_SCALE` times the cosines of features and class weights, as LDAM's margins need."""

    def __init__(self, features: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, features))
        nn.init.kaiming_uniform_(self.weight)

    def forward(self, features: Tensor) -> Tensor:
        with torch.autocast(features.device.type, enabled=False):  # 30 in bf16 has steps of 1/8
            cosines = functional.linear(functional.normalize(features.float()), functional.normalize(self.weight))
            return COSINE_SCALE * cosines


def combine(outputs: Tensor, head: str) -> Tensor:
    """Logits (N, 18) of a head's outputs (N, OUTPUTS[head]).

    Of three heads they are the logarithms of the products of the tasks' probabilities. The ordinal age is that of Shi et
    al., Deep Neural Networks for Rank-Consistent Ordinal Regression Based On Conditional Probabilities (CORN), 2021: the
    probabilities of 30 or older, and of 60 or older if 30 or older.
    """
    if head == "classes":
        return outputs
    mask, gender, age = outputs.float().split([len(MASKS), len(GENDERS), outputs.shape[1] - len(MASKS) - len(GENDERS)], dim=1)
    if head == "ordinal":
        yes, no = functional.logsigmoid(age), functional.logsigmoid(-age)
        ages = torch.stack([no[:, 0], yes[:, 0] + no[:, 1], yes[:, 0] + yes[:, 1]], dim=1)
    else:
        ages = age.log_softmax(dim=1)
    table = mask.log_softmax(dim=1)[:, :, None, None] + gender.log_softmax(dim=1)[:, None, :, None] + ages[:, None, None, :]
    return table.flatten(1)


class Network(nn.Module):
    """A classifier of photos: (N, 3, height, width) in 0..1 -> logits (N, 18).

    Geometry, mean, std and head travel with it, so that inference cannot differ from training. `cosine` makes the last layer
    a `Cosine`. `architecture` is what it was made of, without options: all that its speed hangs on.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, model: str, geometry: Geometry, head: str = "classes", cosine: bool = False,
                 mean: tuple[float, ...] | None = None, std: tuple[float, ...] | None = None, **options: Any) -> None:
        super().__init__()
        self.body = _create(model, geometry, OUTPUTS[head], **options)
        self.head = head
        self.architecture = (model, geometry, head, cosine)
        if cosine:
            self._make_cosine(model)
        config = self.body.pretrained_cfg
        self.geometry = geometry
        self.statistics = (tuple(mean or config["mean"]), tuple(std or config["std"]))
        self.register_buffer("mean", torch.tensor(self.statistics[0]).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(self.statistics[1]).view(1, 3, 1, 1), persistent=False)
        self.parameters_count = count_parameters(self)

    def _make_cosine(self, model: str) -> None:
        last = self.body.get_classifier()
        name = next((n for n, module in self.body.named_modules() if module is last), "")
        if not isinstance(last, nn.Linear) or not name:
            raise KitError(f"model '{model}': its last layer is no linear one, which loss='ldam' replaces; take another loss")
        self.body.set_submodule(name, Cosine(last.in_features, last.out_features))

    def forward(self, photos: Tensor) -> Tensor:
        return combine(self.body((photos - self.mean) / self.std), self.head)


def count_parameters(network: nn.Module) -> int:
    """The number of a network's weights."""
    return sum(p.numel() for p in network.parameters())


def build(recipe: Recipe) -> Network:
    """The network that a recipe starts from, with its pretrained weights and a new head."""
    torch.manual_seed(recipe.seed)
    network = Network(recipe.model, recipe.geometry, recipe.head, recipe.loss == "ldam", pretrained=recipe.pretrained is True,
                      drop_rate=recipe.drop_rate, drop_path_rate=recipe.drop_path_rate)
    if isinstance(recipe.pretrained, str):
        load_pretrained(network.body, recipe.pretrained)
    _try(f"recipe {recipe.name}: {recipe.model}", network)
    last = network.body.get_classifier()
    if isinstance(last, nn.Linear):
        # timm's own start is scaled for 1,000 outputs: with 18 the first loss is 4.8 instead of log 18 = 2.9, and undoing
        # that disturbs the pretrained features.
        nn.init.normal_(last.weight, std=0.01)
        nn.init.zeros_(last.bias)
    return network


def _try(whose: str, network: Network) -> None:
    height, width = network.geometry.size
    try:
        with torch.no_grad():
            network.eval()(torch.zeros(1, 3, height, width, device=network.mean.device))
    except Exception as error:  # each architecture says it in its own way
        raise KitError(f"{whose} cannot take photos of {height} x {width} "
                       f"({type(error).__name__}: {str(error)[:120]}); change size") from error


@functools.cache
def cost(model: str, geometry: Geometry, head: str, cosine: bool) -> tuple[int, float]:
    """What a network costs: its number of weights, and GFLOP a photo forward (a multiplication and an addition are 2).

    Counted on torch's meta device: nothing is computed, and no weights are read.
    """
    from torch.utils.flop_counter import FlopCounterMode
    with torch.device("meta"):
        network = Network(model, geometry, head, cosine)
    with FlopCounterMode(display=False) as counter:
        _try(f"model {model}", network)
    return count_parameters(network), counter.get_total_flops() / 1e9


def _create(model: str, geometry: Geometry, outputs: int, pretrained: bool = False, **options: Any) -> Any:
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
        return create(model, pretrained=pretrained, num_classes=outputs, **options)
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
