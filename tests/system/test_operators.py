"""The table of operators has the longest ones, and the rest in one row."""

from kit.system.operators import Operator, show_operators


def test_short_operators_are_added_up(capsys):
    operators = [Operator(f"op{n}", 1.0, 2, 5.0 * (n == 0)) for n in range(16)]
    show_operators(operators, 2)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Operators of 2 steps" and len(lines) == 2 + 12 + 1
    assert lines[2].split() == ["op0", "1000.0", "6.2%", "2", "5"]
    assert lines[-1].split() == ["others", "4000.0", "25.0%", "8", "-"]
