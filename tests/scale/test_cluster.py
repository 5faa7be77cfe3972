"""Trainings on a Ray cluster whose parts die, in processes of their own, and who loads ray."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import kit

SCRIPT = Path(__file__).parents[1] / "scripts" / "two_nodes.py"


def run_cases(killable, folder, *cases):
    """Run cases of the script on one cluster."""
    pytest.importorskip("ray")
    words = dict(zip(killable.command[::1], killable.command[1:]))
    places = ["--data", words["--data"], "--plan", words["--plan"]]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(["", *sys.path])}
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *cases, *places],
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment,
        timeout=500,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.xdist_group("cluster")
def test_killed_and_lost_tasks_end_with_the_bytes_of_an_undisturbed_training(killable, tmp_path):
    """SIGKILL and SIGTERM of workers, a recipe that cannot be trained; a node is lost."""
    out = run_cases(killable, tmp_path, "retries", "node")
    assert "retries: equal bytes" in out and "node: equal bytes" in out


@pytest.mark.trial
@pytest.mark.parametrize("case", ["driver", "frozen", "hidden"])
def test_the_command_or_a_network_dies_or_a_folder_is_not_shared(killable, tmp_path, case):
    assert f"{case}: " in run_cases(killable, tmp_path, case)


def test_ray_and_torch_distributed_have_one_importer_each():
    users = {"ray": set(), "torch.distributed": set()}
    for path in Path(kit.__file__).parent.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        for name, files in users.items():
            word = re.escape(name)
            if re.search(rf"^\s*(import|from) {word}\b|import_module\(\"{word}[\".]", text, re.M):
                files.add(path.stem)
    assert users["ray"] == {"cluster"} and users["torch.distributed"] <= {"group"}


def test_kit_train_loads_neither():
    code = "import sys, kit.train; print({'ray', 'torch.distributed'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("set()\n", "")
    code = "import sys, kit.scale.place; print('ray' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("False\n", "")
