"""What a network is made of: everything that decides on its speed and on its weights' shapes."""

import math
from dataclasses import dataclass

from kit.competition import Competition
from kit.data.geometry import Geometry
from kit.recipe import Recipe
from kit.scoring.losses import LOSSES


@dataclass(frozen=True)
class Architecture:
    """A timm `model` at a geometry, with a `head` for the classes of a competition.

    `shape` is the number of classes of each task, and `ordered` tells which tasks are ordered.
    `head` is `classes`, `tasks` or `ordinal`, as `Recipe` describes them; with `cosine` the last
    layer is a `Cosine`. With `several_labels` each output is a question of its own, answered by a
    sigmoid.
    """

    model: str
    geometry: Geometry
    head: str
    cosine: bool
    shape: tuple[int, ...]
    ordered: tuple[bool, ...]
    several_labels: bool = False

    @property
    def name(self) -> str:
        """The model at its size, as people read it: `tf_efficientnet_b4 300 x 225`."""
        return f"{self.model} {self.geometry.size[0]} x {self.geometry.size[1]}"

    @property
    def classes(self) -> int:
        """C, the number of classes."""
        return math.prod(self.shape)

    @property
    def task_outputs(self) -> list[int]:
        """The number of outputs for each task: one a class; an ordinal task has one less."""
        return [n - (self.head == "ordinal" and o) for n, o in zip(self.shape, self.ordered)]

    @property
    def outputs(self) -> int:
        """The number of outputs of the last layer."""
        return self.classes if self.head == "classes" else sum(self.task_outputs)


def architecture_of(recipe: Recipe, competition: Competition) -> Architecture:
    """The architecture that a recipe trains for a competition."""
    return make_architecture(
        recipe.model,
        recipe.geometry(competition),
        recipe.head,
        LOSSES[recipe.loss].cosine,
        competition,
    )


def make_architecture(
    model: str, geometry: Geometry, head: str, cosine: bool, competition: Competition
) -> Architecture:
    """An architecture for a competition."""
    ordered = tuple(task.ordered for task in competition.tasks)
    several = competition.several_labels
    return Architecture(model, geometry, head, cosine, competition.shape, ordered, several)
