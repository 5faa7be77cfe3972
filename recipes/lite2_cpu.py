"""EfficientNet-lite2 from a local weights file: lite0's larger sister, with neither a GPU nor a
network.
"""

from dataclasses import replace
from pathlib import Path

from kit.recipe import load_recipe

recipe = replace(
    load_recipe(Path(__file__).with_name("lite0_cpu.py")),
    name="lite2_cpu",
    model="tf_efficientnet_lite2",
    pretrained="$KIT_WEIGHTS/tf_efficientnet_lite2.safetensors",
    size=192,
    drop_rate=0.3,  # lite2's own
)
