"""The drawn data set has the competition's layout and traps, and appears whole or not at all."""

import csv
import hashlib
import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from helpers import age_class, decode
from PIL import Image

from kit.competitions import mask_faces, mask_sample
from kit.competitions.mask_faces import plan_people
from kit.competitions.mask_labels import SHOTS
from kit.competitions.mask_sample import draw_sample
from kit.system.errors import KitError

IMAGES = (".jpg", ".jpeg", ".png")


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="session")
def drawn(made_once) -> Path:
    """A sample of a few people, in folders of Korean names."""

    def make(root: Path) -> None:
        draw_sample(root / "얼굴" / "data", people=8, eval_people=3, seed=4)

    return made_once("표본", make) / "얼굴" / "data"


def test_train_has_the_competitions_layout(drawn: Path) -> None:
    people = rows(drawn / "train" / "train.csv")
    assert list(people[0]) == ["id", "gender", "race", "age", "path"] and len(people) == 8
    assert len({person["path"] for person in people}) == 8
    extensions = set()
    for person in people:
        assert person["path"] == f"{person['id']}_{person['gender']}_Asian_{person['age']}"
        assert 18 <= int(person["age"]) <= 60 and person["id"][:6].isdigit()
        photos = [
            path
            for path in (drawn / "train" / "images" / person["path"]).iterdir()
            if path.name[0] != "."
        ]
        assert sorted(path.stem for path in photos) == sorted(SHOTS)
        for path in photos:
            extensions.add(path.suffix)
            with Image.open(path) as image:
                assert (image.size, image.mode) == ((384, 512), "RGB")
                assert image.format == ("PNG" if path.suffix == ".png" else "JPEG")
    assert extensions == set(IMAGES)
    folders = [path for path in (drawn / "train" / "images").iterdir() if path.is_dir()]
    assert {path.name for path in folders} == {person["path"] for person in people}


def test_train_has_the_competitions_traps(drawn: Path) -> None:
    ids = [person["id"] for person in rows(drawn / "train" / "train.csv")]
    assert sorted(Counter(ids).values())[-2:] == [1, 2]
    suffixed = [name for name in ids if name.endswith("-1")]
    assert suffixed and suffixed[0][:-2] in ids and all(name.startswith("0") for name in ids)
    junk = list((drawn / "train").rglob(".*"))
    assert {".DS_Store"} < {path.name for path in junk}
    for path in junk:
        if path.suffix in IMAGES:
            with pytest.raises(OSError):
                Image.open(path)


def test_answers_go_with_info(drawn: Path) -> None:
    info, answers = rows(drawn / "eval" / "info.csv"), rows(drawn / "answers.csv")
    names = [row["ImageID"] for row in info]
    assert list(info[0]) == ["ImageID", "ans"] and list(answers[0]) == ["ImageID", "ans", "person"]
    assert all(n == 7 for n in Counter(row["person"] for row in answers).values())
    assert {row["ans"] for row in info} == {"0"} and names == [row["ImageID"] for row in answers]
    assert {path.name for path in (drawn / "eval" / "images").iterdir()} == set(names) and len(
        set(names)
    ) == 21
    assert all(re.fullmatch(r"[0-9a-f]{40}\.jpg", name) for name in names) and names != sorted(
        names
    )
    mask, gender, age = decode(np.array([int(row["ans"]) for row in answers]))
    assert np.bincount(mask).tolist() == [15, 3, 3]
    expected = Counter(
        (p.gender, int(age_class(np.array(p.age)))) for p in plan_people(3, 4, mask_faces.EVAL)
    )
    assert Counter(zip(gender.tolist(), age.tolist())) == {
        group: 7 * n for group, n in expected.items()
    }


def test_contact_sheet_and_record(drawn: Path) -> None:
    with Image.open(drawn / "contact_sheet.png") as sheet:
        assert sheet.width > 7 * 96 and sheet.height > 6 * 128
    assert (drawn / "contact_sheet.png").stat().st_size < 400_000
    record = json.loads((drawn / "sample.json").read_text(encoding="utf-8"))
    assert (record["seed"], record["people"], record["eval_people"]) == (4, 8, 3)


def test_the_seed_alone_decides(drawn: Path, tmp_path: Path) -> None:
    np.random.seed(1)
    assert digests(draw_sample(tmp_path / "same", people=8, eval_people=3, seed=4)) == digests(
        drawn
    )
    other = rows(
        draw_sample(tmp_path / "other", people=6, eval_people=1, seed=5) / "train" / "train.csv"
    )
    assert not {row["path"] for row in other} & {
        row["path"] for row in rows(drawn / "train" / "train.csv")
    }


def test_every_group_is_large_enough_for_five_folds() -> None:
    for seed in range(100):
        plan = plan_people(60, seed)
        groups = Counter((p.gender, int(age_class(np.array(p.age)))) for p in plan)
        assert len(groups) == 6 and min(groups.values()) >= 6 and groups[0, 2] + groups[1, 2] == 12
        assert len({p.path for p in plan}) == 60 and sum(p.gender for p in plan) == 30
        assert plan == plan_people(60, seed)
        for people in (6, 7, 8, 9, 13):
            small = plan_people(people, seed)
            assert len({(p.gender, int(age_class(np.array(p.age)))) for p in small}) == 6
            assert (
                len({p.path for p in small}) == people and len({p.id for p in small}) == people - 1
            )


def test_no_two_people_look_alike() -> None:
    small = [
        np.asarray(
            next(mask_faces.draw_person(person, np.random.default_rng([0, 0, row, 1])))[1]
            .convert("L")
            .resize((16, 16), Image.Resampling.BOX),
            dtype=float,
        )
        for row, person in enumerate(plan_people(30, 0))
    ]
    gaps = [np.abs(a - b).mean() for i, a in enumerate(small) for b in small[:i]]
    assert min(gaps) > 8  # grey levels; two scans of one photo differ by 1 or 2


def test_refuses_an_existing_folder(drawn: Path, tmp_path: Path) -> None:
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "thesis.txt").write_text("ten years of work")
    (foreign / "sample.json").write_text("{}")
    before = digests(foreign)
    with pytest.raises(KitError, match="exists already.*--force"):
        draw_sample(foreign, 6, 1)
    with pytest.raises(KitError, match="no drawn sample"):
        draw_sample(foreign, 6, 1, force=True)
    assert digests(foreign) == before and list(tmp_path.iterdir()) == [foreign]
    with pytest.raises(KitError, match="exists already"):
        draw_sample(drawn, 6, 1)


def test_force_replaces_a_sample_and_an_empty_folder_is_filled(tmp_path: Path) -> None:
    out = tmp_path / "data"
    out.mkdir()
    draw_sample(out, 6, 1, seed=1)
    before = digests(out)
    draw_sample(out, 6, 1, seed=2, force=True)
    assert digests(out) != before and len(rows(out / "train" / "train.csv")) == 6
    assert list(tmp_path.iterdir()) == [out]


def test_failing_midway_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, drawn: Path
) -> None:
    calls = []

    def fail(*args: object) -> None:
        calls.append(args)
        if len(calls) > 3:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(mask_sample, "_save", fail)
    with pytest.raises(OSError, match="No space"):
        draw_sample(tmp_path / "data", 6, 1)
    assert list(tmp_path.iterdir()) == []
    before, beside = digests(drawn), set(drawn.parent.iterdir())
    with pytest.raises(OSError, match="No space"):
        draw_sample(drawn, 6, 1, force=True)
    assert digests(drawn) == before and set(drawn.parent.iterdir()) == beside
