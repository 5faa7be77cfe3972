"""Every command as a person types it, and every command line, path and link of the READMEs."""

import argparse
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

import fault_trials
import pytest
from helpers import InPlace, everywhere, make_data, mask_folder
from torch.distributed.run import get_args_parser
from trainings import ctrl_c_for_children

import kit.benchmarks.loops
import kit.benchmarks.synthetic
import kit.benchmarks.timing
import kit.compare
import kit.demo
import kit.recipe
import kit.train
from kit.data.folder import DataFolder
from kit.recipe import shipped_recipe
from kit.results import leaderboard
from kit.training.trackers import TRACKERS

ROOT = Path(__file__).resolve().parents[1]
COMMANDS = (
    "start",
    "folds",
    "train",
    "tune",
    "ensemble",
    "soup",
    "compare",
    "report",
    "sample",
    "demo",
    "bench",
)
READMES = {
    name: (ROOT / name).read_text(encoding="utf-8")
    for name in (
        "README.md",
        "recipes/README.md",
        "submissions/README.md",
        "kit/README.md",
        "tests/README.md",
    )
}
README = READMES["README.md"]


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


# ------------------------------------------------------------ the READMEs' command lines


def commands_of(text: str) -> list[str]:
    """The command lines of a Markdown text's `sh` blocks."""
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    return [
        line.partition("  #")[0].strip()
        for block in blocks
        for line in block.splitlines()
        if line.strip()
    ]


# Options that make a command of the READMEs small: the last of two equal options counts.
SMALL = {
    "bench folds": "--people 1000",
    "bench audit": "--people 1000",
    "bench scale": "--pairs 1 --steps 1 --photos 9 --processes 1",
    "bench": "--people 60 --pairs 1 --steps 1 --members 3 --photos 9",
    "sample": "--groups 6 --test-groups 1",
    "tune": "--trials 2",
}


def draw_small(folder: Path, photos: int) -> DataFolder:
    """`kit.bench`'s drawn photos, small and of noise: `test_sample.py` tests the drawn ones."""
    return mask_folder(make_data(folder / "data", THIRTY, eval_photos=1))


class Newcomer:
    """A folder in which the READMEs' command lines run in order, each different one once, with
    recipes of the shipped names that take seconds.
    """

    def __init__(self, root: Path) -> None:
        self.root, self.ran = root, set[str]()
        make_data(root / "data", THIRTY, eval_photos=12)
        (root / "recipes").mkdir()
        (root / "submissions").mkdir()
        person = (root / "data" / "train" / "train.csv").read_text().splitlines()[1].split(",")[4]
        (root / "fixes.csv").write_text(
            f"path,field,value\n{person},swap,incorrect_mask:normal\n", encoding="utf-8"
        )
        variant = re.findall(r"`recipes/(\w+)\.py`:", READMES["recipes/README.md"])
        for name in [*variant, *(path.stem for path in (ROOT / "recipes").glob("*.py"))]:
            (root / "recipes" / f"{name}.py").write_text(
                "from dataclasses import replace\n\nfrom kit.recipe import load_recipe\n\n"
                f"recipe = replace(load_recipe({str(shipped_recipe('tiny'))!r}), name={name!r}, "
                "epochs=2, size=(32, 24), batch_size=32)\n"
            )

    def run(self, line: str) -> int:
        """The exit code of a line; 0 if it has run already. A corrected plan is put back, so that
        the runs of the first one can still be used.
        """
        words = elsewhere(shlex.split(line, comments=True))
        if words[0] == "torchrun":  # one process does what several do
            parsed = get_args_parser().parse_args(words[1:])
            assert parsed.module and parsed.training_script == "kit.train"
            words = ["python", "-m", parsed.training_script, *parsed.training_script_args]
        assert words[:2] == ["python", "-m"] and words[2].startswith("kit."), line
        if line in self.ran:
            return 0
        name = words[2].removeprefix("kit.")
        arguments = [
            str(p) for w in words[3:] for p in (sorted(Path().glob(w)) if "*" in w else [w])
        ]
        small = [SMALL[start] for start in SMALL if " ".join(words[2:]).startswith(f"kit.{start}")]
        arguments += "".join(small[:1]).split()
        plan = {
            path: path.read_bytes()
            for path in (self.root / "runs").glob("folds.*")
            if "--corrections" in line
        }
        code = importlib.import_module(f"kit.{name}").main(arguments)
        for path, content in plan.items():
            assert path.read_bytes() != content, line
            path.write_bytes(content)
        if code == 0:
            self.ran.add(line)
        return code


def elsewhere(words: list[str]) -> list[str]:
    """A command's words for a machine without GPUs and outside of a cluster.

    Two GPUs are two processes; `scale/test_cluster.py` has a cluster.
    """
    words = ["cpu,cpu" if word == "cuda:0,cuda:1" else word for word in words]
    if "--cluster" in words:
        at = words.index("--cluster")
        address = words[at + 1 : at + 2] and not words[at + 1].startswith("-")
        del words[at : at + 1 + bool(address)]
    return words


# Five of each gender and age class: the fewest that five folds can hold.
THIRTY = [
    (f"{i:06d}", gender, age)
    for i, (gender, age) in enumerate(
        (gender, age)
        for gender in ("male", "female")
        for age in (20, 22, 24, 26, 28, 35, 40, 45, 50, 59, 60, 60, 60, 60, 60)
    )
]


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Newcomer:
    return Newcomer(tmp_path_factory.mktemp("newcomer"))


@pytest.mark.xdist_group("readmes")
@pytest.mark.parametrize("name", READMES)
def test_every_command_line_of_the_readmes_runs(name, newcomer, monkeypatch, capsys):
    """The front page's come first, for the others go on with its runs."""
    monkeypatch.chdir(newcomer.root)
    everywhere(monkeypatch, kit.benchmarks.timing, "SeparateProcess", InPlace)
    everywhere(monkeypatch, kit.benchmarks.loops, "matrix_peak", lambda *_: 100.0)
    everywhere(monkeypatch, kit.benchmarks.synthetic, "drawn_folder", draw_small)
    ci = (ROOT / ".ci" / "run").read_text()
    for line in [*commands_of(README), *commands_of(READMES[name])]:
        if line.startswith(("python -m kit.", "torchrun ")):
            assert newcomer.run(line) == 0, (line, capsys.readouterr().err)
        elif line.startswith("python -m pytest "):
            check_pytest(shlex.split(line)[3:])
            assert "python -m pytest" in ci
        elif line.startswith("python tests/golden.py "):
            assert run_golden(line, monkeypatch) == 0, line
        elif line == "python tests/messages.py":
            assert (ROOT / "tests" / "messages.py").exists()  # `test_messages.py` holds it true
        elif line.startswith("python tests/fault_trials.py"):
            args = fault_trials.build_parser().parse_args(shlex.split(line, comments=True)[2:])
            named = {*args.kinds, *(name.split(":")[0] for name in args.only)}
            assert named <= set(fault_trials.kinds()), line
        elif line.startswith("python tests/mutation.py "):
            assert run_mutation(line, monkeypatch) == 0, line
        elif line == ".ci/run":
            assert os.access(ROOT / line, os.X_OK)
        else:
            assert f"\n{line}\n" in ci, line


def check_pytest(words: list[str]) -> None:
    """Assert that pytest's words name files, markers and words of tests that there are."""
    parser = argparse.ArgumentParser()
    parser.add_argument("path", nargs="?", default="tests")
    for option in ("-n", "-m", "-k"):
        parser.add_argument(option, default="")
    args = parser.parse_args(words)
    assert (ROOT / args.path).exists() and args.n in ("", "0")
    assert f"\n    {args.m}" in (ROOT / "setup.cfg").read_text(encoding="utf-8")
    assert not args.k or args.k in (ROOT / args.path).read_text(encoding="utf-8")


def run_mutation(line: str, monkeypatch) -> int:
    """`tests/mutation.py`, without its run of tests that there are."""
    import mutation

    with monkeypatch.context() as patch:
        patch.chdir(ROOT)
        patch.setattr(sys, "argv", shlex.split(line)[1:])
        patch.setattr(mutation.pytest, "main", lambda words, **_: words[-1].startswith("-"))
        return mutation.main()


def run_golden(line: str, monkeypatch) -> int:
    """`tests/golden.py`, with hashes that no demo was run for."""
    import golden

    monkeypatch.setattr(golden, "hashes", lambda place: {"folds.csv": "0" * 64})
    monkeypatch.setattr(sys, "argv", shlex.split(line)[1:])
    return golden.main()


def test_the_readmes_run_every_command():
    """All but the demo, which a test above runs, and CI on every set-up."""
    lines = [line for text in READMES.values() for line in commands_of(text)]
    ran = {name for name in COMMANDS for line in lines if line.startswith(f"python -m kit.{name}")}
    assert ran | {"demo"} == set(COMMANDS)
    assert "pip install . && python -m kit.demo" in lines


def test_the_readmes_set_up_commands_are_what_ci_runs():
    ci = (ROOT / ".ci" / "run").read_text()
    lines = [line for line in commands_of(README) if "pip install" in line]
    assert len(lines) == 2
    for line in lines:
        assert f"\n{line}\n" in ci, line


def test_every_option_that_the_readmes_name_exists(capsys):
    for name in COMMANDS:
        with pytest.raises(SystemExit):
            importlib.import_module(f"kit.{name}").main(["--help"])
    options = set(re.findall(r"--[a-z][a-z-]+", capsys.readouterr().out))
    for name, text in READMES.items():
        prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
        assert set(re.findall(r"`(--[a-z][a-z-]+)", prose)) <= options, name


def test_no_command_line_hides_outside_the_blocks_that_are_run():
    for name, text in READMES.items():
        prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
        hidden = re.findall(r"`(?:python|pip|export|git) [^`]*`", prose)
        assert set(hidden) <= {
            "`python -m kit.NAME`",
            "`python -m kit.ensemble`",
            "`pip install '.[tracking]'`",
            "`pip install '.[tune]'`",
            "`pip install '.[cluster]'`",
        }, name
        assert not re.search(r"```(bash|console|shell)", text), name


# ------------------------------------------------------------ what the READMEs say of the tree


def rows_of(text: str, heading: str) -> list[list[str]]:
    """The cells of the first table below a heading, without its head."""
    lines = text[text.index(f"\n{heading}\n") :].split("\n| --- ", 1)[1].splitlines()[1:]
    rows = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split(" | ")])
    return rows


def test_the_front_page_is_short_and_names_every_command():
    assert len(README.splitlines()) < 120
    files = {path.stem for path in (ROOT / "kit").glob("*.py")} - {"__init__", "recipe"}
    assert files - {"competition", "task"} == set(COMMANDS)
    assert [row[0] for row in rows_of(README, "## Commands")] and {
        row[0].strip("`") for row in rows_of(README, "## Commands")
    } == {f"kit.{name}" for name in COMMANDS}
    for name in COMMANDS:
        assert f"`{name}`" in kit.__doc__
    assert "`kit/README.md`" in kit.__doc__


def anchors_of(text: str) -> set[str]:
    """The names that links give to the headings of a Markdown text."""
    heads = re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("name", READMES)
def test_every_link_leads_somewhere(name):
    links = re.findall(r"\]\(([^)\s]+)\)", READMES[name])
    for link in links:
        place, _, anchor = link.partition("#")
        path = (ROOT / name).parent / place if place else ROOT / name
        assert path.exists() and path.resolve().is_relative_to(ROOT), link
        if anchor:
            assert anchor in anchors_of(path.read_text(encoding="utf-8")), link


# What a person's own commands make, and a checkout has not.
FILES = ("oof.npz", "metrics.csv", "folds.csv", "folds.json", "tune.json", "leaderboard.csv")
MADE = re.compile(
    r"(runs|data|demo)/|.*[<*]|(folds|profile\S*)\.json|\S*leaderboard\.csv|\w+\.html$"
)


@pytest.mark.parametrize("name", READMES)
def test_every_path_in_the_tables_exists(name):
    """Seen from the root, or in `kit/README.md` from `kit/`, or in a row from the first one's
    folder.
    """
    rows = [line for line in READMES[name].splitlines() if line.startswith("| ")]
    for row in rows:
        folders = [ROOT, (ROOT / name).parent]
        for path in re.findall(r"`([\w./<>*-]+(?:/|\.(?:py|csv|json|html|npz|md|toml)))`", row):
            if MADE.match(path) or path in FILES or path.startswith("theirs") or "NAME" in path:
                continue
            there = [folder / path for folder in folders if (folder / path).exists()]
            assert there, (row, path)
            folders += [there[0].parent] if there else []


def test_the_file_map_has_exactly_the_files_of_the_tree():
    text = READMES["kit/README.md"]
    block = text[text.index("\n## The files\n") :].split("```")[1]
    listed = [line.split()[0] for line in block.splitlines()[1:]]
    tree = {
        path.relative_to(ROOT / "kit").as_posix()
        for path in (ROOT / "kit").rglob("*")
        if path.suffix in (".py", ".html") and path.stat().st_size
    }
    assert len(listed) == len(set(listed)) and set(listed) <= tree, set(listed) - tree
    missing = [
        f"{path:<33} " + (ROOT / "kit" / path).read_text().strip('"\n').partition("\n")[0]
        for path in sorted(tree - set(listed))
    ]
    assert not missing, "add to kit/README.md:\n" + "\n".join(missing)
    assert all(len(line.split(maxsplit=1)) == 2 for line in block.splitlines()[1:])
    floors = [folder for folder, _, _ in floors_of_the_folders()]
    order = list(dict.fromkeys(path.partition("/")[0] + "/" for path in listed if "/" in path))
    assert order == [folder for folder in floors if folder.endswith("/")]


def floors_of_the_folders() -> list[tuple[str, int, str]]:
    """The folders of `kit/`, and its files that folders import, with their floors and what they
    must not know, from the ground up.
    """
    rows = rows_of(READMES["kit/README.md"], "## The folders")
    return [(folder.strip("`"), int(floor), unknown) for floor, folder, _, unknown in rows]


def test_imports_run_down_the_floors():
    """A folder imports from lower floors only, but for what `kit/README.md` says is to go."""
    text = READMES["kit/README.md"]
    floors = {folder.strip("/").removesuffix(".py"): n for folder, n, _ in floors_of_the_folders()}
    folders = {path.parent.name for path in (ROOT / "kit").glob("*/__init__.py")}
    assert folders <= set(floors)
    top = max(floors.values())
    assert f"Floor {top + 1} is the commands" in text
    floors |= dict.fromkeys(COMMANDS, top + 1) | {"demo": top + 2}
    up = set()
    for path in (ROOT / "kit").rglob("*.py"):
        source = path.relative_to(ROOT / "kit").as_posix()
        room = source.partition("/")[0].removesuffix(".py")
        for module in re.findall(
            r"^\s*(?:from|import) kit\.([\w.]+)", path.read_text(encoding="utf-8"), re.MULTILINE
        ):
            target = module.partition(".")[0]
            assert target in floors, f"kit/README.md has no floor for {target}"
            if target != room and floors[target] >= floors.get(room, 0):
                up.add((source, module.replace(".", "/") + ".py"))
    said = re.findall(r"`([\w/]+\.py)` -> `([\w/]+\.py)`", text)
    assert up == set(said)


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
    words = ["-m", "kit.sample", "--out", str(tmp_path / "s"), "--groups", "5000"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with ctrl_c_for_children():
        process = subprocess.Popen([sys.executable, *words], **pipes)
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
        *ROOT.glob("kit/**/*.py"),
        *ROOT.glob("recipes/*.py"),
        *(ROOT / name for name in READMES),
        ROOT / "setup.cfg",
    ]:
        assert not re.search(
            r"(?<![\w.])/(home|root|work|mnt|opt)/", path.read_text(encoding="utf-8")
        ), path
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
