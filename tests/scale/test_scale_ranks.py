import pytest

from kit.scale.ranks import Ranks, find_ranks
from kit.system.errors import KitError

NAMES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")


def with_environment(monkeypatch, *values):
    for name, value in zip(NAMES, values):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)


@pytest.mark.parametrize("values", [(None,) * 4, ("0", "1", "0", "1"), ("3", "", None, None)])
def test_a_process_alone_is_in_no_group(monkeypatch, values):
    with_environment(monkeypatch, *values)
    assert find_ranks() == Ranks() == Ranks(0, 1, 0, 1)


def test_a_process_of_torchrun_has_a_place(monkeypatch):
    with_environment(monkeypatch, "5", "8", "1", "4")
    assert find_ranks() == Ranks(rank=5, size=8, local_rank=1, local_size=4)


@pytest.mark.parametrize(
    "values",
    [
        (None, "2", None, None),
        ("2", "2", "0", "2"),
        ("0", "2", "0", "3"),
        ("1", "2", "2", "2"),
        ("-1", "2", "0", "2"),
        ("0", "two", "0", "2"),
    ],
)
def test_variables_that_are_no_place_are_told(monkeypatch, values):
    with_environment(monkeypatch, *values)
    with pytest.raises(KitError, match=f"WORLD_SIZE={values[1]}.* start it by torchrun, or unset"):
        find_ranks()
