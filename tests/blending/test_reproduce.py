"""A submission made again."""

import dataclasses
import json
import shutil

import pytest
from helpers import ensemble_arguments, everywhere, mask_folder, theirs

import kit.blending.margins
import kit.inference.autotune
from kit.data.folder import read_test
from kit.ensemble import main
from kit.models.checkpoint import load, read_checkpoint_info, save
from kit.system.disk import read_json, write_json
from kit.system.versions import versions


@pytest.mark.parametrize(
    "options",
    [
        ("--tta", "hflip"),
        ("--blend", "weights", "--force-blend", "--decide", "bias"),
        ("--blend", "vote"),
        ("--blend", "gmean"),
        ("--fast",),
        ("--agree", ".7", "--tta", "shift"),
        ("COPY",),
        ("BARE", "--batch-size", "3"),
        ("SINGLE", "--blend", "greedy", "--force-blend"),
    ],
)
def test_from_makes_the_same_bytes_again(copy, options, capsys, monkeypatch):
    everywhere(monkeypatch, kit.blending.margins, "sample_size", lambda photos, agree: (2, 5))
    path = theirs(copy)
    more = {
        "COPY": [theirs(copy, "again.csv", digits=4)],
        "BARE": [copy / "b.safetensors"],
        "SINGLE": [],
    }.get(options[0], [])
    first = ensemble_arguments(copy, path, *more, *[o for o in options if not o.isupper()])
    if options[0] == "BARE":
        shutil.copytree(copy / "runs" / "small", copy / "runs" / "linked", symlinks=True)
        for fold in range(3):  # the run itself is of links to folds elsewhere
            (copy / "runs" / "linked" / f"fold{fold}").rename(copy / f"other{fold}")
            (copy / "runs" / "linked" / f"fold{fold}").symlink_to(copy / f"other{fold}")
        best = copy / "other1" / "best.safetensors"
        save(more[0], load(best), dataclasses.replace(read_checkpoint_info(best), epoch=9))
        first[0] = str(copy / "runs" / "linked")
    if options[0] == "SINGLE":
        first[0] = str(copy / "runs" / "small" / "fold1")
    assert main(first) == 0
    for kept in copy.glob("**/probs-*.npz"):
        kept.unlink()
    place = [
        "--data",
        copy / "data",
        "--plan",
        copy / "runs" / "folds.csv",
        "--device",
        "cpu",
        "--workers",
        0,
    ]
    (copy / "elsewhere").mkdir()
    assert (
        main(
            list(
                map(str, ["--from", copy / "s.json", "--out", copy / "elsewhere" / "t.csv", *place])
            )
        )
        == 0
    )
    assert (copy / "s.csv").read_bytes() == (copy / "elsewhere" / "t.csv").read_bytes()
    assert (
        main(
            list(
                map(str, ["--from", copy / "elsewhere" / "t.json", "--out", copy / "u.csv", *place])
            )
        )
        == 0
    )
    assert (copy / "s.csv").read_bytes() == (copy / "u.csv").read_bytes()
    first, again = (read_json(copy / name, "delete it") for name in ("s.json", "u.json"))
    assert {k for k in first if first[k] != again[k]} <= {
        "seconds",
        "views",
        "passes_computed",
        "saved",
        "members",
    }
    assert (
        again["remade_by"].startswith("python -m kit.ensemble --from") and "remade_by" not in first
    )


def test_from_refuses_other_members_and_other_classes(copy, fails, capsys):
    assert main(ensemble_arguments(copy)) == 0
    place = [
        "--data",
        copy / "data",
        "--plan",
        copy / "runs" / "folds.csv",
        "--device",
        "cpu",
        "--workers",
        0,
    ]
    again = ["--from", copy / "s.json", "--out", copy / "t.csv", *place]
    capsys.readouterr()
    assert "exists already" in fails(main, "--from", copy / "s.json", *place)
    name = read_test(mask_folder(copy / "data"))[0]
    shutil.copy(
        mask_folder(copy / "data").test_images / read_test(mask_folder(copy / "data"))[1],
        mask_folder(copy / "data").test_images / name,
    )
    record = json.loads((copy / "s.json").read_text())
    record["sha256"] = "0" * 64
    write_json(copy / "other.json", record, force=True)
    assert "is not made again" in fails(main, "--from", copy / "other.json", *again[2:])
    best = copy / "runs" / "small" / "fold1" / "best.safetensors"
    best.write_bytes(best.read_bytes() + b" ")
    assert "members that are not the files they were (1 found: " in fails(main, *again)
    best.unlink()
    assert "members that are not where they were (1 found: " in fails(main, *again)
    assert "there is no such file (did you mean" in fails(
        main, "--from", copy / "othr.json", *again[2:]
    )
    assert "--from: takes no --blend, for the record says it" in fails(
        main, *again, "--blend", "vote"
    )
    for damage in (
        {"a": 1},
        record | {"biases": [1, 2]},
        record | {"temperature": "x"},
        record | {"members": []},
        record | {"oof": {}},
        record | {"sha256": ""},
        record | {"settings": record["settings"] | {"used": "zz"}},
    ):
        write_json(copy / "other.json", damage, force=True)
        assert "is no record of a submission" in fails(
            main, "--from", copy / "other.json", *again[2:]
        )
    assert not (copy / "t.csv").exists()


def test_a_record_is_made_again_by_running_every_network(copy, capsys, fails):
    assert main(ensemble_arguments(copy)) == 0
    line = ["--from", copy / "s.json", *ensemble_arguments(copy)[1:5], "--out", copy / "again.csv"]
    assert main([str(a) for a in line]) == 0
    record = json.loads((copy / "again.json").read_text())
    assert record["passes_computed"] == record["passes"] == 3 and record["versions"] == dict(
        versions()
    )
    capsys.readouterr()
    older = record["versions"] | {"pillow": "1.1.7"}
    write_json(copy / "old.json", record | {"versions": older}, force=True)
    assert main([str(a) for a in ["--from", copy / "old.json", *line[2:-1], copy / "new.csv"]]) == 0
    assert "old.json: was made with pillow 1.1.7 (here " in capsys.readouterr().err
    write_json(copy / "bad.json", record | {"versions": {}}, force=True)
    assert "decoded or resized otherwise" in fails(
        main, "--from", copy / "bad.json", *line[2:-1], copy / "new2.csv"
    )


def test_without_a_plan_checkpoints_and_a_mistyped_one_are_told(copy, fails, capsys):
    other = theirs(copy)
    assert main(ensemble_arguments(copy)) == 0
    capsys.readouterr()
    assert "there is no fold plan" in fails(
        main, other, *ensemble_arguments(copy)[1:3], "--no-score", "--plan", copy / "typo.csv"
    )
    assert "there is no fold plan" in fails(
        main, "--from", copy / "s.json", "--plan", copy / "typo.csv", *ensemble_arguments(copy)[1:3]
    )


def test_a_record_of_16_bits_is_made_again_to_the_byte_where_the_probe_says_another_way(
    copy, world, halved, monkeypatch
):
    assert main(ensemble_arguments(copy, "--tta", "hflip")) == 0
    first = (copy / "s.csv").read_bytes()
    for kept in (copy / "runs").glob("small/*/p*-*.npz"):
        kept.unlink()
    everywhere(
        monkeypatch,
        kit.inference.autotune,
        "autotune",
        lambda *_: pytest.fail("the record says it"),
    )
    line = [
        "--from",
        str(copy / "s.json"),
        "--data",
        str(world.data),
        "--plan",
        str(world.plan_path),
        "--out",
        str(copy / "again.csv"),
    ]
    assert main(line) == 0 and (copy / "again.csv").read_bytes() == first
    record = json.loads((copy / "s.json").read_text())
    for damage in (
        {"modes": {"a": {"precision": "int4", "photos": 1}}},
        {"batch_size": "many"},
        {"modes": None},
        {"modes": {"a": {"precision": "float32", "photos": True}}},
        {"modes": {"a": {"precision": "float32", "photos": 10**9}}},
    ):
        write_json(copy / "bad.json", record | damage, force=True)
        assert main(["--from", str(copy / "bad.json"), *line[2:-1], str(copy / "bad.csv")]) == 2
        assert not (copy / "bad.csv").exists()
