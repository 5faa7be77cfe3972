"""The folder of a drawn sample."""

import json

import pytest

from kit.competitions.sample_folder import check_sizes, new_sample, write_text
from kit.system.errors import KitError


def test_a_sample_says_what_made_it_and_is_replaced_by_force_alone(tmp_path):
    for n, force in ((1, False), (2, True)):
        with new_sample(tmp_path / "s", {"seed": n}, force) as folder:
            write_text(folder / "a.txt", f"{n}\n")
    assert (tmp_path / "s" / "a.txt").read_text() == "2\n"
    record = json.loads((tmp_path / "s" / "sample.json").read_text())
    assert record["made_by"] == "kit.sample" and record["seed"] == 2
    with pytest.raises(KitError, match="exists already.*--force"):
        with new_sample(tmp_path / "s", {}, False):
            pass
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


def test_a_foreign_folder_stays(tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "a.txt").write_text("years of work")
    with pytest.raises(KitError, match="no drawn sample"):
        with new_sample(tmp_path / "thesis", {}, True):
            pass
    assert (tmp_path / "thesis" / "a.txt").read_text() == "years of work"


def test_a_failure_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError):
        with new_sample(tmp_path / "s", {}, False) as folder:
            write_text(folder / "a.txt", "half")
            raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_the_first_option_below_its_least_value_is_named():
    check_sizes({"--groups": (6, 6, "")})
    with pytest.raises(KitError, match="^--groups: is 5; take 6 or more, one each$"):
        check_sizes({"--groups": (5, 6, "one each"), "--seed": (-1, 0, "")})
