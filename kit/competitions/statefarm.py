"""State Farm Distracted Driver Detection (Kaggle, 2016): what a driver does, in ten classes.

Photos of a driver are frames of one video, and the drivers of the test photos are others. The
classes 1 and 3 are texting with the right and with the left hand, 2 and 4 calling: a mirror swaps
them. Rows are scored after they are divided by their sum.
"""

from pathlib import Path
from typing import Any, Final

from kit.competition import Competition
from kit.competitions.layout import Layout


def draw(*place: Any) -> Path:
    """Draw a sample: ten shapes, of which a mirror swaps two pairs."""
    return LAYOUT.draw(competition, *place)


competition: Final = Competition(
    name="statefarm",
    train="driver_imgs_list.csv",
    image="imgs/train/{classname}/{img}",
    target="classname",
    group="subject",
    test="sample_submission.csv",
    test_image="imgs/test/{img}",
    metric="log_loss",
    mirror={"c1": "c3", "c2": "c4"},
    draw=draw,
)
LAYOUT: Final = Layout(
    classes=tuple(f"c{n}" for n in range(10)),
    train={"subject": "p{group:03d}", "classname": "{label}", "img": "img_{number}.jpg"},
    answers={"img": "img_{number}.jpg", "*": ""},
    blank="0.1",
    photos=20,
)
