"""The probabilities of a task's classes."""

import numpy as np
import pytest
from helpers import MASK, NUM_CLASSES, decode


def test_task_probs_sum_the_classes(seed=0):
    probs = np.random.default_rng(seed).dirichlet(np.ones(NUM_CLASSES), 5)
    for task, part in zip(MASK.tasks, decode(np.arange(NUM_CLASSES))):
        own = MASK.task_probs(probs, task)
        assert own.shape == (5, part.max() + 1) and own.sum(axis=1) == pytest.approx(np.ones(5))
        assert own[2, 1] == pytest.approx(
            sum(probs[2, c] for c in range(NUM_CLASSES) if part[c] == 1)
        )
