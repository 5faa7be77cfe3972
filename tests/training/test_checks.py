import pytest
from helpers import MASK, small

from kit.recipe import load_recipe, shipped_recipe
from kit.system.errors import KitError
from kit.training.checks import check_augment


def broken():
    """No transform."""


def test_a_good_augmentation_and_none_at_all_pass():
    check_augment(load_recipe(shipped_recipe("tiny")), MASK)
    check_augment(small(augment=None), MASK)


def test_an_augmentation_that_fails_is_one_line_with_the_recipe_s_name():
    with pytest.raises(KitError, match="recipe mine: augment fails .AttributeError.*Compose"):
        check_augment(small("mine", augment=broken), MASK)
