"""Keys, tokens and the home folder stay out of what is printed, logged, recorded and traced."""

import gzip
import json
import shutil
from pathlib import Path

import pytest
import torch
from helpers import ensemble_arguments

import kit.ensemble
import kit.system.signals
import kit.system.threads
from kit.scale.attempt import Terms, attempt
from kit.scale.job import Job
from kit.system.cli import command_line
from kit.system.console import say, show_error, warn
from kit.system.errors import KitError, without_secrets
from kit.system.profiler import profiled
from kit.training.trackers import TrackerError, open_tracker

SECRETS = {
    "WANDB_API_KEY": "0123456789abcdef0123456789abcdef01234567",
    "RAY_AUTH_TOKEN": "token-of-a-cluster-9f8e7d",
    "HF_TOKEN": "hf_abcdefghijklmnop",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG",
    "DB_PASSWORD": "correct horse battery",
    "KIT_SECRET": "kit-secret-value",
}


@pytest.fixture(autouse=True)
def secrets(monkeypatch):
    """An environment with keys and tokens."""
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)


def check(text: str) -> None:
    """Assert that a text holds no secret."""
    assert [name for name, value in SECRETS.items() if value in text] == []


def test_an_error_or_a_warning_that_cites_a_key_names_its_variable(capsys):
    for name, value in SECRETS.items():
        assert without_secrets(f"bad key {value}!") == f"bad key ${name}!"
        assert f"bad key ${name}" in str(KitError(f"bad key {value}"))
        warn(f"bad key {value}")
        show_error(f"bad key {value}")
    check("".join(capsys.readouterr()))
    assert without_secrets("token of a key") == "token of a key"


def test_a_short_value_of_a_variable_is_no_secret(monkeypatch):
    monkeypatch.setenv("SORT_KEY", "data")
    assert without_secrets("data/train.csv") == "data/train.csv"


def fail() -> None:
    """A bug that cites a token, after a line of codes."""
    say("a photo of \u202e\x1b]0;title\x07")
    raise RuntimeError(f"{SECRETS['RAY_AUTH_TOKEN']} is no \x1b[31mtoken")


def test_a_traceback_in_a_log_has_no_tokens_and_no_codes(tmp_path, monkeypatch):
    monkeypatch.setattr(kit.system.signals, "_patient", [])  # an attempt changes its process
    monkeypatch.setattr(kit.system.threads, "_taken", [])
    terms = Terms("abcd", 1, "cpu", 1, {})
    _, error = attempt(Job("job", fail, (), tmp_path / "log.txt"), terms)
    log = (tmp_path / "log.txt").read_text()
    assert "RuntimeError: $RAY_AUTH_TOKEN is no \\x1b[31mtoken" in log and "Traceback" in log
    assert "a photo of \\u202e\\x1b]0;title\\x07\n" in log
    check(log + str(error))
    assert "\x1b" not in log


def test_a_tracker_that_cites_its_key(monkeypatch, tmp_path):
    def refuse(*_):
        raise ValueError(f"invalid key {SECRETS['WANDB_API_KEY']}")

    monkeypatch.setattr("kit.training.trackers._Wandb", refuse)
    with pytest.raises(TrackerError, match=r"invalid key \$WANDB_API_KEY") as error:
        open_tracker("wandb", tmp_path, {"name": "a", "fold": 0}, [])
    check(str(error.value))


def test_a_recorded_command_has_no_home_folder(monkeypatch):
    monkeypatch.setenv("HOME", "/home/kim lee")
    words = ["/home/kim lee/runs/a b", "--data", "/home/kim lee", "/home/kim leer/x", "s.csv"]
    line = command_line("ensemble", words)
    assert line == "python -m kit.ensemble ~/'runs/a b' --data ~ '/home/kim leer/x' s.csv"
    monkeypatch.setenv("HOME", "/")
    assert command_line("folds", ["/data"]) == "python -m kit.folds /data"


def test_no_file_of_an_ensemble_has_a_secret_or_the_home_folder(copy, monkeypatch):
    monkeypatch.setenv("HOME", str(copy))
    monkeypatch.setenv("KIT_DATA", str(copy / "data"))
    assert kit.ensemble.main(ensemble_arguments(copy, "--profile")) == 0
    written = [*copy.glob("s.*"), copy / "leaderboard.csv"]
    assert {path.name for path in written} > {"s.csv", "s.json"} and len(written) > 3
    for path in written:
        content = path.read_bytes()
        text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode()
        check(text)
        assert str(copy) not in text, path
    command = json.loads((copy / "s.json").read_text())["command"]
    assert command.startswith("python -m kit.ensemble ~/runs/small --data ~/data --plan ~/runs")


def test_a_trace_has_neither_the_environment_nor_paths(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/kim-lee")
    with profiled(torch.device("cpu"), tmp_path / "profile") as profile:
        for _ in range(40):
            torch.ones(8) @ torch.ones(8)
            profile.steps += 1
            profile.tracer.step()
    trace = gzip.decompress((tmp_path / "profile.trace.json.gz").read_bytes()).decode()
    check(trace)
    assert "kim-lee" not in trace and str(tmp_path) not in trace
    assert str(Path(shutil.which("python") or "x").parent) not in trace
