"""Probable errors among several labels a photo."""

import dataclasses

import numpy as np

from kit.competition import Competition
from kit.scoring.label_suspects import label_suspects, with_lines
from kit.scoring.suspect import Suspect

LABELS = Competition(
    name="labels", kind="labels", classes=("a", "b", "c"), target="tags", metric="f1_micro"
)


def spoilt(seed=0, n=200):
    """Labels (N, C) of which three photos' were changed, and probabilities of what is true."""
    rng = np.random.default_rng(seed)
    true = (rng.random((n, 3)) < 0.4).astype(np.uint8)
    probs = np.clip(0.1 + 0.8 * true + 0.05 * rng.normal(size=(n, 3)), 0.01, 0.99)
    given = true.copy()
    for photo, label in ((5, 0), (17, 2), (17, 1), (90, 1)):
        given[photo, label] = 1 - given[photo, label]
    return given, probs, true


def test_the_changed_labels_are_found_and_their_lines_undo_it():
    given, probs, true = spoilt()
    images = [f"{i}.jpg" for i in range(200)]
    found = label_suspects(images, probs, given, LABELS)
    assert {suspect.path for suspect in found} == {"5.jpg", "17.jpg", "90.jpg"}
    names = np.array(LABELS.class_names)
    for suspect in found:
        i = int(suspect.path.removesuffix(".jpg"))
        assert suspect.line == f"{i}.jpg,tags,{' '.join(names[true[i] > 0])}"
        assert suspect.suggested_prob > 0.6 > suspect.given_prob
        assert {suspect.given, suspect.suggested} in [{n, f"no {n}"} for n in names]
    assert label_suspects(images, probs, true, LABELS) == []


def test_columns_of_0_and_1_have_a_line_for_each_label():
    given, probs, true = spoilt()
    columns = dataclasses.replace(LABELS, target=("a", "b", "c"))
    found = label_suspects([str(i) for i in range(200)], probs, given, columns)
    (both,) = [suspect for suspect in found if suspect.path == "17"]
    assert both.line == f"17,b,{true[17, 1]}\n17,c,{true[17, 2]}"


def test_lines_of_one_class_follow_the_target():
    one = Suspect("x", "class", "b", "a", "b", 0.1, 0.9, 2.0, ("x",))
    competition = Competition(name="one", classes=("a", "b"), target="label")
    assert with_lines(one, competition.tasks[0], competition).line == "x,label,b"
    columns = dataclasses.replace(competition, target=("a", "b"))
    assert with_lines(one, columns.tasks[0], columns).line == "x,a,0\nx,b,1"
    paths = dataclasses.replace(competition, target="", target_pattern="(.)/")
    assert with_lines(one, paths.tasks[0], paths).line == "x,class,b"
