"""The command kit.sample."""

from pathlib import Path

import pytest

from kit.sample import main


@pytest.mark.parametrize(
    "options, told",
    [
        (["--groups", "5"], "--groups: is 5; take 6 or more"),
        (["--test-groups", "0"], "--test-groups: is 0"),
        (["--seed", "-1"], "--seed: is -1"),
        (["--groups", "many"], "many"),
        (["--competition", "statefarn"], "statefarn"),
        (["--gruops", "9"], "did you mean --groups"),
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
    assert main(["--out", str(tmp_path / "my data"), "--groups", "6", "--test-groups", "1"]) == 0
    said = capsys.readouterr().out
    assert (
        "6 people" in said
        and "49 photos" in said
        and f"kit.folds --data '{tmp_path / 'my data'}'" in said
    )


@pytest.mark.parametrize("name", ["statefarm", "ham10000"])
def test_a_competition_of_a_name_is_drawn(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "data"
    words = ["--out", str(out), "--competition", name, "--groups", "6", "--test-groups", "2"]
    assert main(words) == 0 and (out / "answers.csv").is_file()
    said = capsys.readouterr().out
    assert f"kit.folds --data {out} --competition {name}" in said and "look" not in said
