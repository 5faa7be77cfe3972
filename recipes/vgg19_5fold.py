"""VGG19 with batch norm: another kind of network, for the ensemble's variety."""

from dataclasses import replace
from pathlib import Path

from kit.recipe import load_recipe

recipe = replace(
    load_recipe(Path(__file__).with_name("effb4_5fold.py")),
    name="vgg19_5fold",
    model="vgg19_bn",
    lr=1e-4,  # 140 M weights, most of them in two layers: larger steps undo the pretraining
    drop_rate=0.5,
    drop_path_rate=0.0,  # VGG has no paths to drop
    clip=1.0,
)
