"""`kit/scale/README.md`: its scripts run in bash, and its files say what they must.

There is no SLURM and no Kubernetes here: variables are set by hand, and `sbatch` and `scontrol` are
stand-ins that write down how they are called.
"""

import importlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from helpers import World
from trainings import assert_same_run, on_cpu, recipe_file

import kit.train
from kit.recipe import load_recipe
from kit.results.run import Fold
from kit.training.run import train

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "kit" / "scale" / "README.md"
TEXT = README.read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
STAND_IN = '#!/bin/bash\necho "$(basename "$0") $*" >> "$CALLS"\necho 17\n'


def block(name: str) -> str:
    """The text of the block after the line that begins with `name`."""
    (found,) = re.findall(rf"^`{name}`.*\n\n```\w+\n((?s:.*?))^```", TEXT, re.MULTILINE)
    return found


@dataclass(frozen=True)
class Place:
    """A folder as the page wants it: recipes/, data/, runs/ with a plan, the scripts."""

    root: Path

    @property
    def calls(self) -> list[str]:
        """How the stand-ins were called, a line each."""
        path = self.root / "calls"
        return path.read_text().splitlines() if path.exists() else []

    def fold(self, recipe: str, number: int) -> Fold:
        """The files of a fold."""
        return Fold(self.root / "runs" / recipe / f"fold{number}")

    def environment(self, **variables: object) -> dict[str, str]:
        """The variables of a job."""
        before = filter(None, [os.environ.get("PYTHONPATH")])
        paths = os.pathsep.join([str(ROOT), str(ROOT / "tests"), *before])
        places = os.pathsep.join([str(self.root / "bin"), os.environ["PATH"]])
        own = {"PYTHONPATH": paths, "PATH": places, "CALLS": self.root / "calls"}
        own |= {"OMP_NUM_THREADS": 1, "XDG_CACHE_HOME": self.root / "cache"}
        return os.environ | {name: str(value) for name, value in (own | variables).items()}

    def start(self, script: str, **variables: object) -> subprocess.Popen[str]:
        """A script's process, in a group of its own."""
        return subprocess.Popen(
            ["bash", script],
            cwd=self.root,
            env=self.environment(**variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def task(self, number: int) -> subprocess.Popen[str]:
        """The process of a task of the array."""
        variables = {"SLURM_ARRAY_TASK_ID": number, "SLURM_JOB_ID": 170 + number}
        return self.start("train.sbatch", SLURM_CPUS_PER_TASK=1, **variables)


@pytest.fixture
def place(world: World, tmp_path: Path) -> Place:
    """A folder with nothing trained; its plan has three folds, and so has the script."""
    (tmp_path / "data").symlink_to(world.data)
    for name in ("recipes", "runs", "bin"):
        (tmp_path / name).mkdir()
    for name, epochs in (("effb4_5fold", 10), ("resnet50_5fold", 1)):
        recipe_file(tmp_path / "recipes", name, f", epochs={epochs}")
    for plan in world.runs.glob("folds.*"):
        shutil.copy(plan, tmp_path / "runs")
    python = f'#!/bin/bash\nexec {shlex.quote(sys.executable)} "$@"\n'
    for name, text in (("python", python), ("sbatch", STAND_IN), ("scontrol", STAND_IN)):
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    for name in ("train.sbatch", "ensemble.sbatch", "submit"):
        text = block(name).replace("folds=5\n", "folds=3\n")
        (tmp_path / name).write_text(text)
    return Place(tmp_path)


def undisturbed(place: Place, world: World, recipe: str, fold: int) -> Fold:
    """The same fold, trained in this process."""
    runs = place.root / "undisturbed"
    loaded = load_recipe(place.root / "recipes" / f"{recipe}.py")
    train(loaded, world.plan, world.folder, [fold], runs, on_cpu())
    return Fold(runs / recipe / f"fold{fold}")


def test_two_tasks_of_an_array_at_once_share_a_fresh_folder(place, world):
    """Task 0 is the first recipe's fold 0, task 5 the second one's fold 2."""
    tasks = [place.task(0), place.task(5)]
    logs = [task.communicate(timeout=120)[0] for task in tasks]
    assert [task.returncode for task in tasks] == [0, 0], logs
    for recipe, fold in (("effb4_5fold", 0), ("resnet50_5fold", 2)):
        assert_same_run(place.fold(recipe, fold), undisturbed(place, world, recipe, fold))
    assert len(list((place.root / "runs").rglob("*.npy"))) == 1  # one pixel cache for both
    assert place.calls == []


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    """Wait until a file is there; its process must live until then."""
    deadline = time.monotonic() + 120
    while not path.exists():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_task_that_is_stopped_saves_and_the_requeued_one_goes_on(place, world):
    """`scancel` tells all of a task's processes, so that Python hears it twice, for the shell
    passes it on; the time limit is told to the shell alone.
    """
    files = place.fold("effb4_5fold", 0)
    cancelled = place.task(0)
    wait_for(files.metrics, cancelled)
    saved = files.last.stat().st_mtime_ns
    os.killpg(cancelled.pid, signal.SIGTERM)
    log, _ = cancelled.communicate(timeout=180)
    assert cancelled.returncode == 130 and "same command goes on from here" in log, log
    assert files.last.stat().st_mtime_ns > saved, log
    assert place.calls == []

    first = files.last.read_bytes()
    limited = place.task(0)
    while files.last.read_bytes() == first:
        assert limited.poll() is None
        time.sleep(0.02)
    limited.send_signal(signal.SIGUSR1)
    log, _ = limited.communicate(timeout=180)
    assert limited.returncode == 130 and "going on after" in log, log
    assert place.calls == ["scontrol requeue 170"]

    requeued = place.task(0)
    log, _ = requeued.communicate(timeout=180)
    assert requeued.returncode == 0 and "going on after" in log, log
    assert_same_run(files, undisturbed(place, world, "effb4_5fold", 0))


def test_the_ensemble_waits_for_the_whole_array(place):
    submit = place.start("submit")
    log, _ = submit.communicate(timeout=20)
    assert submit.returncode == 0, log
    train_line, ensemble_line = place.calls
    assert train_line == "sbatch --parsable train.sbatch"
    assert "--dependency=afterok:17" in ensemble_line and ensemble_line.endswith("ensemble.sbatch")


def test_the_array_has_a_task_for_each_recipe_and_fold():
    text = block("train.sbatch")
    (recipes,) = re.findall(r"^recipes=\((.*)\)$", text, re.MULTILINE)
    (folds,) = re.findall(r"^folds=(\d+)$", text, re.MULTILINE)
    (last,) = re.findall(r"^#SBATCH --array=0-(\d+)$", text, re.MULTILINE)
    assert int(last) + 1 == len(recipes.split()) * int(folds)
    assert all((ROOT / recipe).exists() for recipe in recipes.split())
    # SLURM reads directives up to the first command only.
    lines = [line for line in text.splitlines() if line]
    directives = [n for n, line in enumerate(lines) if line.startswith("#SBATCH")]
    assert lines[0] == "#!/bin/bash" and directives == list(range(1, len(directives) + 1))


@pytest.mark.parametrize("text", [text for kind, text in BLOCKS if kind == "bash"])
def test_bash_reads_every_script(text):
    done = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def pod_specs(tree: object) -> list[dict]:
    """The pod specifications within a Kubernetes object."""
    if isinstance(tree, list):
        return [spec for value in tree for spec in pod_specs(value)]
    if not isinstance(tree, dict):
        return []
    inner = [spec for value in tree.values() for spec in pod_specs(value)]
    return [tree, *inner] if "containers" in tree else inner


@pytest.mark.parametrize("name, pods", [("folds.yaml", 1), ("rayjob.yaml", 2)])
def test_pods_mount_what_they_have_and_loaders_have_shared_memory(name, pods):
    specs = pod_specs(yaml.safe_load(block(name)))
    assert len(specs) == pods
    for spec in specs:
        volumes = {volume["name"]: volume for volume in spec["volumes"]}
        (container,) = spec["containers"]
        mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
        assert set(mounts) == set(volumes) and mounts["shm"] == "/dev/shm"
        assert volumes["shm"]["emptyDir"]["medium"] == "Memory"
        variables = {variable["name"]: variable["value"] for variable in container["env"]}
        assert variables["KIT_CACHE"] == mounts["cache"]
        assert all(isinstance(value, str) for value in variables.values())


def test_the_indexed_job_trains_the_fold_of_its_index_and_gives_up_on_mistakes(
    place, monkeypatch, fails
):
    spec = yaml.safe_load(block("folds.yaml"))["spec"]
    assert spec["completionMode"] == "Indexed" and spec["completions"] == 5
    # What Kubernetes asks for: a failure policy, and a limit for each index, only with `Never`.
    assert spec["template"]["spec"]["restartPolicy"] == "Never"
    (container,) = spec["template"]["spec"]["containers"]
    ignored, failed = spec["podFailurePolicy"]["rules"]
    assert ignored["action"] == "Ignore" and failed["action"] == "FailIndex"
    assert failed["onExitCodes"]["containerName"] == container["name"]
    assert failed["onExitCodes"]["values"] == [2]

    def words(index: int) -> list[str]:
        return [w.replace("$(JOB_COMPLETION_INDEX)", str(index)) for w in container["command"]]

    monkeypatch.chdir(place.root)
    assert words(1)[:3] == ["python", "-m", "kit.train"]
    assert kit.train.main(words(1)[3:]) == 0
    assert [path.name for path in (place.root / "runs" / "effb4_5fold").iterdir()] == ["fold1"]
    assert "the plan has the folds 0 to 2" in fails(kit.train.main, *words(4)[3:])


def test_the_cloud_file_goes_on_after_sigterm():
    task = yaml.safe_load(block("sky.yaml"))
    assert task["resources"]["job_recovery"]["recover_on_exit_codes"] == [130]
    command = task["run"].replace("\\\n", " ")
    for option, folder in (("--data", "~/data"), ("--runs", "~/runs")):
        assert folder in task["file_mounts"] and f"{option} {folder} " in command
    gpus = int(task["resources"]["accelerators"].partition(":")[2])
    assert ",".join(f"cuda:{n}" for n in range(gpus)) + " " in command


def command_lines() -> list[list[str]]:
    """The words of every command of the kit in the page's blocks."""
    joined = re.sub(r"\\\n", " ", "\n".join(text for _, text in BLOCKS))
    lines = re.findall(r"(?:python -m|-m) (kit\.\w+[^\n#&|]*)", joined)
    (pod,) = pod_specs(yaml.safe_load(block("folds.yaml")))
    return [*map(shlex.split, lines), pod["containers"][0]["command"][2:]]


@pytest.mark.parametrize("words", command_lines(), ids=" ".join)
def test_every_command_line_is_one_that_the_kit_has(words):
    words = [re.sub(r"^\$.*", "0", word) for word in words]
    importlib.import_module(words[0]).build_parser().parse_args(words[1:])


def test_every_option_in_the_text_exists():
    prose = re.sub(r"^```.*?^```", "", TEXT, flags=re.MULTILINE | re.DOTALL)
    theirs = {"--requeue", "--kill-on-invalid-dep", "--array", "--max-restarts"}
    known = set()
    for name in {words[0] for words in command_lines()}:
        parser = importlib.import_module(name).build_parser()
        known |= {option for action in parser._actions for option in action.option_strings}
    assert set(re.findall(r"`(--[a-z][a-z-]+)", prose)) - theirs <= known


def test_every_link_leads_to_a_heading():
    headings = {
        re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-")
        for head in re.findall(r"^#+ (.*)$", TEXT, re.MULTILINE)
    }
    links = re.findall(r"\]\(#([^)]+)\)", TEXT)
    assert links and set(links) <= headings
    others = re.findall(r"\]\(([^)#]+)[^)]*\)", TEXT)
    assert others and all((README.parent / link).exists() for link in others)
