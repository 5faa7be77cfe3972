"""The report: its numbers are scikit-learn's, and a browser shows it whole."""

import dataclasses
import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from conftest import (
    CLASS_NAMES,
    GENDERS,
    NUM_CLASSES,
    chosen_otherwise,
    draw_photo,
    make_data,
    small,
)

from kit.competitions.mask_sample import draw_sample
from kit.data.folder import read_test
from kit.data.planning import plan_folds
from kit.report import main
from kit.reporting import figures as figures
from kit.reporting.data_page import report_data
from kit.reporting.numbers import boundary, worst_errors, years
from kit.reporting.page import report
from kit.results.probs import read_probs
from kit.scoring.metrics import calibration
from kit.system.errors import KitError
from kit.training.run import train

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
# Run within a page: what it shows, told to the page around it.
PROBE = """<script>addEventListener("load", () => parent.postMessage(JSON.stringify({
  width: innerWidth, wide: document.documentElement.scrollWidth, images: document.images.length,
  broken: [...document.images].filter(image => !image.complete || !image.naturalWidth).length,
  cut: [...document.querySelectorAll(".scroll")]
    .filter(place => place.scrollWidth > place.clientWidth).length,
  empty: [...document.querySelectorAll("svg")]
    .filter(svg => !svg.getBoundingClientRect().height).length,
  requests: performance.getEntriesByType("resource").map(entry => entry.name)
    .filter(name => !name.startsWith("data:")),
  ground: getComputedStyle(document.body).backgroundColor}), "*"))</script>"""


def in_browser(page: Path, width: int, folder: Path, *options: str) -> dict:
    """Load a page in headless Chromium at a width; what it shows, and what the console said."""
    folder.mkdir(exist_ok=True)
    text = page.read_text(encoding="utf-8")
    assert "</body>" in text
    (folder / "page.html").write_text(text.replace("</body>", PROBE + "</body>"), encoding="utf-8")
    (folder / "frame.html").write_text(  # a window is no narrower than 500 pixels, a frame may be
        f'<iframe src="page.html" width="{width}" height="900" style="border:0"></iframe>'
        '<script>addEventListener("message", event => { document.title = event.data; })</script>',
        encoding="utf-8",
    )
    done = subprocess.run(
        [
            CHROMIUM,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--enable-logging=stderr",
            "--dump-dom",
            f"--user-data-dir={folder / 'profile'}",
            "--timeout=20000",
            *options,
            f"file://{folder / 'frame.html'}",
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    found = json.loads(html.unescape(re.search(r"<title>(.*?)</title>", done.stdout, re.DOTALL)[1]))
    return found | {"console": re.findall(r"CONSOLE.*", done.stderr)}


def tables_of(page: str) -> dict[str, list[list[str]]]:
    """The tables of a page by caption: rows of texts."""
    found = {}
    for caption, body in re.findall(
        r"<table><caption>(.*?)</caption>(.*?)</table>", page, re.DOTALL
    ):
        rows = re.findall(r"<tr>(.*?)</tr>", body, re.DOTALL)
        found[caption] = [
            [html.unescape(cell) for cell in re.findall(r"<t[hd]>(.*?)</t[hd]>", row, re.DOTALL)]
            for row in rows
        ]
    return found


@pytest.fixture(scope="module")
def page(world, tmp_path_factory):
    """A report of the world's run: its file and its numbers."""
    out = tmp_path_factory.mktemp("report") / "report.html"
    return out, report([world.runs / "small"], world.plan, world.folder, out)


def test_the_numbers_are_those_of_scikit_learn(world, page):
    from sklearn.calibration import calibration_curve
    from sklearn.metrics import (
        accuracy_score,
        classification_report,
        confusion_matrix,
        f1_score,
        log_loss,
    )

    out, numbers = page
    tables = [read_probs(world.runs / "small" / f"fold{k}" / "oof.npz") for k in range(3)]
    label = dict(zip(world.plan.photos["image"], world.plan.photos["label"]))
    ids, probs = (
        np.concatenate([t.ids for t in tables]),
        np.concatenate([t.probs for t in tables]).astype(np.float64),
    )
    truth, predicted = np.array([label[i] for i in ids]), probs.argmax(axis=1)
    assert numbers["f1"] == pytest.approx(
        f1_score(truth, predicted, labels=range(18), average="macro", zero_division=0)
    )
    assert numbers["accuracy"] == pytest.approx(accuracy_score(truth, predicted))
    summed = probs / probs.sum(axis=1, keepdims=True)
    assert numbers["log_loss"] == pytest.approx(log_loss(truth, summed, labels=range(18)), abs=1e-5)
    assert (
        numbers["confusion"]["classes"]
        == confusion_matrix(truth, predicted, labels=range(18)).tolist()
    )
    for task, parts in (
        ("mask", (truth // 6, predicted // 6)),
        ("gender", (truth // 3 % 2, predicted // 3 % 2)),
        ("age", (truth % 3, predicted % 3)),
    ):
        assert (
            numbers["confusion"][task]
            == confusion_matrix(*parts, labels=range(2 if task == "gender" else 3)).tolist()
        )
        assert numbers["tasks"][task]["f1"] == pytest.approx(
            f1_score(*parts, average="macro", zero_division=0)
        )
    by_class = classification_report(
        truth, predicted, labels=range(18), output_dict=True, zero_division=0
    )
    shown = tables_of(out.read_text(encoding="utf-8"))["Classes"]
    assert len(shown) == 19
    for c, row in enumerate(shown[1:]):
        own = by_class[str(c)]
        assert row[0] == f"{c} {CLASS_NAMES[c]}" and int(row[2]) == own["support"]
        assert row[4:7] == [f"{own[key]:.3f}" for key in ("precision", "recall", "f1-score")]
        assert row[1] == "3" and row[7] == "none"
    right = (truth == predicted).astype(int)
    accuracy, confidence = calibration_curve(right, probs.max(axis=1), n_bins=15)
    there = [row for row in numbers["bins"] if row["photos"]]
    assert [row["accuracy"] for row in there] == pytest.approx(accuracy.tolist())
    assert [row["confidence"] for row in there] == pytest.approx(confidence.tolist())
    folds = tables_of(out.read_text(encoding="utf-8"))["Folds"]
    for k, table in enumerate(tables):
        own = np.array([label[i] for i in table.ids])
        f1 = f1_score(
            own, table.probs.argmax(1), labels=range(18), average="macro", zero_division=0
        )
        assert folds[k + 1][:2] == [str(k), f"{f1:.3f}"] and folds[k + 1][4] == str(len(own))


def test_below_eight_people_the_page_says_that_there_is_no_interval(
    world, page, crowd, tmp_path, capsys
):
    text = page[0].read_text(encoding="utf-8")
    assert page[1]["interval"] is None and page[1]["effective"] == 3
    assert (
        "There is no interval: it would rest on 3 people of the rarest classes, and 8 are needed."
        in text
    )
    assert (
        text.count("<span>no interval</span>") == 4
        and "macro-F1, no interval: too few people" in text
    )
    assert {row[2] for row in tables_of(text)["Folds"][1:]} == {"none"}
    assert {(row[3], row[5]) for row in tables_of(text)["Blends and decisions"][1:]} == {
        ("none", "none")
    }
    place = ["--plan", str(world.plan_path), "--no-photos", "--out", str(tmp_path / "r.html")]
    assert main([str(world.runs / "small"), *place]) == 0
    assert (
        "out of fold (no interval: it would rest on 3 people of the rarest classes, and 8"
        in capsys.readouterr().out
    )
    # Nine people a class are enough, and three of each in a fold are not.
    numbers = report(crowd.files, crowd.plan, crowd.folder, tmp_path / "crowd.html", photos=False)
    text = (tmp_path / "crowd.html").read_text(encoding="utf-8")
    low, high = numbers["interval"]
    assert (
        numbers["effective"] == 9
        and low < numbers["f1"] < high
        and f"<span>{low:.3f} to {high:.3f}</span>" in text
    )
    assert "Below each score its 95 % interval" in text and "<span>no interval</span>" not in text
    for row in tables_of(text)["Classes"][1:]:
        low, high = map(float, row[7].split())
        assert row[1] == "9" and low <= float(row[6]) + 0.0011 and float(row[6]) <= high + 0.0011
    assert {row[2] for row in tables_of(text)["Folds"][1:]} == {"none"}
    assert "with its 95 % interval where people are enough" in text
    for name, at in (("Runs", 2), ("Blends and decisions", 3), ("Blends and decisions", 5)):
        assert all(
            re.fullmatch(r"[+-]?\d\.\d{3} [+-]?\d\.\d{3}", row[at])
            for row in tables_of(text)[name][1:]
        )


def test_the_page_says_if_the_epochs_were_chosen_on_their_folds(world, page, tmp_path):
    said = "Each fold's kept epoch was chosen on that fold"
    assert said not in page[0].read_text(encoding="utf-8")
    for select, patience, chosen in (("last", 0, False), ("last", 3, True), ("best", 0, True)):
        run = chosen_otherwise(
            world.runs / "small", tmp_path / f"{select}{patience}", world.plan, select, patience
        )
        report([run], world.plan, None, tmp_path / f"{select}{patience}.html", photos=False)
        assert (
            said in (tmp_path / f"{select}{patience}.html").read_text(encoding="utf-8")
        ) == chosen


def test_calibration_by_hand():
    probs = np.zeros((4, NUM_CLASSES))
    probs[:, 0] = [0.9, 0.9, 0.55, 0.3]
    probs[:, 1] = 1 - probs[:, 0]
    # Two in the bin of .9, of which one is right (.4 off), one of .55 that is wrong, one of .7
    # (class 1) that is right.
    error, bins = calibration(probs, np.array([0, 1, 1, 1]), bins=10)
    assert error == pytest.approx((2 * 0.4 + 0.55 + 0.3) / 4)
    assert [row["photos"] for row in bins] == [
        0,
        0,
        0,
        0,
        0,
        1,
        1,
        0,
        2,
        0,
    ]  # .7 and .9 are upper ends, as 1 - .3 rounds
    assert calibration(np.eye(NUM_CLASSES)[[3, 5]], np.array([3, 5]))[0] == 0


def test_years_and_boundary_by_hand(world):
    photos = world.plan.photos
    predicted = photos["label"].to_numpy().copy()
    of_59 = np.flatnonzero(photos["age"] == 59)
    predicted[of_59[:3]] += 1  # 30 to 59 as 60 and over
    found = {row["age"]: row for row in years(photos, predicted)}
    assert (
        sorted(found) == [20, 25, 28, 35, 45, 59, 60]
        and found[20]["right"] == 1
        and found[60]["people"] == 6
    )
    assert found[59]["people"] == 2 and found[59]["predicted"] == [
        0,
        pytest.approx(11 / 14),
        pytest.approx(3 / 14),
    ]
    near = boundary(years(photos, predicted))
    # Of 28, 59 and 60, ten people of eighteen, are within two years of a boundary.
    assert near == {"errors": pytest.approx(1), "photos": pytest.approx(10 / 18), "wrong": 3}


def test_worst_errors_are_the_least_probable_one_a_person(world):
    photos = world.plan.photos
    truth = photos["label"].to_numpy()
    probs = np.full((len(photos), NUM_CLASSES), 0.01)
    probs[np.arange(len(photos)), truth] = 0.83
    for rank, i in enumerate((0, 1, 30, 60)):  # 0 and 1 are of one person
        probs[i] = 0.01
        probs[i, (truth[i] + 1) % NUM_CLASSES], probs[i, truth[i]] = (
            0.8 - rank / 100,
            0.03 + rank / 100,
        )
    found = worst_errors(photos, probs)
    assert [error["image"] for error in found] == photos["image"].iloc[[0, 30, 60]].tolist()
    assert found[0]["true"] == CLASS_NAMES[truth[0]] and found[0]["true_prob"] == pytest.approx(
        0.03
    )
    assert len(worst_errors(photos, probs, 2)) == 2


# ------------------------------------------------------------ the page


def test_the_page_holds_itself(page):
    text = page[0].read_text(encoding="utf-8")
    assert (
        not re.search(r"(src|href)=\"(?!data:|#)", text)
        and "url(" not in text.replace("url(#", "")
        and "@import" not in text
    )
    assert "<script" not in text and text.count("<img") >= 3
    ids = re.findall(r'id="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    for anchor in re.findall(r'href="#([\w-]+)"', text):
        assert anchor in ids, anchor
    for section in (
        "Folds",
        "Classes",
        "Confusion",
        "Age in years",
        "Reliability",
        "Blends",
        "Probably mislabelled",
        "Worst errors",
        "Learning curves",
    ):
        assert f"<h2>{section}</h2>" in text, section
    assert not re.search(r"#0000\d\d|#0001\d\d", text)  # a colour that stands for one of the page's


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_a_browser_shows_all_of_it(page, world, tmp_path):
    report_data(world.data, tmp_path / "data.html")
    for path in (page[0], tmp_path / "data.html"):
        for width in (1200, 400):
            seen = in_browser(path, width, tmp_path / f"{path.stem}{width}")
            assert seen["console"] == [] and seen["requests"] == [], seen
            assert seen["images"] >= 3 and seen["broken"] == 0 and seen["empty"] == 0, seen
            assert seen["width"] == width and seen["wide"] <= width, (
                seen
            )  # nothing sticks out to the side
            assert seen["ground"] == "rgb(255, 255, 255)" and (seen["cut"] == 0 or width < 1000), (
                seen
            )


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_at_night_the_page_is_dark(page, tmp_path):
    seen = in_browser(page[0], 400, tmp_path / "dark", "--blink-settings=preferredColorScheme=0")
    assert max(map(int, re.findall(r"\d+", seen["ground"]))) < 60


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_the_browsers_eye_sees_what_is_wrong(tmp_path):
    page = tmp_path / "bad.html"
    page.write_text(
        '<body><img src="http://127.0.0.1:9/x.png"><div style="width: 900px">wide</div>'
        '<script>console.error("a fault")</script></body>'
    )
    seen = in_browser(page, 400, tmp_path / "bad")
    assert (
        seen["requests"] == ["http://127.0.0.1:9/x.png"]
        and seen["broken"] == 1
        and seen["wide"] > 400
    )
    assert any("a fault" in line for line in seen["console"])


def test_one_fold_done_several_runs_and_none(tmp_path, world, capsys, fails):
    runs = tmp_path / "runs"
    shutil.copytree(world.runs / "small" / "fold1", runs / "small" / "fold1")
    place = ["--plan", str(world.plan_path), "--data", str(world.data)]
    out = tmp_path / "one.html"
    assert main([str(runs / "small"), *place, "--out", str(out)]) == 0
    text = out.read_text(encoding="utf-8")
    assert "1 of 3 folds is done" in text and [row[0] for row in tables_of(text)["Folds"]] == [
        "fold",
        "1",
    ]
    assert "macro-F1" in capsys.readouterr().out
    # Two runs are their mean; without photos the page may be shared, and needs none.
    shutil.copytree(world.runs / "small", runs / "twin")
    card = runs / "twin"
    for k in range(3):
        (card / f"fold{k}" / "metrics.csv").unlink()
    assert "the same checkpoint twice" in fails(
        main, world.runs / "small", card, *place, "--out", tmp_path / "two.html"
    )
    assert (
        main(
            [
                str(world.runs / "small"),
                "--plan",
                str(world.plan_path),
                "--no-photos",
                "--out",
                str(tmp_path / "no.html"),
            ]
        )
        == 0
    )
    assert "<img" not in (tmp_path / "no.html").read_text(encoding="utf-8")
    assert main(["--data", str(world.data), "--out", str(tmp_path / "data.html")]) == 0
    data = (tmp_path / "data.html").read_text(encoding="utf-8")
    assert tables_of(data)["GroupBootstrap"][1:] == [
        ["male", "3", "3", "3", "9"],
        ["female", "3", "3", "3", "9"],
    ]
    assert (
        tables_of(data)["Sizes, train"][1] == ["96 x 128", "126"]
        and data.count("<img") == NUM_CLASSES
    )


def test_probability_files_are_reported_too(tmp_path, world):
    """Other teams' files beside a run: a blend table, no learning curve, and their mean as the
    headline.
    """
    ids, images = read_test(world.folder), world.plan.photos["image"].tolist()
    rng = np.random.default_rng(0)
    for name, own in (("theirs.csv", ids), ("theirs.oof.csv", images)):
        probs = rng.dirichlet(np.ones(18), len(own))
        (tmp_path / name).write_text(
            "ImageID,"
            + ",".join(map(str, range(18)))
            + "\n"
            + "".join(
                f"{i}," + ",".join(f"{p:.6f}" for p in row) + "\n" for i, row in zip(own, probs)
            )
        )
    numbers = report(
        [world.runs / "small", tmp_path / "theirs.csv"],
        world.plan,
        world.folder,
        tmp_path / "r.html",
    )
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert [row[0] for row in tables_of(text)["Runs"][1:]] == ["small", "theirs"]
    blends = {row["name"] for row in numbers["candidates"]}
    assert blends >= {
        "mean + argmax",
        "greedy + bias",
        "weights + argmax",
        "gmean + argmax",
        "vote + argmax",
    }


def test_the_data_page_finds_look_alikes_and_odd_sizes(tmp_path):
    data = make_data(tmp_path / "data")
    folders = sorted((data / "train" / "images").iterdir())
    shutil.copy(folders[0] / "normal.jpg", folders[1] / "normal.jpg")
    draw_photo(folders[2] / "mask1.jpg", "other", size=(128, 96))
    numbers = report_data(data, tmp_path / "data.html")
    assert len(numbers["links"]) == 1 and numbers["links"][0]["kind"] == "same bytes"
    assert (
        numbers["sizes"]["train"] == [(96, 128, 125), (128, 96, 1)] and numbers["counts"][0] == 15
    )
    mean, spread = numbers["brightness"]["eval"]
    assert 90 < mean < 165 and 0 < spread < 60


def test_bad_input_is_one_line_and_writes_nothing(tmp_path, world, fails):
    place = ["--plan", world.plan_path, "--data", world.data]
    run, out = world.runs / "small", tmp_path / "r.html"
    assert "there is no such run" in fails(main, world.runs / "smal", *place, "--out", out)
    assert "let --out end in .html" in fails(main, run, *place, "--out", tmp_path / "r.pdf")
    assert "is of a report on runs" in fails(
        main, "--data", world.data, "--no-photos", "--out", out
    )
    assert "--device: is for --tta" in fails(main, run, *place, "--device", "cpu", "--out", out)
    assert "--device: is for --tta" in fails(
        main, run / "fold0", *place, "--device", "cpu", "--out", out
    )
    assert "there is no fold plan" in fails(
        main, run, "--plan", tmp_path / "f.csv", "--data", world.data, "--out", out
    )
    assert "is a place of input files" in fails(
        main, run, *place, "--out", world.data / "train" / "r.html"
    )
    assert "there is no data folder" in fails(main, "--data", tmp_path / "none", "--out", out)
    other = make_data(tmp_path / "other", eval_photos=2)
    next((other / "train" / "images").glob("*/mask1.jpg")).write_bytes(b"other")
    assert "holds other photos than the fold plan" in fails(
        main, run, "--plan", world.plan_path, "--data", other, "--out", out
    )
    assert "photos that cannot be used (1 found" in fails(main, "--data", other, "--out", out)
    lost = make_data(tmp_path / "lost", eval_photos=3)
    for photo in sorted((lost / "eval" / "images").iterdir())[:2]:
        photo.write_bytes(b"no photo")
    assert "photos that cannot be used (2 found, the first: 0" in fails(
        main, "--data", lost, "--out", out
    )
    assert not out.exists()
    out.write_text("mine")
    assert "exists already" in fails(main, run, *place, "--out", out) and out.read_text() == "mine"
    assert (
        main([str(run), *map(str, place), "--out", str(out), "--force"]) == 0
        and "<html" in out.read_text()
    )


def test_names_are_text_on_the_page(tmp_path, world, capsys):
    """A run may be called as it likes: nothing of it is markup, a formula, a pattern or a
    colour.
    """
    odd = tmp_path / r"<b>한글 & 'run' $a\x_1$ \d #000001"
    shutil.copytree(world.runs / "small", odd)
    with pytest.raises(KitError, match="the same checkpoint twice"):
        report([odd, world.runs / "small"], world.plan, world.folder, tmp_path / "r.html")
    train(
        small("other", lr=1e-3),
        world.plan,
        world.data,
        range(3),
        tmp_path / "runs",
        "cpu",
        workers=0,
    )
    capsys.readouterr()
    report([odd, tmp_path / "runs" / "other"], world.plan, world.folder, tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "<b>한글" not in text and capsys.readouterr().err.count("warning") == 0
    named = r"&lt;b&gt;한글 &amp; &#39;run&#39; $a\x_1$ \d #000001"
    drawn = r"&lt;b&gt;한글 &amp; 'run' $a\x_1$ \d #000001"  # by matplotlib
    assert (
        named in text
        and drawn in re.search(r'aria-label="macro-F1 of each run".*?</svg>', text, re.DOTALL)[0]
    )


def test_what_a_correction_has_changed_is_told_apart(tmp_path, world):
    """A second line for the same label would be refused: the page says to mend the first one."""
    numbers = report([world.runs / "small"], world.plan, world.folder, tmp_path / "a.html")
    line = numbers["suspects"][0]["line"]
    path, field, value = line.split(",")
    plan = dataclasses.replace(
        world.plan,
        meta=world.plan.meta
        | {"corrections": [{"path": path, "field": field, "old": value, "new": "what it was"}]},
    )
    before = (tmp_path / "a.html").read_text(encoding="utf-8")
    report([world.runs / "small"], plan, world.data, tmp_path / "b.html")
    after = (tmp_path / "b.html").read_text(encoding="utf-8")
    assert (
        before.count(line) == 2
        and line not in after
        and "corrected before, to what it was" in after
    )
    assert f"All {len(numbers['suspects']) - 1} lines" in after


def test_figures_take_their_colours_from_the_page():
    bounds = [(0.1, 0.9)] * 18
    drawn = [
        figures.class_scores("classes", [0.5] * 18, bounds, [3] * 18),
        figures.confusion("confusion", np.eye(18, dtype=int) * 5, CLASS_NAMES),
        figures.intervals("folds", {"all": (0.5, (0.4, 0.6)), "fold 0": (0.5, None)}),
        figures.class_scores("few", [0.5] * 18, [None] * 18, [3] * 18),
        figures.curves(
            "curves",
            {0: [{"epoch": 1.0, "train_loss": 1.0, "val_loss": 2.0, "val_f1_macro": 0.1}]},
            {0: 1},
        ),
        figures.ages("ages", np.array([20, 20, 60]), np.array([0, 1, 1])),
        figures.brightness("brightness", {"train": np.array([1.0, 2.0])}),
    ]
    for svg in drawn:
        assert (
            svg.startswith("<svg viewBox=")
            and svg.rstrip().endswith("</svg>")
            and "var(--ink)" in svg
        )
        assert not re.search(r"#[0-9a-f]{6}", svg), re.findall(r"#[0-9a-f]{6}", svg)
        assert "xlink" not in svg and "http" not in svg
    assert drawn[0] == figures.class_scores(
        "classes", [0.5] * 18, bounds, [3] * 18
    )  # the same figure twice is the same text


# ------------------------------------------------------------ the promise


def test_planted_label_errors_are_found_on_the_drawn_sample(tmp_path):
    """Ten label errors are planted before training; at least seven are among the first twenty
    suspects.

    It depends on what the tiny network learns: of six trainings one found 6 (seed 2, 16 epochs),
    the others 7 to 10, this one 9.
    """
    data = draw_sample(tmp_path / "data", people=120, eval_people=1, seed=5)
    rng = np.random.default_rng(5)
    rows = [line.split(",") for line in (data / "train" / "train.csv").read_text().splitlines()[1:]]
    lines = []
    for n, i in enumerate(rng.choice(len(rows), 10, replace=False).tolist()):
        _, gender, _, age, person = rows[i]
        far = "22" if int(age) >= 30 else "60"
        lines.append(
            f"{person},gender,{GENDERS[gender == GENDERS[0]]}"
            if n < 4
            else f"{person},age,{far}"
            if n < 7
            else f"{person},swap,incorrect_mask:normal"
        )
    planted = tmp_path / "planted.csv"
    planted.write_text("path,field,value\n" + "\n".join(lines) + "\n")
    plan, _ = plan_folds(
        data, tmp_path / "runs" / "folds.csv", folds=3, corrections=planted, audit=False
    )
    recipe = small("tiny", size=(96, 72), epochs=20, batch_size=32)
    train(recipe, plan, data, range(3), tmp_path / "runs", "cpu")
    numbers = report([tmp_path / "runs" / "tiny"], plan, data, tmp_path / "report.html")
    first = {tuple(suspect["line"].split(",")[:2]) for suspect in numbers["suspects"][:20]}
    found = first & {tuple(line.split(",")[:2]) for line in lines}
    assert len(found) >= 7, (found, [suspect["line"] for suspect in numbers["suspects"][:20]])
