"""A group of two processes, and a group of one."""

import json

import numpy as np
import pytest
import torch
from groups import torchrun

from kit.scale.group import Group, joined
from kit.scale.ranks import Ranks
from kit.system.console import is_muted
from kit.system.errors import KitError

SCRIPT = """
import json, sys, time
from pathlib import Path

import numpy as np
import torch

from kit.scale.group import joined
from kit.scale.ranks import find_ranks
from kit.system.cli import command
from kit.system.console import say
from kit.system.errors import KitError
from kit.system.threads import cores

FOLDER = Path(sys.argv[1])


def stopped(group, asked):
    try:
        group.stop(asked)
    except KeyboardInterrupt:
        return True
    return False


def of(group, rank):
    weight = torch.arange(24.0).view(2, 3, 2, 2).to(memory_format=torch.channels_last)
    count, other, scalar = torch.tensor([rank + 1]), torch.ones(2, 2).t(), torch.tensor(0.5)
    mine = weight * (rank + 1)
    group.sum([mine, count, other, scalar])
    if rank:
        time.sleep(0.5)
        (FOLDER / "late").touch()
    group.barrier()
    return {
        "cores": cores(),
        "layout": mine.is_contiguous(memory_format=torch.channels_last),
        "sums": [torch.equal(mine, 3 * weight), int(count), other.tolist(), float(scalar)],
        "rows": group.gather(np.full((2 - rank, 2), rank, np.float32)).tolist(),
        "nothing": group.gather(np.zeros((0, 3))).shape,
        "values": group.gather_values({"of": rank, "nan": float("nan")} if rank else "zero\\n"),
        "shared": group.share({"rank": rank, "third": 1 / 3}),
        "stops": [stopped(group, False), stopped(group, rank == 1), stopped(group, False)],
        "waited": (FOLDER / "late").exists(),
    }


@command
def main(argv):
    ranks = find_ranks()
    with joined(ranks) as group:
        say(f"process {ranks.rank} is here")
        told = of(group, ranks.rank)
        (FOLDER / f"{ranks.rank}.json").write_text(json.dumps(told))
        if ranks.rank:
            raise KitError("a photo is missing here")
        group.barrier()


sys.exit(main())
"""


def test_two_processes_add_up_gather_share_stop_and_wait_and_tell_an_error_once(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    process = torchrun(2, script, tmp_path)
    out, err = process.communicate(timeout=120)
    told = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2)]
    values = told[0].pop("values"), told[1].pop("values")
    assert values[0][0] == values[1][0] == "zero\n" and values[0][1]["of"] == 1
    assert told[0] == told[1]
    mine = told[0]
    assert mine["layout"] and mine["sums"] == [True, 3, [[2, 2], [2, 2]], 1.0]
    assert mine["rows"] == [[0, 0], [0, 0], [1, 1]] and mine["nothing"] == [0, 3]
    assert mine["shared"] == {"rank": 0, "third": 1 / 3}
    assert mine["stops"] == [False, True, False] and mine["waited"]
    assert mine["cores"] >= 1
    assert process.returncode != 0 and out == "process 0 is here\n"
    assert [line for line in err.splitlines() if line.startswith(("error:", "warning:"))] == [
        "error: a photo is missing here"
    ]
    assert "kit/scale/group.py" not in err  # no traceback but torchrun's own


def test_a_group_of_one_does_nothing():
    with joined(Ranks()) as group:
        assert group == Group() and group.size == 1 and group.leads and not is_muted()
        tensor, rows = torch.ones(3), np.ones((2, 3))
        group.sum([tensor])
        group.barrier()
        group.stop(True)  # whoever holds the signal raises it
        assert tensor.tolist() == [1, 1, 1] and group.gather(rows) is rows
        assert group.share(rows) is rows and list(group.share_of(3)) == [0, 1, 2]
    assert not torch.distributed.is_initialized()


def test_shares_are_consecutive_whole_and_even():
    for number in range(20):
        for size in range(1, 9):
            shares = [Group(Ranks(rank, size)).share_of(number) for rank in range(size)]
            assert [n for share in shares for n in share] == list(range(number))
            assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_each_process_has_a_gpu_of_its_own(monkeypatch):
    group = Group(Ranks(5, 8, 1, 4))
    for there in (True, False):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        assert group.device("cpu") == "cpu" and group.device("cuda") == "cuda:1"
        assert group.device(None) == ("cuda:1" if there else "cpu")
        assert Group().device(None) is None and Group().device("cuda:1") == "cuda:1"
    with pytest.raises(KitError, match="--device cuda:0: torchrun gives each process a GPU"):
        group.device("cuda:0")


def test_processes_that_do_not_find_each_other_say_so(monkeypatch):
    for name in ("MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("kit.scale.group.take_cores", lambda number: None)
    monkeypatch.setattr("kit.scale.group.mute", lambda muted: None)
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with (
        pytest.raises(KitError, match="process 0 of 2 does not find the others"),
        joined(Ranks(0, 2, 0, 2)),
    ):
        pass


@pytest.mark.parametrize(
    "error, shown",
    [(RuntimeError("Connection closed by peer"), KitError), (torch.OutOfMemoryError(), None)],
)
def test_lack_of_memory_is_not_taken_for_a_process_that_has_ended(monkeypatch, error, shown):
    def fail(_):
        raise error

    monkeypatch.setattr(torch.distributed, "all_reduce", fail)
    with pytest.raises(shown or type(error)):
        Group(Ranks(0, 2)).sum([torch.ones(3)])
