"""What is to be predicted: a frozen `Competition`, its tasks, and where its files lie.

Most competitions ask one question about a photo: a definition names the columns of two tables and
where the photos lie, and `kit.folds` finds the rest in the data (`data/definition.py`). Where there
are several tasks, the classes are the product of theirs: with tasks of 3, 2 and 3 classes, class c
stands for the three answers `numpy.unravel_index(c, (3, 2, 3))`. Only `kit.folds` needs the
definition: the fold plan and every checkpoint record it, complete, and all later commands take it
from there.
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
        yield "name", _is_text(self.name), "a text"
        several = _are_texts(self.classes) and len(self.classes) > 1
        yield "classes", several, "a tuple of two or more different texts"
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

    `train` is the table of training photos: `target` is its column of classes, `group` that of what
    must share a fold (`photo`: nothing does). `test` is the table of photos to predict, most often
    the sample submission, and `id` its first column. `image` and `test_image` say where a row's
    photo lies, as templates over its columns, such as `imgs/{classname}/{img}`, below the folders
    `train_images` and `test_images`. `frame` is the size of the photos, in which a recipe's crop is
    given. `groups` is the word for several groups.

    `classes` are the classes in order; or `tasks` make them. `answer` is what a submission has for
    a photo: the number of its `class`, its `name`, the `probability` of the second of two classes,
    or the `probabilities` of all. `answer_column` is its column, where it is one.

    What is left empty is found in the data by `kit.folds`. `inputs` are the places that no command
    writes to, by default the data folder. `read(data, corrections)` reads the training photos where
    tables and templates do not say it, with the label fixes of a file; `draw(out, groups,
    test_groups, seed, force)` draws a sample in the competition's layout. Neither is recorded.
    """

    name: str
    tasks: tuple[Task, ...] = ()
    classes: tuple[str, ...] = field(default=(), compare=False)
    frame: tuple[int, int] = (0, 0)
    group: str = "photo"
    groups: str = ""
    train: str = "train.csv"
    train_images: str = "."
    image: str = ""
    target: str = ""
    test: str = "sample_submission.csv"
    test_images: str = "."
    test_image: str = ""
    id: str = ""
    answer: str = ""
    answer_column: str = ""
    inputs: tuple[str, ...] = (".",)
    read: Callable[[Path, Path | None], TrainingPhotos] | None = field(default=None, compare=False)
    draw: Callable[[Path, int, int, int, bool], Path] | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        check_rules(f"competition {self.name}", self, self._rules())
        if self.classes and not self.tasks:
            object.__setattr__(self, "tasks", (Task(ONE_TASK, self.classes),))
        if not self.groups:
            object.__setattr__(self, "groups", f"{self.group}s")

    def _rules(self) -> Iterator[Rule]:
        for name in _TEXTS:
            yield name, _is_text(getattr(self, name)), "a text"
        for name in _FOUND:
            yield name, isinstance(getattr(self, name), str), "a text"
        tasks = isinstance(self.tasks, tuple) and all(isinstance(t, Task) for t in self.tasks)
        yield "tasks", tasks, "a tuple of tasks, such as (task,)"
        several = self.classes == () or _are_texts(self.classes) and len(self.classes) > 1
        yield "classes", several, "a tuple of two or more different texts"
        yield "classes", not (self.classes and self.tasks), "() where there are tasks"
        yield "answer", self.answer in ("", *ANSWERS), f"one of {', '.join(ANSWERS)}"
        names = [task.name for task in self.tasks]
        yield "tasks", len(set(names)) == len(names), "of different names"
        yield "tasks", len(set(self.columns)) == len(self.columns), "of different columns"
        pair = is_whole_tuple(self.frame) and len(self.frame) == 2
        pair = pair and (min(self.frame) > 0 or self.frame == (0, 0))
        yield "frame", pair, "a pair (height, width) of pixels"
        other = self.answer_column == "" or self.answer_column != self.id
        yield "answer_column", other, "another column than id"
        yield "inputs", self.inputs == () or _are_texts(self.inputs), "a tuple of different places"

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """The number of classes of each task."""
        return tuple(len(task.classes) for task in self.tasks)

    @property
    def answers_classes(self) -> bool:
        """True if a submission has a class for each photo, and no probabilities."""
        return self.answer in ("class", "name")

    @property
    def num_classes(self) -> int:
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


ONE_TASK: Final = "class"  # the name of the task where there is one
ANSWERS: Final = ("class", "name", "probability", "probabilities")
_TEXTS = ("name", "group", "train", "train_images", "test", "test_images")
_FOUND = ("groups", "image", "target", "test_image", "id", "answer_column")
_PLAN_COLUMNS = ("image", "group", "label", "fold")


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != ""


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
