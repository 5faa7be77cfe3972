"""Mutation testing: small faults put into modules one at a time, and whether a test fails of each.

    python tests/mutation.py kit/blending/vote.py kit/metrics/ranks.py --sample 100 --seed 1

The faults are those of `changes.py`. The tests are those of the modules' own test files, and of
`--tests`. Each is run once without a fault, which tells what lines it runs and for how long; then
every fault is put into a forked process, which runs the tests of its statement, the quickest first,
up to the first that fails. A fault is killed if a test fails, takes far too long, or ends the
process. A function gets other code in its place; what runs when a module is imported is run again,
and all tests of the module with it.

Faults come in an order that `--seed` draws, so that the first ones are a random sample. `--out`
gets a JSON line for each.
"""

import argparse
import ast
import dataclasses
import functools
import gc
import json
import os
import random
import resource
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import CodeType, FrameType, FunctionType
from typing import Any

import pytest
from changes import Change, changes

ROOT = Path(__file__).parent.parent
MEMORY = 4 << 30
NO_CHANGE = Change("nothing", 0, range(0), False, lambda: None)


class Trace:
    """The lines of some files that run while a test runs."""

    def __init__(self, files: Sequence[Path]) -> None:
        self.lines: dict[str, set[int]] = {str(file): set() for file in files}

    def call(self, frame: FrameType, event: str, argument: object) -> Any:
        """Follow frames of the files alone."""
        found = self.lines.get(frame.f_code.co_filename)
        if found is None:
            return None

        def line(frame: FrameType, event: str, argument: object) -> Any:
            found.add(frame.f_lineno)
            return line

        return line

    def __enter__(self) -> "Trace":
        """Begin, in this thread and in those that start; what traced before ends."""
        threading.settrace(self.call)
        sys.settrace(self.call)
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        sys.settrace(None)
        threading.settrace(None)  # type: ignore[arg-type]


@dataclasses.dataclass
class Runner:
    """A pytest plugin: in the place of pytest's loop over tests, the loop over faults."""

    files: Sequence[Path]
    arguments: argparse.Namespace
    imported: Trace
    failed: bool = False
    seconds: dict[pytest.Item, float] = dataclasses.field(default_factory=dict)
    ran: dict[pytest.Item, Trace] = dataclasses.field(default_factory=dict)
    rows: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    caches: list[Any] = dataclasses.field(default_factory=list)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a test that failed."""
        self.failed = self.failed or report.failed

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run every test once, then every fault."""
        for item, following in zip(session.items, [*session.items[1:], None]):
            began = time.process_time()
            with Trace(self.files) as self.ran[item]:
                item.ihook.pytest_runtest_protocol(item=item, nextitem=following)
            self.seconds[item] = time.process_time() - began
            if self.failed:
                raise SystemExit(f"{item.nodeid} fails without a fault")
        trees = {file: ast.parse(file.read_text(encoding="utf-8")) for file in self.files}
        faults = [(file, change) for file, tree in trees.items() for change in changes(tree)]
        print(f"\n{len(faults)} faults, {len(self.seconds)} tests", flush=True)
        if self.arguments.again:
            lines = self.arguments.again.read_text(encoding="utf-8").splitlines()
            left = {
                (row["module"], row["fault"]) for row in map(json.loads, lines) if not row["killed"]
            }
            faults = [(f, c) for f, c in faults if (f.relative_to(ROOT).as_posix(), c.what) in left]
        random.Random(self.arguments.seed).shuffle(faults)
        every = gc.get_objects()
        functions = [f for f in every if type(f) is FunctionType]
        functions = [f for f in functions if f.__code__.co_filename in self.imported.lines]
        self.caches = [c for c in every if type(c) is functools._lru_cache_wrapper]
        gc.freeze()
        for file, change in faults[: self.arguments.sample]:
            self.note(file, change, self.outcome(file, trees[file], change, functions))
        for file in self.files:
            if self.outcome(file, trees[file], NO_CHANGE, functions):
                raise SystemExit(f"{file}: a test fails without a fault when it is run again")
        return True

    def outcome(
        self, file: Path, tree: ast.Module, change: Change, functions: Sequence[FunctionType]
    ) -> int:
        """How a process with a fault ends: 0 if it passes all tests."""
        lines = {item: trace.lines[str(file)] for item, trace in self.ran.items()}
        again = not change.function or bool(self.imported.lines[str(file)] & set(change.lines))
        if again:
            own = own_tests(file)
            items = [item for item, ran in lines.items() if ran or item.path in own]
        else:
            items = [item for item, ran in lines.items() if ran & set(change.lines)]
        items.sort(key=self.seconds.__getitem__)
        child = os.fork()
        if child:
            return os.waitpid(child, 0)[1]
        try:
            confine(int(5 + 4 * sum(self.seconds[item] for item in items)))
            for cache in self.caches:
                if (cache.__module__ or "").startswith("kit."):
                    cache.cache_clear()
            change.apply()
            code = compile(tree, str(file), "exec")
            if again:
                put_module(code, file)
            else:
                put_code(code, file, functions)
            for item, following in zip(items, [*items[1:], None]):
                item.ihook.pytest_runtest_protocol(item=item, nextitem=following)
                if self.failed:
                    break
            os._exit(int(self.failed))
        except BaseException:
            os._exit(2)

    def note(self, file: Path, change: Change, status: int) -> None:
        """Keep what became of a fault."""
        place = file.relative_to(ROOT).as_posix()
        row = {"module": place, "line": change.line, "fault": change.what, "killed": status != 0}
        self.rows.append(row)
        if self.arguments.out:
            with open(self.arguments.out, "a", encoding="utf-8") as out:
                out.write(json.dumps(row) + "\n")


def confine(seconds: int) -> None:
    """Let this process print nothing, and take no more than so much time, and some memory."""
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(20 * seconds)
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, size + MEMORY))
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (1, 2):
        os.dup2(nowhere, stream)


def codes(code: CodeType) -> Iterator[CodeType]:
    """All code below a code object."""
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from codes(constant)


def put_code(code: CodeType, file: Path, functions: Sequence[FunctionType]) -> None:
    """Give a module's functions the code of the same names and lines."""
    new = {(c.co_name, c.co_firstlineno): c for c in codes(code) if c.co_name[0] != "<"}
    for function in functions:
        old = function.__code__
        other = new.get((old.co_name, old.co_firstlineno))
        if old.co_filename == str(file) and other and other.co_freevars == old.co_freevars:
            function.__code__ = other


def put_module(code: CodeType, file: Path) -> None:
    """Run a module's code again, and put what it defines where other modules had imported it."""
    name = ".".join(file.relative_to(ROOT).with_suffix("").parts)
    module = vars(sys.modules[name])
    before = dict(module)
    exec(code, module)
    for other in list(sys.modules.values()):
        if str(getattr(other, "__file__", "")).startswith(str(ROOT)):
            for key, value in before.items():
                if key[:2] != "__" and vars(other).get(key, module) is value:
                    setattr(other, key, module[key])


def own_tests(file: Path) -> list[Path]:
    """A module's own test files."""
    folder = ROOT / "tests" / file.relative_to(ROOT / "kit").parent
    names = (f"test_{file.stem}.py", f"test_{folder.name}_{file.stem}.py")
    return [folder / name for name in names if (folder / name).exists()]


def table(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """How many faults of each module are killed, and those that are not."""
    every, killed = Counter(r["module"] for r in rows), Counter()
    killed.update(row["module"] for row in rows if row["killed"])
    for row in rows:
        if not row["killed"]:
            yield f"{row['module']}:{row['line']}: {row['fault']}"
    for module in [*sorted(every), None]:
        n, k = (every[module], killed[module]) if module else (len(rows), killed.total())
        yield f"{module or 'all':32}{n:6}{k:6}{n - k:6}{k / max(n, 1):8.1%}"


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description="small faults, and whether a test fails of each")
    parser.add_argument("modules", nargs="+", type=Path, metavar="MODULE")
    parser.add_argument("--tests", nargs="+", type=Path, default=[], help="more test files")
    parser.add_argument("--sample", type=int, help="so many faults; default: all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-k", default="", help="of the tests those whose names fit, as in pytest")
    parser.add_argument("--again", type=Path, help="only faults that are left in such a file")
    parser.add_argument("--out", help="a file that gets a JSON line for each fault")
    arguments = parser.parse_args()
    files = [module.resolve() for module in arguments.modules]
    for module, file in zip(arguments.modules, files):
        if not file.is_file() or ROOT / "kit" not in file.parents:
            parser.error(f"there is no module {module} of the kit")
    tests = dict.fromkeys([path for file in files for path in own_tests(file)])
    tests |= dict.fromkeys(arguments.tests)
    if not tests:  # pytest would take all
        parser.error(f"{arguments.modules[0]} has no test file of its own; name one with --tests")
    with tempfile.TemporaryDirectory() as place, Trace(files) as imported:
        options = ["-q", "-s", "-n0", "-pno:cacheprovider", "-pno:faulthandler", "-k", arguments.k]
        options += [f"--rootdir={ROOT}", f"--basetemp={place}", "-otmp_path_retention_policy=none"]
        runner = Runner(files, arguments, imported)
        code = pytest.main([*options, *map(str, tests)], plugins=[runner])
    print(*table(runner.rows), sep="\n")
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
