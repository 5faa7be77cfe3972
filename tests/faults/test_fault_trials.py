"""Fault trials find what is lost, and a few of each kind find nothing."""

import subprocess
import sys
import types
from pathlib import Path

import fault_trials
import pytest
from fault_trials import plan_trials

from faults.digests import differences, digest, leftovers
from faults.trials import Trial


def test_a_few_trials_of_each_kind_lose_nothing(tmp_path):
    """In a process of its own, which forks before any thread starts."""
    words = [sys.executable, fault_trials.__file__, "--trials", "3", "--folder", str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.strip("| ").split(" | ") for line in done.stdout.splitlines() if "|" in line][2:]
    assert {row[0] for row in rows} == {*fault_trials.kinds(), "all"}
    assert sum(int(row[2]) for row in rows[:-1]) == 3 * len(fault_trials.kinds())
    assert {count for row in rows for count in row[4:7]} == {"0"}


def write(folder: Path, **files: str) -> Path:
    """A folder with files of texts: one underscore of a name is a dot, two are a slash."""
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_results_differ_by_content_and_not_by_times(tmp_path):
    one = write(tmp_path / "a", r_json='{"a": 1, "seconds": 2}', runs__m_csv="x,time\n1,2\n")
    other = write(tmp_path / "b", r_json='{"a": 1, "seconds": 3}', runs__m_csv="x,time\n1,9\n")
    assert digest(one) == digest(other) and len(digest(one)) == 2
    write(other, runs__m_csv="x,time\n2,2\n", more_txt="")
    assert differences(digest(one), digest(other)) == ["more.txt is too many", "runs/m.csv differs"]
    (other / "r.json").write_text('{"a": 1')
    assert "r.json differs" in differences(digest(one), digest(other))
    (other / "r.json").unlink()
    assert "r.json is missing" in differences(digest(one), digest(other))


def test_what_is_left_over_is_no_result(tmp_path):
    left = [".a.csv.vm.1.tmp", ".owner", ".new.vm.1.tmp/b.csv", "tmp/.kit-pixels.1.vm.2.tmp/p.npy"]
    for name in (*left, ".lock", "log.txt", "tmp/other", "b.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert list(digest(tmp_path)) == ["b.csv"]
    folders = {name.removesuffix("/b.csv").removesuffix("/p.npy") for name in left}
    assert leftovers(tmp_path) == sorted(folders)


def kind(*trials: Trial) -> types.ModuleType:
    """A kind of fault that has these trials."""
    module = types.ModuleType("planted")
    module.cases = lambda world: ["a", "a", "b"]

    def trial(world, case, number, seed, place):
        place.mkdir()
        return trials[number]

    module.trial = trial
    return module


def test_a_loss_is_counted_shown_and_kept(tmp_path, monkeypatch, capsys):
    good = Trial("planted", "a", 0, seconds=1.0)
    lost = Trial("planted", "a", 1, ("best.safetensors is missing",), left=(".owner",), met=False)
    monkeypatch.setattr(fault_trials, "kinds", lambda: {"planted": kind(good, lost)})
    monkeypatch.setattr(fault_trials, "world_at", lambda folder: None)
    assert list(plan_trials(None, ["planted"], 4, [])) == [
        ("planted", "a", 0),
        ("planted", "a", 1),
        ("planted", "b", 0),
        ("planted", "a", 2),
    ]
    assert fault_trials.main(["--trials", "2", "--folder", str(tmp_path)]) == 1
    out = capsys.readouterr().out
    for said in ("planted:a:1", "best.safetensors is missing", "left over: .owner"):
        assert said in out
    assert "| planted | a | 2 | 1 | 1 | 0 | 1 | 1 |" in out
    assert [path.name for path in (tmp_path / "trials").iterdir()] == ["planted-a-1"]
    assert fault_trials.main(["--only", "planted:a:0", "--folder", str(tmp_path)]) == 0
    with pytest.raises(SystemExit):
        fault_trials.main(["nothing"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["planted:b"], "planted:b: is no KIND:CASE:NUMBER of planted"),
        (["other:a:0"], "other:a:0: is no KIND:CASE:NUMBER of planted"),
        (["planted:a:x"], "planted:a:x: is no KIND:CASE:NUMBER of planted"),
        (["planted:c:0"], "planted has no case c; take a, a, b"),
    ],
)
def test_a_typo_of_a_trial_is_told(tmp_path, monkeypatch, capsys, words, said):
    monkeypatch.setattr(fault_trials, "kinds", lambda: {"planted": kind()})
    monkeypatch.setattr(fault_trials, "world_at", lambda folder: None)
    with pytest.raises(SystemExit) as ended:
        fault_trials.main(["--folder", str(tmp_path), "--only", *words])
    assert ended.value.code == 2 and said in capsys.readouterr().err
