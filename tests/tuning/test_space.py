"""Varied fields: how they are read, what they hold, what is drawn of them."""

import numpy as np
import pytest
from helpers import MASK, small

from kit.system.errors import KitError
from kit.tuning.space import Varied, read_space, show_settings


def space(*texts, **changes):
    return read_space(texts, small(**changes), MASK)


def test_ranges_and_choices_are_read_as_they_are_typed():
    read = space(
        "lr=1e-4..1e-3:log", "drop_rate=0,.2,.4", "epochs=2..4", "optimizer=adam,sgd",
        "pretrained=true,false", "weight_decay=none,.1", "size=32,64",
    ).varied  # fmt: skip
    assert list(map(str, read)) == [
        "lr=0.0001..0.001:log",
        "drop_rate=0,0.2,0.4",
        "epochs=2..4",
        "optimizer=adam,sgd",
        "pretrained=true,false",
        "weight_decay=none,0.1",
        "size=32,64",
    ]
    assert [one.whole for one in read[:3]] == [False, False, True]
    assert read[4].choices == (True, False) and read[5].choices == (None, 0.1)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("lr", "--vary lr: names no values; write lr=1e-4..1e-3:log"),
        ("lr=", "write lr="),
        ("drop_rat=0,.2", "a recipe has no field 'drop_rat' (did you mean drop_rate?)"),
        ("seed=1,2", "seed cannot be varied, for it is luck"),
        ("name=a,b", "name cannot be varied"),
        ("select=last,best", "select cannot be varied, for it chooses the epoch by the photos"),
        ("patience=0..3", "patience cannot be varied"),
        ("lr=1e-3", "needs two choices or more"),
        ("drop_rate=.2,.2", "all different"),
        ("lr=1e-3..1e-4", "let the first number be below the second"),
        ("lr=0..1e-3:log", "a logarithm needs numbers above 0"),
        ("lr=1e-4..1e-3:exp", "is no range of numbers"),
        ("lr=a..b", "is no range of numbers"),
        ("lr=1e-4..inf", "is no range of numbers"),
        ("lr=0..1e-3", "lr=0.0 must be a number above 0"),
        ("drop_rate=0,1.5", "drop_rate=1.5 must be a number from 0 to 1"),
        ("epochs=2..4.5", "epochs=4.5 must be a whole number"),
        ("optimizer=adam,sdg", "must be one of adamw, adam, sgd (did you mean sgd?)"),
        ("optimizer=1..2", "optimizer=1.0 must be one of"),
        ("loss=ce,bce", "is no loss for the competition mask"),
        ("augment=a,b", "augment='a' must be a function"),
    ],
)
def test_what_cannot_be_varied_is_one_line(text, line):
    with pytest.raises(KitError) as error:
        space(text)
    assert str(error.value).startswith(f"--vary {text}") and line in str(error.value)


def test_none_is_a_choice_where_a_recipe_calls_it_so():
    (one,) = space("mix=none,cutmix").varied
    assert one.choices == ("none", "cutmix")


def test_a_field_is_varied_once():
    with pytest.raises(KitError, match="lr is varied twice"):
        space("lr=1e-4,1e-3", "lr=1e-4..1e-3")


@pytest.mark.parametrize(
    "text", ["lr=1e-4..1e-3:log", "epochs=2..5", "epochs=2..50:log", "ema=0,.9"]
)
def test_draws_cover_the_space_and_nothing_else(text):
    (one,) = space(text).varied
    rng = np.random.default_rng(0)
    values = [one.draw(rng) for _ in range(400)]
    assert all(one.has(value) for value in values)
    if one.whole:
        assert {type(value) for value in values} == {int}
        assert {one.low, one.high} <= set(values)
    if one.choices:
        assert set(values) == set(one.choices)


def test_a_drawn_logarithm_is_uniform():
    one = Varied("lr", low=1e-5, high=1e-1, log=True)
    rng = np.random.default_rng(0)
    values = np.array([one.draw(rng) for _ in range(4000)])
    shares = [((10.0**n <= values) & (values < 10.0 ** (n + 1))).mean() for n in range(-5, -1)]
    assert np.allclose(shares, 0.25, atol=0.03)


def test_a_drawn_number_has_three_digits_and_stays_in_its_range():
    one = Varied("lr", low=0.00123456, high=0.5)
    assert one.rounded(0.123456) == 0.123 and one.rounded(0.001234567) == one.low
    assert one.has(one.rounded(0.49999999))


def test_settings_that_do_not_suit_each_other_are_told_apart():
    both = space("warmup=0..2", "epochs=1,2")
    assert both.suits({"warmup": 2.0, "epochs": 2}) and not both.suits({"warmup": 2.0, "epochs": 1})
    assert both.settings == {"warmup": 1.0, "epochs": 2}


def test_the_recipe_s_own_settings_may_lie_outside():
    assert not space("lr=1e-4..1e-3").has({"lr": 5e-3})
    assert space("lr=1e-4..1e-2").has({"lr": 5e-3})
    assert not space("pretrained=true,false").has({"pretrained": "weights"})


def test_a_variant_has_the_settings_and_shows_them():
    settings = {"lr": 0.01, "drop_rate": 0}
    variant = space("lr=1e-3..1e-1", "drop_rate=0,.1").variant("mine", settings)
    assert (variant.name, variant.lr, variant.epochs) == ("mine", 0.01, 2)
    assert show_settings(settings) == "lr=0.01, drop_rate=0"
