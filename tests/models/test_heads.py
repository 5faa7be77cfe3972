import numpy as np
import pytest
import torch
from helpers import MASK

from kit.competition import Competition
from kit.data.geometry import Geometry
from kit.models.architecture import make_architecture
from kit.models.heads import COSINE_SCALE, Cosine, combine, conditional_logs
from kit.task import Task


def of_head(head, competition=MASK):
    return make_architecture("m", Geometry((8, 8), (8, 8), (8, 8)), head, False, competition)


def test_a_head_of_classes_gives_its_outputs():
    outputs = torch.randn(4, 18)
    assert combine(outputs, of_head("classes")) is outputs


def test_tasks_are_multiplied_in_the_order_of_the_classes():
    outputs = torch.randn(4, 8)
    probs = combine(outputs, of_head("tasks")).exp()
    mask, gender, age = (part.softmax(dim=1) for part in outputs.split([3, 2, 3], dim=1))
    for c in range(18):
        m, g, a = (int(answer[0]) for answer in MASK.decode(np.array([c])))
        torch.testing.assert_close(probs[:, c], mask[:, m] * gender[:, g] * age[:, a])


def test_one_task_is_a_softmax():
    pets = Competition(name="pets", tasks=(Task("pet", ("cat", "dog", "fish")),), frame=(8, 8))
    outputs = torch.randn(5, 3)
    torch.testing.assert_close(combine(outputs, of_head("tasks", pets)), outputs.log_softmax(1))


def test_ordered_classes_by_hand():
    above = torch.tensor([[0.8, 0.25]])
    logs = conditional_logs((above / (1 - above)).log())
    assert logs.exp()[0].tolist() == pytest.approx([0.2, 0.8 * 0.75, 0.8 * 0.25])


def test_cosines_do_not_know_lengths():
    last, features = Cosine(6, 4), torch.randn(3, 6)
    torch.testing.assert_close(last(features), last(100 * features))
    assert last(last.weight).diagonal().tolist() == pytest.approx([COSINE_SCALE] * 4, rel=1e-5)
