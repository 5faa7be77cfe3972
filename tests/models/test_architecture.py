from helpers import MASK, small

from kit.competition import Competition
from kit.data.geometry import Geometry
from kit.models.architecture import architecture_of, make_architecture
from kit.task import Task

PETS = Competition(name="pets", tasks=(Task("pet", ("cat", "dog", "fish")),), frame=(60, 40))


def test_outputs_are_those_of_the_classes_or_of_each_task():
    heads = {
        head: architecture_of(small(head=head), MASK) for head in ("classes", "tasks", "ordinal")
    }
    assert [heads[head].outputs for head in heads] == [18, 8, 7]
    assert heads["ordinal"].task_outputs == [3, 2, 2] and heads["tasks"].classes == 18


def test_one_task_has_as_many_outputs_with_either_head():
    classes, tasks = (
        make_architecture("m", Geometry((60, 40), (32, 24), (60, 40)), head, False, PETS)
        for head in ("classes", "tasks")
    )
    assert classes.outputs == tasks.outputs == 3 and classes != tasks
    assert {classes: 1}[classes] == 1 and classes.name == "m 32 x 24"


def test_the_crop_is_the_frame_where_a_recipe_has_none():
    architecture = architecture_of(small(crop=None, loss="ldam"), PETS)
    assert architecture.geometry == Geometry((60, 40), (32, 24), (60, 40)) and architecture.cosine
