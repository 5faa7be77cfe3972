"""The operations on files that a command makes, recorded in its process, in order.

    recorder = Recorder(place, folder / "calls")
    run_forked(argv, place, recorder.start)
    recorder.calls()

Python's audit events tell of every call before it is made, from whatever thread, with the bytes
of each file where it is synced or moved. What native code would write beside them shows when the
end of a replay is compared with the folder: see `power.Replay.escaped`.
"""

import hashlib
import os
import pickle
import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_WRITES: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


@dataclass(frozen=True)
class Call:
    """A call: what it is, the paths it has below the folder, and a file's bytes by their hash.

    `what` is open, rename, unlink, mkdir, rmdir, sync (of a file), sync_folder or sync_all. Of an
    open, `new` says that the file must not exist.
    """

    what: str
    path: str = ""
    target: str = ""
    content: str = ""
    new: bool = False


class Recorder:
    """Records the calls of a process, and of those it forks, below `place` into the folder `out`.

    The files that they read below `place`, and below `data`, are recorded, too.
    """

    def __init__(self, place: Path, out: Path, data: Path | None = None) -> None:
        self.place, self.out = f"{place.resolve()}/", out
        self.data = f"{data or place}/"
        out.mkdir(parents=True, exist_ok=True)
        self._log = self._reads = -1

    def start(self) -> None:
        """Record from here on, in this process; syncing takes no time then."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        self._log = os.open(self.out / "calls", flags)
        self._reads = os.open(self.out / "reads", flags)
        os.fsync = os.fdatasync = self._sync
        os.sync = lambda: self._write(Call("sync_all"))
        sys.addaudithook(self._hear)

    def calls(self) -> list[Call]:
        """What was recorded."""
        found = []
        with open(self.out / "calls", "rb") as file:
            while True:
                try:
                    found.append(Call(*pickle.load(file)))
                except EOFError:
                    return found

    def reads(self) -> list[str]:
        """The files that were read, with those of `place` by their paths below it, sorted."""
        return sorted(set((self.out / "reads").read_text(encoding="utf-8").splitlines()))

    def content(self, name: str) -> bytes:
        """The bytes of a hash."""
        return (self.out / name).read_bytes()

    def keep(self, path: Path) -> str:
        """Keep the bytes of a file; their hash."""
        content = path.read_bytes()
        name = hashlib.sha256(content).hexdigest()[:24]
        if not (self.out / name).exists():
            (self.out / name).write_bytes(content)
        return name

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event not in _EVENTS:
            return
        call = _EVENTS[event](self, *arguments)
        if call is not None and (call.path or call.target):
            self._write(call)

    def _open(self, path: Any, mode: Any, flags: int) -> Call | None:
        if isinstance(path, int):
            return None
        if not flags & _WRITES:
            return self._hear_read(path)
        return Call("open", self._name(path), new=bool(flags & os.O_EXCL))

    def _hear_read(self, path: Any) -> None:
        """Record that a file is read."""
        name = self._read_name(path)
        if name and self._reads >= 0 and os.path.isfile(path):
            os.write(self._reads, f"{name}\n".encode())

    def _read_name(self, path: Any) -> str:
        """The name of a file that is read: below the folder, or whole below the data."""
        text = os.path.abspath(os.fsdecode(path))
        return text if text.startswith(self.data) else self._name(path)

    def _rename(self, path: Any, target: Any, at: int = -1, target_at: int = -1) -> Call | None:
        source = self._name(path, at)
        return Call("rename", source, self._name(target, target_at), self._kept(source))

    def _unlink(self, path: Any, at: int = -1) -> Call | None:
        return Call("unlink", self._name(path, at))

    def _mkdir(self, path: Any, mode: int = 0, at: int = -1) -> Call | None:
        return Call("mkdir", self._name(path, at))

    def _rmdir(self, path: Any, at: int = -1) -> Call | None:
        return Call("rmdir", self._name(path, at))

    def _sync(self, file: Any) -> None:
        descriptor = file if isinstance(file, int) else file.fileno()
        path = self._name(os.readlink(f"/proc/self/fd/{descriptor}"))
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            self._write(Call("sync_folder", path))
        elif path:
            self._write(Call("sync", path, content=self._kept(path)))

    def _kept(self, name: str) -> str:
        """Keep the bytes of a file by its name below the folder; their hash."""
        path = Path(self.place) / name
        if not name or not path.is_file():
            return ""
        return self.keep(path)

    def _name(self, path: Any, at: int = -1) -> str:
        """A path below the folder; empty for others, and `.` for the folder itself."""
        text = os.fsdecode(path)
        if not text.startswith("/"):
            base = os.getcwd() if at < 0 else os.readlink(f"/proc/self/fd/{at}")
            text = os.path.join(base, text)
        text = os.path.join(os.path.realpath(os.path.dirname(text)), os.path.basename(text))
        text = os.path.normpath(text)
        if f"{text}/" == self.place:
            return "."
        return text.removeprefix(self.place) if text.startswith(self.place) else ""

    def _write(self, call: Call) -> None:
        row = (call.what, call.path, call.target, call.content, call.new)
        os.write(self._log, pickle.dumps(row))


_EVENTS: Final = {
    "open": Recorder._open,
    "os.rename": Recorder._rename,
    "os.remove": Recorder._unlink,
    "os.mkdir": Recorder._mkdir,
    "os.rmdir": Recorder._rmdir,
}
