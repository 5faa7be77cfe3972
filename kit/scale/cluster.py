"""Jobs as tasks of a Ray cluster: the only module that loads ray."""

import dataclasses
import functools
import importlib
import importlib.util
import os
import secrets
import signal
import socket
import time
from argparse import Namespace
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kit.scale.address import LOCAL, check_address, check_loopback, find_address
from kit.scale.attempt import Outcome, Preempted, Terms, attempt, bug, gave_up
from kit.scale.job import Ended, Job, Place, Shared
from kit.scale.nodes import Node, core_share, describe, gpu_share, nodes_of, number_of, room_of
from kit.scale.sight import Sight, check_sight, look, marked
from kit.scale.watch import Watch
from kit.system.console import Progress, say, warn
from kit.system.errors import KitError, problem
from kit.system.signals import Stop
from kit.system.threads import cores

_POLL_SECONDS: Final = 0.3
_LOOK_SECONDS: Final = 60.0
_SIGHT_SECONDS: Final = 60.0
_STORE_BYTES: Final = 256 * 2**20  # of a cluster of this machine: jobs and results are small
# Read when ray is loaded, by this process and by those of a cluster that it starts. No keepalive
# for this process alone: a cluster that was started without it takes the pings for an attack and
# closes the connections, and its tasks are started again and again.
_SETTINGS: Final = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


@dataclass(frozen=True)
class _Cluster:
    """A cluster, and what each task has of it."""

    ray: Any
    shared: Shared
    terms: Terms
    gpus: float

    def fits(self, node: Node) -> bool:
        """True if a node has room for a task."""
        return self.room(node) > 0

    def room(self, node: Node) -> int:
        """The number of tasks that a node has room for at once."""
        return room_of(node, self.terms.cores, self.gpus)


def on_cluster(args: Namespace, shared: Shared, jobs: int, retries: int) -> Place:
    """The place of so many jobs on the cluster that the options name, which it connects to.

    Raises `KitError` for a cluster that cannot be reached, in which no job fits, or that has a node
    which does not see what this machine sees.
    """
    _check_options(args)
    ray = _connect(args.cluster)
    nodes = nodes_of(ray.nodes())
    gpus = gpu_share(nodes, args.device, args.gpus)
    device = "cuda" if gpus and args.device != "cpu" else "cpu"
    share = args.task_cpus or core_share(nodes, gpus, device, jobs)
    variables = {name: os.environ[name] for name in shared.variables if name in os.environ}
    terms = Terms("", retries + 1, device, share, variables)
    cluster = _Cluster(ray, shared, terms, gpus)
    title = f"cluster {ray.get_runtime_context().gcs_address}: {describe(nodes)}"
    each = number_of(gpus, "GPU") + " and " if gpus else ""
    each += number_of(share, "core") + " each"
    if not any(map(cluster.fits, nodes)):
        most = ", ".join(f"{node.name} {describe([node])}" for node in nodes[:8])
        raise problem(title, f"no node has room for a task, {each}", [most], "ask for less")
    _check_nodes(cluster)
    slots = sum(map(cluster.room, nodes))
    return Place(functools.partial(_run, cluster=cluster), device, title, each, slots)


def _check_options(args: Namespace) -> None:
    """Raise `KitError` for options at odds, and if ray is not installed."""
    if args.cluster and (args.cluster.endswith(".py") or Path(args.cluster).exists()):
        raise KitError(
            f"--cluster {args.cluster}: takes the word behind it for an address; write --cluster "
            "last, or an option behind it"
        )
    if args.device not in (None, "cpu", "cuda"):
        raise KitError(f"--device {args.device}: is no device of a cluster; take cpu or cuda")
    if args.device == "cuda" and args.gpus == 0:
        raise KitError("--gpus 0 leaves --device cuda without a GPU; take one of them")
    if importlib.util.find_spec("ray") is None:
        raise KitError(
            "--cluster needs ray, which is not installed; pip install 'kfold-kit[cluster]'"
        )


def _connect(address: str) -> Any:
    """The module ray, connected to the cluster at an address.

    Without one: to that of $RAY_ADDRESS, else to one that runs here, else, as with `local`, to one
    of this machine that is started now, with a token of its own, and ends with this process.
    """
    address = find_address(address)
    settings = dict(_SETTINGS)
    if address == LOCAL:
        # ray listens on every interface, and whoever reached it would run code as this user.
        settings |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    os.environ.update({n: value for n, value in settings.items() if n not in os.environ})
    ray = importlib.import_module("ray")
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    here: dict[str, Any] = {
        "include_dashboard": False,
        "object_store_memory": _STORE_BYTES,
        "num_cpus": cores(),
        "_node_ip_address": "127.0.0.1",  # a machine without a network has no other
    }
    try:
        if address == LOCAL:
            check_loopback()
            say("starting a Ray cluster on this machine, for this command")
            ray.init(address=address, **here, **quiet)
        else:
            check_address(address)
            ray.init(address=address, **quiet)
    except (OSError, RuntimeError, ValueError) as error:
        line = " ".join(str(error).split())[:200]
        remedy = "check the address, that ray runs there (ray status), and that both have one token"
        if address == LOCAL:
            remedy = "look whether this machine's loopback is up (ip link set lo up)"
        raise problem(
            f"--cluster {address}", f"cannot be reached ({line})", remedy=remedy
        ) from error
    finally:
        for number, handler in handlers.items():  # ray has its own
            signal.signal(number, handler)
    # A lost worker is a line of `Watch`; ray would print pages, and knows no other switch.
    worker: Any = importlib.import_module("ray._private.worker")
    worker._worker_logs_enabled = False
    return ray


def _run(jobs: Sequence[Job], cluster: _Cluster) -> Generator[Ended, None, None]:
    """Run jobs as tasks of a cluster, as a `Runner`."""
    ray, command = cluster.ray, secrets.token_hex(4)
    terms = dataclasses.replace(cluster.terms, command=command)
    task = ray.remote(
        num_cpus=terms.cores,
        num_gpus=cluster.gpus,
        max_retries=terms.attempts - 1,
        retry_exceptions=[Preempted],
        max_calls=1,
    )(_attempt)
    names = {node.ident: node.name for node in nodes_of(ray.nodes())}
    # Handlers of signals come after ray's own.
    with Stop() as stop, stop.held(), Progress("jobs", len(jobs), "jobs") as progress:
        watch = Watch(jobs, command, progress, functools.partial(_is_lost, ray))
        waiting = {task.remote(job, terms, names): job for job in jobs}
        asked, looked = False, time.monotonic()
        try:
            while waiting:
                if stop.asked and not asked:
                    asked = True
                    _cancel(ray, waiting)
                done, _ = ray.wait(list(waiting), timeout=_POLL_SECONDS)
                watch.poll()
                if time.monotonic() - looked > _LOOK_SECONDS:  # ray would wait without a word
                    looked = time.monotonic()
                    if not any(map(cluster.fits, nodes_of(ray.nodes()))):
                        warn("no node is left that has room for a task; waiting for one")
                for ref in done:
                    job = waiting.pop(ref)
                    outcome = _outcome(ray, ref, job)
                    if outcome is not None or not asked:
                        watch.end(job)
                        result, error = outcome or (None, gave_up(job, terms.attempts))
                        yield Ended(job, result, error, logged=True)
        finally:
            _cancel(ray, waiting, at_once=stop.forced)
            if waiting and not stop.forced:
                ray.wait(list(waiting), num_returns=len(waiting))


def _attempt(job: Job, terms: Terms, names: Mapping[str, str]) -> Outcome:
    """One attempt of a job in a worker of ray, on a node of these names."""
    ray: Any = importlib.import_module("ray")
    ident = ray.get_runtime_context().get_node_id()
    return attempt(job, terms, names.get(ident, socket.gethostname()))


def _outcome(ray: Any, ref: Any, job: Job) -> Outcome | None:
    """What a task has brought; None if it was cancelled, or lost in each of its attempts."""
    try:
        outcome: Outcome = ray.get(ref)
    except Preempted:
        return None
    except ray.exceptions.RayTaskError as error:  # before the job began, as on a node without kit
        return None, bug(job, error.cause)
    except ray.exceptions.RayError:
        return None
    return outcome


def _cancel(ray: Any, tasks: Mapping[Any, Job], at_once: bool = False) -> None:
    """Ask tasks to save and to end, or end them at once."""
    for ref in tasks:
        ray.cancel(ref, force=at_once)


def _is_lost(ray: Any, host: str) -> bool:
    """True if no node of this name is there."""
    return host not in [node.name for node in nodes_of(ray.nodes())]


def _check_nodes(cluster: _Cluster) -> None:
    """Raise `KitError` unless every node that jobs fit on sees what this machine sees."""
    ray = cluster.ray
    strategies = importlib.import_module("ray.util.scheduling_strategies")
    nodes = [node for node in nodes_of(ray.nodes()) if cluster.fits(node)]
    with marked(cluster.shared.written) as mark:
        here = look(cluster.shared, mark)
        tasks = {}
        for node in nodes:
            on_node = strategies.NodeAffinitySchedulingStrategy(node.ident, soft=False)
            task = ray.remote(num_cpus=0, scheduling_strategy=on_node)(look)
            tasks[task.remote(cluster.shared, mark)] = node
        ray.wait(list(tasks), num_returns=len(tasks), timeout=_SIGHT_SECONDS)
        for ref, node in tasks.items():
            check_sight(node.name, _sight(ray, ref, node), here)


def _sight(ray: Any, ref: Any, node: Node) -> Sight:
    """What a node sees; raises `KitError` if it cannot run the kit, or does not answer."""
    try:
        seen: Sight = ray.get(ref, timeout=0)
    except ray.exceptions.GetTimeoutError as error:
        what = f"has not answered for {_SIGHT_SECONDS:.0f} seconds"
        raise problem(f"node {node.name}", what, remedy="look at it, or take it out") from error
    except Exception as error:  # ray wraps whatever the kit's import raises there
        last = [line for line in str(error).splitlines() if line.strip()][-1:]
        what = f"cannot run the kit ({''.join(last)[:200]})"
        remedy = "install the same kit there, with the same Python"
        raise problem(f"node {node.name}", what, remedy=remedy) from error
    return seen
