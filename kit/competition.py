"""What is to be predicted: a frozen `Competition`, its tasks, and where its files lie.

A competition's classes are the product of its tasks' classes: with tasks of 3, 2 and 3 classes,
class c stands for the three answers `numpy.unravel_index(c, (3, 2, 3))`. Most competitions have
one task. Only `kit.folds` needs the definition: the fold plan and every checkpoint record it, and
all later commands take it from there.
"""

import dataclasses
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from kit.system.errors import KitError
from kit.system.fields import Rule, check_rules, is_whole_tuple

# What files call the scores of all classes together: a task's own score stands beside them.
SCORE_NAMES: Final = frozenset(("accuracy", "f1", "macro"))


@dataclass(frozen=True)
class Task:
    """One question about a photo: its `name`, and its `classes` in order.

    `column` names a column of numbers in the fold plan that the class is a range of, such as years;
    `edges` are then the first numbers of the second class, the third, and so on. `of_group` is True
    if all photos of a group have the same class.
    """

    name: str
    classes: tuple[str, ...]
    column: str = ""
    edges: tuple[int, ...] = ()
    of_group: bool = True

    def __post_init__(self) -> None:
        check_rules(f"task {self.name}", self, self._rules())

    def _rules(self) -> Iterator[Rule]:
        yield "name", _is_text(self.name), "a printable text"
        several = _are_texts(self.classes) and len(self.classes) > 1
        yield "classes", several, "a tuple of two or more different printable texts"
        free = isinstance(self.column, str) and self.column not in _PLAN_COLUMNS
        yield "column", free, f"a text other than {', '.join(_PLAN_COLUMNS)}"
        edges = self.edges
        rising = is_whole_tuple(edges) and edges == tuple(sorted(set(edges)))
        of_classes = rising and len(edges) in (0, len(self.classes) - 1)
        yield "edges", of_classes, "() or rising whole numbers, one fewer than the classes"
        yield "column", not edges or self.column != "", "a column's name where there are edges"
        yield "of_group", isinstance(self.of_group, bool), "True or False"

    @property
    def ordered(self) -> bool:
        """True if the classes are ranges of a number."""
        return bool(self.edges)

    def class_of(self, numbers: np.ndarray, edges: Sequence[int] = ()) -> np.ndarray:
        """The classes of numbers (N,) by `edges`, by default the task's own: int64 (N,)."""
        return np.searchsorted(edges or self.edges, numbers, side="right").astype(np.int64)


@dataclass(frozen=True)
class TrainingPhotos:
    """A competition's training photos as a definition reads them.

    `table` has a row a photo: `image` (a path below the folder of training photos), `group`, a
    column of numbers for each task that has one, and `label` (0..C-1). `remarks` are lines for the
    user. `corrections` are the label fixes that were applied, `path, field, old, new` each.
    """

    table: pd.DataFrame
    remarks: list[str] = field(default_factory=list)
    corrections: list[dict[str, str]] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Competition:
    """One competition. Sizes are (height, width) in pixels; places are below the data folder.

    `tasks` make the classes. `frame` is the size of the competition's photos, in which a recipe's
    crop is given. Photos of one `group` must share a fold; `group` and `groups` are the words for
    one and several of them, and `group` is their column in a file of answers. `train` is the table
    of training photos and `train_images` their folder; `test` is the table of photos to predict,
    `test_images` their folder, `id` and `answer` its columns, which are those of a submission, too.
    `inputs` are the places that no command writes to.

    `read(data, corrections)` reads the training photos of a data folder, with the label fixes of a
    file. `draw(out, groups, test_groups, seed, force)` draws a sample in the competition's layout.
    Neither is recorded.
    """

    name: str
    tasks: tuple[Task, ...]
    frame: tuple[int, int]
    group: str = "photo"
    groups: str = "photos"
    train: str = "train.csv"
    train_images: str = "train"
    test: str = "test.csv"
    test_images: str = "test"
    id: str = "id"
    answer: str = "label"
    inputs: tuple[str, ...] = ("train", "test", "train.csv", "test.csv")
    read: Callable[[Path, Path | None], TrainingPhotos] | None = field(default=None, compare=False)
    draw: Callable[[Path, int, int, int, bool], Path] | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        check_rules(f"competition {self.name}", self, self._rules())

    def _rules(self) -> Iterator[Rule]:
        for name in _TEXTS:
            yield name, _is_text(getattr(self, name)), "a printable text"
        tasks = isinstance(self.tasks, tuple) and all(isinstance(t, Task) for t in self.tasks)
        yield "tasks", tasks and len(self.tasks) > 0, "a tuple of tasks, such as (task,)"
        names = [task.name for task in self.tasks]
        yield "tasks", len(set(names)) == len(names), "of different names"
        free = SCORE_NAMES.isdisjoint(names)
        yield "tasks", free, f"of other names than {', '.join(sorted(SCORE_NAMES))}"
        yield "tasks", len(set(self.columns)) == len(self.columns), "of different columns"
        pair = is_whole_tuple(self.frame, 1) and len(self.frame) == 2
        yield "frame", pair, "a pair (height, width) of pixels"
        yield "answer", self.answer != self.id, "another column than id"
        yield "inputs", self.inputs == () or _are_texts(self.inputs), "a tuple of different places"

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """The number of classes of each task."""
        return tuple(len(task.classes) for task in self.tasks)

    @property
    def classes(self) -> int:
        """C, the number of classes."""
        return math.prod(self.shape)

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        """The name of each class: its answers to the tasks, in their order."""
        return tuple(" ".join(names) for names in product(*(task.classes for task in self.tasks)))

    @property
    def parts(self) -> tuple[Task, ...]:
        """The tasks that are scored beside the classes: all tasks, or none if there is one task."""
        return self.tasks if len(self.tasks) > 1 else ()

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of numbers that the fold plan has for the tasks."""
        return tuple(task.column for task in self.tasks if task.column)

    def encode(self, answers: Sequence[np.ndarray]) -> np.ndarray:
        """The classes (N,) of the answers to each task, (N,) each; the inverse of `decode`."""
        return np.ravel_multi_index(tuple(answers), self.shape).astype(np.int64)

    def decode(self, labels: np.ndarray) -> tuple[np.ndarray, ...]:
        """The answers to each task, (N,) each, of classes (N,)."""
        return tuple(answer.astype(np.int64) for answer in np.unravel_index(labels, self.shape))

    def task_probs(self, probs: np.ndarray, task: Task) -> np.ndarray:
        """The probabilities of a task's classes (N, c) from those of all classes (N, C)."""
        others = tuple(i + 1 for i, other in enumerate(self.tasks) if other != task)
        return probs.reshape(-1, *self.shape).sum(axis=others, dtype=np.float64)

    def describe(self) -> dict[str, Any]:
        """The definition as plain JSON values, without its functions."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.compare}
        values |= {"tasks": [dataclasses.asdict(task) for task in self.tasks]}
        return json.loads(json.dumps(values))  # type: ignore[no-any-return]


def recorded_competition(record: Any) -> Competition:
    """The competition that `describe` has recorded; raises `ValueError` for anything else."""
    if record is None:
        raise ValueError("its competition is missing, as in files of an older version of the kit")
    try:
        tasks = tuple(Task(**_tuples(task)) for task in record["tasks"])
        return Competition(**_tuples(record | {"tasks": tasks}))
    except (TypeError, KeyError, AttributeError, ValueError, KitError) as error:
        raise ValueError(f"its competition is damaged ({error})") from error


_TEXTS = ("name", "group", "groups", "train", "train_images", "test", "test_images", "id", "answer")
_PLAN_COLUMNS = ("image", "group", "label", "fold")


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != "" and value.isprintable()


def _are_texts(values: object) -> bool:
    """True for a tuple of different texts."""
    return (
        isinstance(values, tuple)
        and all(map(_is_text, values))
        and 0 < len(set(values)) == len(values)
    )


def _tuples(values: dict[str, Any]) -> dict[str, Any]:
    """The values with tuples for JSON's lists."""
    return {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
