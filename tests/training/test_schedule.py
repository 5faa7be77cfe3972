import numpy as np
import pytest
import torch
from helpers import small

from kit.training.schedule import learning_rate


def rates_of_torch(scheduler, steps, lr, **options):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)
    schedule = scheduler(optimizer, **options)
    rates = []
    for _ in range(steps):
        rates.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    return np.array(rates)


def rates(recipe, steps):
    """The learning rates at the start of each of an epoch's steps, for all epochs."""
    return np.array([learning_rate(recipe, k / steps) for k in range(recipe.epochs * steps)])


def test_the_learning_rate_is_torchs_cosine():
    expected = rates_of_torch(torch.optim.lr_scheduler.CosineAnnealingLR, 70, 1e-3, T_max=70)
    np.testing.assert_allclose(rates(small(epochs=10, warmup=0, lr=1e-3), 7), expected, rtol=1e-6)
    assert learning_rate(small(epochs=10, lr=1e-3), 10) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("length, factor", [(2, 0.5), (3, 0.1)])
def test_the_learning_rate_is_torchs_step(length, factor):
    recipe = small(schedule="step", epochs=10, warmup=0, lr=1e-3, lr_step=length, lr_factor=factor)
    expected = rates_of_torch(
        torch.optim.lr_scheduler.StepLR, 70, 1e-3, step_size=length * 7, gamma=factor
    )
    np.testing.assert_allclose(rates(recipe, 7), expected)


def test_the_learning_rate_is_torchs_one_cycle():
    recipe = small(schedule="onecycle", epochs=10, warmup=3, lr=1e-3)
    expected = rates_of_torch(
        torch.optim.lr_scheduler.OneCycleLR,
        2000,
        1e-3,
        max_lr=1e-3,
        total_steps=2000,
        cycle_momentum=False,
    )
    np.testing.assert_allclose(
        rates(recipe, 200), expected, atol=3e-6
    )  # torch's is up to a step behind
    assert [learning_rate(recipe, at) for at in (0, 3, 10)] == pytest.approx(
        [1e-3 / 25, 1e-3, 1e-3 / 25e4]
    )


@pytest.mark.parametrize("schedule", ["cosine", "step", "constant"])
def test_the_learning_rate_warms_up(schedule):
    recipe = small(schedule=schedule, epochs=10, warmup=2, lr=1e-3, lr_step=5)
    assert [learning_rate(recipe, at) for at in (0, 0.5, 1, 2)] == pytest.approx(
        [0, 2.5e-4, 5e-4, 1e-3]
    )
    after = {"cosine": 5e-4, "step": 5e-4, "constant": 1e-3}[schedule]
    assert learning_rate(recipe, 6) == pytest.approx(after)
    assert learning_rate(small(schedule=schedule, epochs=1, warmup=0), 0) == small().lr
    assert learning_rate(small(schedule=schedule, epochs=2, warmup=2), 1.5) == pytest.approx(
        0.75 * small().lr
    )
