"""Trainings on a Ray cluster whose parts die, in processes of their own, and who loads ray."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import kit
from kit.results.run import Fold

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


def environments(name, parent):
    """The environments of a process's children of a name."""
    texts = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if re.search(rf"^PPid:\s+{parent}$", (folder / "status").read_text(), re.M):
                if name.encode() in (folder / "cmdline").read_bytes().split(b"\0")[0]:
                    texts.append((folder / "environ").read_bytes().decode())
        except OSError:
            continue  # it has ended
    return texts


@pytest.mark.xdist_group("cluster")
def test_a_cluster_of_one_command_gives_the_same_bytes_and_has_a_token(killable, tmp_path):
    """ray listens on every interface, and turns away who has no token."""
    pytest.importorskip("ray")
    words = [*killable.command, "--runs", tmp_path, "--cluster", "local", "--task-cpus", "1"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    environment = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    lines, servers = [], []
    with subprocess.Popen(list(map(str, words)), env=environment, **pipes) as command:
        for line in command.stdout:
            lines.append(line)
            if line.startswith("cluster "):
                servers = environments("gcs_server", command.pid)
    assert command.returncode == 0, "".join(lines)
    assert len(servers) == 1 and "RAY_AUTH_MODE=token" in servers[0]
    assert re.search(r"\0RAY_AUTH_TOKEN=[0-9a-f]{64}\0", f"\0{servers[0]}")
    files = Fold(tmp_path / "mine" / "fold0")
    assert files.best.read_bytes() == killable.whole.best.read_bytes()


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
