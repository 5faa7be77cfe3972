"""A competition as files record it."""

import dataclasses
import json
from pathlib import Path

import pytest
from kinds import GRADES, LABELS, SIDES

import kit
from kit.competitions import competition_names, find_competition
from kit.data.recorded import (
    own_competition,
    recorded_competition,
    same_competition,
    with_own_functions,
)
from kit.system.errors import KitError
from kit.system.script import RecordedFunction, ScriptFunction

TEXT = "def read(path):\n    return path\n\n\ndef score(truth, probs):\n    return 0.5\n"


def described(competition):
    """A competition as JSON has it."""
    return json.loads(json.dumps(competition.describe()))


@pytest.mark.parametrize("competition", [SIDES, GRADES, LABELS], ids=lambda c: c.name)
def test_a_competition_is_read_as_it_was_described(competition):
    recorded = recorded_competition(described(competition))
    assert recorded == competition and same_competition(recorded, competition)
    other = dataclasses.replace(competition, pool="max")
    assert not same_competition(recorded, other)


@pytest.mark.parametrize("name", competition_names())
def test_the_shipped_competitions_are_read_as_they_were_described(name):
    competition = find_competition(name)
    if competition.tasks:  # of the others the data say their classes
        assert same_competition(recorded_competition(described(competition)), competition)


def test_a_field_that_a_record_lacks_has_its_default():
    record = described(SIDES)
    for field in ("pool", "inputs", "greater", "read", "metric", "separator", "strata"):
        older = {name: value for name, value in record.items() if name != field}
        default = {f.name: f.default for f in dataclasses.fields(SIDES)}[field]
        assert getattr(recorded_competition(older), field) == default


def test_recorded_functions_are_those_here_or_none(tmp_path, monkeypatch):
    functions = {
        field: ScriptFunction("", TEXT, name, "competition")
        for field, name in (("read", "read"), ("metric", "score"))
    }
    competition = dataclasses.replace(SIDES, **functions)
    recorded = recorded_competition(described(competition))
    assert isinstance(recorded.read, RecordedFunction) and same_competition(recorded, competition)
    monkeypatch.chdir(tmp_path)
    for text in (None, "", TEXT + "\n", TEXT.encode("utf-16")):
        if text is not None:
            content = text if isinstance(text, bytes) else text.encode()
            (tmp_path / "competition.py").write_bytes(content)
        with pytest.raises(KitError, match=r"plan.json: its competition has functions .*2 found"):
            with_own_functions(recorded, Path("plan.json"))
    (tmp_path / "competition.py").write_bytes(b"\xef\xbb\xbf" + TEXT.replace("\n", "\r\n").encode())
    own = own_competition(described(competition))
    assert own == competition and own.read(3) == 3 and own.metric(0, 0) == 0.5


def test_a_definition_that_the_kit_ships_has_its_functions(tmp_path, monkeypatch):
    text = (Path(kit.__file__).parent / "competitions" / "mask_labels.py").read_text()
    monkeypatch.chdir(tmp_path)
    read = ScriptFunction("", text, "int", "competition")
    recorded = recorded_competition(described(dataclasses.replace(SIDES, read=read)))
    assert with_own_functions(recorded, Path("plan.json")).read == read


def test_without_functions_nothing_is_looked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "competition.py").mkdir()
    assert with_own_functions(SIDES, Path("plan.json")) is SIDES
