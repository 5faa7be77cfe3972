"""ResNet18: the baseline that shows in minutes whether data and folds are right."""

from dataclasses import replace
from pathlib import Path

from kit.recipe import load_recipe

recipe = replace(
    load_recipe(Path(__file__).with_name("effb4_5fold.py")),
    name="resnet18_5fold",
    model="resnet18",
    batch_size=64,
    lr=5e-4,
    drop_rate=0.0,
    drop_path_rate=0.0,
)
