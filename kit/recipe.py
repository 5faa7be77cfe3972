"""A recipe: one frozen dataclass in a Python file, with everything that changes a result.

A variant is `dataclasses.replace(load_recipe("recipes/base.py"), name="variant", lr=...)`.
"""

import dataclasses
import inspect
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType
from typing import Any

from kit.competition import Competition
from kit.data.geometry import Geometry
from kit.scoring.losses import LOSSES
from kit.system.errors import KitError, did_you_mean, problem
from kit.system.fields import (
    Rule,
    are_shares,
    check_rules,
    choices,
    is_file_name,
    is_model_name,
    is_whole_tuple,
    numbers,
    whole_numbers,
)
from kit.system.script import ScriptFunction, run_script

# The fields that are a choice among names.
CHOICES = {
    "head": ("classes", "tasks", "ordinal"),
    "mix": ("none", "mixup", "cutmix", "half"),
    "sampler": ("plain", "balanced", "sqrt"),
    "loss": tuple(LOSSES),
    "class_weights": ("none", "inverse", "effective"),
    "optimizer": ("adamw", "adam", "sgd"),
    "schedule": ("cosine", "onecycle", "step", "constant"),
    "select": ("last", "best"),
    "monitor": ("score", "loss"),
}
# The least and the most of whole numbers. Of a batch of 2, one photo may be left over.
WHOLE = {
    "epochs": (1, 10**6),
    "batch_size": (3, 10**6),
    "accumulate": (1, 10**4),
    "lr_step": (1, 10**6),
    "patience": (0, 10**6),
    "seed": (0, 2**32 - 1),
}
# The most of other numbers, from 0 on; those of POSITIVE are above 0.
MOST = {
    "lr": 1e6,
    "label_smoothing": 1,
    "mix_prob": 1,
    "mix_alpha": 1e6,
    "focal_gamma": 100,
    "layer_decay": 1,
    "lr_factor": 1,
    "clip": 1e6,
    "ema": 1,
    "drop_rate": 1,
    "drop_path_rate": 1,
}
POSITIVE = ("lr", "mix_alpha", "layer_decay", "lr_factor")
# AdamW's decay shrinks the weights by themselves; Adam's and SGD's is added to the gradient, where
# .05 would drown it. Those of timm's and torchvision's own recipes.
WEIGHT_DECAY = {"adamw": 0.05, "adam": 0.0, "sgd": 1e-4}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What to train and how. Sizes are (height, width) in pixels.

    Network: `name` equals the file's name. `model` is a timm architecture; `pretrained` is True
    (ImageNet weights, fetched by timm), False, or a local weights file, environment variables
    expanded. `head` is `classes` (an output a class), `tasks` (an output for each answer to each of
    the competition's tasks, whose probabilities are multiplied), or `ordinal` (the same, with an
    ordered task of c classes as c - 1 questions: is it above the first class, and if so, above the
    second?).

    Photos: `crop` is the centre crop, in pixels of the competition's frame or as shares of it, such
    as (0.9, 0.9); None is the competition's. `size` is what it is resized to: both sides, or the
    longer one alone, to which the other follows in the crop's aspect. Training and inference share
    both. `augment()` returns an albumentations transform of the uint8 photo after them. `mix` is
    `none`, `mixup`, `cutmix`, or `half` (the left half of one photo and the right half of another),
    applied to a batch with probability `mix_prob`; `mix_alpha` is the parameter of the Beta
    distribution that mixup and cutmix draw from.

    Labels, of training photos only, for a competition with an ordered task: `edges` are other first
    numbers of its classes from the second on; photos with numbers from `drop[0]` to `drop[1]` are
    left out. `sampler` is `plain`, `balanced` (every class as often) or `sqrt` (by the square root
    of its size); of several labels a photo the rarest counts.

    Loss: `loss` is `ce`, `focal` (with `focal_gamma`), `f1` (1 - soft macro-F1 of the batch) or
    `ldam`; for several labels a photo `ce` and `bce` are binary cross-entropy, `focal` and `f1` are
    of each label, and there is `asl`, the asymmetric loss. `class_weights` is `none`, `inverse` (of
    the class's size) or `effective` (of its effective number).

    Steps: `optimizer` is `adamw`, `adam` or `sgd`, and `weight_decay` None its own usual one
    (`WEIGHT_DECAY`); `layer_decay` below 1 lowers the learning rate from layer to layer towards the
    input. `lr` is the peak, reached after `warmup` epochs; `schedule` is `cosine` (to zero over
    `epochs`), `onecycle` (torch's, its own warm-up), `step` (times `lr_factor` every `lr_step`
    epochs) or `constant`. Gradients of `accumulate` batches of `batch_size` make a step, clipped to
    the norm `clip` (0: not). `ema` is the decay of an exponential moving average of the weights (0:
    none).

    Which weights are kept, the EMA's where there is one: `select` is `last` (of the last epoch) or
    `best` (of the epoch with the best `monitor`, `score` or `loss`, on the fold, which flatters the
    fold's score). Training ends early after `patience` epochs without a better `monitor` (0:
    never), which flatters it as well.
    """

    name: str
    model: str
    pretrained: bool | str = True
    head: str = "classes"
    drop_rate: float = 0.0
    drop_path_rate: float = 0.0
    crop: tuple[int, int] | tuple[float, float] | None = None
    size: int | tuple[int, int] = 256
    augment: Callable[[], Any] | None = None
    mix: str = "none"
    mix_prob: float = 0.5
    mix_alpha: float = 1.0
    edges: tuple[int, ...] | None = None
    drop: tuple[int, int] | None = None
    sampler: str = "plain"
    loss: str = "ce"
    focal_gamma: float = 2.0
    label_smoothing: float = 0.0
    class_weights: str = "none"
    epochs: int = 10
    batch_size: int = 32
    accumulate: int = 1
    optimizer: str = "adamw"
    lr: float = 1e-3
    weight_decay: float | None = None
    layer_decay: float = 1.0
    schedule: str = "cosine"
    warmup: float = 1.0
    lr_step: int = 2
    lr_factor: float = 0.5
    clip: float = 0.0
    ema: float = 0.0
    select: str = "last"
    monitor: str = "score"
    patience: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        check_rules(f"recipe {self.name}", self, self._rules())

    def _rules(self) -> Iterator[Rule]:
        yield "name", is_file_name(self.name), "a plain file name"
        yield "model", is_model_name(self.model), "the name of a timm architecture"
        yield "pretrained", type(self.pretrained) in (bool, str), "True, False or a weights file"
        yield from choices(self, CHOICES)
        pixels, crop = "a pair (height, width) of pixels", self.crop
        size = (self.size, 1) if isinstance(self.size, int) else self.size
        good = is_whole_tuple(size, 1, 4096) and len(size) == 2
        yield "size", good, f"{pixels}, or the longer side alone"
        good = is_whole_tuple(crop, 1, 10**5) or are_shares(crop)
        yield "crop", crop is None or good and len(crop) == 2, f"{pixels}, or of shares up to 1.0"
        augment = self.augment is None or isinstance(self.augment, (FunctionType, ScriptFunction))
        yield "augment", augment, "a function, defined with def, that returns a transform"
        drop = (0, 0) if self.drop is None else self.drop
        edges = (0,) if self.edges is None else self.edges
        between = is_whole_tuple(drop) and len(drop) == 2 and drop[0] <= drop[1]
        yield "drop", between, "None or a pair (lowest, highest)"
        rising = is_whole_tuple(edges) and edges == tuple(sorted(set(edges)))
        yield "edges", rising, "None or rising whole numbers"
        yield from whole_numbers(self, WHOLE)
        decay = 0 if self.weight_decay is None else self.weight_decay
        good = type(decay) in (int, float) and 0 <= decay <= 1e6
        yield "weight_decay", good, "None (the optimizer's usual one) or a number from 0 to 1e+06"
        yield from numbers(self, MOST | {"warmup": self.epochs}, POSITIVE)
        loss, cited = LOSSES[self.loss], f"with loss={self.loss!r}"
        whole_batch = f"1 {cited}, which is of a whole batch: the sum over smaller ones is another "
        whole_batch += "loss; raise batch_size"
        yield "accumulate", self.accumulate == 1 or not loss.whole_batch, whole_batch
        of_classes = f"classes or tasks {cited}, whose margins are between the outputs of classes"
        yield "head", self.head != "ordinal" or not loss.cosine, of_classes
        yield "ema", self.ema != 1, "below 1: at 1 the average never moves"

    def geometry(self, competition: Competition) -> Geometry:
        """The crop and size in a competition's frame; `KitError` if the crop is larger."""
        frame, given = competition.frame, self.crop or competition.crop
        crop, size = given, self.size
        if isinstance(given[0], float):
            crop = max(1, round(given[0] * frame[0])), max(1, round(given[1] * frame[1]))
        if crop[0] > frame[0] or crop[1] > frame[1]:
            text = f"must be at most {frame} (height, width), the frame of the competition's photos"
            raise KitError(f"recipe {self.name}: crop={crop} {text}; take shares, or None")
        if isinstance(size, int):
            scale = size / max(crop)
            size = max(1, round(crop[0] * scale)), max(1, round(crop[1] * scale))
        return Geometry((int(crop[0]), int(crop[1])), size, frame, competition.channels)

    @property
    def decay(self) -> float:
        """The weight decay: the recipe's own, or the optimizer's usual one."""
        return WEIGHT_DECAY[self.optimizer] if self.weight_decay is None else self.weight_decay

    @property
    def chosen_on_fold(self) -> bool:
        """True if this recipe chooses its epoch on the fold, by `chosen_on_fold`."""
        return chosen_on_fold(self.select, self.patience)

    @property
    def idle(self) -> list[str]:
        """The settings that change nothing beside the others, or change the same thing twice.

        Each is a sentence for the user.
        """
        mix, loss, schedule = f"mix={self.mix!r}", f"loss={self.loss!r}", f"{self.schedule!r}"
        unwatched = self.select == "last" and not self.patience
        beside = (
            ("mix_alpha", self.mix in ("none", "half"), f"{mix}, which draws no share"),
            ("mix_prob", self.mix == "none", mix),
            ("focal_gamma", self.loss != "focal", loss),
            ("warmup", self.schedule == "onecycle", f"schedule={schedule}, which has its own"),
            ("lr_step", self.schedule != "step", f"schedule={schedule}"),
            ("lr_factor", self.schedule != "step", f"schedule={schedule}"),
            ("monitor", unwatched, "select='last' without patience"),
        )
        default = {f.name: f.default for f in dataclasses.fields(self)}
        sentences = [
            f"{field}={getattr(self, field)!r} changes nothing with {reason}"
            for field, is_idle, reason in beside
            if is_idle and getattr(self, field) != default[field]
        ]
        if self.sampler != "plain" and self.class_weights != "none":
            sentences.append(
                f"sampler={self.sampler!r} and class_weights={self.class_weights!r} both favour "
                "rare classes, whose weight is doubled"
            )
        return sentences

    def describe(self) -> dict[str, Any]:
        """The recipe as plain JSON values.

        `augment` is the code of its file, as it was when the recipe was loaded.
        """
        content = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)} | {
            "weight_decay": self.decay
        }
        if isinstance(self.augment, ScriptFunction):
            content["augment"] = self.augment.code
        elif self.augment is not None:
            content["augment"] = inspect.getsource(self.augment)
        return json.loads(json.dumps(content))  # type: ignore[no-any-return]


def chosen_on_fold(select: str, patience: int) -> bool:
    """True if a kept epoch was chosen on the photos that it is scored on, so that they flatter it.

    It was chosen by its score, or by when training ended.
    """
    return select == "best" or patience > 0


def load_recipe(path: str | Path) -> Recipe:
    """Load a recipe file: the value of its variable `recipe`.

    Raises `KitError`, with the line if it is known, for a file that does not exist, a syntax error,
    a misspelt field, a value out of range, or a name other than the file's.
    """
    path = Path(path)
    if not path.is_file() or path.suffix != ".py":
        files = [p for folder in (Path("recipes"), path.parent) for p in folder.glob("*.py")]
        hint = did_you_mean(str(path.with_suffix(".py")), [str(p) for p in files], 0.5)
        remedy = "a recipe is a .py file; the kit's own are in recipes/"
        raise problem(path, f"there is no such recipe{hint}", remedy=remedy)
    module, text = run_script(path, [f.name for f in dataclasses.fields(Recipe)])
    recipe = getattr(module, "recipe", None)
    if not isinstance(recipe, Recipe):
        remedy = "write: recipe = Recipe(name=..., model=...)"
        raise problem(path, "has no variable 'recipe' that is a Recipe", remedy=remedy)
    if recipe.name != path.stem:
        remedy = f'name both alike: name="{path.stem}"'
        raise problem(path, f"holds the recipe '{recipe.name}'", remedy=remedy)
    if not isinstance(recipe.augment, FunctionType):
        return recipe
    name = recipe.augment.__name__
    if recipe.augment.__module__ != module.__name__:
        # A recipe is what its file says: a change of another module would go unseen, and mix folds
        # of two recipes.
        remedy = "define it in this file, or take the recipe it is of with load_recipe and replace"
        raise problem(path, "takes augment from another module", remedy=remedy)
    if getattr(module, name, None) is not recipe.augment:
        remedy = "define it with def at the top level"
        raise problem(path, "augment is no named function of the file", remedy=remedy)
    augment = ScriptFunction(str(path.resolve()), text, name, "recipe")
    return dataclasses.replace(recipe, augment=augment)


def shipped_recipe(name: str) -> Path:
    """The path of one of the kit's own recipes.

    They lie beside the package in a checkout, inside it when installed.
    """
    package = Path(__file__).resolve().parent
    places = [package.parent / "recipes" / f"{name}.py", package / "recipes" / f"{name}.py"]
    return next((place for place in places if place.is_file()), places[0])
