"""The command kit.report: runs, the data alone, and its bad input."""

import shutil

from helpers import NUM_CLASSES, make_data, tables_of

from kit.report import main
from kit.reporting import figures as figures


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
    twin = runs / "twin"
    for k in range(3):
        (twin / f"fold{k}" / "metrics.csv").unlink()
    assert "the same checkpoint twice" in fails(
        main, world.runs / "small", twin, *place, "--out", tmp_path / "two.html"
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
    assert tables_of(data)["People"][1:] == [
        ["male", "3", "3", "3", "9"],
        ["female", "3", "3", "3", "9"],
    ]
    assert (
        tables_of(data)["Sizes, train"][1] == ["96 x 128", "126"]
        and data.count("<img") == NUM_CLASSES
    )


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
