"""ResNet50: the teams' usual baseline (.54, and .72 with the age boundary at 58 and the centre
crop).
"""

from dataclasses import replace
from pathlib import Path

from kit.recipe import load_recipe

recipe = replace(
    load_recipe(Path(__file__).with_name("effb4_5fold.py")),
    name="resnet50_5fold",
    model="resnet50",
    # ">=60" is exactly 60 in the training photos: 58 and 59 look alike and are as rare
    edges=(30, 58),
    drop_rate=0.2,
    drop_path_rate=0.05,
)
