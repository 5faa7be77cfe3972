"""The same commands in other surroundings, in a process of their own; what they write, as hashes.

    python tests/surroundings.py FOLDER        # FOLDER/<surroundings>.json: {file: hash}

Each of the surroundings is a forked process: another locale, time zone, home, terminal, order of
listed files, line ends, order of rows. The competition has Korean names, and Turkish letters, whose
upper and lower case are others in Turkey.
"""

import contextlib
import hashlib
import io
import json
import locale
import os
import re
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import draw_photo, everywhere
from trainings import recipe_text, without_times

import kit.compare
import kit.ensemble
import kit.folds
import kit.inference.autotune
import kit.report
import kit.start
import kit.train
from kit.inference.runtime import InferenceMode
from kit.results.run import Fold

CLASSES = ("고양이", "개", "Iİiı")
DEFINITION = """from kit.competition import Competition

competition = Competition(
    name="애완",
    train="train.csv",
    image="사진/{사진}.png",
    target="품종",
    group="주인",
    test="sample_submission.csv",
    test_image="시험/{사진}.png",
    metric="log_loss",
    mirror={},
)
"""
ON_CPU = ("--workers", "0", "--device", "cpu")
TRAIN = [f"Iı_{n:02d}" for n in range(24)]
TEST = [f"İi_{n:02d}" for n in range(6)]


def make(root: Path) -> None:
    """A competition's folder, its definition, a recipe, and another team's probabilities."""
    rng = np.random.default_rng(0)
    for folder, names in (("사진", TRAIN), ("시험", TEST)):
        (root / "data" / folder).mkdir(parents=True)
        for name in names:
            draw_photo(root / "data" / folder / f"{name}.png", name, (24, 16))
    rows = [f"{name},{CLASSES[n % 3]},주인{n // 2}" for n, name in enumerate(TRAIN)]
    header = ",".join(["사진", *CLASSES])
    tables = {
        "data/train.csv": ["사진,품종,주인", *rows],
        "data/sample_submission.csv": [header, *(f"{name},.3,.3,.4" for name in TEST)],
    }
    images = [f"사진/{name}.png" for name in TRAIN]
    for team in ("우리", "너희"):
        for path, ids in ((f"{team}.csv", TEST), (f"{team}.oof.csv", images)):
            probs = rng.dirichlet([1, 1, 1], len(ids))
            lines = (f"{i},{a:.6f},{b:.6f},{c:.6f}" for i, (a, b, c) in zip(ids, probs))
            tables[path] = [header, *lines]
    for path, lines in tables.items():
        (root / path).write_text("\n".join([*lines, ""]), encoding="utf-8")
    (root / "own.py").write_text(DEFINITION, encoding="utf-8")
    (root / "tiny.py").write_text(recipe_text("tiny", (16, 24), 1, 1e-2), encoding="utf-8")


def run(command: Callable[[list[str]], int], *words: object) -> str:
    """What a command prints to standard output; it must end well."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = command([str(word) for word in words])
    if code != 0:
        raise RuntimeError(f"{command.__module__} {words}: {code}")
    return out.getvalue()


def go_through(networks: bool) -> dict[str, str]:
    """Run the commands in the working folder; the hashes of what they print and write."""
    run(kit.start.main, "data")
    run(kit.folds.main, "--folds", "2", "--competition", "own.py")
    one, two = "submissions/하나.csv", "submissions/둘.csv"
    run(kit.ensemble.main, "우리.csv", "--out", one)
    run(kit.ensemble.main, "우리.csv", "너희.csv", "--blend", "greedy", "--out", two)
    printed = {
        "compare --json": run(kit.compare.main, one, two, "--json").encode(),
        "compare": run(kit.compare.main, one, two).encode(),
        "the log": plain(Path("submissions/leaderboard.csv")),
    }
    if networks:
        run(kit.train.main, "tiny.py", "--fold", "all", *ON_CPU)
        run(kit.ensemble.main, "runs/tiny", "우리.csv", *ON_CPU, "--out", "submissions/셋.csv")
        run(kit.report.main, "runs/tiny")
        run(kit.report.main)
    contents = printed | {str(path): plain(path) for path in written()}
    return {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}


def plain(path: Path) -> bytes:
    """The content of a file without what it is a record of: times, seconds, hashes of tables."""
    content = path.read_bytes()
    if path.suffix == ".html" or path.name == "leaderboard.csv":
        return re.sub(rb"20\d\d-\d\d-\d\d \d\d:\d\d", b"", content)
    if path.name == "metrics.csv":
        return json.dumps(without_times(Fold(path.parent))).encode()
    if path.suffix == ".json":
        record = json.loads(re.sub(rb"[0-9a-f]{64}", b"", content))
        return json.dumps(record | {"seconds": 0, "views": list(record.get("views", []))}).encode()
    return content


def written() -> list[Path]:
    """The files that the commands have written, without kept probabilities, which hold seconds."""
    paths = [path for path in Path().rglob("[!.]*") if path.is_file()]
    mine = [path for path in paths if path.parts[0] in ("runs", "submissions")]
    pages = [path for path in paths if path.suffix == ".html" or path.name == "competition.py"]
    kept = [path for path in mine if path.match("probs-*") or "pixels" in path.parts]
    return sorted(set(mine + pages) - set(kept) - {Path("submissions/leaderboard.csv")})


def turkish() -> None:
    """Turkey's letters, decimal commas in C libraries; a narrow terminal, a strict umask."""
    speak("tr_TR.UTF-8")
    in_zone("America/Los_Angeles")
    os.environ |= {"COLUMNS": "30", "NO_COLOR": "1", "TERM": "dumb"}
    os.umask(0o077)


def korean() -> None:
    """Korea's locale and time; no home, another order of listed files, a link to the folder."""
    speak("ko_KR.UTF-8")
    in_zone("Asia/Seoul")
    os.environ |= {"HOME": "/nonexistent", "LINES": "5"}
    os.environ.pop("XDG_CACHE_HOME", None)
    folder = Path.cwd()
    folder.with_name("linked").symlink_to(folder)
    os.chdir(folder.with_name("linked"))
    list_folder, scan_folder = os.listdir, os.scandir
    os.listdir = lambda *where: list_folder(*where)[::-1]  # type: ignore[assignment]
    os.scandir = lambda *where: Reversed(scan_folder(*where))  # type: ignore[assignment]


def windows() -> None:
    """Line ends of Windows, and a byte-order mark, in every table and definition."""
    for path in tables():
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))


def old_mac() -> None:
    """Line ends of old Macs; rows in another order in the tables whose order is not an answer's."""
    for path in tables():
        header, *lines = path.read_bytes().splitlines()
        if path.name in ("train.csv", "우리.csv", "우리.oof.csv", "너희.csv"):
            lines = lines[::-1]
        path.write_bytes(b"\r".join([header, *lines, b""]))


def tables() -> list[Path]:
    """The files of text that commands read here."""
    return [*Path("data").glob("*.csv"), *Path().glob("*.csv"), *Path().glob("*.py")]


class Reversed:
    """The entries of `os.scandir` in the other order."""

    def __init__(self, entries: Any) -> None:
        self.entries = iter([*entries][::-1])

    def __enter__(self) -> "Reversed":
        return self

    def __exit__(self, *_: object) -> None: ...

    def __iter__(self) -> "Reversed":
        return self

    def __next__(self) -> Any:
        return next(self.entries)

    def close(self) -> None:
        """Nothing is open."""


def speak(name: str) -> None:
    """Take a locale, for all of C's functions, where this machine has it; else C."""
    os.environ["LC_ALL"] = name
    try:
        locale.setlocale(locale.LC_ALL, name)
    except locale.Error:
        locale.setlocale(locale.LC_ALL, "C")


def in_zone(name: str) -> None:
    """Take a time zone."""
    os.environ["TZ"] = name
    time.tzset()


# Each with whether networks run there, too.
SURROUNDINGS: dict[Callable[[], None], bool] = {
    turkish: True,
    korean: True,
    windows: False,
    old_mac: False,
}


def main() -> int:
    """Run all surroundings, one after the other."""
    place = Path(sys.argv[1]).resolve()
    mode = InferenceMode(torch.float32, 16)
    everywhere(pytest.MonkeyPatch(), kit.inference.autotune, "autotune", lambda *_: mode)
    for change, networks in SURROUNDINGS.items():
        root = place / change.__name__
        make(root)
        pid = os.fork()
        if pid == 0:
            try:
                os.chdir(root)
                change()
                text = json.dumps(go_through(networks))
                root.with_suffix(".json").write_text(text, encoding="utf-8")
                os._exit(0)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
        if os.waitpid(pid, 0)[1] != 0:
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
