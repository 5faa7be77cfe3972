"""Where a command's jobs run, as its options say: here, side by side, or on a cluster."""

import re
from argparse import Namespace
from collections.abc import Sequence
from typing import Final

import torch

from kit.scale.cluster import on_cluster
from kit.scale.job import Place, Shared, run_here
from kit.scale.processes import core_share, run_side_by_side
from kit.scale.ranks import find_ranks
from kit.system.errors import KitError

_RETRIES: Final = 3


def choose_place(args: Namespace, shared: Shared, jobs: int) -> Place:
    """Where so many jobs run, by the options of `kit.system.options.add_place_options`.

    `shared` is what each machine of a cluster must see. Raises `KitError` for options at odds, for
    a device that does not exist, and for a cluster that cannot be reached, or in which no job fits.
    """
    devices = args.device.split(",") if args.device else []
    retries = _RETRIES if args.retries is None else args.retries
    elsewhere = args.cluster is not None or len(devices) > 1
    if elsewhere and find_ranks().size > 1:
        raise KitError(
            "torchrun gives one job several processes, --cluster and several devices give each job "
            "one; take one of these ways"
        )
    if args.cluster is not None:
        return on_cluster(args, shared, jobs, retries)
    for name in ("gpus", "task_cpus"):
        if getattr(args, name) is not None:
            raise KitError(f"--{name.replace('_', '-')} is of a cluster's tasks; add --cluster")
    if elsewhere:
        return _side_by_side(devices, retries)
    if args.retries is not None:
        raise KitError("--retries is of jobs in other processes; add --cluster, or several devices")
    return Place(run_here, args.device)


def _side_by_side(devices: Sequence[str], retries: int) -> Place:
    """A process for each of several devices of this machine."""
    text, kind = ",".join(devices), devices[0].partition(":")[0]
    if set(devices) != {"cpu"} and not all(re.fullmatch(r"cuda:\d+", one) for one in devices):
        raise KitError(f"--device {text}: are no devices; take GPUs, as cuda:0,cuda:1, or cpu,cpu")
    number = torch.cuda.device_count()
    if kind == "cuda" and any(int(one.removeprefix("cuda:")) >= number for one in devices):
        raise KitError(f"--device {text}: torch sees {number} GPUs; name those that there are")
    share = core_share(devices)
    cores = f"{share} core{'s'[: share != 1]} each"
    runner, title = run_side_by_side(devices, retries), f"side by side on {text}"
    return Place(runner, kind, title, cores, len(devices))
