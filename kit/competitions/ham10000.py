"""HAM10000, task 3 of ISIC 2018: seven diagnoses of a skin lesion.

A lesion has up to six photos. The training table is the HAM10000 metadata; the photos of both its
parts lie in one folder, as ISIC gives them. The table has diagnoses in lower case, the submission
in upper. The mean recall of the classes is scored.
"""

from pathlib import Path
from typing import Any, Final

from kit.competition import Competition
from kit.competitions.layout import Layout


def draw(*place: Any) -> Path:
    """Draw a sample: seven shapes, one a lesion, most of one class."""
    return LAYOUT.draw(competition, *place)


competition: Final = Competition(
    name="ham10000",
    train="HAM10000_metadata.csv",
    image="ISIC2018_Task3_Training_Input/{image_id}.jpg",
    target="dx",
    group="lesion_id",
    test="sample_submission.csv",
    test_image="ISIC2018_Task3_Test_Input/{image}.jpg",
    metric="balanced_accuracy",
    draw=draw,
)
LAYOUT: Final = Layout(
    classes=("MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC"),
    train={
        "lesion_id": "HAM_{group:07d}",
        "image_id": "ISIC_{number:07d}",
        "dx": "{lower}",
        "dx_type": "histo",
    },
    answers={"image": "ISIC_{number:07d}", "*": ""},
    blank="0.0",
    photos=3,
    shares=(0.13, 0.52, 0.07, 0.05, 0.13, 0.04, 0.06),
    one_class=True,
)
