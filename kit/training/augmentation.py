"""The check of a recipe's augmentation before a training."""

import numpy as np

from kit.data.photos import augmented
from kit.recipe import Recipe
from kit.system.errors import KitError


def check_augment(recipe: Recipe) -> None:
    """Try a recipe's augmentation on a black photo.

    Raises `KitError` if it fails, or gives what a network cannot take.
    """
    if recipe.augment is None:
        return
    try:
        transform = recipe.augment()
        transform.set_random_seed(0)
        augmented(transform, np.zeros((*recipe.size, 3), np.uint8))
    except KitError as error:
        raise KitError(f"recipe {recipe.name}: {error}") from error
    except Exception as error:  # whatever a recipe's function raises is its author's to mend
        raise KitError(
            f"recipe {recipe.name}: augment fails ({type(error).__name__}: {str(error)[:160]}); "
            "it must return an albumentations Compose"
        ) from error
