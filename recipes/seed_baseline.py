"""A team's settings, but for inference, which cropped and resized otherwise than training."""

import albumentations as A

from kit.recipe import Recipe


def augment():
    colour = A.ColorJitter(brightness=0.1, contrast=0.1, saturation=0.1, hue=0.1, p=0.5)
    light = A.RandomBrightnessContrast(0.2, 0, p=0.5)
    noise = A.GaussNoise(std_range=(0.01, 0.03), p=0.5)
    return A.Compose([A.HorizontalFlip(p=0.5), colour, light, noise])


recipe = Recipe(
    name="seed_baseline",
    model="efficientnet_b4",
    size=300,
    augment=augment,
    optimizer="adam",
    lr=2e-4,
    schedule="step",  # half the rate every two epochs
    warmup=0.0,
    accumulate=2,
    patience=3,  # it stopped after three epochs without a gain
)
