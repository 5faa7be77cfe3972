import weakref

import pandas as pd
import pytest
import torch
from helpers import MASK, everywhere, small

import kit.training.memory
from kit.system.errors import KitError
from kit.training.learner import Learner
from kit.training.memory import explain_out_of_memory, largest_fitting_batch

CPU = torch.device("cpu")


def photos(labels, ages):
    """Rows of a plan."""
    return pd.DataFrame({"label": labels, "age": ages})


@pytest.mark.parametrize(
    "size, most, fits",
    [
        (64, 64, 32),
        (64, 40, 32),
        (64, 31, 16),
        (64, 4, 4),
        (64, 3, None),
        (100, 20, 12),
        (5, 9, None),
    ],
)
def test_a_batch_that_fits_is_the_largest_half_or_quarter(monkeypatch, size, most, fits):
    tried = []

    def step(learner, batches, rate, seeds):
        ((photos, labels),) = batches
        assert photos.shape[1:] == (*learner.recipe.size, 3) and len(photos) == len(labels)
        tried.append(len(photos))
        if len(photos) > most:
            raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(Learner, "step", step)
    assert largest_fitting_batch(small(batch_size=size), MASK, CPU) == fits
    halves = list(dict.fromkeys(tried))
    assert halves == [size >> k for k in range(1, len(halves) + 1)] and tried.count(fits) in (0, 2)


def test_a_batch_that_fits_takes_a_real_step():
    assert (
        largest_fitting_batch(
            small(batch_size=8, ema=0.9, mix="cutmix", mix_prob=1.0, head="ordinal"), MASK, CPU
        )
        == 4
    )


def test_what_did_not_fit_is_freed_before_another_size_is_tried(monkeypatch):
    held = []

    def too_large():
        activations = torch.zeros(4)
        held.append(weakref.ref(activations))
        raise torch.OutOfMemoryError("CUDA out of memory")

    def fitting(recipe, competition, device):
        assert held[0]() is None
        return 4

    everywhere(monkeypatch, kit.training.memory, "largest_fitting_batch", fitting)
    with pytest.raises(KitError, match="4 fits: set batch_size=4, accumulate=3"):
        with explain_out_of_memory(small(batch_size=12), MASK, CPU):
            too_large()
