"""The leak audit: which copies are found, in what is no copy, in any order."""

import json
import shutil

import cv2
import numpy as np
import pytest
from draws import texture
from helpers import everywhere, mask_folder
from PIL import Image

import kit.data.alignment
import kit.data.features
import kit.data.leaks
from kit.data.folder import read_test
from kit.data.leaks import audit_photos
from kit.data.plan import read_plan
from kit.data.planning import PlanOptions, plan_folds
from kit.folds import main
from kit.reporting.data_page import report_data
from kit.system.errors import KitError


def warped(photo: np.ndarray, matrix: object) -> np.ndarray:
    return cv2.warpAffine(photo, np.float32(matrix), photo.shape[1::-1])


COPIES = {
    "recompressed": lambda p: cv2.imdecode(
        cv2.imencode(".jpg", p, [cv2.IMWRITE_JPEG_QUALITY, 30])[1], 1
    ),
    "resized": lambda p: cv2.resize(p, (144, 192), interpolation=cv2.INTER_AREA),
    "grey": lambda p: cv2.cvtColor(cv2.cvtColor(p, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB),
    "brighter": lambda p: cv2.convertScaleAbs(p, alpha=1.1, beta=20),
    "mirrored": lambda p: p[:, ::-1],
    "cropped to 80 %": lambda p: p[25:230, 19:172],
    "cropped at a corner, enlarged": lambda p: cv2.resize(p[:205, :153], (192, 256)),
    "shifted by 8 %": lambda p: warped(p, [[1, 0, 15], [0, 1, -20]]),
    "turned by 12 degrees": lambda p: warped(p, cv2.getRotationMatrix2D((96, 128), 12, 1)),
    "mirrored and turned": lambda p: warped(p[:, ::-1], cv2.getRotationMatrix2D((96, 128), -12, 1)),
}


def save(path, photo: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.ascontiguousarray(photo)).save(path, quality=90)


@pytest.fixture(scope="session")
def album(made_once):
    """A folder of 40 people with one photo each, `p00/a.jpg`, and of the first ones' copies, `copy
    of p00/a.jpg`.
    """

    def make(root):
        for i in range(40):
            save(root / f"p{i:02d}" / "a.jpg", texture(i))
        for i, change in enumerate(COPIES.values()):
            save(root / f"copy of p{i:02d}" / "a.jpg", change(texture(i)))

    return made_once("album", make)


def test_each_kind_of_copy_is_found_and_nothing_else_in_any_order(album):
    images = sorted(f"{path.name}/a.jpg" for path in album.iterdir())
    found = audit_photos(album, images, [image[:-6] for image in images])
    assert [(link.a, link.b) for link in found.links] == [
        (f"copy of p{i:02d}/a.jpg", f"p{i:02d}/a.jpg") for i in range(len(COPIES))
    ]
    assert all(link.kind == "near-identical" and link.score >= 0.85 for link in found.links)
    mixed = np.random.default_rng(0).permutation(images).tolist()
    assert audit_photos(album, mixed, [image[:-6] for image in mixed]) == found


def test_a_person_may_have_copies_and_the_same_mask_is_no_link(tmp_path):
    """A third of each photo is the same picture, as a mask is: two faces stay two; one person's own
    copies are no leak.
    """
    for i in range(4):
        photo = texture(i)
        photo[128:, 32:160] = texture(99)[128:, 32:160]
        save(tmp_path / f"p{i}" / "a.jpg", photo)
        save(tmp_path / f"p{i}" / "b.jpg", photo[:, ::-1])
    images = [f"p{i}/{name}.jpg" for i in range(4) for name in "ab"]
    seen = []
    with pytest.MonkeyPatch.context() as patch:
        aligned = kit.data.alignment.aligned
        everywhere(
            patch,
            kit.data.alignment,
            "aligned",
            lambda *photos: seen.append(aligned(*photos)) or seen[-1],
        )
        assert audit_photos(tmp_path, images, [image[:2] for image in images]).links == []
    assert (
        len(seen) == 6 * kit.data.leaks._PAIRS and max(seen) < 0.8
    )  # each pair of people was compared


def test_flat_tiny_and_no_photos_are_no_trouble(tmp_path):
    for i, size in enumerate([(100, 80), (80, 100), (1, 1), (1, 3000)]):
        save(tmp_path / f"p{i}" / "a.png", np.full((*size, 3), 50 * i, np.uint8))
    assert audit_photos(tmp_path, [f"p{i}/a.png" for i in range(4)], list("0123")).links == []
    assert audit_photos(tmp_path, [], []).links == []


def folders(data):
    return sorted((data / "train" / "images").iterdir())


def test_linked_people_share_a_fold(data, tmp_path):
    a, b, c, d = (folders(data)[i] for i in (0, 5, 9, 12))
    shutil.copy(a / "mask1.jpg", b / "mask3.jpg")
    save(c / "normal.jpg", texture(1))
    save(d / "normal.jpg", COPIES["mirrored and turned"](texture(1)))
    plan, _ = plan_folds(mask_folder(data), tmp_path / "folds.csv", PlanOptions(folds=3))
    assert [(link["kind"], link["a"], link["b"]) for link in plan.meta["audit"]["links"]] == [
        ("same bytes", f"{a.name}/mask1.jpg", f"{b.name}/mask3.jpg"),
        ("near-identical", f"{c.name}/normal.jpg", f"{d.name}/normal.jpg"),
    ]
    fold = plan.photos.drop_duplicates("group").set_index("group")["fold"]
    assert fold[a.name] == fold[b.name] and fold[c.name] == fold[d.name]
    assert main(["--data", str(data), "--folds", "3", "--out", str(tmp_path / "again.csv")]) == 0
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "folds.csv").read_bytes()


def test_training_photos_in_the_test_set_are_told_and_recorded(data, tmp_path, capsys):
    (a, b), ids = folders(data)[:2], read_test(mask_folder(data))
    shutil.copy(a / "mask1.jpg", data / "eval" / "images" / ids[3])
    save(b / "normal.jpg", texture(1))
    for name in ids[5:7]:  # also of each other, which is no leak
        save(data / "eval" / "images" / name, COPIES["cropped to 80 %"](texture(1)))
    before, _ = plan_folds(
        mask_folder(data), tmp_path / "before.csv", PlanOptions(folds=3, audit=False)
    )
    assert main(["--data", str(data), "--folds", "3", "--out", str(tmp_path / "f.csv")]) == 0
    error = capsys.readouterr().err
    assert "test photos that are training photos, too (3 found, the first: " in error
    plan = read_plan(tmp_path / "f.csv")
    assert plan.meta["audit"]["links"] == [] and plan.meta["audit"]["damaged"] == []
    assert sorted(
        (link["kind"], link["a"], link["b"]) for link in plan.meta["audit"]["test"]
    ) == sorted(
        [
            ("same bytes", f"{a.name}/mask1.jpg", ids[3]),
            *(("near-identical", f"{b.name}/normal.jpg", i) for i in ids[5:7]),
        ]
    )
    assert plan.photos.equals(before.photos)
    summary = report_data(mask_folder(data), tmp_path / "data.html")
    assert summary.test == plan.meta["audit"]["test"]
    assert "3 photos to predict are training photos, too" in (tmp_path / "data.html").read_text()


def test_damaged_and_absent_test_photos_are_told_and_do_not_stop_a_plan(data, tmp_path, capsys):
    images, ids = data / "eval" / "images", read_test(mask_folder(data))
    (images / ids[1]).write_bytes(b"no photo")
    (images / ids[4]).write_bytes(b"")
    command = ["--data", str(data), "--folds", "3", "--force", "--out", str(tmp_path / "f.csv")]
    assert main(command) == 0
    first = min(ids[1], ids[4])
    error = " ".join(capsys.readouterr().err.split())
    assert (
        f"damaged test photos, at which kit.ensemble will stop (2 found, the first: {first}: is"
        in error
    )
    assert len(json.loads((tmp_path / "f.json").read_text())["audit"]["damaged"]) == 2
    shutil.rmtree(images)
    assert main(command) == 0
    assert "the audit leaves the test photos out: " in capsys.readouterr().err
    folders(data)[0].joinpath("mask1.jpg").write_bytes(b"no photo")
    with pytest.raises(KitError, match="photos that cannot be used .1 found"):
        plan_folds(mask_folder(data), tmp_path / "g.csv", PlanOptions(folds=3))
