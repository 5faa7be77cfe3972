"""A second competition, three shapes without groups, goes through every command.

Its definition is a file in the working folder. Nothing of the first one is left in what they print
and write: no tasks scored apart, three classes, and a submission with its own columns.
"""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers import tables_of
from PIL import Image, ImageDraw
from trainings import metrics_of, recipe_text

import kit
import kit.compare
import kit.ensemble
import kit.folds
import kit.report
import kit.train
from kit.data.plan import read_plan
from kit.models.checkpoint import read_checkpoint_info
from kit.results.probs import read_probs
from kit.results.run import Fold

# Commands run in the folder of a fixture, one after the other.
pytestmark = pytest.mark.xdist_group("shapes")
SHAPES = ("circle", "square", "triangle")
README = (Path(__file__).parents[1] / "kit" / "README.md").read_text(encoding="utf-8")
DEFINITION = (
    README[README.index("## Another competition") :].split("```python\n")[1].split("```")[0]
)


def draw_shape(path: Path, shape: str, seed: int) -> None:
    """A white shape somewhere on coarse noise."""
    rng = np.random.default_rng(seed)
    noise = Image.fromarray(rng.integers(0, 160, (8, 12, 3), dtype=np.uint8))
    photo = noise.resize((96, 64), Image.Resampling.BICUBIC)
    x, y, r = (int(rng.integers(low, high)) for low, high in ((24, 72), (24, 40), (14, 22)))
    draw = ImageDraw.Draw(photo)
    if shape == "circle":
        draw.ellipse((x - r, y - r, x + r, y + r), fill="white")
    else:
        sides = 4 if shape == "square" else 3
        draw.regular_polygon((x, y, r), sides, int(rng.integers(0, 90)), fill="white")
    photo.save(path, quality=90)


def write_table(path: Path, rows: list[tuple[str, str]]) -> None:
    """A CSV of images and labels."""
    pd.DataFrame(rows, columns=["image", "label"]).to_csv(path, index=False)


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory):
    """The working folder of the competition, in which commands run: data, definition, recipe."""
    root = tmp_path_factory.mktemp("shapes")
    rows: dict[str, list[tuple[str, str]]] = {"train": [], "test": []}
    for part, number in (("train", 48), ("test", 12)):
        (root / "data" / part).mkdir(parents=True)
        for n in range(number):
            name, shape = f"{part}{n:03d}.jpg", SHAPES[n % 3]
            draw_shape(root / "data" / part / name, shape, n + 1000 * (part == "test"))
            rows[part].append((name, shape))
    write_table(root / "data" / "train.csv", rows["train"])
    write_table(root / "data" / "test.csv", [(name, "0") for name, _ in rows["test"]])
    numbered = [(name, str(SHAPES.index(shape))) for name, shape in rows["test"]]
    write_table(root / "answers.csv", numbered)
    (root / "competition.py").write_text(DEFINITION)
    (root / "shapes.py").write_text(recipe_text("shapes", (32, 48), 4, 5e-3))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.delenv("KIT_DATA", raising=False)
        yield root


@pytest.fixture(scope="module")
def trained(shapes: Path) -> Path:
    """The working folder with a plan of three folds, and a run of all of them."""
    assert kit.folds.main(["--folds", "3"]) == 0
    assert kit.train.main(["shapes.py", "--fold", "all", "--workers", "0", "--device", "cpu"]) == 0
    return shapes


@pytest.fixture(scope="module")
def submitted(trained: Path) -> Path:
    """The working folder with two submissions, `one.csv` of a fold and `all.csv` of all."""
    common = ["--workers", "0", "--device", "cpu", "--out"]
    assert kit.ensemble.main(["runs/shapes/fold0", *common, "submissions/one.csv"]) == 0
    blend = ["--tta", "hflip", "--blend", "greedy", "--decide", "bias"]
    assert kit.ensemble.main(["runs/shapes", *blend, *common, "submissions/all.csv"]) == 0
    return trained


def test_the_plan_records_the_competition_and_has_no_column_of_numbers(trained):
    plan = read_plan(trained / "runs" / "folds.csv")
    assert list(plan.photos) == ["image", "group", "label", "fold"] and plan.k == 3
    assert plan.competition.name == "shapes" and plan.competition.num_classes == 3
    assert set(plan.photos.groupby(["fold", "label"]).size()) == {5, 6}


def test_a_definition_that_has_changed_since_the_plan_is_a_warning(trained, capsys):
    said = "competition.py has changed since the folds were planned: the plan's competition is used"
    read_plan(trained / "runs" / "folds.csv")
    assert said not in capsys.readouterr().err
    try:
        (trained / "competition.py").write_text(DEFINITION.replace("f1_macro", "accuracy"))
        assert read_plan(trained / "runs" / "folds.csv").competition.metric == "f1_macro"
        assert said in capsys.readouterr().err
    finally:
        (trained / "competition.py").write_text(DEFINITION)


def test_the_numbers_of_classes_are_told(shapes, capsys):
    assert kit.folds.main(["--folds", "3", "--no-audit", "--out", "told.csv"]) == 0
    assert "answers are these numbers: 0 circle, 1 square, 2 triangle; set" in (
        capsys.readouterr().out
    )


def test_checkpoints_and_probabilities_have_three_classes(trained):
    fold = Fold(trained / "runs" / "shapes" / "fold0")
    info = read_checkpoint_info(fold.best)
    assert info.architecture.shape == (3,) and info.architecture.classes == 3
    assert info.geometry.crop == (64, 96) and info.geometry.frame == (64, 96)
    table = read_probs(fold.oof)
    assert table.probs.shape == (16, 3)
    assert not [name for name in metrics_of(fold)[0] if name.endswith("_shape")]


def test_a_submission_has_the_competition_s_own_columns(submitted):
    table = pd.read_csv(submitted / "submissions" / "all.csv", dtype=str)
    assert list(table) == ["image", "label"]
    assert table["image"].tolist() == [f"test{n:03d}.jpg" for n in range(12)]
    assert set(table["label"]) <= {"0", "1", "2"}
    record = json.loads((submitted / "submissions" / "all.json").read_text())
    assert len(record["counts"]) == 3 and len(record["oof"]["classes"]) == 3
    assert record["oof"]["tasks"] == {} and record["oof"]["groups"] == record["oof"]["photos"]


def test_a_comparison_has_no_task_columns(submitted, capsys):
    files = ["submissions/one.csv", "submissions/all.csv", "--answers", "answers.csv"]
    assert kit.compare.main([*files, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert set(result["files"]["all"]["scores"]) == {"f1", "accuracy"}
    assert len(result["files"]["all"]["counts"]) == 3 and result["by"] == "photos"
    (pair,) = result["pairs"]
    assert not {"shape", *kit_words()} & set(pair)
    assert kit.compare.main(files) == 0
    out = capsys.readouterr().out
    assert "2 triangle" in out and "too narrow" not in out and "accuracy" in out
    assert kit.compare.main([*files[:2], "--vote", "vote.csv", "--show", "3"]) == 0
    assert list(pd.read_csv(submitted / "vote.csv")) == ["image", "label"]


def test_the_report_of_runs_has_three_classes_and_no_sections_of_tasks(submitted, capsys):
    assert kit.report.main(["runs/shapes"]) == 0
    assert "of 48 photos; the networks" in capsys.readouterr().out
    text = (submitted / "report.html").read_text(encoding="utf-8")
    assert [row[0] for row in tables_of(text)["Classes"][1:]] == [
        f"{c} {name}" for c, name in enumerate(SHAPES)
    ]
    assert "All 3 classes" in text and "<h2>By " not in text and "with a wrong" not in text
    assert 'width="150" height="100"' in text or "<img" not in text
    assert not kit_words() & set(re.findall(r"[a-z]+", without_figures(text)))


def test_the_data_page_has_neither_numbers_nor_groups(submitted, capsys):
    assert kit.report.main([]) == 0
    assert "48 photos, 12 to predict" in capsys.readouterr().out
    text = (submitted / "data.html").read_text(encoding="utf-8")
    assert text.count('<img class="sheet"') == 3 and "<h2>By " not in text
    assert "Photos</caption>" not in text
    assert not kit_words() & set(re.findall(r"[a-z]+", without_figures(text)))


def kit_words() -> set[str]:
    """The words of the first competition that must not appear."""
    return {"mask", "gender", "age", "person", "people", "male", "female"}


def without_figures(page: str) -> str:
    """The text of a page in lower case, without styles, photos and tags."""
    page = re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)
    return re.sub(r"<[^>]*>", " ", page).lower()


# What no code or template but that of kit/competitions may hold, as whole words or numbers. The
# list of exceptions, (file below kit/, word), may only shrink.
FORBIDDEN = re.compile(r"(?<![\w.])(mask|gender|age|person|18|512)(?!\w|[.,]\d)", re.IGNORECASE)
EXCEPTIONS: set[tuple[str, str]] = set()


def test_only_the_competitions_know_their_words():
    root = Path(kit.__file__).parent
    found = set()
    for path in sorted(root.rglob("*")):
        place = path.relative_to(root)
        if path.suffix in (".py", ".html") and place.parts[0] != "competitions":
            words = FORBIDDEN.findall(path.read_text(encoding="utf-8"))
            found |= {(place.as_posix(), word.lower()) for word in words}
    assert sorted(found - EXCEPTIONS) == [] and EXCEPTIONS <= found
