"""A network of 0.1 M parameters for the drawn sample: the whole pipeline in two minutes
on a CPU.
"""

import albumentations as A

from kit.recipe import Recipe


def augment():
    return A.Compose(
        [
            A.HorizontalFlip(p=0.5),
            A.Affine(translate_percent=(-0.05, 0.05), scale=(0.9, 1.1), p=0.7),
            A.RandomBrightnessContrast(0.15, 0.15, p=0.5),
        ]
    )


recipe = Recipe(
    name="tiny",
    model="test_efficientnet",
    pretrained=False,
    size=96,
    augment=augment,
    epochs=20,
    batch_size=16,  # 336 photos are few: small batches give more steps
    lr=5e-3,
)
