"""A Ray cluster of three nodes on this machine, and what happens when parts of it die.

    python tests/scripts/two_nodes.py retries driver node

trains a small recipe in this process, then as tasks of a cluster of a head and two nodes, `box1`
and `box2`, of one core and a pretended GPU each. Each case interrupts the tasks in its own way;
all must end with the bytes of the undisturbed training. Prints what was seen; the exit code is 1
where anything was otherwise.
"""

import argparse
import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SETTINGS = {  # before ray is loaded
    "OMP_NUM_THREADS": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_grpc_client_keepalive_time_ms": "2000",
    "RAY_grpc_client_keepalive_timeout_ms": "2000",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
os.environ.update(SETTINGS)

from ray.cluster_utils import Cluster  # noqa: E402

CHECKS = {  # a node is lost within seconds
    "health_check_initial_delay_ms": 0,
    "health_check_period_ms": 500,
    "health_check_timeout_ms": 500,
    "health_check_failure_threshold": 3,
}
RECIPE = """from dataclasses import replace

from kit.recipe import load_recipe, shipped_recipe

recipe = replace(
    load_recipe(shipped_recipe("tiny")),
    name="{name}", size=(32, 24), batch_size=8, epochs={epochs}, ema=0.9, drop_rate=0.2, lr={lr},
)
"""


def children_of(pid: int) -> list[int]:
    """The processes below a process, the nearest first."""
    text = Path(f"/proc/{pid}/task/{pid}/children")
    near = [int(word) for word in text.read_text().split()] if text.exists() else []
    return near + [below for child in near for below in children_of(child)]


def is_alive(pid: int) -> bool:
    """True if a process runs, or is frozen."""
    with contextlib.suppress(OSError):
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    return False


def wait_for(what: str, ready: Callable[[], Any], seconds: float = 120) -> Any:
    """Wait until `ready` returns what is true, and return it; an error after so many seconds."""
    end = time.monotonic() + seconds
    while not (found := ready()):
        assert time.monotonic() < end, f"{what}: not within {seconds:.0f} s"
        time.sleep(0.02)
    return found


class Case:
    """A training on the cluster into a folder of its own, and what it must end like."""

    def __init__(self, bench: "Bench", name: str) -> None:
        self.bench, self.name, self.runs = bench, name, bench.root / name
        self.out = bench.root / f"{name}.txt"

    def folder(self, fold: int) -> Path:
        """The folder of a fold."""
        return self.runs / "mine" / f"fold{fold}"

    def start(self, *recipes: str) -> subprocess.Popen:
        """Start the command, with more recipes."""
        address = self.bench.cluster.address
        more = ["--cluster", address, "--gpus", "1", "--runs", str(self.runs)]
        words = [*self.bench.command, *recipes, *self.bench.options, *more]
        self.started = time.time()
        with open(self.out, "a") as file:
            self.process = subprocess.Popen(words, stdout=file, stderr=file, start_new_session=True)
        return self.process

    def pid(self, fold: int, attempt: int = 1) -> int:
        """The process of a fold's attempt, by its log; 0 if it has not started."""
        log = self.folder(fold) / "log.txt"
        found = re.findall(r"pid (\d+)", log.read_text()) if log.exists() else []
        return int(found[attempt - 1]) if len(found) >= attempt else 0

    def is_saved(self, fold: int) -> bool:
        """True if a fold in training has been saved since the command's start."""
        path = self.folder(fold) / "last.pt"
        return path.exists() and path.stat().st_mtime > self.started

    def until_saved(self, attempt: int = 1, folds: tuple[int, ...] = (0,)) -> tuple[int, int]:
        """Wait until one of these folds has been saved; the fold, and its process."""

        def saved() -> list[tuple[int, int]]:
            assert self.process.poll() is None, self.out.read_text()
            pids = {fold: self.pid(fold, attempt) for fold in folds}
            return [(fold, pid) for fold, pid in pids.items() if pid and self.is_saved(fold)]

        return wait_for(f"{self.name}: a fold is saved", saved)[0]

    def end(self, process: subprocess.Popen, code: int = 0) -> str:
        """Wait for the command; what it printed."""
        process.wait(timeout=240)
        text = self.out.read_text()
        assert process.returncode == code, f"{self.name}: code {process.returncode}\n{text}"
        assert "Traceback" not in text, text
        return text

    def check(self) -> None:
        """Assert that the folds' bytes are those of the undisturbed training."""
        for fold in (0, 1):
            for file in ("best.safetensors", "oof.npz"):
                whole = self.bench.root / "whole" / "mine" / f"fold{fold}" / file
                same = (self.folder(fold) / file).read_bytes() == whole.read_bytes()
                assert same, f"{self.name}: fold {fold}, {file}"
        print(f"{self.name}: equal bytes", flush=True)


class Bench:
    """The cluster, the data, and the undisturbed training."""

    def __init__(self, root: Path, data: Path, plan: Path, epochs: int) -> None:
        self.root = root
        for name, lr in (("mine", "5e-3"), ("wild", "1e6")):
            text = RECIPE.format(name=name, epochs=epochs, lr=lr)
            (root / f"{name}.py").write_text(text)
        places = ["--data", str(data), "--plan", str(plan)]
        saving = ["--save-minutes", "0.0001", "--fold", "0,1", "--device", "cpu"]
        self.recipe = str(root / "mine.py")
        self.command = [sys.executable, "-m", "kit.train", self.recipe]
        self.options = [*places, *saving]
        whole = [*self.command, *self.options, "--runs", str(root / "whole")]
        subprocess.run(whole, check=True, capture_output=True)
        head = {"num_cpus": 0, "num_gpus": 0, "include_dashboard": False}
        store = {"object_store_memory": 80 * 2**20}
        self.cluster = Cluster(
            initialize_head=True, head_node_args=head | store | {"_system_config": CHECKS}
        )
        self.nodes = {name: self.add(name) for name in ("box1", "box2")}

    def add(self, name: str) -> object:
        """Add a node of one core and a pretended GPU."""
        few = {"num_cpus": 1, "num_gpus": 1, "object_store_memory": 80 * 2**20}
        return self.cluster.add_node(node_name=name, **few)

    def node_of(self, pid: int) -> str:
        """The node whose worker a process is."""
        for name, node in self.nodes.items():
            if pid in children_of(node.all_processes["raylet"][0].process.pid):
                return name
        raise AssertionError(f"process {pid} is of no node")


def retries(bench: Bench) -> None:
    """A worker is killed, another one is asked to stop, and a second recipe cannot be trained."""
    case = Case(bench, "retries")
    process = case.start(str(bench.root / "wild.py"))
    signals = {0: signal.SIGKILL, 1: signal.SIGTERM}
    while signals:
        fold, pid = case.until_saved(folds=tuple(signals))
        os.kill(pid, signals.pop(fold))
    text = case.end(process, code=2)
    killed = r"again     mine/fold0 on box\d \(1 core\): it was killed; goes on after epoch \d"
    stopped = r"again     mine/fold1 on .* was stopped, and has saved; goes on after epoch \d"
    for line in (killed, stopped, r"finished  mine/fold0: ", r"failed    wild/fold1: "):
        assert re.search(line, text), (line, text)
    errors = re.findall("^error: .*wild/fold.*is not a finite number.*log: .*$", text, re.M)
    assert len(errors) == text.count("error: ") == 2, text
    assert "what was trained is saved" in (case.folder(1) / "log.txt").read_text()
    case.check()


def driver(bench: Bench) -> None:
    """The command is killed, then asked to stop; the same command goes on each time."""
    case = Case(bench, "driver")
    process = case.start()
    _, worker = case.until_saved()
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    wait_for("the worker ends", lambda: not is_alive(worker), 10)
    process = case.start()
    case.until_saved(attempt=2)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    assert "the same command goes on from here" in case.end(process, code=130)
    assert time.time() - (case.folder(0) / "last.pt").stat().st_mtime < 15
    case.end(case.start())
    case.check()


def node(bench: Bench) -> None:
    """A node is lost."""
    case = Case(bench, "node")
    process = case.start()
    lost = bench.node_of(case.until_saved()[1])
    bench.cluster.remove_node(bench.nodes.pop(lost), allow_graceful=False)
    started = time.monotonic()
    wait_for("the fold is started again", lambda: case.pid(0, 2), 60)
    print(f"node: {lost} was lost, started again after {time.monotonic() - started:.0f} s")
    text = case.end(process)
    assert re.search(rf"again     mine/fold0 on box.*: {lost} is gone; goes on after", text), text
    case.check()
    bench.nodes[lost] = bench.add(lost)


def frozen(bench: Bench) -> None:
    """A node freezes, and wakes up when its task has been started again elsewhere."""
    case = Case(bench, "frozen")
    process = case.start()
    _, pid = case.until_saved()
    name = bench.node_of(pid)
    raylet = bench.nodes[name].all_processes["raylet"][0].process.pid
    frozen = [raylet, *children_of(raylet)]
    for one in frozen:
        os.kill(one, signal.SIGSTOP)
    (case.folder(0) / ".lock").unlink()  # as the server of a network file system forgets it
    started = time.monotonic()
    wait_for("the fold goes on", lambda: f"{name} is gone; goes on after" in case.out.read_text())
    print(f"frozen: goes on elsewhere after {time.monotonic() - started:.0f} s", flush=True)
    for one in frozen:
        with contextlib.suppress(OSError):
            os.kill(one, signal.SIGCONT)
    case.end(process)
    wait_for("the zombie ends", lambda: not is_alive(pid), 30)
    log = (case.folder(0) / "log.txt").read_text()
    print("\n".join(line for line in log.splitlines() if "took it over" in line))
    case.check()


def hidden(bench: Bench) -> None:
    """A node does not see the folder of results: nothing is started."""
    case = Case(bench, "hidden")
    case.runs.mkdir()
    words = [str(Path(sys.executable).parent / "ray"), "start", "--block", "--num-cpus", "1"]
    words += ["--address", bench.cluster.address, "--num-gpus", "1", "--node-name", "box3"]
    hide = f'mount -t tmpfs none "{case.runs}" && exec "$@"'
    blind = subprocess.Popen(
        ["unshare", "-m", "sh", "-c", hide, "sh", *words, "--object-store-memory", str(80 * 2**20)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        bench.cluster.wait_for_nodes(30) if blind.poll() is None else None
        time.sleep(8)
        text = case.end(case.start(), code=2)
        assert text.count("\n") == 1 and "error: node box3: sees another folder at" in text, text
        assert not list(case.runs.iterdir())
        print(text.strip(), flush=True)
    finally:
        blind.terminate()
        blind.wait()


CASES = {case.__name__: case for case in (retries, driver, node, frozen, hidden)}


def main() -> int:
    """Run the cases that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="+", choices=CASES)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--plan", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=6)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="two_nodes-", ignore_cleanup_errors=True) as folder:
        root = Path(folder)
        bench = Bench(root, args.data, args.plan, args.epochs)
        try:
            for name in args.cases:
                started = time.monotonic()
                CASES[name](bench)
                print(f"{name}: {time.monotonic() - started:.0f} s", flush=True)
        except BaseException:
            for path in [*root.glob("*.txt"), *root.glob("*/*/*/log.txt")]:
                print(f"==> {path}\n{path.read_text()}", file=sys.stderr)
            raise
        finally:
            bench.cluster.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
