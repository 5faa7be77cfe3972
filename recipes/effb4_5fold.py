"""EfficientNet-b4, the architecture of the winners: one GPU, 5 folds."""

import albumentations as A

from kit.recipe import Recipe


def augment():
    # Simple augmentations won: heavier ones cost the teams score.
    mirror = A.HorizontalFlip(p=0.5)
    moves = {"translate_percent": (-0.05, 0.05), "scale": (0.9, 1.1), "rotate": (-10, 10)}
    move = A.Affine(**moves, border_mode=4, p=0.5)
    colour = A.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.02, p=0.5)
    return A.Compose([mirror, move, colour, A.GaussNoise(std_range=(0.01, 0.05), p=0.2)])


recipe = Recipe(
    name="effb4_5fold",
    model="efficientnet_b4",
    size=300,  # a face keeps enough pixels for its lines, at half the cost of b4's own 380
    augment=augment,
    epochs=10,
    batch_size=32,
    lr=3e-4,
    label_smoothing=0.1,  # ages near 30 and 60 are labelled by a birthday, not by a face
    drop_rate=0.4,  # b4's own
    drop_path_rate=0.2,
)
