"""EfficientNet-lite0 from a local weights file: for machines with neither a GPU nor a network."""

import albumentations as A

from kit.recipe import Recipe


def augment():
    moves = {"translate_percent": (-0.05, 0.05), "scale": (0.9, 1.1), "rotate": (-10, 10)}
    move = A.Affine(**moves, border_mode=4, p=0.7)
    light = A.RandomBrightnessContrast(0.2, 0.2, p=0.5)
    hue = A.HueSaturationValue(8, 20, 0, p=0.3)
    return A.Compose([A.HorizontalFlip(p=0.5), move, light, hue])


recipe = Recipe(
    name="lite0_cpu",
    model="tf_efficientnet_lite0",
    pretrained="$KIT_WEIGHTS/tf_efficientnet_lite0.safetensors",
    crop=(0.9375, 0.9375),
    size=160,
    augment=augment,
    epochs=6,
    batch_size=32,
    lr=1e-3,
    label_smoothing=0.1,
    drop_rate=0.2,
)
