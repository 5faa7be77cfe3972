"""ResNet152: the deepest of the ResNets that teams used."""

from dataclasses import replace
from pathlib import Path

from kit.recipe import load_recipe

recipe = replace(
    load_recipe(Path(__file__).with_name("resnet50_5fold.py")),
    name="resnet152_5fold",
    model="resnet152",
    batch_size=16,
    accumulate=2,  # steps of 32 photos in half the memory
    lr=2e-4,
    drop_path_rate=0.1,
)
