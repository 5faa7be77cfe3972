"""The words of the mask competition: its three tasks, and the seven photos of a person."""

from typing import Final

from kit.task import Task

MASK: Final = Task("mask", ("mask", "wrong", "none"), of_group=False)
GENDER: Final = Task("gender", ("male", "female"))
AGE: Final = Task("age", ("<30", "30-59", ">=60"), column="age", edges=(30, 60))
# Height and width of every photo.
FRAME: Final = (512, 384)
# The seven photos of a person, by file stem, with the mask status that each one shows.
SHOTS: Final = {f"mask{i}": 0 for i in range(1, 6)} | {"incorrect_mask": 1, "normal": 2}
