"""EfficientNetV2-S with ImageNet-21k weights: faster than b4, and better on ImageNet."""

from dataclasses import replace
from pathlib import Path

from kit.recipe import load_recipe

recipe = replace(
    load_recipe(Path(__file__).with_name("effb4_5fold.py")),
    name="tf_efficientnetv2_s",
    model="tf_efficientnetv2_s.in21k_ft_in1k",
    size=300,  # the authors' training size; they test at 384
    # The authors' fine-tuning to other data (Tan and Le, EfficientNetV2, ICML 2021, section 4.3):
    # 1e-3 in batches of 512, a cosine, no weight decay. Adam's usual rule for smaller batches is
    # the square root of their share: a quarter of the rate for 32.
    lr=2.5e-4,
    weight_decay=0.0,
    drop_rate=0.2,
    drop_path_rate=0.2,
)
