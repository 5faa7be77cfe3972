"""ConvNeXt-S with ImageNet-22k weights: a strong convolutional network for most competitions."""

from dataclasses import replace
from pathlib import Path

from kit.recipe import load_recipe

recipe = replace(
    load_recipe(Path(__file__).with_name("effb4_5fold.py")),
    name="convnext_small",
    model="convnext_small.fb_in22k_ft_in1k",
    size=288,  # the size that timm tests it at
    # The authors' fine-tuning from ImageNet-22k (facebookresearch/ConvNeXt, TRAINING.md, of B):
    # rate, decays, drop path, no warm-up and no mixes; their batches have 512 photos.
    lr=5e-5,
    layer_decay=0.8,
    weight_decay=1e-8,
    drop_path_rate=0.2,
    drop_rate=0.0,
    warmup=0.0,
)
