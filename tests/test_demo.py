"""The demo: from drawn photos to a scored submission, in one command."""

from helpers import everywhere

import kit.demo
import kit.recipe
from kit.recipe import load_recipe, shipped_recipe


def test_the_demo_from_photos_to_a_scored_submission(tmp_path, monkeypatch, capsys):
    small = load_recipe(shipped_recipe("tiny"))
    everywhere(
        monkeypatch,
        kit.recipe,
        "load_recipe",
        lambda path: type(small)(
            **{
                **{f: getattr(small, f) for f in small.__dataclass_fields__},
                "epochs": 1,
                "size": (32, 24),
                "batch_size": 32,
            }
        ),
    )
    assert (
        kit.demo.main(["--out", str(tmp_path / "demo"), "--people", "50", "--eval-people", "6"])
        == 0
    )
    out = capsys.readouterr().out
    assert (
        "6. Compare the two" in out
        and "7. See it" in out
        and "macro-F1 on 42 photos of 6 unseen people" in out
    )
    for part in (
        "data/contact_sheet.png",
        "runs/folds.csv",
        "runs/tiny/fold4/best.safetensors",
        "submissions/tiny-hflip.json",
        "report.html",
    ):
        assert (tmp_path / "demo" / part).is_file()
    info, made = (
        (tmp_path / "demo" / p).read_text().splitlines()
        for p in ("data/eval/info.csv", "submissions/tiny-hflip.csv")
    )
    assert [line.split(",")[0] for line in info] == [line.split(",")[0] for line in made]
    assert kit.demo.main(["--out", str(tmp_path / "demo")]) == 2
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    assert kit.demo.main(["--out", str(tmp_path / "mine"), "--force"]) == 2
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"
