"""EfficientNet-b7: three times b4's cost, for a GPU with 24 GB."""

from dataclasses import replace
from pathlib import Path

from kit.recipe import load_recipe

recipe = replace(
    load_recipe(Path(__file__).with_name("effb4_5fold.py")),
    name="effb7_5fold",
    model="tf_efficientnet_b7.ns_jft_in1k",  # timm has no other ImageNet weights of b7 as good
    batch_size=8,
    accumulate=4,  # steps of 32 photos, as b4's
    drop_rate=0.5,  # b7's own
    clip=1.0,  # small batches give batch norm, and so the gradients, more noise
)
