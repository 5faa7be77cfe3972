"""Where jobs run, as the options say, and what options are at odds."""

import importlib.util

import pytest

from kit.scale.job import Shared, run_here
from kit.scale.place import choose_place
from kit.system.cli import Parser
from kit.system.errors import KitError
from kit.system.options import add_place_options


def place(tmp_path, *words):
    parser = Parser(prog="kit.test")
    add_place_options(parser)
    return choose_place(parser.parse_args(words), Shared((), tmp_path), 3)


def test_jobs_run_here_unless_the_options_say_otherwise(tmp_path, monkeypatch):
    assert place(tmp_path).run is run_here and place(tmp_path, "--device", "cpu").device == "cpu"
    assert place(tmp_path).title == ""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    beside = place(tmp_path, "--device", "cpu,cpu", "--retries", "0")
    assert beside.run is not run_here and beside.device == "cpu"
    assert (beside.title, beside.share) == ("side by side on cpu,cpu", "1 core each")
    assert beside.slots == 2


@pytest.mark.parametrize(
    "words, line",
    [
        ("--gpus 1", "--gpus is of a cluster's tasks; add --cluster"),
        ("--task-cpus 1", "--task-cpus is of a cluster's tasks"),
        ("--retries 1", "--retries is of jobs in other processes"),
        ("--gpus 1.5", "1.5: take a share of a GPU, or a whole number"),
        ("--device cpu,cuda:0", "take GPUs, as cuda:0,cuda:1, or cpu,cpu"),
        ("--device cuda,cuda", "are no devices"),
        ("--device cuda:0,1", "are no devices"),
        ("--device 0,1", "are no devices"),
        ("--device cuda:98,cuda:99", "torch sees"),
        ("--cluster recipes/tiny.py", "takes the word behind it for an address"),
        ("--cluster --device cuda:1", "is no device of a cluster"),
        ("--cluster --device cuda --gpus 0", "without a GPU"),
    ],
)
def test_options_at_odds_are_one_line(tmp_path, words, line):
    with pytest.raises(KitError, match=line):
        place(tmp_path, *words.split())


def test_a_cluster_needs_ray(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(KitError, match=r"pip install 'kfold-kit\[cluster\]'"):
        place(tmp_path, "--cluster")


def test_torchrun_and_jobs_elsewhere_are_at_odds(tmp_path, monkeypatch):
    ranks = {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "2"}
    for name, value in ranks.items():
        monkeypatch.setenv(name, value)
    for words in (["--cluster"], ["--device", "cpu,cpu"]):
        with pytest.raises(KitError, match="torchrun gives one job several processes"):
            place(tmp_path, *words)
    assert place(tmp_path).run is run_here
    monkeypatch.setenv("WORLD_SIZE", "abc")
    with pytest.raises(KitError, match="WORLD_SIZE=abc, .* are no ranks of a group"):
        place(tmp_path, "--cluster")
