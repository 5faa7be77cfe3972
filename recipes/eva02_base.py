"""EVA-02-B at 448 x 448: the best network here on ImageNet, for a large GPU and time."""

from dataclasses import replace
from pathlib import Path

from kit.recipe import load_recipe

recipe = replace(
    load_recipe(Path(__file__).with_name("effb4_5fold.py")),
    name="eva02_base",
    model="eva02_base_patch14_448.mim_in22k_ft_in22k_in1k",
    size=(448, 448),  # its own: patches of 14, and 32 to a side
    batch_size=16,
    accumulate=2,
    # The authors' fine-tuning of the same weights (baaivision/EVA, EVA-02/asuka/README.md): rate,
    # decays, drop path, warm-up and smoothing; their batches have 512 photos.
    lr=5e-5,
    layer_decay=0.8,
    weight_decay=0.05,
    drop_path_rate=0.15,
    drop_rate=0.0,
    warmup=2.0,
    label_smoothing=0.2,
    clip=1.0,
)
