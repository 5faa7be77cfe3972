"""What machines must see alike: the kit, its libraries, the plan, the folders."""

import pytest

from kit.scale.job import Shared
from kit.scale.sight import check_sight, kit_hash, look, marked
from kit.system.errors import KitError


@pytest.fixture
def shared(tmp_path):
    (tmp_path / "folds.csv").write_text("image,fold\n")
    (tmp_path / "data").mkdir()
    return Shared((tmp_path / "folds.csv", tmp_path / "data"), tmp_path / "runs")


def test_the_same_place_sees_the_same_and_nothing_is_left(shared):
    with marked(shared.written) as mark:
        here = look(shared, mark)
        check_sight("box2", look(shared, mark), here)
    assert list(shared.written.iterdir()) == []
    assert {"kit", "torch", "timm", "Python"} <= here.keys() and here["kit"] == kit_hash()
    assert here[str(shared.written)] == "the folder of results"


def test_what_a_node_does_not_see_is_named(shared, tmp_path):
    plan, data = shared.read
    with marked(shared.written) as mark:
        here = look(shared, mark)

        def line():
            with pytest.raises(KitError) as error:
                check_sight("box2", look(shared, mark), here)
            assert str(error.value).startswith("node box2: ")
            return str(error.value)

        plan.write_text("image,fold\na,0\n")
        assert f"at {plan}, and this machine the file" in line()
        plan.unlink()
        assert f"sees nothing at {plan}" in line()
        plan.write_text("image,fold\n")
        data.rmdir()
        assert f"sees nothing at {data}, and this machine a folder" in line()
        data.mkdir()
        (shared.written / mark).rename(tmp_path / mark)
        assert f"sees another folder at {shared.written}" in line()
        shared.written.rename(tmp_path / "away")
        assert f"sees nothing at {shared.written}" in line()
        shared.written.mkdir()
        (tmp_path / mark).rename(shared.written / mark)


def test_other_versions_are_named(shared):
    with marked(shared.written) as mark:
        here = look(shared, mark)
    for name, text in (
        ("kit", "has another version of the kit"),
        ("torch", "has torch 1.0, this machine"),
        ("Python", "has Python 1.0, this machine 3."),
    ):
        with pytest.raises(KitError, match=text):
            check_sight("box2", {**here, name: "1.0"}, here)


def test_results_must_have_a_place(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(KitError, match="cannot be written"), marked(tmp_path / "file" / "runs"):
        pass
