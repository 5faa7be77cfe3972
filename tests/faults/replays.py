"""What a disk may hold when the power fails after any of a command's calls.

What was synced is there, and of the rest any part: see `LOSSES`.
"""

import bisect
import random
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from faults.calls import Call, Recorder

# What a file system keeps of what was not synced. Of changes of names: none, all, all, the first
# ones, any; of the bytes of files: those before, none, a half, all, any of these.
LOSSES: Final = ("unsynced", "empty", "half", "journal", "random")
_BEFORE: Final = -1  # the index of what was there at the start


@dataclass(frozen=True)
class Change:
    """A change of names at a call: in each of some folders, by their numbers, a name's new node.

    None is a name that goes.
    """

    index: int
    links: tuple[tuple[int, str, int | None], ...]


@dataclass
class File:
    """When a file was opened for writing, when it was synced, and the bytes it had, by hashes."""

    opened: list[int] = field(default_factory=list)
    synced: list[tuple[int, str]] = field(default_factory=list)
    known: list[tuple[int, str]] = field(default_factory=list)


class Replay:
    """The calls of a command, which began with the folder `before` and left the folder `after`."""

    def __init__(self, before: Path, after: Path, recorder: Recorder) -> None:
        self.recorder, self.calls = recorder, recorder.calls()
        self.folders: dict[int, dict[str, int]] = {}
        self.files: dict[int, File] = {}
        self.changes: list[Change] = []
        self.syncs: dict[int, list[int]] = defaultdict(list)
        self.root = self._read(before)
        self.first = {number: dict(names) for number, names in self.folders.items()}
        for index, call in enumerate(self.calls):
            with suppress(KeyError):  # a call that failed, for a folder was not there
                getattr(self, f"_{call.what}")(index, call)
        self.escaped = self._compare(after)

    def _read(self, path: Path) -> int:
        """The number of a file or folder of the start, which is on the disk with all its bytes."""
        number = len(self.folders) + len(self.files)
        if path.is_dir():
            names = self.folders[number] = {}
            for child in sorted(path.iterdir()):
                names[child.name] = self._read(child)
        else:
            content = (_BEFORE, self.recorder.keep(path))
            self.files[number] = File(synced=[content], known=[content])
        return number

    def _find(self, path: str) -> tuple[int, str, int | None]:
        """The folder of a path, its name, and its number; None if nothing is there."""
        if path == ".":
            return self.root, "", self.root
        *parents, name = path.split("/")
        folder = self.root
        for parent in parents:
            folder = self.folders[folder][parent]
        return folder, name, self.folders[folder].get(name)

    def _change(self, index: int, *links: tuple[int, str, int | None]) -> None:
        self.changes.append(Change(index, links))
        self._apply(self.folders, self.changes[-1])

    @staticmethod
    def _apply(folders: dict[int, dict[str, int]], change: Change) -> None:
        for folder, name, number in change.links:
            if number is None:
                folders[folder].pop(name, None)
            else:
                folders[folder][name] = number

    def _open(self, index: int, call: Call) -> None:
        folder, name, number = self._find(call.path)
        if number is None:
            number = len(self.folders) + len(self.files)
            self.files[number] = File()
            self._change(index, (folder, name, number))
        elif call.new:
            return
        self.files[number].opened.append(index)

    def _mkdir(self, index: int, call: Call) -> None:
        folder, name, number = self._find(call.path)
        if number is None:
            number = len(self.folders) + len(self.files)
            self.folders[number], self.first[number] = {}, {}
            self._change(index, (folder, name, number))

    def _unlink(self, index: int, call: Call) -> None:
        folder, name, number = self._find(call.path)
        if number is not None:
            self._change(index, (folder, name, None))

    _rmdir = _unlink

    def _rename(self, index: int, call: Call) -> None:
        folder, name, number = self._find(call.path)
        target, as_name, _ = self._find(call.target)
        if number is not None:
            if call.content:
                self.files[number].known.append((index, call.content))
            self._change(index, (folder, name, None), (target, as_name, number))

    def _sync(self, index: int, call: Call) -> None:
        number = self._find(call.path)[2]
        if number is not None:
            self.files[number].synced.append((index, call.content))
            self.files[number].known.append((index, call.content))

    def _sync_folder(self, index: int, call: Call) -> None:
        number = self._find(call.path)[2]
        if number is not None:
            self.syncs[number].append(index)

    def _sync_all(self, index: int, call: Call) -> None:
        for number in self.folders:
            self.syncs[number].append(index)
        for file in self.files.values():
            file.synced.append((index, ""))  # with the bytes that it is known to have later

    def _compare(self, after: Path) -> list[str]:
        """The files whose names, or bytes at the last sync, the folder has not: not recorded."""
        end, escaped = len(self.calls), list[str]()
        names = {p: n for p, n in self._walk(self.root, self.folders, "") if n in self.files}
        there = {str(p.relative_to(after)): p for p in sorted(after.rglob("*")) if p.is_file()}
        for name in sorted(names.keys() | there.keys()):
            if name not in names or name not in there:
                escaped.append(name)
                continue
            file, content = self.files[names[name]], self.recorder.keep(there[name])
            file.known.append((end, content))
            if not self._is_dirty(file, end) and self._synced(file, end) != content:
                escaped.append(name)
        return escaped

    def _walk(
        self, folder: int, folders: Mapping[int, Mapping[str, int]], prefix: str
    ) -> Iterator[tuple[str, int]]:
        """The paths and numbers of all that a folder holds; the path of a folder ends in a `/`."""
        for name, number in folders[folder].items():
            if number in self.files:
                yield f"{prefix}{name}", number
            else:
                yield f"{prefix}{name}/", number
                yield from self._walk(number, folders, f"{prefix}{name}/")

    @staticmethod
    def _is_dirty(file: File, end: int) -> bool:
        """True if a file was opened for writing before a call, and not synced since."""
        last = max([i for i, _ in file.synced if i < end], default=_BEFORE - 1)
        return any(last < index < end for index in file.opened) or last < _BEFORE

    @staticmethod
    def _synced(file: File, end: int) -> str:
        """The hash of the bytes that a file was last synced with before a call; empty if never."""
        before = [(i, content) for i, content in file.synced if i < end]
        if not before:
            return ""
        index, content = before[-1]
        return content or next((later for i, later in file.known if i > index), "")

    def cut(self, end: int, loss: str, draw: random.Random) -> dict[str, bytes]:
        """What the disk holds if the power fails after `end` calls: bytes by paths."""
        done = [change for change in self.changes if change.index < end]
        waiting = [change for change in done if not self._lasts(change, end)]
        number = {"unsynced": 0, "journal": draw.randint(0, len(waiting))}.get(loss, len(waiting))
        stays = set(map(id, waiting[:number]))
        if loss == "random":
            stays = {mark for mark in stays if draw.random() < 0.5}
        lost = set(map(id, waiting)) - stays
        folders = {folder: dict(names) for folder, names in self.first.items()}
        for change in done:
            if id(change) not in lost:
                self._apply(folders, change)
        return {
            path: self._bytes(self.files[number], end, loss, draw) if number in self.files else b""
            for path, number in self._walk(self.root, folders, "")
        }

    def _lasts(self, change: Change, end: int) -> bool:
        """True if a change's folders were all synced between it and a later call."""
        for folder, _, _ in change.links:
            syncs = self.syncs[folder]
            at = bisect.bisect(syncs, change.index)
            if at == len(syncs) or syncs[at] >= end:
                return False
        return True

    def _bytes(self, file: File, end: int, loss: str, draw: random.Random) -> bytes:
        """The bytes of a file that the disk holds."""
        synced = self._synced(file, end)
        before = self.recorder.content(synced) if synced else b""
        if not self._is_dirty(file, end):
            return before
        opened = max((i for i in file.opened if i < end), default=_BEFORE)
        later = next((content for i, content in file.known if i >= opened), "")
        written = self.recorder.content(later) if later else b""
        parts = {
            "unsynced": before,
            "empty": b"",
            "half": written[: len(written) // 2],
            "journal": written,
        }
        return parts[loss] if loss in parts else draw.choice(list(parts.values()))
