"""The contact sheet of photos that submissions differ on."""

import dataclasses
import shutil

import numpy as np
import pytest
from answer_forms import FORMS, form, form_folder, predicted
from helpers import draw_photo

from kit.compare import main
from kit.data.folder import read_ids, read_test
from kit.data.photos import size_of
from kit.reporting.flips import FlipSheet
from kit.results.predictions import read_files
from kit.results.submission import write_submission


def test_a_contact_sheet_of_the_flips(tmp_path, world, capsys, fails):
    ids = read_test(world.folder)
    files = []
    for name, classes in (("a", [0] * 10), ("b", [0] * 7 + [1, 1, 9])):
        files.append(tmp_path / f"{name}.csv")
        files[-1].write_text("ImageID,ans\n" + "".join(f"{i},{c}\n" for i, c in zip(ids, classes)))
    place = ["--data", str(world.data), "--sheet", str(tmp_path / "flips.png")]
    assert main([*map(str, files), "--show", "2", *place]) == 0
    out = capsys.readouterr().out
    assert "2 photos that they differ on; 1 is a, 2 is b" in out
    width = size_of(tmp_path / "flips.png")[0]
    assert "exists already" in fails(main, *files, "--show", 9, *place)
    assert main([*map(str, files), "--show", "9", *place, "--force"]) == 0
    assert (
        size_of(tmp_path / "flips.png")[0] > width
        and "3 photos that they differ on" in capsys.readouterr().out
    )
    # Runs show training photos; what does not fit together is one line, and no picture is made of
    # nothing.
    assert main([str(world.runs / "small" / "fold0"), str(world.runs / "small" / "fold0")]) == 2
    assert (
        main([str(files[0]), str(files[0].rename(tmp_path / "c.csv")), *place, "--show", "3"]) == 2
    )
    capsys.readouterr()
    shutil.copy(tmp_path / "c.csv", files[0])
    assert (
        main(
            [
                str(files[0]),
                str(tmp_path / "c.csv"),
                "--show",
                "3",
                "--data",
                str(world.data),
                "--sheet",
                str(tmp_path / "none.png"),
            ]
        )
        == 0
    )
    assert "differ on no photo" in capsys.readouterr().out and not (tmp_path / "none.png").exists()
    for line, said in (
        (("--show", 0), "take 1 or more"),
        (("--sheet", "x.png"), "is for --show"),
        (
            (
                "--show",
                3,
                "--data",
                world.data,
                "--sheet",
                world.data / "eval" / "images" / ids[0],
                "--force",
            ),
            "is a place of input files",
        ),
        (("--show", 3, "--data", world.data, "--sheet", "x.gif"), "no name for a picture"),
        (("--show", 3, "--data", tmp_path / "no"), "there is no data folder"),
    ):
        assert said in fails(main, *files, *line)
    assert "no other file to differ from" in fails(
        main, files[0], "--answers", files[1], "--show", 3
    )
    for name in ("../../x.jpg", "/etc/hostname"):
        for file, c in (("x.csv", 1), ("y.csv", 2)):
            (tmp_path / file).write_text(f"ImageID,ans\n{name},{c}\n")
        assert "no names of photos" in fails(
            main,
            tmp_path / "x.csv",
            tmp_path / "y.csv",
            "--show",
            1,
            "--data",
            world.data,
            "--sheet",
            tmp_path / "lost.jpg",
        )
    (tmp_path / "taken.jpg").write_text(
        "mine"
    )  # a place that is taken is told before the vote is written
    assert "exists already" in fails(
        main,
        *files,
        "--show",
        1,
        "--vote",
        tmp_path / "subs" / "v.csv",
        "--data",
        world.data,
        "--sheet",
        tmp_path / "taken.jpg",
    )
    assert not (tmp_path / "subs").exists()
    assert "the paths are one run" in fails(
        main,
        world.runs / "small" / "fold0",
        world.runs / "small" / "fold1",
        "--plan",
        world.plan_path,
    )
    (tmp_path / "x.csv").write_text("ImageID,ans\nx.jpg,1\n")
    (tmp_path / "y.csv").write_text("ImageID,ans\nx.jpg,2\n")
    assert "lacks photos that are to be shown" in fails(
        main,
        tmp_path / "x.csv",
        tmp_path / "y.csv",
        "--show",
        1,
        "--data",
        world.data,
        "--sheet",
        tmp_path / "lost.jpg",
    )


@pytest.mark.parametrize("name", FORMS)
def test_photos_of_every_form_are_drawn(tmp_path, name):
    data = form_folder(tmp_path / "data", form(name))
    for image in read_ids(data):  # of each form the file's name
        (data.test_images / image).parent.mkdir(parents=True, exist_ok=True)
        draw_photo(data.test_images / image, image, (24, 24))
    files = [tmp_path / f"s{n}.csv" for n in range(2)]
    for n, path in enumerate(files):
        write_submission(path, predicted(data, n), data, {})
    given = read_files(files, None, data.competition)
    out = tmp_path / "sheet.png"
    shown = FlipSheet(files, data, data.test_images, out, 3).write(given)
    assert out.exists() and 1 <= shown <= 3
    same = read_files(files[:1], None, data.competition)
    twice = dataclasses.replace(
        same,
        names=["a", "b"],
        classes=np.concatenate([same.classes] * 2),
        probs=None if same.probs is None else np.concatenate([same.probs] * 2),
    )
    assert FlipSheet(files, data, data.test_images, out, 3, True).write(twice) == 0
