"""Every command as a person types it, and every command line of the README."""

import importlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import everywhere, make_data

import kit.compare
import kit.demo
import kit.recipe
import kit.train
from kit.competitions.mask_sample import draw_sample
from kit.recipe import load_recipe, shipped_recipe
from kit.results import leaderboard
from kit.training.trackers import TRACKERS

ROOT = Path(__file__).resolve().parents[1]
COMMANDS = ("folds", "train", "ensemble", "soup", "compare", "report", "sample", "demo", "bench")
README = (ROOT / "README.md").read_text(encoding="utf-8")


def python(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, **options)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_shows_every_option(name, capsys):
    main = importlib.import_module(f"kit.{name}").main
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0 and f"kit.{name}" in capsys.readouterr().out


@pytest.mark.parametrize("name", COMMANDS)
def test_a_typo_is_one_line(name, fails):
    assert f"kit.{name}: " in fails(importlib.import_module(f"kit.{name}").main, "--hlep")


def test_every_command_is_in_the_readme_and_in_the_package_docstring():
    for name in COMMANDS:
        assert f"`{name}`" in kit.__doc__ and f"kit.{name}" in README
    for module in (p.stem for p in (ROOT / "kit").glob("*.py") if p.stem != "__init__"):
        assert f"`{module}`" in kit.__doc__, module
        assert f"kit/{module}.py" in README, module


# ------------------------------------------------------------ the whole pipeline


def test_the_demo_from_photos_to_a_scored_submission(tmp_path, monkeypatch, capsys):
    small = load_recipe(shipped_recipe("tiny"))
    everywhere(
        monkeypatch,
        kit.recipe,
        "load_recipe",
        lambda path: type(small)(
            **{
                **{f: getattr(small, f) for f in small.__dataclass_fields__},
                "epochs": 2,
                "size": (48, 36),
            }
        ),
    )
    assert (
        kit.demo.main(["--out", str(tmp_path / "demo"), "--people", "60", "--eval-people", "6"])
        == 0
    )
    out = capsys.readouterr().out
    assert (
        "6. Compare the two" in out
        and "7. See it" in out
        and "macro-F1 on 42 photos of 6 unseen people" in out
    )
    for part in (
        "data/contact_sheet.png",
        "runs/folds.csv",
        "runs/tiny/fold4/best.safetensors",
        "submissions/tiny-hflip.json",
        "report.html",
    ):
        assert (tmp_path / "demo" / part).is_file()
    info, made = (
        (tmp_path / "demo" / p).read_text().splitlines()
        for p in ("data/eval/info.csv", "submissions/tiny-hflip.csv")
    )
    assert [line.split(",")[0] for line in info] == [line.split(",")[0] for line in made]
    assert kit.demo.main(["--out", str(tmp_path / "demo")]) == 2
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    assert kit.demo.main(["--out", str(tmp_path / "mine"), "--force"]) == 2
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"


def commands_of(text: str) -> list[str]:
    """The command lines of a Markdown text's `sh` blocks."""
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    return [
        line.partition("  #")[0].strip()
        for block in blocks
        for line in block.splitlines()
        if line.strip()
    ]


def test_the_readmes_set_up_commands_are_what_ci_runs():
    ci = (ROOT / ".ci" / "run").read_text()
    lines = [line for line in commands_of(README) if "pip install" in line]
    assert len(lines) == 2
    for line in lines:
        assert f"\n{line}\n" in ci, line


def test_every_command_line_of_the_readme_runs(tmp_path, monkeypatch, capsys):
    """In order, on the drawn sample, with recipes of the same names that take seconds."""
    monkeypatch.chdir(tmp_path)
    draw_sample(tmp_path / "data", people=60, eval_people=2)
    (tmp_path / "recipes").mkdir()
    (tmp_path / "submissions").mkdir()
    (tmp_path / "fixes.csv").write_text(
        "path,field,value\n"
        + (
            (tmp_path / "data" / "train" / "train.csv").read_text().splitlines()[1].split(",")[4]
            + ",swap,incorrect_mask:normal\n"
        )
    )
    for path in (ROOT / "recipes").glob("*.py"):
        (tmp_path / "recipes" / path.name).write_text(
            "from dataclasses import replace\n\nfrom kit.recipe import load_recipe\n\n"
            f"recipe = replace(load_recipe({str(shipped_recipe('tiny'))!r}), name={path.stem!r}, "
            "epochs=2, size=(32, 24))\n"
        )
    ran = set()
    for line in commands_of(README):
        words = shlex.split(line, comments=True)
        if words[0] == "export":
            name, _, value = words[1].partition("=")
            monkeypatch.setenv(name, str(tmp_path / "data") if name == "KIT_DATA" else value)
        elif words[:2] == ["python", "-m"] and words[2].startswith("kit."):
            name = words[2].removeprefix("kit.")
            arguments = [
                str(p) for w in words[3:] for p in (sorted(Path().glob(w)) if "*" in w else [w])
            ]
            if name == "bench":
                arguments += [
                    "--people",
                    "1000",
                    "--pairs",
                    "1",
                    "--steps",
                    "1",
                    "--members",
                    "3",
                    "--photos",
                    "9",
                ]
            assert importlib.import_module(f"kit.{name}").main(arguments) == 0, (
                line,
                capsys.readouterr().err,
            )
            ran.add(name)
        else:
            assert "pip install" in line or words[:2] == ["git", "clone"] or words[0] == "cd", line
    assert ran >= {"folds", "train", "ensemble", "soup", "compare", "report", "sample", "bench"}


# ------------------------------------------------------------ as a process


def test_a_reader_that_leaves_early_is_no_error(tmp_path):
    data = make_data(tmp_path / "data")
    line = (
        f"{shlex.quote(sys.executable)} -m kit.folds --data {shlex.quote(str(data))} --folds 3 "
        "--no-audit --out "
        f"{shlex.quote(str(tmp_path / 'f.csv'))} | head -1; echo ${{PIPESTATUS[0]}}"
    )
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "0" and "Traceback" not in done.stderr


def test_exit_codes_and_streams(tmp_path):
    done = python("-m", "kit.folds", "--data", str(tmp_path / "nowhere"))
    assert (
        (done.returncode, done.stdout) == (2, "")
        and done.stderr.startswith("error: ")
        and done.stderr.count("\n") == 1
    )
    files = []
    for name, ans in (("a", 1), ("b", 2)):
        files.append(tmp_path / f"{name}.csv")
        files[-1].write_text(f"ImageID,ans\nx.jpg,{ans}\n")
    done = python("-m", "kit.compare", *map(str, files), "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["pairs"][0]["differ"] == 1


def test_commands_and_their_help_load_no_heavy_package():
    """Those take seconds, and --help and a misspelt option are to be told at once."""
    heavy = ("torch", "scipy", "sklearn", "cv2", "matplotlib", "timm", "ttach", "jinja2")
    code = (
        "import contextlib, importlib, sys\n"
        f"for name in {COMMANDS}:\n"
        "    with contextlib.suppress(SystemExit):\n"
        "        importlib.import_module('kit.' + name).main(['--help'])\n"
        f"sys.exit(', '.join(name for name in {heavy} if name in sys.modules) or 0)"
    )
    done = python("-c", code)
    assert (done.returncode, done.stderr) == (0, "") and "kit.bench" in done.stdout


def test_what_the_options_repeat_is_what_the_kit_has():
    """Their modules are too heavy to be loaded for the options."""
    choices = {action.dest: action.choices for action in kit.train.build_parser()._actions}
    assert tuple(choices["select"]) == kit.recipe.CHOICES["select"]
    assert tuple(choices["track"]) == TRACKERS
    assert kit.compare.LOG.name == leaderboard.NAME


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_is_one_line_and_leaves_no_half_written_file(tmp_path, how):
    process = subprocess.Popen(
        [sys.executable, "-m", "kit.sample", "--out", str(tmp_path / "s"), "--people", "5000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Where the tests run in the background, SIGINT is ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob(".s.*/train/images/*")) and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(how)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130 and "Traceback" not in err and list(tmp_path.iterdir()) == []


def test_the_project_needs_no_place_of_its_own():
    """No file of the project names an absolute home or work folder."""
    for path in [
        *ROOT.glob("kit/*.py"),
        *ROOT.glob("recipes/*.py"),
        ROOT / "README.md",
        ROOT / "setup.cfg",
    ]:
        assert not re.search(
            r"(?<![\w.])/(home|root|work|mnt|opt)/", path.read_text(encoding="utf-8")
        ), path
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
