"""Close calls: the classes of fp32."""

import numpy as np
import pytest

from kit.blending.close_calls import recompute_close_calls, rounding_sample
from kit.blending.early import margins_over_next


def rounded(kind, seed, photos=1500):
    """Exact sums of probabilities, and the same with errors of a kind."""
    rng = np.random.default_rng([seed, photos])
    logits = rng.normal(size=(photos, 18)) * rng.choice([1.0, 2.0, 4.0], (photos, 1))
    exact = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    off = rng.normal(0, 0.002, exact.shape)
    if kind == "of another size a photo":
        off *= rng.lognormal(0, 1, (photos, 1)) / 2
    elif kind == "rare and large":
        rare = rng.random(photos) < 0.01
        off[rare] += rng.uniform(-0.115, 0.115, (rare.sum(), 18))
    return exact, exact + off


@pytest.mark.parametrize("kind", ["independent", "of another size a photo", "rare and large"])
def test_of_a_hundred_files_with_rounding_errors_at_most_one_differs_after_close_calls(kind):
    gains, differ, before, again = np.ones(18), 0, 0, []
    for seed in range(100):
        exact, rough = rounded(kind, seed)
        found = recompute_close_calls(
            lambda rows: (exact[rows], exact[rows]),
            rough.copy(),
            gains,
            margins_over_next(rough, gains, np.zeros(len(rough))),
            rounding_sample(len(rough)),
        )
        differ += bool((found.total.argmax(axis=1) != exact.argmax(axis=1)).any())
        before += bool((rough.argmax(axis=1) != exact.argmax(axis=1)).any())
        again.append(found.photos)
    assert differ <= 1 and before > 90
    assert np.mean(again) < (600 if kind == "independent" else 1400)


def test_of_errors_that_settle_has_seen_the_drawn_ones_bound_all_but_a_hundredth():
    over = []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        errors = rng.pareto(1, 1000)  # without a mean or a largest value: the bound asks for none
        over.append(
            (
                errors > errors[rng.choice(1000, len(rounding_sample(1000)), replace=False)].max()
            ).mean()
            > 0.01
        )
    assert np.mean(over) <= 0.03  # 1 of 100 is what is promised


@pytest.mark.parametrize("photos, drawn", [(1, 1), (2, 2), (100, 90), (12_600, 447), (10**6, 459)])
def test_how_many_photos_are_drawn(photos, drawn):
    # Of 100 photos 2 may not be bad: (10 9) / (100 99) = .009 is the chance that 90 drawn ones have
    # neither.
    sample = rounding_sample(photos)
    assert len(sample) == drawn == len(set(sample.tolist())) and (np.diff(sample) > 0).all()


@pytest.mark.parametrize("seed", range(20))
def test_close_calls_are_settled_exactly(seed):
    rng = np.random.default_rng(seed)
    exact = rng.dirichlet(np.full(18, 0.3), 300)
    gains = np.exp(rng.normal(0, 0.2, 18))
    noise = rng.uniform(-0.02, 0.02, exact.shape)
    asked, drawn = [], rng.choice(300, 20, replace=False)

    def again(rows):
        asked.extend(rows.tolist())
        return exact[rows], exact[rows]

    rough = exact + noise
    ahead = margins_over_next(rough, gains, np.zeros(300))
    found = recompute_close_calls(again, rough, gains, ahead, drawn)
    assert set(asked[:20]) == set(drawn.tolist())
    assert found.photos == len(asked) == len(set(asked)) < 300
    assert (found.total[asked] == exact[asked]).all()
    left = np.setdiff1d(np.arange(300), asked)
    assert (ahead[left] > 2 * found.error).all() and max(ahead[asked[20:]]) <= min(ahead[left])
    assert ((found.total * gains).argmax(axis=1) == (exact * gains).argmax(axis=1)).all()
    assert found.error <= 0.04 * gains.max() + 1e-12


def test_rounds_of_any_size_recompute_the_same_photos_in_the_same_batches(monkeypatch):
    exact, rough = rounded("of another size a photo", 3)
    gains, drawn = np.ones(18), rounding_sample(len(rough))
    ahead, results = margins_over_next(rough, gains, np.zeros(len(rough))), []
    for size in (32, 64, 1 << 16):
        monkeypatch.setattr("kit.blending.close_calls._ROUND", size)
        asked = []

        def again(rows, asked=asked):
            asked.append(rows)
            return exact[rows], exact[rows]

        found = recompute_close_calls(again, rough.copy(), gains, ahead, drawn)
        results.append((found.photos, found.error, np.concatenate(asked).tolist()))
        assert max(map(len, asked)) <= max(size, 32)
    assert results[0] == results[1] == results[2] and results[0][0] < len(rough)
