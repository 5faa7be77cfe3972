"""A competition found by its name, or in a file of a person's."""

from pathlib import Path

import pytest

from kit.competition import Competition
from kit.competitions import competition_names, find_competition
from kit.data.recorded import recorded_competition, same_competition, with_own_functions
from kit.system.errors import KitError
from kit.system.script import ScriptFunction

HEAD = "from kit.competition import Competition\n"
FUNCTIONS = """
def read(path):
    return path.name

def score(truth, probs):
    return 0.5

competition = Competition(name="own", classes=("a", "b"), read=read, metric=score, greater=False)
"""


def written(path, text: str):
    """A definition file in a folder."""
    file = path / "competition.py"
    file.write_text(text)
    return file


def test_a_name_a_file_and_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_competition().name == "mask" == find_competition("mask").name
    written(tmp_path, HEAD + 'competition = Competition(name="own", classes=("a", "b"))')
    assert find_competition().name == "own" == find_competition("competition.py").name


def test_functions_travel_as_text_and_never_run_from_a_record(tmp_path, monkeypatch):
    file = written(tmp_path, HEAD + FUNCTIONS)
    competition = find_competition(str(file))
    assert isinstance(competition.metric, ScriptFunction)
    recorded = recorded_competition(competition.describe())
    assert isinstance(recorded, Competition) and recorded.describe() == competition.describe()
    assert recorded.greater is False and same_competition(recorded, competition)
    for function in (recorded.read, recorded.metric):
        with pytest.raises(KitError, match="what a file of data says is never run; use the"):
            function()
    monkeypatch.chdir(tmp_path)
    own = with_own_functions(recorded, Path("folds.json"))
    assert own.read(tmp_path / "x.png") == "x.png" and own.metric(None, None) == 0.5
    file.write_text(file.read_text() + "# changed\n")
    with pytest.raises(
        KitError, match="folds.json: its competition has functions .*as competition.py"
    ):
        with_own_functions(recorded, Path("folds.json"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            'competition = Competition(name="x", trget="y")',
            r"line 2: .*'trget'.*[Dd]id you mean '?target'?\?\)?; mend the file$",
        ),
        (
            'competition = Competition(name="x", group="")',
            "competition.py: competition x: group=''",
        ),
        (
            'competition = Competition(name="x", metric=lambda t, p: 0.0)',
            "competition.py: metric is no function by name; write: def metric",
        ),
        ("x = 1", "has no variable 'competition' that is a Competition"),
        (
            'competition = Competition(name="x", mirror={"a": "b", "b": "c"})',
            "each class in one pair",
        ),
        (
            'competition = Competition(name="x", classes=("a", "b"), mirror={"a": "c"})',
            "names of cl",
        ),
        (
            'competition = Competition(name="x", target_pattern="(")',
            "a regular expression with one",
        ),
        (
            'competition = Competition(name="x", target_pattern="a")',
            "a regular expression with one",
        ),
        ('competition = Competition(name="x", kind="label")', r"one of .*did you mean labels\?"),
        ('competition = Competition(name="x", kind="order", answer="list")', "kind is not labels"),
        (
            'competition = Competition(name="x", kind="labels", answer="name")',
            "because kind is labels",
        ),
        (
            'competition = Competition(name="x", classes=("a", "b", "c"), answer="probability")',
            "more than two classes",
        ),
    ],
)
def test_a_mistake_in_a_file_is_one_line(tmp_path, text, said):
    with pytest.raises(KitError, match=said):
        find_competition(str(written(tmp_path, HEAD + text)))


def test_a_name_that_is_not_known():
    with pytest.raises(KitError, match="--competition: there is no shapes; name a file, .* mask"):
        find_competition("shapes")
    with pytest.raises(KitError, match=r"there is no msak .did you mean mask\?"):
        find_competition("msak")
    assert "mask" in competition_names() and "mask_data" not in competition_names()
