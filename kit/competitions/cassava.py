"""Cassava Leaf Disease Classification (Kaggle, 2020): five classes, some labels false.

The column `image_id` holds names with `.jpg`.
"""

from pathlib import Path
from typing import Any, Final

from kit.competition import Competition
from kit.competitions.layout import Layout


def draw(*place: Any) -> Path:
    """Draw a sample: five shapes, most of one class, and false labels."""
    return LAYOUT.draw(competition, *place)


competition: Final = Competition(
    name="cassava",
    train="train.csv",
    image="train_images/{image_id}",
    target="label",
    test="sample_submission.csv",
    test_image="test_images/{image_id}",
    metric="accuracy",
    draw=draw,
)
LAYOUT: Final = Layout(
    classes=("0", "1", "2", "3", "4"),
    train={"image_id": "{number}.jpg", "label": "{label}"},
    answers={"image_id": "{number}.jpg", "label": "{label}"},
    blank="4",
    shares=(0.05, 0.1, 0.11, 0.62, 0.12),
    wrong=0.1,
)
