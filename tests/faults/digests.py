"""What a command leaves in a folder, compared: results by their content, and what was left over."""

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

# What no two runs have alike: times, durations (`views` has them in a record of an ensemble), and
# how much was found ready, which comes first with `--fast`.
_TIMES: Final = re.compile(r"seconds|made|time.*|views|passes_computed|saved|decided_after")
_MADE: Final = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d")
# What a process that was killed may leave: temporary files and folders, and a folder's owner.
_LEFT: Final = re.compile(r"\..+\.(tmp|old)|\.owner|\.seen-.*")
# Files that are no results: locks, logs, and the temporary folder of `forked`.
_IGNORED: Final = re.compile(r"\.(.*\.)?lock|(log|blocks-\d+|modes-\d+)\.txt|__pycache__|tmp")


def digest(folder: Path) -> dict[str, str]:
    """A hash of each result in a folder by its relative path; times in it do not count.

    Locks, logs, what was left over, and what lies in `tmp/` are no results.
    """
    names = [name for name in _files(folder) if not any(map(_LEFT.fullmatch, Path(name).parts))]
    return {name: _hash(folder / name) for name in names}


def leftovers(folder: Path) -> list[str]:
    """Temporary files and folders, in `tmp/`, too, and owners: after a command there are none.

    Locks may stay.
    """
    paths = [path for path in folder.rglob(".*") if _LEFT.fullmatch(path.name)]
    return sorted(str(path.relative_to(folder)) for path in paths)


def differences(expected: dict[str, str], found: dict[str, str]) -> list[str]:
    """The results of a digest that are not as they should be, each in words."""
    words = []
    for name in sorted(expected | found):
        if expected.get(name) != found.get(name):
            how = "is missing" if name not in found else "differs"
            words.append(f"{name} {how if name in expected else 'is too many'}")
    return words


def _files(folder: Path) -> list[str]:
    """The relative paths of a folder's files that may be results or left over."""
    names = [path.relative_to(folder) for path in sorted(folder.rglob("*")) if path.is_file()]
    return [str(n) for n in names if not any(_IGNORED.fullmatch(part) for part in n.parts)]


def _hash(path: Path) -> str:
    """The hash of a result; of one that cannot be read by its kind, of its bytes."""
    read = _CONTENT.get(path.suffix, Path.read_bytes)
    try:
        content = read(path)
    except Exception as error:  # half written or damaged, however: unlike any whole one
        content = f"{type(error).__name__}: ".encode() + path.read_bytes()
    return hashlib.sha256(content).hexdigest()[:20]


def _json(path: Path) -> bytes:
    text = json.dumps(_timeless(json.loads(path.read_text(encoding="utf-8"))))
    for words in (" --workers 2", " --device cpu,cpu"):  # of a command line: they change nothing
        text = text.replace(words, "")
    return text.encode()


def _timeless(value: Any) -> Any:
    """A value of JSON without what no two runs have alike."""
    if isinstance(value, dict):
        return {k: _timeless(v) for k, v in value.items() if not _TIMES.fullmatch(k)}
    return [_timeless(v) for v in value] if isinstance(value, list) else value


def _csv(path: Path) -> bytes:
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    kept = [name for name in table if not _TIMES.fullmatch(str(name))]
    return path.read_bytes()[-1:] + table[kept].to_csv().encode()


def _npz(path: Path) -> bytes:
    with np.load(path, allow_pickle=False) as content:
        names = [name for name in content if not _TIMES.fullmatch(name)]
        arrays = [(name, content[name]) for name in names]
    return b"".join(f"{n} {a.dtype} {a.shape} ".encode() + a.tobytes() for n, a in arrays)


def _html(path: Path) -> bytes:
    text = path.read_text(encoding="utf-8")
    return _MADE.sub("TIME", text).encode()


_CONTENT: Final[dict[str, Callable[[Path], bytes]]] = {
    ".json": _json,
    ".csv": _csv,
    ".npz": _npz,
    ".html": _html,
}
