"""Whether a recipe suits a competition: what is told before a training."""

import numpy as np

from kit.competition import Competition
from kit.data.photos import augmented
from kit.recipe import Recipe
from kit.scoring.losses import LOSSES
from kit.system.errors import KitError
from kit.training.fold_data import ordered_task
from kit.training.mirror import check_mirrors


def check_recipe(recipe: Recipe, competition: Competition) -> None:
    """Raise `KitError` for a setting of a recipe that a competition does not allow."""
    line, of = f"recipe {recipe.name}:", f"the competition {competition.name}"
    loss = LOSSES[recipe.loss]
    if (loss.of_labels if competition.several_labels else loss.value) is None:
        names = [
            n for n, k in LOSSES.items() if (k.of_labels if competition.several_labels else k.value)
        ]
        kind = "several labels" if competition.several_labels else "one class"
        raise KitError(
            f"{line} loss={recipe.loss!r} is no loss for {of}, which has {kind} a photo; take one "
            f"of {', '.join(names)}"
        )
    if competition.several_labels and recipe.head != "classes":
        raise KitError(
            f"{line} head={recipe.head!r} is for classes that exclude each other, and {of} has "
            "several labels a photo; take head='classes'"
        )
    if recipe.head == "ordinal" and not any(task.ordered for task in competition.tasks):
        raise KitError(
            f"{line} head='ordinal' needs classes that rise, and {of} has none; take "
            "head='classes', or kind='order' in the competition's definition"
        )
    if recipe.edges is not None or recipe.drop is not None:
        ordered_task(recipe, competition)
    check_augment(recipe, competition)


def check_augment(recipe: Recipe, competition: Competition) -> None:
    """Try a recipe's augmentation on a black photo.

    Raises `KitError` if it fails, mirrors where the competition allows no mirror, or gives what a
    network cannot take.
    """
    geometry = recipe.geometry(competition)
    if recipe.augment is None:
        return
    shape = (*geometry.size, geometry.channels)
    try:
        transform = recipe.augment()
        check_mirrors(transform, competition.mirror)
        transform.set_random_seed(0)
        augmented(transform, np.zeros(shape, np.uint8))
    except KitError as error:
        raise KitError(f"recipe {recipe.name}: {error}") from error
    except Exception as error:  # whatever a recipe's function raises is its author's to mend
        of = f" on {shape[2]} channels" if shape[2] != 3 else ""
        raise KitError(
            f"recipe {recipe.name}: augment fails{of} ({type(error).__name__}: "
            f"{str(error)[:160]}); it must return an albumentations Compose"
        ) from error
