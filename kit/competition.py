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
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any, Final

import numpy as np

from kit.metrics.metric import find_metric
from kit.system.fields import (
    LONGEST,
    Rule,
    are_shares,
    are_texts,
    check_rules,
    choices,
    is_pattern,
    is_place,
    is_text,
    is_whole_tuple,
    whole_numbers,
)
from kit.system.script import ScriptFunction
from kit.task import Task, TrainingPhotos


@dataclass(frozen=True, kw_only=True)
class Competition:
    """One competition. Sizes are (height, width) in pixels; places are below the data folder.

    Training photos: `train` is their table, or a pattern of their paths where there is no table,
    such as `train/*/*.png`. `image` says where a row's photo lies, as a template over the columns,
    such as `imgs/{classname}/{img}`, below the folder `train_images`; several templates are the
    channels of one photo, each read as grey. `target` is the column of classes, or the columns of 0
    and 1, one a class; or `target_pattern` is a regular expression with one group, which finds the
    class in the path. `group` is the column of what must share a fold (`photo`: nothing does), or
    the word for what `group_pattern` finds in the path; `groups` is the word for several. `fold` is
    a column of folds of one's own, which are checked and taken. `strata` are columns to balance
    besides.

    What is asked: `kind` is `classes`, `order` (the classes rise), `labels` (any number of them a
    photo, joined by `separator`) or `tasks` (the classes are the product of those of several
    columns). `classes` are the classes in order; or `tasks` make them. `frame` is the size of the
    photos, and `crop` the shares of its height and width, in the middle, that matter. `mirror` has
    the classes that a mirror swaps, such as `{"left": "right"}`; None means that no view and no
    augmentation may mirror. `metric` is a name of `kit.metrics`, or a function of the truth and the
    probabilities, of which more is better where `greater` is True.

    Answers: `test` is the table of photos to predict, most often the sample submission, `id` its
    column of ids and `test_image` its template, below `test_images`. `answer` is what a submission
    has for a photo: the number of its `class`, its `name`, the `probability` of the second of two
    classes, the `probabilities` of all, or a `list` of labels. `answer_column` is its column, where
    it is one. `answer_rows` is a template over the test table, the id of the row that a photo
    belongs to, where that is not the photo's own; photos of one row are joined by `pool`, `mean` or
    `max`. With `{task}` in it, each task has a row.

    What is left empty is found in the data by `kit.folds`. `inputs` are the places that no command
    writes to, by default the data folder. `rows(data, corrections)` reads the training photos where
    tables and templates do not say it, with the label fixes of a file; `read(path)` reads a photo,
    as uint8 (height, width, `channels`), 3 where none are named; `draw(out, groups, test_groups,
    seed, force)` draws a sample in the competition's layout. `rows` and `draw` are not recorded.
    """

    name: str
    kind: str = ""
    tasks: tuple[Task, ...] = ()
    classes: tuple[str, ...] = field(default=(), compare=False)
    frame: tuple[int, int] = (0, 0)
    crop: tuple[float, float] = (1.0, 1.0)
    channels: int = 0
    group: str = "photo"
    groups: str = ""
    group_pattern: str = ""
    fold: str = ""
    strata: tuple[str, ...] = ()
    train: str = "train.csv"
    train_images: str = "."
    image: str | tuple[str, ...] = ""
    target: str | tuple[str, ...] = ""
    target_pattern: str = ""
    separator: str = " "
    metric: str | Callable[[np.ndarray, np.ndarray], float] = ""
    greater: bool = True
    mirror: dict[str, str] | None = field(default_factory=dict, hash=False)
    test: str = "sample_submission.csv"
    test_images: str = "."
    test_image: str | tuple[str, ...] = ""
    id: str = ""
    answer: str = ""
    answer_column: str = ""
    answer_rows: str = ""
    pool: str = "mean"
    inputs: tuple[str, ...] = (".",)
    rows: Callable[[Path, Path | None], TrainingPhotos] | None = field(default=None, compare=False)
    read: Callable[[Path], np.ndarray] | None = None
    draw: Callable[[Path, int, int, int, bool], Path] | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        check_rules(f"competition {self.name}", self, self._rules())
        if self.classes and not self.tasks:
            ordered = self.kind == "order"
            object.__setattr__(self, "tasks", (Task(ONE_TASK, self.classes, ordered=ordered),))
        if not self.channels:
            channels = len(self.image) if isinstance(self.image, tuple) else 3
            object.__setattr__(self, "channels", channels)
        if self.group_pattern and not self.is_grouped:
            object.__setattr__(self, "group", "group")
        if not self.groups:
            object.__setattr__(self, "groups", f"{self.group.removesuffix('s')}s")
        if re.fullmatch("{[^{}]*}", self.id):
            object.__setattr__(self, "id", self.id[1:-1])

    def _rules(self) -> Iterator[Rule]:
        for name in _TEXTS:
            yield name, is_text(getattr(self, name)), "a printable text"
        for name in _PLACES:
            yield name, is_place(getattr(self, name)), "a place below the data folder"
        for name in _FOUND:
            value = getattr(self, name)
            yield name, value == "" or is_text(value), "a printable text"
        for name in _ONE_OR_MORE:
            value = getattr(self, name)
            texts = value == "" or is_text(value) or are_texts(value)
            yield name, texts, "a text, or a tuple of texts"
        for name in ("strata", "inputs"):
            value = getattr(self, name)
            yield name, value == () or are_texts(value), "a tuple of different texts"
        yield "inputs", all(map(is_place, self.inputs)), "places below the data folder"
        yield from choices(self, {"kind": ("", *KINDS), "answer": ("", *ANSWERS), "pool": POOLS})
        tasks = isinstance(self.tasks, tuple) and all(isinstance(t, Task) for t in self.tasks)
        yield "tasks", tasks, "a tuple of tasks, such as (task,)"
        several = self.classes == () or are_texts(self.classes) and len(self.classes) > 1
        yield "classes", several, "a tuple of two or more different texts"
        few = max(len(self.classes), math.prod(len(task.classes) for task in self.tasks))
        yield "tasks", few <= MOST_CLASSES, f"of at most {MOST_CLASSES:,} classes together"
        free = not (self.classes and tasks and self.tasks) or self.class_names == self.classes
        yield "classes", free, "() where there are tasks"
        names = [task.name for task in self.tasks]
        yield "tasks", len(set(names)) == len(names), "of different names"
        free = SCORE_NAMES.isdisjoint(names)
        yield "tasks", free, f"of other names than {', '.join(sorted(SCORE_NAMES))}"
        yield "tasks", len(set(self.columns)) == len(self.columns), "of different columns"
        pair = is_whole_tuple(self.frame, 0, 10**5) and len(self.frame) == 2
        pair = pair and (min(self.frame) > 0 or self.frame == (0, 0))
        yield "frame", pair, "a pair (height, width) of pixels"
        shares = are_shares(self.crop) and len(self.crop) == 2
        yield "crop", shares, "a pair (height, width) of shares up to 1.0, such as (0.9, 0.9)"
        other = self.answer_column == "" or self.answer_column != self.id
        yield "answer_column", other, "another column than id"
        yield from self._more_rules()

    def _more_rules(self) -> Iterator[Rule]:
        yield from whole_numbers(self, {"channels": (0, 64)})
        fitting = not isinstance(self.image, tuple) or self.channels in (0, len(self.image))
        yield "channels", fitting, "the number of templates of image"
        alone = self.read is None or not isinstance(self.image, tuple)
        yield "read", alone, "None where image has a template a channel"
        for name in ("target_pattern", "group_pattern"):
            text = "a regular expression with one group, such as '([a-z]+)[0-9]*$'"
            yield name, is_pattern(getattr(self, name)), text
        parted = isinstance(self.separator, str) and 0 < len(self.separator) <= LONGEST
        yield "separator", parted, "a text"
        yield "greater", isinstance(self.greater, bool), "True or False"
        named = isinstance(self.metric, str) or callable(self.metric)
        yield "metric", named, "the name of a metric, or a function"
        if isinstance(self.metric, str) and self.metric:
            find_metric(self.metric)
        mirror = self.mirror is None or isinstance(self.mirror, dict)
        yield "mirror", mirror, "a dict of classes, or None"
        swaps = self.mirror if mirror and self.mirror else {}
        named = all(is_text(name) for pair in swaps.items() for name in pair)
        other = named and all(swaps.get(b, a) == a for a, b in swaps.items())
        other = other and len(set(swaps.values())) == len(swaps)
        yield "mirror", other, "of pairs of classes, each class in one pair"
        classes = self.class_names if self.tasks else self.classes
        known = not classes or {*swaps, *swaps.values()} <= set(classes)
        yield "mirror", known, "of names of classes"
        for name in ("rows", "read", "draw"):
            value = getattr(self, name)
            yield name, value is None or callable(value), "a function, or None"
        yield from self._answer_rules()

    def _answer_rules(self) -> Iterator[Rule]:
        """What forms of an answer go with a kind; both may not be known yet."""
        form, names = self.answer, self.class_names if self.tasks else self.classes
        labels = self.kind in ("", "labels")
        yield "answer", form != "list" or labels, "another form than list: kind is not labels"
        many = not self.several_labels or form in ("", "list", "probabilities")
        yield "answer", many, "list or probabilities, because kind is labels"
        two = form != "probability" or len(names) in (0, 2)
        yield "answer", two, "another form than probability: there are more than two classes"
        apart = form != "list" or not any(self.separator in name for name in names)
        yield "separator", apart, "a text that no label has in it"
        of_tasks = "{task}" in self.answer_column + self.answer_rows
        taken = not of_tasks or form in ("", "class", "name")
        yield "answer", taken, "class or name where each task has a row or a column"

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """The number of classes of each task."""
        return tuple(len(task.classes) for task in self.tasks)

    @property
    def is_grouped(self) -> bool:
        """True if photos come in groups; else each photo is a group of its own."""
        return self.group != "photo"

    @property
    def answers_classes(self) -> bool:
        """True if a submission has a class for each photo, and no probabilities."""
        return self.answer in ("class", "name")

    @property
    def decided(self) -> bool:
        """True if a submission has a class or a list of labels, and no probabilities."""
        return self.answers_classes or self.answer == "list"

    @property
    def several_labels(self) -> bool:
        """True if a photo may have any number of the classes."""
        return self.kind == "labels"

    @cached_property
    def mirrored(self) -> np.ndarray:
        """The class (C,) int64 that a mirror makes of each."""
        names, swaps = self.class_names, self.mirror or {}
        both = swaps | {other: name for name, other in swaps.items()}
        return np.array([names.index(both.get(name, name)) for name in names], dtype=np.int64)

    @property
    def num_classes(self) -> int:
        """C, the number of classes."""
        return math.prod(self.shape)

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        """The name of each class: its answers to the tasks, in their order."""
        return tuple(" ".join(names) for names in product(*(task.classes for task in self.tasks)))

    def names_of(self, labels: Iterable[int]) -> str:
        """The names of some of the classes, by their numbers, as a list of labels has them."""
        return self.separator.join(self.class_names[c] for c in labels)

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
        """The definition as plain JSON values; of functions `read` and `metric`, as their text."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.compare}
        values |= {"tasks": [dataclasses.asdict(task) for task in self.tasks]}
        for name in FUNCTIONS:
            if isinstance(values[name], ScriptFunction):
                values[name] = {"path": "", "text": values[name].text, "name": values[name].name}
        return json.loads(json.dumps(values))  # type: ignore[no-any-return]


# What files call the scores of all classes together: a task's own score stands beside them.
SCORE_NAMES: Final = frozenset(("accuracy", "f1", "macro"))
ONE_TASK: Final = "class"  # the name of the task where there is one
KINDS: Final = ("classes", "order", "labels", "tasks")
ANSWERS: Final = ("class", "name", "probability", "probabilities", "list")
POOLS: Final = ("mean", "max")
FUNCTIONS: Final = ("read", "metric")  # the fields that may be a function, and are recorded
MOST_CLASSES: Final = 250_000  # the product of all tasks: a name of each is in memory
_TEXTS = ("name", "group")
_PLACES = ("train", "train_images", "test", "test_images")
_FOUND = ("groups", "id", "answer_column", "fold", "answer_rows", "target_pattern", "group_pattern")
_ONE_OR_MORE = ("image", "target", "test_image")
