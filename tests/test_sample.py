"""The command kit.sample."""

from pathlib import Path

import pytest

from kit.sample import main


@pytest.mark.parametrize(
    "options, told",
    [
        (["--people", "5"], "--people: is 5, must be at least 6"),
        (["--eval-people", "0"], "--eval-people: is 0"),
        (["--seed", "-1"], "--seed: is -1"),
        (["--people", "many"], "many"),
        (["--poeple", "9"], "did you mean --people"),
    ],
)
def test_bad_arguments_are_one_line(
    options: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--out", str(tmp_path / "data"), *options]) == 2
    told_line = capsys.readouterr().err
    assert told in told_line and told_line.count("\n") == 1 and not (tmp_path / "data").exists()


def test_the_command_tells_what_comes_next(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--out", str(tmp_path / "my data"), "--people", "6", "--eval-people", "1"]) == 0
    said = capsys.readouterr().out
    assert (
        "6 people" in said
        and "42 photos" in said
        and f"kit.folds --data '{tmp_path / 'my data'}'" in said
    )
