"""One hostile text in every name that data give, through every command, and the bytes that come.

It has terminal codes, rich's markup, HTML, mathtext, a formula, and a mark that turns the direction
of writing. Classes and columns may hold what can be printed of it, all other names the whole.
"""

import html.parser
import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
from helpers import draw_photo
from trainings import recipe_file

import kit.compare
import kit.ensemble
import kit.folds
import kit.report
import kit.soup
import kit.start
import kit.train
from kit.competition import Competition
from kit.data.plan import read_plan
from kit.results.leaderboard import read_board

# Commands run in the folder of a fixture, one after the other.
pytestmark = pytest.mark.xdist_group("hostile")
MARKUP = "[red]<img src=x onerror=alert(1)>{{7*7}}${x}^2$'\"&"
CODES = "\x1b[31m\x1b]0;title\x07\x9b2J\u202e\r"
CLASSES = (f"=a {MARKUP}", f"-b [link=file:x]{MARKUP}", "+c </script></svg>")
DEFINITION = f"""from kit.competition import Competition

competition = Competition(
    name={MARKUP!r}, train="train.csv", image="train/{{image}}", target="label", group="owner",
    groups="owners of [bold]", test="test.csv", test_image="test/{{image}}", answer="name",
)
"""
PLACES = ("--data", "data", "--plan", "runs/folds.csv", "--device", "cpu", "--workers", "0")


def photo_name(n: int, part: str = "train") -> str:
    """The name of a photo's file; no name on disk has a slash."""
    return f"={part}{n:02d}{CODES}{MARKUP}.png".replace("/", "_")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The working folder: data, definition and recipe."""
    root = tmp_path_factory.mktemp("hostile")
    rows = {}
    for part, number in (("train", 24), ("test", 6)):
        (root / "data" / part).mkdir(parents=True)
        names = [photo_name(n, part) for n in range(number)]
        for n, name in enumerate(names):
            draw_photo(root / "data" / part / name, f"{part}{n}", (32, 24))
        owners = [f"{CODES}{MARKUP}{n // 3}" for n in range(number)]
        labels = [CLASSES[n % 3] for n in range(number)]
        rows[part] = pd.DataFrame({"image": names, "owner": owners, "label": labels})
    rows["train"].to_csv(root / "data" / "train.csv", index=False)
    rows["test"][["image", "label"]].to_csv(root / "data" / "test.csv", index=False)
    (root / "competition.py").write_text(DEFINITION)
    recipe_file(root, name="small")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.delenv("KIT_DATA", raising=False)
        yield root


def check_text(text: str) -> None:
    """Assert that a terminal shows a text as it is."""
    bad = sorted({c for c in text if not c.isprintable() and c != "\n"})
    assert not bad, [line for line in text.splitlines() if bad[0] in line][:1]


@pytest.fixture
def run(folder, capsys):
    """Run a command that must succeed, and check what it prints; its output."""

    def run(main, *words: object) -> str:
        capsys.readouterr()
        code = main([str(word) for word in words])
        out, err = capsys.readouterr()
        assert code == 0, err
        check_text(out)
        check_text(err)
        return out + err

    return run


class Page(html.parser.HTMLParser):
    """The tags of a page, and all that could run in it or load something."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            loads = name in ("src", "href", "xlink:href") and not re.match("#|data:", value or "")
            if name.startswith("on") or loads:
                self.found.append(f"{tag} {name}={value}")
        if tag in ("script", "iframe", "object", "link", "base", "form"):
            self.found += [] if ("rel", "icon") in attrs else [tag]


def check_page(path: Path) -> str:
    """Assert that a page runs and loads nothing; its text."""
    text = path.read_text(encoding="utf-8")
    page = Page()
    page.feed(text)
    assert page.found == []
    check_text(text)
    assert "&lt;img src=x onerror=alert(1)&gt;" in text and "{{7*7}}" in text
    return text


def test_start_writes_a_definition_that_holds_no_codes(run, tmp_path, folder):
    data = shutil.copytree(folder / "data", tmp_path / "data")
    out = run(kit.start.main, data, "--out", tmp_path / "found.py")
    assert "found.py" in out
    check_text((tmp_path / "found.py").read_text(encoding="utf-8"))


def test_every_command_shows_names_as_they_are(run, folder):
    out = run(kit.folds.main, "--data", "data", "--folds", "3", "--no-audit")
    assert "[red]<img src=x" in out  # as it is, and not as markup
    run(kit.report.main, "--data", "data", "--out", "data.html")
    check_page(Path("data.html"))
    run(kit.train.main, "small.py", *PLACES, "--fold", "all", "--keep-epochs", "2")
    run(kit.soup.main, "runs/small", *PLACES)
    theirs = Path(f"={CODES}[red]team.csv".replace("\r", ""))
    plan = read_plan(Path("runs/folds.csv"))
    write_theirs(theirs, plan.competition, [photo_name(n, "test") for n in range(6)])
    write_theirs(theirs.with_suffix(".oof.csv"), plan.competition, plan.photos["image"].tolist())
    out = run(kit.ensemble.main, "runs/small", theirs, *PLACES, "--save-probs", "probs.csv")
    assert "[red]team" in out
    (made,) = (path for path in Path("submissions").glob("*.csv") if path.name != "leaderboard.csv")
    check_text(made.name)
    run(kit.ensemble.main, "--check", made, *PLACES[:4])
    run(kit.ensemble.main, "--from", made.with_suffix(".json"), *PLACES, "--out", "again.csv")
    shutil.copy(made, "=other.csv")
    run(kit.compare.main, made, "=other.csv", "--answers", "data/test.csv")
    shown = run(kit.compare.main, made, "=other.csv", "--json")
    assert set(json.loads(shown)["files"]) == {made.stem, "=other"}
    run(kit.compare.main, "--board")
    run(kit.compare.main, "--record", made.name, "--public", ".5")
    run(kit.report.main, "runs/small", theirs, *PLACES[:4], "--out", "report.html")
    check_page(Path("report.html"))
    check_written(made)


def write_theirs(path: Path, competition: Competition, ids: list[str]) -> None:
    """Another team's probabilities."""
    table = pd.DataFrame({"image": ids})
    for n in range(3):
        table[str(n)] = [0.8 if i % 3 == n else 0.1 for i in range(len(ids))]
    table.to_csv(path, index=False)


def check_written(made: Path) -> None:
    """Ids and classes are as they are, for the site compares them.

    Hence a submission may hold what a spreadsheet takes for a formula, and the log does not.
    """
    given = pd.read_csv("data/test.csv", dtype=str, keep_default_na=False)
    for path in (made, Path("again.csv"), Path("probs.csv")):
        written = pd.read_csv(path, dtype=str, keep_default_na=False)
        assert written["image"].tolist()[:6] == given["image"].tolist()
    assert set(pd.read_csv(made, dtype=str)["label"]) <= set(CLASSES)
    plan = pd.read_csv("runs/folds.csv", dtype=str, keep_default_na=False)
    assert plan["image"].tolist() == [f"train/{photo_name(n)}" for n in range(24)]
    log = Path("submissions/leaderboard.csv")
    cells = pd.read_csv(log, dtype=str, keep_default_na=False).to_numpy().ravel()
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in cells)
    assert "team" in read_board(log)[0].members
