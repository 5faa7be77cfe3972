"""Thresholds of several labels."""

import numpy as np
import pytest
from scipy.special import expit
from sklearn.metrics import fbeta_score

import kit.blending.thresholds as thresholds_module
from kit.blending.target import Target, halves
from kit.blending.thresholds import (
    _by_label,
    _by_photo,
    _by_score,
    _choose,
    _fit,
    _logits,
    _score,
    find_cells,
    fit_thresholds,
)
from kit.competition import Competition
from kit.metrics.metric import find_metric


def asked(metric, labels=6):
    return Competition(
        name="labels",
        kind="labels",
        classes=tuple(f"label{n}" for n in range(labels)),
        metric=metric,
        answer="list",
    )


def drawn(seed, n=1500, labels=6):
    """Labels (N, C), rare ones among them, and probabilities that are too low for most."""
    rng = np.random.default_rng(seed)
    share = np.linspace(0.05, 0.5, labels)
    truth = (rng.random((n, labels)) < share).astype(np.uint8)
    odds = -3 + 3.0 * truth + rng.normal(size=(n, labels))
    return truth, (1 / (1 + np.exp(-odds))).astype(np.float32)


def given(cells, number, shape):
    """The labels that so many of each give."""
    table, starts = np.zeros(shape, np.uint8), cells.starts
    for c, count in enumerate(number):
        table[cells.rows[starts[c] : starts[c] + count], c] = 1
    return table


@pytest.mark.parametrize(
    "metric", ["f1_macro", "f2_macro", "f1_micro", "f2_micro", "f1_samples", "f2_samples"]
)
def test_thresholds_pay_on_fresh_photos(metric):
    target = Target(drawn(0)[0], np.arange(1500), asked(metric))
    thresholds = fit_thresholds(drawn(0)[1], target)
    truth, probs = drawn(1)
    scores = [
        target.metric.value(truth, (probs > cut).astype(np.uint8), 6) for cut in (0.5, thresholds)
    ]
    assert scores[1] > scores[0] + 0.02
    assert ((thresholds > 0) & (thresholds < 1)).all()


def test_each_label_s_own_search_finds_about_the_best():
    truth, probs = drawn(2, n=300)
    cells, f2 = find_cells(probs, truth), find_metric("f2_macro")
    own = f2.class_sums.score(truth, given(cells, _by_label(cells, 0.3, 2.0), truth.shape), 6)
    for tried in np.linspace(0.01, 0.99, 200):
        other = f2.class_sums.score(truth, (probs > tried).astype(np.uint8), 6)
        assert (own >= other - 0.01 - 1e-9).all()


def test_the_searches_for_all_labels_are_no_worse_than_where_they_begin():
    for seed in range(5):
        truth, probs = drawn(seed, n=200)
        cells = find_cells(probs, truth)
        for name, search in (("f1_micro", _by_score), ("f1_samples", _by_photo)):
            score = find_metric(name).value
            start = score(truth, (probs > 0.3).astype(np.uint8), 6)
            found = score(truth, given(cells, search(cells, 0.3, 1.0), truth.shape), 6)
            assert found >= start - 1e-9
    # Of one label the F of all labels is its own.
    truth, probs = truth[:, 5:], probs[:, 5:]
    cells, f1 = find_cells(probs, truth), find_metric("f1_micro").value
    best = max(f1(truth, (probs > t).astype(np.uint8), 1) for t in np.unique(probs))
    assert f1(truth, given(cells, _by_score(cells, 0.3, 1.0), truth.shape), 1) == pytest.approx(
        best
    )


def test_labels_without_a_photo_keep_the_common_threshold():
    truth, probs = drawn(3)
    truth[:, 0] = 0
    thresholds = fit_thresholds(probs, Target(truth, np.arange(1500), asked("f1_macro")))
    assert np.isfinite(thresholds).all() and 0.02 <= thresholds[0] <= 0.6


def test_certain_labels_have_thresholds_of_one_half():
    truth = drawn(4)[0]
    target = Target(truth, np.arange(1500), asked("f1_samples"))
    assert (fit_thresholds(truth.astype(np.float32), target) == 0.5).all()


def rounded(seed, n=80, labels=4):
    """Labels and probabilities of two decimals, many of which are equal."""
    truth, probs = drawn(seed, n, labels)
    return truth, np.round(probs, 2)


def test_cells_are_sorted_by_label_and_from_the_most_probable_down():
    truth = np.array([[1, 0, 0], [0, 0, 1], [1, 0, 1]], np.uint8)
    probs = np.array([[0.5, 0.01, 0.3], [0.9, 0.0, 0.3], [0.5, 0.005, 0.6]])
    cells = find_cells(probs, truth)
    assert cells.rows.tolist() == [1, 0, 2, 2, 0, 1] and cells.columns.tolist() == [0] * 3 + [2] * 3
    assert cells.probs.tolist() == [0.9, 0.5, 0.5, 0.6, 0.3, 0.3]
    assert cells.true.tolist() == [False, True, True, True, False, True]
    assert (cells.counts.tolist(), cells.labels.tolist()) == ([2, 0, 2], [1, 1, 2])
    assert cells.starts.tolist() == [0, 3, 3, 6]
    assert cells.last.tolist() == [True, False, True, True, False, True]
    some = np.array([True, False, True])
    part, again = cells.part(some, truth), find_cells(probs[some], truth[some])
    for name in ("rows", "columns", "probs", "true", "counts", "labels"):
        assert getattr(part, name).tolist() == getattr(again, name).tolist()


def test_of_very_many_cells_the_least_threshold_rises(monkeypatch):
    probs = np.linspace(0.0, 1.0, 101)[:, None]
    truth = np.zeros((101, 1), np.uint8)
    assert len(find_cells(probs, truth).rows) == 99  # above .01
    monkeypatch.setattr(thresholds_module, "_CELLS", 98)
    assert find_cells(probs, truth).probs.min() == pytest.approx(0.03)  # above .0225
    monkeypatch.setattr(thresholds_module, "_CELLS", 97)
    assert find_cells(probs, truth).probs.min() == pytest.approx(0.04)  # above .03375


@pytest.mark.parametrize("beta", [1.0, 2.0])
@pytest.mark.parametrize("average", ["macro", "micro", "samples"])
def test_the_score_of_given_cells_is_sklearns(average, beta):
    truth, probs = rounded(0)
    truth[3] = 0
    cells = find_cells(probs, truth)
    for cut in (0.1, 0.4, 0.9):
        said = (probs > cut).astype(np.uint8)
        wanted = fbeta_score(truth, said, beta=beta, average=average, zero_division=0)
        assert _score(cells, cells.probs > cut, average, beta) == pytest.approx(wanted)


@pytest.mark.parametrize("beta", [1.0, 2.0])
def test_each_label_s_count_is_that_of_the_good_ones_nearest_to_the_common_threshold(beta):
    for seed in range(4):
        truth, probs = rounded(seed)
        truth[:, 1] = 0
        probs[:, 2] *= np.linspace(0, 1, 80) > 0.95  # few cells
        cells, common = find_cells(probs, truth), 0.31
        number = _by_label(cells, common, beta)
        for c in range(4):
            cuts = np.unique(probs[:, c][probs[:, c] > 0.01])
            said = probs[:, c] >= cuts[:, None]
            sums = beta**2 * truth[:, c].sum() + said.sum(axis=1)
            scores = (1 + beta**2) * (said & (truth[:, c] > 0)).sum(axis=1) / sums
            if scores.max() <= 0:
                kept = common if not truth[:, c].any() else 1.0
                wanted = (probs[:, c] > kept).sum()
            else:
                good = cuts[scores >= scores.max() - 0.01]
                wanted = (probs[:, c] >= good[np.abs(good - common).argmin()]).sum()
            assert number[c] == wanted


def test_a_label_that_is_never_right_or_never_probable_is_not_given():
    truth = np.array([[0, 1, 1], [0, 0, 0], [1, 0, 0]], np.uint8)
    probs = np.array([[0.9, 0.0, 0.6], [0.8, 0.0, 0.2], [0.005, 0.0, 0.1]])
    cells = find_cells(probs, truth)
    assert _by_label(cells, 0.3, 1.0).tolist() == [0, 0, 1]
    values = np.array([-1.0, -2.0, 3.0, 4.0, 2.0])
    assert _choose(cells, values, 0.0, 0.3).tolist() == [0, 0, 2]
    assert _choose(cells, values, 1.0, 0.5).tolist() == [0, 0, 1]


def test_the_search_for_the_f_of_all_labels_finds_the_best_of_all_counts():
    for seed in range(3):
        truth, probs = rounded(seed, n=14, labels=2)
        cells, f1 = find_cells(probs, truth), find_metric("f1_micro").value
        found = f1(truth, given(cells, _by_score(cells, 0.3, 1.0), truth.shape), 2)
        cuts = [np.append(np.unique(column), 1.0) for column in probs.T]
        every = [(probs > [a, b]).astype(np.uint8) for a in cuts[0] for b in cuts[1]]
        assert found == pytest.approx(max(f1(truth, said, 2) for said in every))


def test_the_f_of_photos_rises_label_by_label():
    """Coordinate ascent by the definition: the sum of photos' F must rise by more than 1/4."""
    f2 = find_metric("f2_samples").value
    for seed in range(3):
        truth, probs = rounded(seed, n=60)
        probs[:, 3] = 0.001 if seed == 1 else probs[:, 3]  # a label without a cell
        cells = find_cells(probs, truth)
        said, n = (probs > 0.3).astype(np.uint8), len(truth)
        for _ in range(3):
            before = said.copy()
            for c in range(4):
                tried = []
                for cut in [1.0, *np.unique(probs[:, c][probs[:, c] > 0.01])[::-1]]:
                    tried.append(said.copy())
                    tried[-1][:, c] = probs[:, c] >= cut
                sums = [n * f2(truth, table, 4) for table in tried]
                best = int(np.argmax(np.round(sums, 9)))
                if sums[best] > n * f2(truth, said, 4) + 0.25:
                    said = tried[best]
            if (said == before).all():
                break
        assert (given(cells, _by_photo(cells, 0.3, 2.0), truth.shape) == said).all()


def test_thresholds_lie_between_the_last_that_is_given_and_the_next():
    probs = np.array([[0.9, 0.8, 0.7, 0.005], [0.6, 0.4, 0.2, 0.005], [0.3, 0.1, 0.1, 0.005]])
    cells = find_cells(probs, np.ones((3, 4), np.uint8))
    found = expit(_logits(cells, np.array([1, 3, 0, 0]), 0.7))
    # .7 itself lies between .9 and .6; below all; above all; without a cell the common one.
    assert found == pytest.approx([0.7, 0.05, 0.85, 0.7])
    assert expit(_logits(cells, np.array([1, 1, 1, 0]), 0.65)) == pytest.approx(
        [0.65, 0.65, 0.65, 0.65]
    )
    assert expit(_logits(cells, np.array([2, 1, 1, 0]), 0.995))[[0, 3]] == pytest.approx(
        [0.45, 0.99]
    )


@pytest.mark.parametrize("metric", ["f1_macro", "f2_micro", "f1_samples"])
def test_thresholds_are_the_mean_of_those_of_halves(metric):
    truth, probs = drawn(0, n=300)
    target = Target(truth, np.arange(300) // 2, asked(metric))
    fits = [
        _fit(find_cells(probs[rows], truth[rows]), metric[3:], float(metric[1]))
        for rows in halves(target.groups, 5)
    ]
    assert fit_thresholds(probs, target) == pytest.approx(expit(np.mean(fits, axis=0)))
    assert fit_thresholds(probs, target, 2) == pytest.approx(expit(np.mean(fits[:2], axis=0)))


def test_the_common_threshold_is_the_good_one_nearest_to_one_half():
    truth = np.array([[1], [1], [0], [0]], np.uint8)
    cells = find_cells(np.array([[0.95], [0.91], [0.29], [0.2]]), truth)
    # All from .29 to .91 are right: one half is among them, and is kept by each search.
    for average in ("macro", "micro", "samples"):
        assert expit(_fit(cells, average, 1.0)) == pytest.approx([0.5])
    cells = find_cells(np.array([[0.35], [0.31], [0.05], [0.04]]), truth)
    assert expit(_fit(cells, "macro", 1.0)) == pytest.approx([0.3])
    cells = find_cells(np.array([[0.95], [0.91], [0.69], [0.64]]), truth)
    assert expit(_fit(cells, "macro", 1.0)) == pytest.approx([0.7])


def test_each_average_has_its_search(monkeypatch):
    truth, probs = rounded(0)
    searches = {"macro": "_by_label", "micro": "_by_score", "samples": "_by_photo"}
    for name in searches.values():
        monkeypatch.setattr(thresholds_module, name, lambda *given, name=name: (name, *given[1:]))
    monkeypatch.setattr(thresholds_module, "_logits", lambda cells, given, common: (given, common))
    for average, name in searches.items():
        (called, common, beta), again = _fit(find_cells(probs, truth), average, 2.0)
        assert called == name and common == again and beta == 2
