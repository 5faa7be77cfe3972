"""Batch sizes that fit into a device's memory."""

import contextlib
import dataclasses
import math
import traceback
from collections.abc import Iterator

import numpy as np
import torch

from kit.competition import Competition
from kit.recipe import Recipe
from kit.scoring.losses import LOSSES
from kit.system.device import out_of_memory
from kit.system.errors import KitError
from kit.training.learner import Learner


def largest_fitting_batch(
    recipe: Recipe, competition: Competition, device: torch.device
) -> int | None:
    """The largest half, quarter, ... of a recipe's batch size whose steps fit into memory.

    None if none does.
    """
    size, geometry = recipe.batch_size // 2, recipe.geometry(competition)
    label = (competition.num_classes,) * competition.several_labels
    while size >= 3:  # the least that a recipe takes
        try:
            batch = (
                torch.zeros(size, *geometry.size, geometry.channels, dtype=torch.uint8),
                torch.zeros(size, *label, dtype=torch.int64),
            )
            plain = dataclasses.replace(recipe, pretrained=False)  # no weights to find or fetch
            learner = Learner(plain, competition, np.ones(competition.num_classes), device)
            for seed in range(2):  # the optimizer's own memory comes with the first step
                learner.step([batch], 0.0, seed)
            return size
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
            learner = None  # type: ignore[assignment]
            size //= 2
        finally:
            if device.type == "cuda":
                torch.cuda.empty_cache()
    return None


@contextlib.contextmanager
def explain_out_of_memory(
    recipe: Recipe, competition: Competition, device: torch.device
) -> Iterator[None]:
    """Raise `KitError`, with the batch size that fits, where the block runs out of memory."""
    try:
        yield
        return
    except RuntimeError as error:
        if not out_of_memory(error):
            raise
        traceback.clear_frames(
            error.__traceback__
        )  # they hold what did not fit: activations, most of all
        if device.type == "cuda":
            torch.cuda.empty_cache()
    height, width = recipe.geometry(competition).size
    fits = largest_fitting_batch(recipe, competition, device)
    line = (
        f"recipe {recipe.name}: the memory of {device} is too small for "
        f"batch_size={recipe.batch_size} at {height} x {width}; "
    )
    if fits is None:
        raise KitError(line + "no smaller one fits either: lower size, or free the device")
    if LOSSES[recipe.loss].whole_batch:
        raise KitError(line + f"{fits} fits: set batch_size={fits}")
    steps = math.ceil(recipe.batch_size / fits)
    same = (
        ", and the steps stay the same"
        if steps * fits == recipe.batch_size
        else ", for steps of about as many photos"
    )
    raise KitError(
        line + f"{fits} fits: set batch_size={fits}, accumulate={steps * recipe.accumulate}{same}"
    )
