"""Golden bytes: whether a change of the code has changed what the kit computes.

    python tests/golden.py BEFORE.json        # without the file: records it; with it: compares

runs the demo on one thread in a temporary folder and hashes (SHA-256) `folds.csv`, the tensors of
the five checkpoints, their out-of-fold probabilities, both submissions, what `kit.compare --json`
prints of them, and what `kit.ensemble --from` makes of the record. The hashes are of one machine:
another processor rounds otherwise. So record them before a change, and compare after.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file


def sha256(*parts: bytes) -> str:
    """The SHA-256 of several byte strings, in hex."""
    return hashlib.sha256(b"".join(parts)).hexdigest()


def kit(place: Path, *words: str) -> bytes:
    """What a command of the kit prints in a folder."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(place / "cache")}
    return subprocess.run(
        [sys.executable, "-m", *words],
        cwd=place,
        env=environment,
        check=True,
        stdout=subprocess.PIPE,
    ).stdout


def hashes(place: Path) -> dict[str, str]:
    """The hashes of all that the demo makes in a folder, by its name."""
    kit(place, "kit.demo", "--out", "demo")
    demo, found = (
        place / "demo",
        {"folds.csv": sha256((place / "demo/runs/folds.csv").read_bytes())},
    )
    for fold in sorted((demo / "runs" / "tiny").glob("fold*")):
        weights = load_file(fold / "best.safetensors")
        found[f"{fold.name} weights"] = sha256(
            *(name.encode() + weights[name].tobytes() for name in sorted(weights))
        )
        with np.load(fold / "oof.npz") as oof:
            found[f"{fold.name} out of fold"] = sha256(
                "\n".join(oof["ids"].tolist()).encode(), oof["probs"].tobytes()
            )
    files = [f"demo/submissions/tiny-{name}.csv" for name in ("fold0", "hflip")]
    for file in files:
        found[file] = sha256((place / file).read_bytes())
    found["compare"] = sha256(
        kit(place, "kit.compare", *files, "--answers", "demo/data/answers.csv", "--json")
    )
    kit(
        place,
        "kit.ensemble",
        "--from",
        "demo/submissions/tiny-hflip.json",
        "--out",
        "again.csv",
        "--data",
        "demo/data",
        "--plan",
        "demo/runs/folds.csv",
    )
    found["made again"] = sha256((place / "again.csv").read_bytes())
    return found


def main() -> int:
    """Record, or compare: exit code 1 where something differs."""
    path = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        found = hashes(Path(folder))
    if not path.exists():
        path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        print(f"recorded {len(found)} hashes in {path}")
        return 0
    before = json.loads(path.read_text(encoding="utf-8"))
    differ = [name for name in before | found if before.get(name) != found.get(name)]
    print(
        f"{len(found) - len(differ)} of {len(found)} hashes are equal"
        + "".join(f"\ndiffers: {name}" for name in differ)
    )
    return int(bool(differ))


if __name__ == "__main__":
    sys.exit(main())
