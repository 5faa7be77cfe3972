"""A user's Python files: executed once, told in a line, and carried as text."""

import pickle

import pytest

from kit.system.errors import KitError
from kit.system.script import ScriptFunction, run_script


def written(folder, text, name="mine.py"):
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def test_a_file_is_executed_once_and_anew_when_its_text_changes(tmp_path):
    path = written(tmp_path, "made = []\n")
    module, text = run_script(path)
    assert text == "made = []\n" and run_script(path)[0] is module
    assert module.__file__ == str(path) and module.made == []
    assert run_script(written(tmp_path, "made = [1]\n"))[0].made == [1] and module.made == []


@pytest.mark.parametrize(
    "text, said",
    [
        ("x = 1\ny = (\n", "line 2: syntax error: "),
        ("x = 1\n\n1 / 0\n", "line 3: ZeroDivisionError: division by zero"),
        ("import sys\nsys.exit('no')\n", "line 2: SystemExit: no"),
        ("dict(1, 2)\n", "line 1: TypeError: "),
        ("def f(size): pass\nf(sise=1)\n", r"line 2: TypeError: .*'sise'.*[Dd]id you mean '?size"),
        (
            "from kit.system.errors import KitError\nraise KitError('lr is too high')\n",
            "mine.py: lr is too high",
        ),
    ],
)
def test_whatever_goes_wrong_is_a_line(tmp_path, text, said):
    with pytest.raises(KitError, match=said):
        run_script(written(tmp_path, text), ["size"])


def test_what_cannot_be_read_is_a_line(tmp_path):
    (tmp_path / "a.py").write_bytes("x = 'ü'".encode("latin-1"))
    for path in (tmp_path / "a.py", tmp_path / "none.py"):
        with pytest.raises(KitError, match="cannot be read"):
            run_script(path)


def test_a_function_travels_as_the_text_that_was_executed(tmp_path):
    path = written(tmp_path, "def twice(x):\n    return 2 * x\n")
    function = ScriptFunction(str(path), path.read_text(), "twice", "recipe")
    written(tmp_path, "def twice(x):\n    return 0\n")
    assert pickle.loads(pickle.dumps(function))(21) == 42


def test_the_code_of_a_function_has_neither_comments_nor_the_result():
    text = (
        '"""Mine."""\n# a comment\nRATE = 3\n\n\ndef f(x):\n    return x  # same\n\nrecipe = f(1)\n'
    )
    one = ScriptFunction("mine.py", text, "f", "recipe")
    other = text.replace("f(1)", "f(2)").replace("a comment", "another").replace("Mine", "Yours")
    assert one.code == "RATE = 3\n\ndef f(x):\n    return x"
    assert ScriptFunction("mine.py", other, "f", "recipe").code == one.code
    changed = text.replace("RATE = 3", "RATE = 4")
    assert ScriptFunction("mine.py", changed, "f", "recipe").code != one.code
