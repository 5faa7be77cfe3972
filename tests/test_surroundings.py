"""Where and when a command runs changes nothing of what it writes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from surroundings import SURROUNDINGS, go_through, make

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The hashes of this process."""
    root = tmp_path_factory.mktemp("usual") / "usual"
    make(root)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.delenv("KIT_DATA", raising=False)
        return go_through(True)


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The hashes of a process in other surroundings, whose sets have another order."""
    place = tmp_path_factory.mktemp("others")
    places = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    variables = {"PYTHONPATH": places, "PYTHONHASHSEED": "1", "OMP_NUM_THREADS": "1"}
    words = [sys.executable, str(ROOT / "tests" / "surroundings.py"), str(place)]
    done = subprocess.run(words, env=os.environ | variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return place


@pytest.mark.xdist_group("surroundings")
@pytest.mark.parametrize("name", [change.__name__ for change in SURROUNDINGS])
def test_the_surroundings_change_nothing(name, usual, others):
    hashes = json.loads((others / f"{name}.json").read_text(encoding="utf-8"))
    assert {what for what in hashes if usual.get(what) != hashes[what]} == set()
    least = {"compare --json", "the log", "runs/folds.csv", "submissions/둘.csv", "competition.py"}
    assert hashes.keys() >= least | ({"report.html"} if name in ("turkish", "korean") else set())
