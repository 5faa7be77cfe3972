import dataclasses

import albumentations as A
import pytest
from helpers import MASK, small
from kinds import GRADES, LABELS, SIDES

from kit.recipe import load_recipe, shipped_recipe
from kit.system.errors import KitError
from kit.training.checks import check_augment, check_recipe


def broken():
    """No transform."""


def upside_down():
    return A.Compose([A.VerticalFlip()])


def hues():
    return A.Compose([A.HueSaturationValue(p=1)])


def test_a_good_augmentation_and_none_at_all_pass():
    check_augment(load_recipe(shipped_recipe("tiny")), MASK)
    check_augment(small(augment=None), MASK)


def test_an_augmentation_that_fails_is_one_line_with_the_recipe_s_name():
    with pytest.raises(KitError, match="recipe mine: augment fails .AttributeError.*Compose"):
        check_augment(small("mine", augment=broken), MASK)


@pytest.mark.parametrize("path", sorted(shipped_recipe("tiny").parent.glob("*.py")))
def test_the_kit_s_own_recipes_suit_any_competition_but_for_edges(path):
    recipe = load_recipe(path)
    check_recipe(recipe, MASK)
    for competition in (SIDES, GRADES, LABELS, dataclasses.replace(GRADES, frame=(96, 96))):
        check_recipe(dataclasses.replace(recipe, edges=None), competition)
        if recipe.edges is not None:
            with pytest.raises(KitError, match="edges=.*needs one ordered task .*take it out"):
                check_recipe(recipe, competition)


@pytest.mark.parametrize(
    "changes, competition, said",
    [
        ({"loss": "ldam"}, LABELS, "loss='ldam' is no loss for .* labels, which has several"),
        ({"loss": "asl"}, SIDES, "loss='asl' .* has one class a photo; take one of ce, focal, f1"),
        ({"loss": "bce"}, GRADES, "loss='bce' is no loss for the competition grades"),
        ({"head": "tasks"}, LABELS, "head='tasks' is for classes that exclude each other"),
        ({"head": "ordinal"}, LABELS, "head='ordinal' is for classes that exclude each other"),
        ({"head": "ordinal"}, SIDES, "head='ordinal' needs classes that rise, and .* has none"),
        ({"edges": (30, 60)}, SIDES, "edges=.* needs one ordered task with a column"),
        ({"drop": (3, 4)}, GRADES, "drop=.* needs one ordered task with a column"),
        ({"augment": upside_down}, SIDES, "augment has VerticalFlip, .* take HorizontalFlip alone"),
        ({"crop": (400, 300)}, SIDES, r"crop=\(400, 300\) must be at most \(24, 32\)"),
        ({"augment": hues}, dataclasses.replace(GRADES, channels=4), "augment fails on 4 channels"),
    ],
)
def test_what_does_not_suit_a_competition_is_one_line(changes, competition, said):
    recipe = small("mine", **{"crop": None, "augment": None} | changes)
    with pytest.raises(KitError, match=f"recipe mine: .*{said}") as error:
        check_recipe(recipe, competition)
    assert "\n" not in str(error.value)
