"""A label that is probably wrong."""

import dataclasses

import pytest

from kit.scoring.suspect import Suspect

ONE = Suspect("a.jpg", "class", "cat", "dog", "cat", 0.1, 0.9, 2.0, ("a.jpg",))


def test_a_suspect_s_score_and_lines():
    assert ONE.score == pytest.approx(1.6) and ONE.line == "a.jpg,class,cat"
    assert dataclasses.replace(ONE, z_score=9.0).score == pytest.approx(3.2)
    two = dataclasses.replace(ONE, lines=("a.jpg,dog,0", "a.jpg,cat,1"))
    assert two.line == "a.jpg,dog,0\na.jpg,cat,1"
