"""A recipe: one frozen dataclass in a Python file, with everything that changes a result.

A variant is `dataclasses.replace(load_recipe("recipes/base.py"), name="variant", lr=...)`.
"""

import ast
import dataclasses
import functools
import inspect
import json
import os
import re
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import numpy as np

from kit.data.photos import FRAME, Geometry, augmented
from kit.system.disk import text_hash
from kit.system.errors import KitError, did_you_mean, problem

# albumentations asks the network for a newer release whenever it is imported; a run should not.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")


# The fields that are a choice among names.
CHOICES = {
    "head": ("classes", "tasks", "ordinal"),
    "mix": ("none", "mixup", "cutmix", "half"),
    "sampler": ("plain", "balanced", "sqrt"),
    "loss": ("ce", "focal", "f1", "ldam"),
    "class_weights": ("none", "inverse", "effective"),
    "optimizer": ("adamw", "adam", "sgd"),
    "schedule": ("cosine", "onecycle", "step", "constant"),
    "select": ("last", "best"),
    "monitor": ("f1", "loss"),
}


# AdamW's decay shrinks the weights by themselves; Adam's and SGD's is added to the gradient, where
# .05 would drown it. Those of timm's and torchvision's own recipes.
WEIGHT_DECAY = {"adamw": 0.05, "adam": 0.0, "sgd": 1e-4}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What to train and how. Sizes are (height, width) in pixels.

    Network: `name` equals the file's name. `model` is a timm architecture; `pretrained` is True
    (ImageNet weights, fetched by timm), False, or a local weights file, environment variables
    expanded. `head` is `classes` (18 outputs), `tasks` (mask, gender and age apart, whose
    probabilities are multiplied to the 18), or `ordinal` (the same, with the age as two questions:
    30 or older, and if so, 60 or older).

    Photos: `crop` is the centre crop in the frame of the competition's photos (512, 384), `size`
    what it is resized to; training and inference share both. `augment()` returns an albumentations
    transform of the uint8 RGB photo after them. `mix` is `none`, `mixup`, `cutmix`, or `half` (the
    left half of one photo and the right half of another), applied to a batch with probability
    `mix_prob`; `mix_alpha` is the parameter of the Beta distribution that mixup and cutmix draw
    from.

    Labels, of training photos only: `age_boundary` is the age from which a person counts as 60 or
    older; people of the ages `drop_ages` (lowest, highest) are left out. `sampler` is `plain`,
    `balanced` (every class as often) or `sqrt` (by the square root of its size).

    Loss: `loss` is `ce`, `focal` (with `focal_gamma`), `f1` (1 - soft macro-F1 of the batch) or
    `ldam`; `class_weights` is `none`, `inverse` (of the class's size) or `effective` (of its
    effective number).

    Steps: `optimizer` is `adamw`, `adam` or `sgd`, and `weight_decay` None its own usual one
    (`WEIGHT_DECAY`); `layer_decay` below 1 lowers the learning rate from layer to layer towards the
    input. `lr` is the peak, reached after `warmup` epochs; `schedule` is `cosine` (to zero over
    `epochs`), `onecycle` (torch's, its own warm-up), `step` (times `lr_factor` every `lr_step`
    epochs) or `constant`. Gradients of `accumulate` batches of `batch_size` make a step, clipped to
    the norm `clip` (0: not). `ema` is the decay of an exponential moving average of the weights (0:
    none).

    Which weights are kept, the EMA's where there is one: `select` is `last` (of the last epoch) or
    `best` (of the epoch with the best `monitor`, `f1` or `loss`, on the fold, which flatters the
    fold's score). Training ends early after `patience` epochs without a better `monitor` (0:
    never), which flatters it as well.
    """

    name: str
    model: str
    pretrained: bool | str = True
    head: str = "classes"
    drop_rate: float = 0.0
    drop_path_rate: float = 0.0
    crop: tuple[int, int] = FRAME
    size: tuple[int, int] = (256, 192)
    augment: Callable[[], Any] | None = None
    mix: str = "none"
    mix_prob: float = 0.5
    mix_alpha: float = 1.0
    age_boundary: int = 60
    drop_ages: tuple[int, int] | None = None
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
    monitor: str = "f1"
    patience: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        def rule(field: str, good: bool, text: str) -> None:
            if not good:
                raise KitError(
                    f"recipe {self.name}: {field}={getattr(self, field)!r} must be {text}"
                )

        rule(
            "name",
            isinstance(self.name, str) and bool(re.fullmatch(r"\w[\w.-]*", self.name)),
            "a plain file name",
        )
        rule("model", isinstance(self.model, str), "the name of a timm architecture")
        rule(
            "pretrained", isinstance(self.pretrained, (bool, str)), "True, False or a weights file"
        )
        for field, choices in CHOICES.items():
            value = getattr(self, field)
            hint = did_you_mean(str(value), choices)
            rule(field, value in choices, f"one of {', '.join(choices)}{hint}")
        for field in ("crop", "size"):
            pair = getattr(self, field)
            rule(
                field,
                isinstance(pair, tuple)
                and len(pair) == 2
                and all(type(n) is int and 0 < n <= 4096 for n in pair),
                "a pair (height, width) of pixels",
            )
        rule(
            "crop",
            self.crop[0] <= FRAME[0] and self.crop[1] <= FRAME[1],
            f"at most {FRAME} (height, width)",
        )
        rule(
            "augment",
            self.augment is None or isinstance(self.augment, (FunctionType, RecipeFunction)),
            "a function, defined with def, that returns a transform",
        )
        rule(
            "drop_ages",
            self.drop_ages is None
            or (
                isinstance(self.drop_ages, tuple)
                and len(self.drop_ages) == 2
                and all(type(n) is int for n in self.drop_ages)
                and 0 <= self.drop_ages[0] <= self.drop_ages[1] <= 120
            ),
            "None or a pair (lowest, highest) of years",
        )
        for field, least, most in (
            ("epochs", 1, 10**6),
            ("batch_size", 3, 10**6),  # of 2, one photo may be left over
            ("accumulate", 1, 10**4),
            ("lr_step", 1, 10**6),
            ("patience", 0, 10**6),
            ("age_boundary", 31, 120),
            ("seed", 0, 2**32 - 1),
        ):
            value = getattr(self, field)
            rule(
                field,
                type(value) is int and least <= value <= most,
                f"a whole number from {least} to {most}",
            )
        decay = self.weight_decay
        rule(
            "weight_decay",
            decay is None or (type(decay) in (int, float) and 0 <= decay <= 1e6),
            "None (the optimizer's usual one) or a number from 0 to 1e+06",
        )
        for field, top in (
            ("lr", 1e6),
            ("warmup", self.epochs),
            ("label_smoothing", 1),
            ("mix_prob", 1),
            ("mix_alpha", 1e6),
            ("focal_gamma", 100),
            ("layer_decay", 1),
            ("lr_factor", 1),
            ("clip", 1e6),
            ("ema", 1),
            ("drop_rate", 1),
            ("drop_path_rate", 1),
        ):
            value = getattr(self, field)
            good = type(value) in (int, float) and 0 <= value <= top
            positive = field in ("lr", "mix_alpha", "layer_decay", "lr_factor")
            rule(
                field,
                good and (not positive or value > 0),
                f"a number {'above' if positive else 'from'} 0 to {top:g}",
            )
        for field, wrong, text in (
            (
                "accumulate",
                self.accumulate > 1 and self.loss == "f1",
                "1 with loss='f1', which is of a whole batch: the sum over smaller ones is "
                "another loss; raise batch_size",
            ),
            (
                "head",
                self.head == "ordinal" and self.loss == "ldam",
                "classes or tasks with loss='ldam', whose margins are between the outputs of "
                "classes",
            ),
            ("ema", self.ema == 1, "below 1: at 1 the average never moves"),
        ):
            rule(field, not wrong, text)

    @property
    def geometry(self) -> Geometry:
        """The recipe's crop and size."""
        return Geometry(self.crop, self.size)

    @property
    def decay(self) -> float:
        """The weight decay: the recipe's own, or the optimizer's usual one."""
        return WEIGHT_DECAY[self.optimizer] if self.weight_decay is None else self.weight_decay

    @property
    def chosen_on_fold(self) -> bool:
        """As `chosen_on_fold` says, for the epoch that this recipe keeps."""
        return chosen_on_fold(self.select, self.patience)

    @property
    def idle(self) -> list[str]:
        """The settings that change nothing beside the others, or change the same thing twice, a
        sentence each.
        """
        default = {f.name: f.default for f in dataclasses.fields(self)}
        beside = [
            (field, is_idle, reason)
            for fields, is_idle, reason in (
                (
                    ("mix_alpha",),
                    self.mix not in ("mixup", "cutmix"),
                    f"mix={self.mix!r}, which draws no share",
                ),
                (("mix_prob",), self.mix == "none", "mix='none'"),
                (("focal_gamma",), self.loss != "focal", f"loss={self.loss!r}"),
                (
                    ("warmup",),
                    self.schedule == "onecycle",
                    "schedule='onecycle', which has its own",
                ),
                (("lr_step", "lr_factor"), self.schedule != "step", f"schedule={self.schedule!r}"),
                (
                    ("monitor",),
                    self.select == "last" and not self.patience,
                    "select='last' without patience",
                ),
            )
            for field in fields
        ]
        found = [
            f"{field}={getattr(self, field)!r} changes nothing with {reason}"
            for field, is_idle, reason in beside
            if is_idle and getattr(self, field) != default[field]
        ]
        if self.sampler != "plain" and self.class_weights != "none":
            found.append(
                f"sampler={self.sampler!r} and class_weights={self.class_weights!r} both favour "
                "rare classes, whose "
                "weight is doubled"
            )
        return found

    def describe(self) -> dict[str, Any]:
        """The recipe as plain JSON values; `augment` is the code of its file, as it was when the
        recipe was loaded.
        """
        content = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)} | {
            "weight_decay": self.decay
        }
        if isinstance(self.augment, RecipeFunction):
            content["augment"] = self.augment.code
        elif self.augment is not None:
            content["augment"] = inspect.getsource(self.augment)
        return json.loads(json.dumps(content))  # type: ignore[no-any-return]


def chosen_on_fold(select: str, patience: int) -> bool:
    """True if a kept epoch was chosen on the photos it is scored on, by its score or by when
    training ended: they flatter it.
    """
    return select == "best" or patience > 0


@dataclass(frozen=True)
class RecipeFunction:
    """A function of a recipe file: its path, the file's text when it was loaded, and the function's
    name.

    It travels to spawned workers as that text, so that editing the file changes nothing in a run
    under way.
    """

    path: str
    text: str
    name: str

    @property
    def code(self) -> str:
        """The file's code without comments, its docstring and the assignment of `recipe`: what the
        function may depend on.
        """
        body = ast.parse(self.text).body
        kept = [
            node
            for i, node in enumerate(body)
            if not (i == 0 and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
            and not (
                isinstance(node, ast.Assign)
                and [ast.unparse(t) for t in node.targets] == ["recipe"]
            )
        ]
        return ast.unparse(ast.Module(kept, []))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return getattr(_module(self.path, self.text), self.name)(*args, **kwargs)


@functools.cache
def _module(path: str, text: str) -> ModuleType:
    module = ModuleType(f"kit_recipe_{text_hash(path + text)[:8]}")
    module.__file__ = path
    sys.modules[module.__name__] = module
    try:
        exec(compile(text, path, "exec"), module.__dict__)
    except BaseException:
        del sys.modules[module.__name__]
        raise
    return module


def load_recipe(path: str | Path) -> Recipe:
    """Load a recipe file: the value of its variable `recipe`.

    Raises `KitError`, with the line where there is one, for a file that is not there, a syntax
    error, a misspelt field, a value out of range, or a name other than the file's.
    """
    path = Path(path)
    if not path.is_file() or path.suffix != ".py":
        recipes = {
            p.stem: p
            for folder in (Path("recipes"), path.parent)
            for p in folder.glob("*.py")
            if p.is_file()
        }
        raise problem(
            path,
            f"there is no such recipe{did_you_mean(path.stem, recipes, cutoff=0.5)}",
            remedy="a recipe is a .py file; the kit's own are in recipes/",
        )
    absolute = str(path.resolve())
    try:
        text = path.read_text(encoding="utf-8-sig")
        module = _module(absolute, text)
    except (OSError, UnicodeDecodeError) as error:
        raise problem(path, f"cannot be read ({error})", remedy="save it as UTF-8 text") from error
    except SyntaxError as error:
        raise KitError(f"{path} line {error.lineno}: syntax error: {error.msg}") from error
    except KitError as error:
        raise KitError(f"{path}: {error}") from error
    except (
        Exception,
        SystemExit,
    ) as error:  # whatever a person's file raises is theirs to mend, at this line
        lines = [
            f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == absolute
        ]
        raise KitError(
            f"{path} line {lines[-1] if lines else '?'}: {type(error).__name__}: "
            f"{error}{_hint(error)}"
        ) from error
    recipe = getattr(module, "recipe", None)
    if not isinstance(recipe, Recipe):
        raise problem(
            path,
            "has no variable 'recipe' that is a Recipe",
            remedy="write: recipe = Recipe(name=..., model=...)",
        )
    if recipe.name != path.stem:
        raise problem(
            path, f"holds the recipe '{recipe.name}'", remedy=f'name both alike: name="{path.stem}"'
        )
    name = getattr(recipe.augment, "__name__", "")
    if isinstance(recipe.augment, FunctionType):
        if recipe.augment.__module__ != module.__name__:
            # A recipe is what its file says: a change of another module would go unseen, and mix
            # folds of two recipes.
            raise problem(
                path,
                "takes augment from another module",
                remedy="define it in this file, or take the recipe it is "
                "of with load_recipe and replace",
            )
        if getattr(module, name, None) is not recipe.augment:
            raise problem(
                path,
                "augment is no named function of the file",
                remedy="define it with def at the top level",
            )
        recipe = dataclasses.replace(recipe, augment=RecipeFunction(absolute, text, name))
    return recipe


def check_augment(recipe: Recipe) -> None:
    """Try a recipe's augmentation on a black photo; raises `KitError` where it fails or gives what
    a network cannot take.
    """
    if recipe.augment is None:
        return
    try:
        transform = recipe.augment()
        transform.set_random_seed(0)
        augmented(transform, np.zeros((*recipe.size, 3), np.uint8))
    except KitError as error:
        raise KitError(f"recipe {recipe.name}: {error}") from error
    except Exception as error:  # whatever a person's function raises is theirs to mend
        raise KitError(
            f"recipe {recipe.name}: augment fails ({type(error).__name__}: {str(error)[:160]}); "
            "it must return an "
            "albumentations Compose"
        ) from error


def _hint(error: BaseException) -> str:
    misspelt = re.search(r"unexpected keyword argument '(\w+)'", str(error))
    fields = [field.name for field in dataclasses.fields(Recipe)]
    return did_you_mean(misspelt[1], fields) if misspelt else ""


def shipped_recipe(name: str) -> Path:
    """Where a recipe of the kit's own lies: beside the package in a checkout, inside it when
    installed.
    """
    package = Path(__file__).resolve().parent
    places = [package.parent / "recipes" / f"{name}.py", package / "recipes" / f"{name}.py"]
    return next((place for place in places if place.is_file()), places[0])
