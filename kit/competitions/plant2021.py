"""Plant Pathology 2021 (Kaggle, FGVC8): any number of diseases of an apple leaf, as a list.

A leaf without a disease has the label `healthy`. Some photos are there twice, under different
labels. The score is the mean of each photo's F1.
"""

from pathlib import Path
from typing import Any, Final

from kit.competition import Competition
from kit.competitions.layout import Layout


def draw(*place: Any) -> Path:
    """Draw a sample: up to three of six shapes on a photo."""
    return LAYOUT.draw(competition, *place)


competition: Final = Competition(
    name="plant2021",
    kind="labels",
    train="train.csv",
    image="train_images/{image}",
    target="labels",
    separator=" ",
    test="sample_submission.csv",
    test_image="test_images/{image}",
    metric="f1_samples",
    answer="list",
    draw=draw,
)
LAYOUT: Final = Layout(
    classes=("complex", "frog_eye_leaf_spot", "healthy", "powdery_mildew", "rust", "scab"),
    train={"image": "{number:016x}.jpg", "labels": "{labels}"},
    answers={"image": "{number:016x}.jpg", "labels": "{labels}"},
    blank="healthy",
    shares=(0.1, 0.1, 0.0, 0.05, 0.1, 0.15),
    several=True,
)
