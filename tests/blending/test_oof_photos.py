"""Out-of-fold photos, as the metric scores them."""

import dataclasses

import numpy as np
import pytest
from draws import oof_of
from helpers import MASK

from kit.blending.oof_photos import OofPhotos
from kit.blending.rule import plain_rule
from kit.inference.oof import Oof


def test_a_gain_is_positive_where_the_score_is_better_in_either_direction():
    oof = oof_of(0, 3.0, people=40)
    loss = dataclasses.replace(MASK, metric="log_loss", answer="probabilities")
    for competition in (MASK, loss):
        photos = OofPhotos(Oof(oof.views, oof.photos, competition))
        rule = plain_rule("mean", 1, competition)
        good, bad = (photos.answered(rule, member[None]) for member in oof.probs)
        assert good.ndim == (1 if competition is MASK else 2)
        gain, (low, high) = photos.gain(good, bad)
        assert 0 < low < gain < high
        assert photos.gain(bad, good)[0] == -gain
        blended = rule.probs(oof.probs[:1])
        assert photos.in_sample((rule,), blended) == [pytest.approx(photos.target.score(good))]


def test_a_single_fold_is_parted_by_groups():
    oof = oof_of(0, 3.0, people=40)
    one = oof.photos.assign(fold=0)
    photos = OofPhotos(Oof(oof.views, one, MASK))
    assert len(np.unique(photos.parts)) == 5
    groups = one["group"].to_numpy()
    assert all(len(np.unique(photos.parts[groups == g])) == 1 for g in np.unique(groups))
