"""Dog Breed Identification (Kaggle, 2017): 120 breeds, a column of probabilities each."""

from pathlib import Path
from typing import Any, Final

from kit.competition import Competition
from kit.competitions.layout import Layout


def draw(*place: Any) -> Path:
    """Draw a sample: twelve shapes in ten colours, 120 classes."""
    return LAYOUT.draw(competition, *place)


competition: Final = Competition(
    name="dogbreed",
    train="labels.csv",
    image="train/{id}.jpg",
    target="breed",
    test="sample_submission.csv",
    test_image="test/{id}.jpg",
    metric="log_loss",
    draw=draw,
)
LAYOUT: Final = Layout(
    classes=tuple(f"breed_{n:03d}" for n in range(120)),
    train={"id": "{number:032x}", "breed": "{label}"},
    answers={"id": "{number:032x}", "*": ""},
    blank="0.008333333333333333",
    photos=20,
)
