"""Which file of a world is damaged before which command, and what its error says to do."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from faults.commands import CPU, World

Words = tuple[str, ...]
DELETE, RESTORE = "delete", "restore"  # the file is deleted; a copy of it is put back


@dataclass(frozen=True)
class Case:
    """A kind of file that a command reads.

    `files` is a pattern of them in the folder before the command `before` of the world, `words` are
    the command's, and `remedy` is what a person does by the error: commands, or a word above.
    `others` are files that it may be swapped with, `columns` those of a table that the command can
    check. Of a command that is no command of the world the undisturbed run is made first. `told` is
    true where a warning may be all: a person may have edited the file. `hashed` are records with
    the hash of the file, which may have other bytes of the same content.
    """

    files: str
    before: str
    words: Words
    remedy: Callable[["World", Path, Path], list[Words]] | str
    others: str = ""
    columns: tuple[str, ...] = ()
    told: bool = False
    hashed: tuple[str, ...] = ()


def cases_of(world: World) -> dict[str, Case]:
    """Every case by its name."""
    place = ("--data", str(world.data))
    best, oof, metrics = (
        f"runs/*/fold*/{n}" for n in ("best.safetensors", "oof.npz", "metrics.csv")
    )
    submission, record = "submissions/mine.csv", "submissions/mine.json"
    plan, plan_record = "runs/folds.csv", "runs/folds.json"
    again = ("ensemble", "submissions/blend.npz", *place, "--out", "again.csv", "--no-score")
    check = ("ensemble", "--check", submission, *place)
    board = ("compare", "--board", "--json")
    rows = {}

    def row(kind: str, files: str, remedy: object, *names: str, **more: object) -> None:
        for name in names:
            rows[f"{kind}-{name}"] = Case(files, name, world.argv(name), remedy, **more)

    row("plan", plan, _plan, "train", "soup", "ensemble", "report", "side")
    row("planrecord", plan_record, _plan, "soup", "ensemble", "fast", "vote")
    row("state", "runs/mine/fold0/last.pt", _train, "resume")
    mine = "runs/mine/fold*/"
    row("weights", f"{mine}best.safetensors", _train, "ensemble", "report", others=best)
    row("weights", best, _make, "blend", "fast", others=best)
    row("weights", f"{mine}best.safetensors", RESTORE, "again", others=best)
    row("weights", f"{mine}best.safetensors", _train, "side", others=best)
    row("epoch", f"{mine}epoch*.safetensors", _train, "soup", others="runs/*/fold*/epoch*")
    row("oof", f"{mine}oof.npz", _oof, "ensemble", "report", "side", others=oof)
    row("oof", oof, _oof, "blend", others=oof)
    row("metrics", f"{mine}metrics.csv", DELETE, "ensemble", others=metrics)
    row("metrics", metrics, DELETE, "blend", others=metrics)
    row("metrics", f"{mine}metrics.csv", _train, "side", "report", others=metrics)
    row("pixels", "runs/pixels/*.npy", "", "resume", "side")
    row("passes", "runs/*/fold*/*-*.npz", "", "blend", "fast", others="runs/*/fold*/*-*.npz")
    row("submission", submission, _submit, "vote", others="submissions/*.csv")
    row("record", record, _submit, "again", others="submissions/b*.json")
    row("record", record, DELETE, "vote", others="submissions/b*.json")
    row("log", "submissions/leaderboard.csv", RESTORE, "record", told=True, columns=LOGGED)
    rows["record-check"] = Case(record, "again", check, DELETE, "submissions/b*.json")
    rows["submission-check"] = Case(submission, "again", check, _submit, "submissions/*.csv")
    rows["log-board"] = Case(
        "submissions/leaderboard.csv", "again", board, RESTORE, columns=LOGGED, told=True
    )
    rows["probs-member"] = Case(
        "submissions/blend.npz", "again", again, _blend, hashed=("again.json",)
    )
    rows["joblog-side"] = Case("runs/*/fold*/log.txt", "soup", world.argv("side"), "")
    rows["study-tune"] = Case("runs/tune/*/tune.json", "", world.argv("tune"), _tune)
    return rows


LOGGED = ("submission", "sha256", "members", "oof", "low", "high")


def _plan(world: World, place: Path, file: Path) -> list[Words]:
    return [(*world.argv("folds"), "--force")]


def _run_of(place: Path, file: Path) -> tuple[str, str]:
    """The run and the fold's number of a file."""
    run, fold = file.relative_to(place / "runs").parts[:2]
    return run, fold.removeprefix("fold")


def _train(world: World, place: Path, file: Path) -> list[Words]:
    run, fold = _run_of(place, file)
    options = ["--data", str(world.data), *CPU, "--keep-epochs", "2", "--force"]
    return [("train", f"{run}.py", "--fold", fold, *options)]


def _soup(world: World) -> list[Words]:
    return [(*world.argv("soup"), "--force")]


def _make(world: World, place: Path, file: Path) -> list[Words]:
    """A run's own training, or the soup's."""
    return _soup(world) if "soup" in _run_of(place, file)[0] else _train(world, place, file)


def _oof(world: World, place: Path, file: Path) -> list[Words]:
    """The training finds them damaged, and makes them again."""
    if "soup" in _run_of(place, file)[0]:
        return _soup(world)
    (words,) = _train(world, place, file)
    return [words[:-1]]


def _submit(world: World, place: Path, file: Path) -> list[Words]:
    if file.suffix == ".json":
        file.unlink()
    return [(*world.argv("ensemble"), "--force")]


def _blend(world: World, place: Path, file: Path) -> list[Words]:
    file.unlink()
    return [(*world.argv("blend"), "--force")]


def _tune(world: World, place: Path, file: Path) -> list[Words]:
    return [(*world.argv("tune"), "--force")]
