"""APTOS 2019 Blindness Detection (Kaggle): the grade of diabetic retinopathy, 0 to 4.

There is no column of patients, and photos of one eye come more than once: the leak audit of
`kit.folds` keeps copies in one fold.
"""

from pathlib import Path
from typing import Any, Final

from kit.competition import Competition
from kit.competitions.layout import Layout


def draw(*place: Any) -> Path:
    """Draw a sample: the higher the grade, the more spots."""
    return LAYOUT.draw(competition, *place)


competition: Final = Competition(
    name="aptos2019",
    kind="order",
    train="train.csv",
    image="train_images/{id_code}.png",
    target="diagnosis",
    test="sample_submission.csv",
    test_image="test_images/{id_code}.png",
    metric="quadratic_kappa",
    draw=draw,
)
LAYOUT: Final = Layout(
    classes=("0", "1", "2", "3", "4"),
    train={"id_code": "{number:012x}", "diagnosis": "{label}"},
    answers={"id_code": "{number:012x}", "diagnosis": "{label}"},
    size=(112, 128),
    shares=(0.49, 0.1, 0.27, 0.06, 0.08),
    spots=True,
    wrong=0.05,
)
