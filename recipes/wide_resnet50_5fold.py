"""Wide ResNet50: ResNet50 with twice the channels within its blocks."""

from dataclasses import replace
from pathlib import Path

from kit.recipe import load_recipe

recipe = replace(
    load_recipe(Path(__file__).with_name("resnet50_5fold.py")),
    name="wide_resnet50_5fold",
    model="wide_resnet50_2",
    lr=2e-4,
)
