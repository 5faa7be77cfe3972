"""The blend that is used, and its score."""

import json

import numpy as np
import pytest
from draws import macro_f1, oof_of
from helpers import MASK

from kit.blending.select import select_blend
from kit.inference.oof import Oof
from kit.scoring.agreement import error_correlations
from kit.scoring.bootstrap import GroupBootstrap


@pytest.mark.parametrize("blend", ["greedy", "weights"])
def test_a_fitted_blend_is_used_where_it_pays_and_only_there(blend):
    good = select_blend(oof_of(0, 4.0), blend, "argmax")
    assert (
        good.record["used"] == [blend, "argmax"]
        and not good.kept_mean
        and good.rule.weights[0] > 0.9
    )
    asked = good.record["candidates"][-1]
    assert asked["gain_interval"][0] > 0 and good.record["score"] == pytest.approx(asked["nested"])
    alike = oof_of(0, 2.0)
    alike = Oof({"plain": np.stack([alike.views["plain"][0]] * 2)}, alike.photos, MASK)
    bad = select_blend(alike, blend, "argmax")
    assert (
        bad.kept_mean
        and bad.record["used"] == ["mean", "argmax"]
        and bad.rule.weights.tolist() == [0.5, 0.5]
    )
    forced = select_blend(alike, blend, "argmax", force=True)
    assert (
        forced.record["forced"]
        and forced.record["used"] == [blend, "argmax"]
        and not forced.kept_mean
    )


def test_the_standing_by_hand():
    oof = oof_of(1, 3.0)
    truth = oof.photos["label"].to_numpy()
    standing = select_blend(oof, "mean", "argmax")
    mean = oof.probs.mean(axis=0, dtype=np.float64).argmax(axis=1)
    assert (
        standing.record["score"]
        == pytest.approx(macro_f1(truth, mean, 18))
        == pytest.approx(standing.record["in_sample"])
    )
    assert [member.score for member in standing.score.members] == pytest.approx(
        [macro_f1(truth, m.argmax(axis=1), 18) for m in oof.probs]
    )
    low, high = standing.record["interval"]
    assert low < standing.record["score"] < high and not standing.record["forced"]
    errors = oof.probs.reshape(2, -1) - np.eye(18)[truth].ravel()
    assert error_correlations(oof.probs, truth)[0, 1] == pytest.approx(
        np.corrcoef(*errors)[0, 1], abs=1e-5
    )
    assert json.loads(json.dumps(standing.record))["groups"] == 150
    draws = GroupBootstrap(oof.photos["group"].to_numpy(), truth, 18).draws(mean)[:500]
    np.testing.assert_allclose(
        [float(draw) for draw in standing.record["draws"].split()], draws, atol=6e-6
    )


def test_no_gain_is_claimed_of_noise():
    """Over many seeds a fitted blend of equal members is used no more often than chance allows."""
    used = 0
    for seed in range(20):
        oof = oof_of(seed, 2.0, people=60)
        rng = np.random.default_rng(seed)
        logits = np.log(oof.views["plain"][0]) + 0.7 * rng.normal(
            size=(5, *oof.views["plain"][0].shape)
        )
        probs = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
        used += not select_blend(
            Oof({"plain": probs.astype(np.float32)}, oof.photos, MASK), "greedy", "argmax"
        ).kept_mean
    assert used <= 2


@pytest.mark.parametrize("blend", ["gmean", "vote"])
def test_what_is_kept_instead_is_what_the_gain_is_over(blend):
    oof = oof_of(2, 2.0)
    standing = select_blend(oof, blend, "bias")
    tested = standing.record["tested"]
    assert tested["over"] == f"{blend} + argmax" and standing.kept_mean == (
        tested["interval"][0] <= 0
    )
    assert standing.record["used"] == [blend, "argmax" if standing.kept_mean else "bias"]
