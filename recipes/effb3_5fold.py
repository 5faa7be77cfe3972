"""EfficientNet-b3: two thirds of b4's cost, and the second voice of the winners' ensemble."""

from dataclasses import replace
from pathlib import Path

from kit.recipe import load_recipe

recipe = replace(
    load_recipe(Path(__file__).with_name("effb4_5fold.py")),
    name="effb3_5fold",
    model="efficientnet_b3",
    drop_rate=0.3,  # b3's own
)
