"""Probabilities kept beside their checkpoints."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from kit.inference.member import Checkpoint
from kit.inference.runtime import InferenceMode
from kit.system.console import warn
from kit.system.disk import atomic_write, text_hash
from kit.system.errors import KitError, problem
from kit.system.temporary import remove_left
from kit.system.versions import inference_versions

PART: Final = "part"  # the prefix of kept files of some of a block's photos
FEW: Final = "few"  # the prefix of kept files of a few of all photos, each by its own hash


@dataclass(frozen=True)
class KeptPass:
    """A pass's probabilities `probs` (n, C) float32 as they are kept, and the seconds they took.

    They are of all photos of a block, in order; or of its `rows` (n,) int64; or of the photos whose
    `hashes` (n, 2) uint64 are given.
    """

    probs: np.ndarray
    seconds: float = 0.0
    rows: np.ndarray | None = None
    hashes: np.ndarray | None = None


def pass_key(checkpoint: Checkpoint, mode: InferenceMode, view: str, photos: str = "") -> str:
    """The key of a pass's probabilities: everything that decides on them.

    `photos` is the hash of a block's photos; it is empty where each photo has its own. The
    competition, with its channels, its `read` and its mirror, is a part of the checkpoint.
    """
    geometry = checkpoint.geometry
    return json.dumps(
        {
            "checkpoint": checkpoint.hash,
            "photos": photos,
            "crop": geometry.crop,
            "size": geometry.size,
            "view": view,
            "precision": mode.name,
            "versions": inference_versions(),
        }
    )


def kept_path(checkpoint: Checkpoint, prefix: str, key: str) -> Path:
    """The file beside a checkpoint that keeps the probabilities of a key."""
    return checkpoint.path.parent / f"{prefix}-{text_hash(key)[:16]}.npz"


def write_kept(path: Path, kept: KeptPass, key: str) -> None:
    """Write the probabilities of a key as an `.npz` of plain arrays, without ids."""
    arrays: dict[str, Any] = {
        name: value
        for name, value in (("rows", kept.rows), ("hashes", kept.hashes))
        if value is not None
    }
    with atomic_write(path, force=True) as temporary, open(temporary, "wb") as file:
        np.savez(
            file,
            probs=kept.probs.astype(np.float32, copy=False),
            key=np.array(key),
            seconds=np.array(kept.seconds),
            **arrays,
        )


def read_kept(path: Path, key: str) -> KeptPass | None:
    """The probabilities of a key in a file; None if it is not there, or is of another key.

    A damaged file is a warning, and None.
    """
    try:
        # Opened here: numpy leaves a damaged file open.
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as content:
            if str(content["key"]) != key:
                return None
            rows = content["rows"] if "rows" in content else None
            hashes = content["hashes"] if "hashes" in content else None
            kept = KeptPass(content["probs"], float(content["seconds"]), rows, hashes)
        wrong = _wrong(kept)
    except FileNotFoundError:
        return None
    except Exception as error:  # zipfile, numpy and zlib each raise their own on a damaged file
        wrong = f"is no file of kept probabilities ({type(error).__name__}: {error})"
    if wrong:
        warn(f"computed again: {problem(path, wrong)}")
        return None
    return kept


def _wrong(kept: KeptPass) -> str:
    """What is wrong with kept probabilities; empty if nothing is."""
    probs, rows, hashes = kept.probs, kept.rows, kept.hashes
    if probs.dtype != np.float32 or probs.ndim != 2 or not probs.size:
        return f"holds {probs.dtype} {probs.shape}"
    if not ((probs >= 0) & (probs <= 1.001)).all():
        return "holds numbers that are not in 0..1"
    if rows is not None and (rows.shape != probs.shape[:1] or (np.diff(rows) <= 0).any()):
        return "holds rows that do not rise"
    if hashes is not None and (hashes.shape != (len(probs), 2) or hashes.dtype != np.uint64):
        return "holds other hashes than its photos'"
    return ""


def read_block(checkpoint: Checkpoint, prefix: str, key: str, photos: int) -> KeptPass | None:
    """Kept probabilities of a block of so many photos, or of some of those to predict."""
    kept = read_kept(kept_path(checkpoint, prefix, key), key)
    if kept is not None and kept.rows is None and len(kept.probs) == photos:
        return kept
    if prefix != "probs":
        return None
    kept = read_kept(kept_path(checkpoint, PART, key), key)
    if kept is None or kept.rows is None or not 0 <= kept.rows[0] <= kept.rows[-1] < photos:
        return None
    return kept


def keep_block(checkpoint: Checkpoint, prefix: str, key: str, kept: KeptPass) -> str:
    """Keep a block's probabilities beside a checkpoint; why they cannot be, or an empty text."""
    part = kept_path(checkpoint, PART, key)
    try:
        if kept.rows is not None:
            write_kept(part, kept, key)
            return ""
        write_kept(kept_path(checkpoint, prefix, key), kept, key)
        part.unlink(missing_ok=True)
        remove_left(part)
    except KitError as error:
        return str(error).partition(";")[0]
    return ""
