"""The nodes of a cluster: names, and what each job gets."""

import pytest

from kit.scale.nodes import Node, core_share, describe, gpu_share, nodes_of, room_of
from kit.system.errors import KitError


def row(ident, host, name="10.0.0.1", alive=True, **resources):
    return {
        "NodeID": ident,
        "Alive": alive,
        "NodeManagerHostname": host,
        "NodeManagerAddress": "10.0.0.1",
        "NodeName": name,
        "Resources": resources,
    }


BOXES = [Node("a", "box1", 16, 4), Node("b", "box2", 8, 1), Node("c", "head", 4, 0)]


def test_each_node_that_is_there_has_a_name_of_its_own():
    rows = [
        row("aaaaaaaa", "box", CPU=2.0),
        row("bbbbbbbb", "box", CPU=2.0, GPU=1.0),
        row("cccccccc", "box", name="mine", CPU=1.0),
        row("dddddddd", "gone", alive=False),
    ]
    nodes = nodes_of(rows)
    assert [node.name for node in nodes] == ["box-aaaaaa", "box-bbbbbb", "mine"]
    assert [(node.cpus, node.gpus) for node in nodes] == [(2, 0), (2, 1), (1, 0)]


def test_a_job_has_one_gpu_where_there_is_any():
    assert gpu_share(BOXES, None, None) == gpu_share(BOXES, "cuda", None) == 1
    assert gpu_share(BOXES, "cpu", None) == gpu_share(BOXES[2:], None, None) == 0
    assert gpu_share(BOXES, None, 0.5) == 0.5 and gpu_share(BOXES, "cpu", 1) == 1
    with pytest.raises(KitError, match="--device cuda: the cluster has 4 cores, and no GPU"):
        gpu_share(BOXES[2:], "cuda", None)


def test_cores_are_a_node_s_by_its_gpus_or_all_by_jobs(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert core_share(BOXES, 1, "cuda", 10) == 4  # of box1
    assert core_share(BOXES, 0.5, "cuda", 10) == 2
    assert core_share(BOXES, 2, "cuda", 10) == 8  # of box1, the only one that has two
    assert core_share(BOXES, 0, "cpu", 2) == 14 and core_share(BOXES, 0, "cpu", 1) == 16
    assert core_share(BOXES, 0, "cpu", 100) == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert core_share(BOXES, 0, "cpu", 2) == 3 and core_share(BOXES, 1, "cuda", 10) == 4


def test_a_node_has_room_for_jobs_by_what_is_scarcer():
    assert [room_of(node, 4, 1) for node in BOXES] == [4, 1, 0]
    assert [room_of(node, 8, 1) for node in BOXES] == [2, 1, 0]
    assert [room_of(node, 3, 0) for node in BOXES] == [5, 2, 1]
    assert room_of(Node("d", "box", 16, 1), 1, 0.1) == 10


def test_nodes_in_words():
    assert describe(BOXES) == "3 nodes, 5 GPUs, 28 cores"
    assert describe(BOXES[2:]) == "4 cores" and describe([]) == "no cores"
