"""The faults that mutation testing puts in, and how they get into a module that is in use."""

import ast
import sys

import mutation
import pytest
from changes import changes

TEXT = """
import math

LEAST: Final = 3
NAMES = {"a": 1.5}


@cached
def scaled(value: int = 1, *, strict=True) -> float:
    \'\'\'A docstring.\'\'\'
    if value:
        raise KitError(f"{value + 1}")
    value = value // 2 if not strict else min(value, LEAST)
    value += 1
    pairs = [a for a, b in zip(value, value, strict=True) if a < b and math.floor(a)]
    return dealt(value, "two words", pairs)
"""
FAULTS = """
3 -> 4
'a' -> 'Xa'
1.5 -> 2.5
if value: raise KitError(f'{value + 1}') -> if not value: raise KitError(f'{value + 1}')
raise KitError(f'{value + 1}') -> pass
value + 1 -> value - 1
1 -> 2
value = value // 2 if not strict else min(value, LEAST) -> pass
value // 2 -> value / 2
2 -> 3
not strict -> strict
min -> max
value += 1 -> pass
1 -> 2
a < b and math.floor(a) -> a < b or math.floor(a)
a < b -> a <= b
math.floor -> math.ceil
return dealt(value, 'two words', pairs) -> return None
dealt(value, 'two words', pairs) -> dealt('two words', value, pairs)
1 -> 2
True -> False
"""


def test_the_faults_of_a_module():
    found = [change.what for change in changes(ast.parse(TEXT))]
    assert sorted(found) == sorted(line for line in FAULTS.splitlines() if line)


def test_each_fault_changes_one_place_and_compiles():
    plain = ast.unparse(ast.parse(TEXT)).splitlines()
    for number, change in enumerate(changes(ast.parse(TEXT))):
        tree = ast.parse(TEXT)
        list(changes(tree))[number].apply()
        compile(tree, "x", "exec")
        lines = ast.unparse(tree).splitlines()
        assert 0 < len(set(plain) ^ set(lines)) <= 4, change.what


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A module `kit_fault` in use, its file, and another one that has imported from it."""
    monkeypatch.setattr(mutation, "ROOT", tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "kit_fault.py").write_text("ONE = 1\n\n\ndef one():\n    return ONE + 0\n")
    (tmp_path / "kit_user.py").write_text("from kit_fault import ONE, one\n")
    import kit_fault
    import kit_user

    yield kit_fault, tmp_path / "kit_fault.py", kit_user
    del sys.modules["kit_fault"], sys.modules["kit_user"]


def faulty(file, what):
    """The code of a file with a fault."""
    tree = ast.parse(file.read_text())
    next(change for change in changes(tree) if change.what == what).apply()
    return compile(tree, str(file), "exec")


def test_a_function_gets_other_code_in_its_place(module):
    made, file, user = module
    mutation.put_code(faulty(file, "0 -> 1"), file, [user.one])
    assert user.one() == made.one() == 2


def test_a_module_run_again_replaces_what_others_have_imported(module):
    made, file, user = module
    before = user.one
    mutation.put_module(faulty(file, "1 -> 2"), file)
    assert user.ONE == 2 == user.one() and user.one is not before and user.one is made.one


def test_what_is_left_is_named_and_counted():
    rows = [
        {"module": "kit/a.py", "line": 3, "fault": "1 -> 2", "killed": False},
        {"module": "kit/a.py", "line": 4, "fault": "2 -> 3", "killed": True},
    ]
    left, one, whole = mutation.table(rows)
    assert left == "kit/a.py:3: 1 -> 2" and one.split() == ["kit/a.py", "2", "1", "1", "50.0%"]
    assert whole.split() == ["all", "2", "1", "1", "50.0%"]
    assert mutation.own_tests(mutation.ROOT / "kit" / "metrics" / "ranks.py")


@pytest.mark.parametrize(
    ("module", "said"),
    [
        ("kit/metrics/rank.py", "there is no module kit/metrics/rank.py of the kit"),
        ("tests/mutation.py", "there is no module tests/mutation.py of the kit"),
        ("kit/__init__.py", "kit/__init__.py has no test file of its own; name one with --tests"),
    ],
)
def test_a_module_that_cannot_be_tried_is_told_before_any_test_runs(
    monkeypatch, capsys, module, said
):
    monkeypatch.chdir(mutation.ROOT)
    monkeypatch.setattr(sys, "argv", ["mutation.py", module])
    monkeypatch.setattr(mutation.pytest, "main", lambda *_: pytest.fail("tests were run"))
    with pytest.raises(SystemExit) as ended:
        mutation.main()
    assert ended.value.code == 2 and said in capsys.readouterr().err
