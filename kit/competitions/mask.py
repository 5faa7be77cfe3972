"""The mask competition: 18 classes, mask status x gender x age, of seven photos a person.

`class = mask * 6 + gender * 3 + age`. Here stands all that is particular to it, with `mask_data`
(its training table), `mask_faces` and `mask_sample` (its drawn sample).
"""

from typing import Final

from kit.competition import Competition
from kit.competitions.mask_data import read_photos
from kit.competitions.mask_labels import AGE, FRAME, GENDER, MASK
from kit.competitions.mask_sample import draw_sample

competition: Final = Competition(
    name="mask",
    kind="tasks",
    tasks=(MASK, GENDER, AGE),
    frame=FRAME,
    crop=(0.78125, 0.78125),  # the faces stand in the middle; walls and shoulders say nothing
    group="person",
    groups="people",
    metric="f1_macro",
    train="train/train.csv",
    train_images="train/images",
    test="eval/info.csv",
    test_images="eval/images",
    id="ImageID",
    answer="class",
    answer_column="ans",
    inputs=("train", "eval", "answers.csv"),
    rows=read_photos,
    draw=draw_sample,
)
