"""Files of other people: nothing of them is run, and none of them names a place elsewhere."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from helpers import ensemble_arguments, theirs
from safetensors import safe_open
from safetensors.torch import load_file
from safetensors.torch import save as serialize

import kit.compare
import kit.ensemble
import kit.report
import kit.soup
import kit.train
from kit.data.plan import read_plan
from kit.results.leaderboard import BoardRow, read_board, write_board
from kit.system.checksum import with_checksum
from kit.system.disk import file_hash
from kit.system.errors import KitError


@pytest.fixture
def canary(tmp_path):
    """A file that code of others would make."""
    place = tmp_path / "canary"
    yield place
    assert not place.exists()


@pytest.fixture
def here(copy, monkeypatch):
    """A copy of the world as the working folder, with the options that name it."""
    monkeypatch.chdir(copy)
    return copy


PLACES = ("--data", "data", "--plan", "runs/folds.csv")


def planted(canary: Path) -> str:
    """Code that makes the canary when it is run, and again when its function is called."""
    touch = f"open({str(canary)!r}, 'w')"
    return f"{touch}\n\n\ndef read(path):\n    {touch}\n\n\ndef score(truth, probs):\n    {touch}\n"


def plant_in_plan(root: Path, canary: Path) -> None:
    """Let the plan's record say that its competition has functions."""
    record = root / "runs" / "folds.json"
    meta = json.loads(record.read_text())
    function = {"path": "", "text": planted(canary)}
    meta["competition"] |= {"read": function | {"name": "read"}}
    meta["competition"] |= {"metric": function | {"name": "score"}}
    record.write_text(json.dumps(with_checksum(meta)))


def plant_in_checkpoints(root: Path, changes: dict) -> None:
    """Change the metadata of the run's checkpoints, which then have no out-of-fold file."""
    for path in (root / "runs" / "small").glob("fold*/best.safetensors"):
        with safe_open(path, framework="pt") as file:
            content = json.loads(file.metadata()["kit"])
        for field, values in changes.items():
            content[field] |= values
        for other in ("oof.npz", "metrics.csv"):  # of the checkpoint that was
            (path.parent / other).unlink(missing_ok=True)
        path.write_bytes(
            serialize(load_file(path), metadata={"kit": json.dumps(with_checksum(content))})
        )


@pytest.mark.parametrize("definition", ["", "# another one\n"])
def test_a_plan_s_functions_are_never_run(here, canary, fails, definition):
    plant_in_plan(here, canary)
    if definition:
        (here / "competition.py").write_text(definition)
    recipe = Path(kit.__file__).parents[1] / "recipes" / "tiny.py"
    for main, words in (
        (kit.ensemble.main, ["runs/small", *PLACES, "--out", "s.csv"]),
        (kit.compare.main, ["runs/small", "runs/small", "--plan", "runs/folds.csv"]),
        (kit.report.main, ["runs/small", *PLACES, "--out", "page.html"]),
        (kit.train.main, [recipe, *PLACES]),
        (kit.soup.main, ["runs/small/fold0", *PLACES]),
    ):
        line = fails(main, *words)
        assert "its competition has functions that no definition here has, and what a file" in line
        assert "(2 found, the first: read); put the definition" in line


def test_a_plan_s_functions_are_those_of_the_definition_here(here, tmp_path):
    text = "def read(path):\n    return 7\n"
    plant_in_plan(here, tmp_path / "unused")
    record = here / "runs" / "folds.json"
    meta = json.loads(record.read_text())
    meta["competition"] |= {"read": {"path": "", "text": text, "name": "read"}}
    meta["competition"] |= {"metric": "f1_macro"}
    record.write_text(json.dumps(with_checksum(meta)))
    (here / "competition.py").write_text(text)
    assert read_plan(here / "runs" / "folds.csv").competition.read(Path("x")) == 7
    (here / "competition.py").write_text(text.replace("7", "8"))
    with pytest.raises(KitError, match="no definition here has"):
        read_plan(here / "runs" / "folds.csv")


def test_a_checkpoint_s_functions_and_augmentation_are_never_run(here, canary, fails, capsys):
    plant_in_checkpoints(here, {"recipe": {"augment": planted(canary)}})
    assert kit.ensemble.main(ensemble_arguments(here, "--no-score")) == 0
    function = {"path": "", "text": planted(canary), "name": "read"}
    plant_in_checkpoints(here, {"competition": {"read": function}})
    capsys.readouterr()
    line = fails(kit.ensemble.main, "runs/small", *PLACES, "--out", "t.csv")
    assert "was trained for another competition" in line


def test_no_recipe_and_no_definition_is_run_to_ensemble_compare_or_report(here, canary, capsys):
    for place in ("competition.py", "small.py", "data/competition.py", "runs/small/small.py"):
        (here / place).write_text(planted(canary))
    (here / "recipes").mkdir()
    shutil.copy(here / "small.py", here / "recipes" / "small.py")
    both = ["runs/small", theirs(here), *PLACES, "--device", "cpu", "--workers", "0"]
    assert kit.ensemble.main([str(word) for word in [*both, "--out", "s.csv"]]) == 0
    assert kit.ensemble.main(["--from", "s.json", *PLACES, "--out", "t.csv"]) == 0
    assert kit.ensemble.main(["--check", "s.csv", *PLACES]) == 0
    assert (
        kit.compare.main(["s.csv", "t.csv"]) == 0
        and kit.compare.main(["--board", "--log", "leaderboard.csv"]) == 0
    )
    assert kit.compare.main(["runs/small", str(theirs(here))]) == 2  # files and runs
    assert kit.report.main(["runs/small", *PLACES, "--out", "page.html"]) == 0


def test_a_checkpoint_s_recipe_names_no_place(here, fails):
    plant_in_checkpoints(here, {"recipe": {"name": "../../evil"}})
    bare = here / "bare.safetensors"
    shutil.copy(here / "runs" / "small" / "fold0" / "best.safetensors", bare)
    before = sorted(here.rglob("*"))
    line = fails(kit.ensemble.main, bare, *PLACES, "--no-score")
    assert "name='../../evil' must be a plain file name" in line
    assert sorted(here.rglob("*")) == before


def test_a_plan_names_no_photo_outside_of_the_data(here, fails):
    plan, record = here / "runs" / "folds.csv", here / "runs" / "folds.json"
    text, meta = plan.read_text(), json.loads(record.read_text())
    first = text.splitlines()[1].partition(",")[0]
    for outside in ("../secret.jpg", "/etc/secret.jpg", "a/../../secret.jpg"):
        plan.write_text(text.replace(first, outside))
        record.write_text(json.dumps(with_checksum(meta | {"folds.csv": file_hash(plan)})))
        line = fails(kit.report.main, "runs/small", *PLACES, "--out", "page.html")
        assert f"names photos outside of the data folder (1 found: {outside}); plan again" in line


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": "<b>"}, {"seed": None}, {"corrections": {}}, {"corrections": [3]},
        {"corrections": [{"path": "a"}]}, {"competition": {"name": "x"}}, {"competition": 3},
    ],
    ids=str,
)  # fmt: skip
def test_a_plan_s_record_is_checked(here, fails, changes):
    record = here / "runs" / "folds.json"
    record.write_text(json.dumps(with_checksum(json.loads(record.read_text()) | changes)))
    line = fails(kit.report.main, "runs/small", *PLACES, "--out", "page.html")
    assert "folds.json: " in line and "plan again with python -m kit.folds --force" in line


def damaged_record(record: dict, field: str, value: object) -> dict:
    """A record with another value of a member's file, or of a field."""
    member = record["members"][0]
    if field in ("path", "sha256", "fold"):
        file = member["files"][0] | {field: value}
        return record | {"members": [member | {"files": [file, *member["files"][1:]]}]}
    return record | {field: value}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("path", "/etc/passwd"), ("path", "/dev/zero"), ("path", 3), ("path", "a\0b"),
        ("sha256", 3), ("fold", "0"), ("settings", {"tta": 3, "used": "mean"}), ("settings", []),
        ("settings", {"tta": "none", "used": "mean", "run": "x"}), ("versions", {"torch": 2}),
        ("modes", []), ("views", {"plain": "x"}), ("seconds", "1"), ("photos", -1.5),
        ("counts", "ab"), ("kit", None), ("command", ["rm"]), ("batch_size", "8"),
        ("batch_size", 0), ("temperature", 0), ("temperature", "1"), ("biases", ["a"]),
        ("plan", 3), ("close", {"photos": 1}), ("saved", 1.0), ("passes", None),
    ],
    ids=str,
)  # fmt: skip
def test_a_record_is_of_its_types(records, fails, tmp_path, field, value):
    here, record = records
    bad = here / "bad.json"
    bad.write_text(json.dumps(with_checksum(damaged_record(record, field, value))))
    line = fails(kit.ensemble.main, "--from", bad, *PLACES, "--out", tmp_path / "new.csv")
    assert "is no record of a submission" in line and not (tmp_path / "new.csv").exists()


@pytest.fixture(scope="module")
def records(world, tmp_path_factory):
    """A working folder with the record of a submission, and that record."""
    root = tmp_path_factory.mktemp("records") / "world"
    shutil.copytree(world.plan_path.parents[1], root)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        assert kit.ensemble.main(ensemble_arguments(root)) == 0
        yield root, json.loads((root / "s.json").read_text())


def test_a_record_s_member_that_is_no_file_is_not_read(records, fails):
    here, record = records
    (here / "pipe").unlink(missing_ok=True)
    up = "../" * len(here.parts) + "dev/zero"
    (here / "bad.json").write_text(json.dumps(with_checksum(damaged_record(record, "path", up))))
    line = fails(kit.ensemble.main, "--from", here / "bad.json", *PLACES, "--out", "new.csv")
    assert "members that are not where they were" in line


def test_a_log_names_no_submission_elsewhere(tmp_path):
    log = tmp_path / "leaderboard.csv"
    for name in ("../secret.csv", "/etc/passwd", ".hidden.csv"):
        write_board(log, [BoardRow(name, "0", "now", "a")])
        with pytest.raises(KitError, match="names submissions that are no plain file names"):
            read_board(log)


@pytest.mark.parametrize("name", ["=1+1", "+1", "-5", "@SUM(A1)", "\tx", "'=x", "''-x", "'x", "x"])
def test_the_log_has_no_formulas_and_is_read_as_it_was_written(tmp_path, name):
    log, row = tmp_path / "leaderboard.csv", BoardRow(f"{name.strip()}.csv", "0", "now", name, 0.5)
    write_board(log, [row])
    assert read_board(log) == [row]
    cells = pd.read_csv(log, dtype=str, keep_default_na=False).iloc[0]
    assert not any(cell[:1] in tuple("=+-@\t\r") for cell in cells if cell)
