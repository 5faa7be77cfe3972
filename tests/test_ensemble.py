import dataclasses
import json
import shutil

import numpy as np
import pytest
import torch
from conftest import chosen_otherwise, everywhere, mask_folder, small

import kit.data.photos
import kit.inference.predict
import kit.models.checkpoint
import kit.results.probs
from kit import __version__
from kit.blending.classify import blend_in_full
from kit.blending.rule import uniform
from kit.blending.settings import Settings
from kit.blending.submit import ensemble
from kit.compare import main as compare
from kit.data.folder import read_test
from kit.data.loader import PhotoDataset, batches_of, make_loader
from kit.ensemble import main
from kit.inference.engine import Compute
from kit.inference.members import find_members
from kit.inference.oof import oof_probs, read_oof
from kit.inference.passes import Passes, predict_passes
from kit.inference.predict import predict
from kit.inference.views import make_views
from kit.models.checkpoint import checkpoint_info, load, read_checkpoint_info, save
from kit.models.network import Network
from kit.results.leaderboard import read_board
from kit.results.probs import Probs, read_probs, write_probs
from kit.results.run import Fold, oof_key
from kit.results.submission import read_answers
from kit.scoring.bootstrap import GroupBootstrap
from kit.scoring.metrics import score
from kit.system.device import to_device
from kit.system.disk import file_hash
from kit.system.errors import KitError

CPU = torch.device("cpu")
ENGINE = Compute("cpu", 0)


@pytest.fixture
def copy(world, tmp_path):
    """A copy of the trained world that a test may damage."""
    shutil.copytree(
        world.plan_path.parents[1], tmp_path / "world", ignore=shutil.ignore_patterns("probs-*")
    )
    return tmp_path / "world"


def arguments(root, *more):
    return [
        str(a)
        for a in (
            root / "runs" / "small",
            "--data",
            root / "data",
            "--plan",
            root / "runs" / "folds.csv",
            "--out",
            root / "s.csv",
            "--device",
            "cpu",
            "--workers",
            "0",
            *more,
        )
    ]


def members_of(world, *paths):
    return find_members(paths or [world.runs / "small"], world.plan, read_test(world.folder))


def checkpoints_of(path, world):
    return [c for member in members_of(world, path) for c in member.checkpoints]


def photos_of(data):
    return PhotoDataset(
        (data / "eval" / "images"), read_test(mask_folder(data)), [small().geometry]
    )


def loader_of(photos):
    return make_loader(photos, batches_of(len(photos), 32), 0, CPU)


# ------------------------------------------------------------ probabilities


def test_one_checkpoint_without_tta_gives_its_own_probabilities(world, tmp_path):
    fold = world.runs / "small" / "fold0"
    ids = read_test(world.folder)
    own = predict(
        [load(fold / "best.safetensors")], loader_of(photos_of(world.data)), make_views("none"), CPU
    )[0][0, 0]
    _, record = ensemble([fold], world.plan, world.folder, tmp_path / "s.csv", engine=ENGINE)
    probs, _ = predict_passes(
        checkpoints_of(fold, world), world.folder.test_images, ids, "none", ENGINE
    )
    assert (probs[0, "plain"].at(ids) == own).all()
    assert read_answers(tmp_path / "s.csv")["ans"].tolist() == own.argmax(axis=1).tolist()
    assert read_answers(tmp_path / "s.csv")["ImageID"].tolist() == ids
    assert record["members"][0]["files"][0]["sha256"] == file_hash(fold / "best.safetensors")
    assert record["sha256"] == file_hash(tmp_path / "s.csv")


def test_softmax_comes_before_the_mean_over_folds_and_views(world):
    checkpoints, ids = checkpoints_of(world.runs / "small", world), read_test(world.folder)
    by_hand = []
    for checkpoint in checkpoints:
        network = load(checkpoint.path)
        for flip in (False, True):
            images = photos_of(world.data)
            photos = to_device(
                torch.stack([torch.from_numpy(images[i][1][0]) for i in range(len(ids))]), CPU
            )
            with torch.no_grad():
                by_hand.append(network(photos.flip(3) if flip else photos).softmax(dim=1).numpy())
    outcome = blend_in_full(
        members_of(world), uniform("mean", 1), world.data, ids, Settings(tta="hflip"), ENGINE
    )
    assert (
        len(by_hand) == 6
        and outcome.classes.tolist() == np.mean(by_hand, axis=0).argmax(axis=1).tolist()
    )
    probs, _ = predict_passes(checkpoints, world.folder.test_images, ids, "hflip", ENGINE)
    np.testing.assert_allclose(
        np.mean([p.at(ids) for p in probs.values()], axis=0), np.mean(by_hand, axis=0), atol=1e-5
    )


class Symmetric(torch.nn.Module):
    """A network that cannot tell left from right: it sees colour averages."""

    def __init__(self):
        super().__init__()
        self.geometry, self.parameters_count = small().geometry, 72
        self.head = torch.nn.Linear(3, 18)

    def forward(self, photos):
        return self.head(photos.mean(dim=(2, 3)))


def test_hflip_of_a_symmetric_network_changes_nothing(world):
    ids = read_test(world.folder)
    probs = predict(
        [Symmetric().eval()], loader_of(photos_of(world.data)), make_views("hflip"), CPU
    )[0]
    np.testing.assert_allclose(probs[0, 0], probs[0, 1], atol=1e-6)
    assert probs.shape == (1, 2, len(ids), 18) and np.ptp(probs[0, 0], axis=0).max() > 0


def test_too_little_gpu_memory_is_one_line(world, monkeypatch):
    class Greedy(Symmetric):
        def forward(self, photos):
            raise torch.OutOfMemoryError("CUDA out of memory")

    everywhere(monkeypatch, kit.models.checkpoint, "load", lambda path, device: Greedy())
    checkpoints = checkpoints_of(world.runs / "small", world)
    with pytest.raises(
        KitError, match="too small for 7 photos a batch; take a smaller --batch-size"
    ):
        predict_passes(
            checkpoints,
            world.folder.test_images,
            read_test(world.folder),
            "bright",
            Compute("cpu", 0, 7),
        )


def test_photos_are_decoded_once_whatever_the_networks_views_and_geometries(world, monkeypatch):
    count, plain = [0], kit.data.photos.decode

    def counting(*args, **options):
        count[0] += 1
        return plain(*args, **options)

    everywhere(monkeypatch, kit.data.photos, "decode", counting)
    geometry = kit.data.photos.Geometry((512, 384), (48, 36))
    other = Network("test_efficientnet", geometry).eval()
    networks = [load(world.runs / "small" / f"fold{k}" / "best.safetensors") for k in range(3)] + [
        other
    ]
    ids = read_test(world.folder)
    photos = PhotoDataset(world.folder.test_images, ids, [small().geometry, geometry])
    probs, seconds = predict(networks, loader_of(photos), make_views("hflip+bright"), CPU)
    assert (seconds > 0).all() and len(seconds) == 6
    assert count[0] == len(ids) and probs.shape == (4, 6, len(ids), 18)
    np.testing.assert_allclose(probs.sum(axis=3), 1, atol=1e-5)


# ------------------------------------------------------------ kept probabilities


def test_a_second_ensemble_runs_no_network_and_a_stale_file_is_never_used(
    copy, monkeypatch, capsys
):
    assert main(arguments(copy, "--tta", "hflip")) == 0
    assert "6 of 6 passes computed" in capsys.readouterr().out
    first = (copy / "s.csv").read_bytes()

    def never(*args, **options):
        raise AssertionError("a network ran")

    with monkeypatch.context() as patch:
        everywhere(patch, kit.inference.predict, "predict", never)
        assert main(arguments(copy, "--tta", "hflip", "--force")) == 0
        assert main(arguments(copy, "--tta", "none", "--force")) == 0
    assert "0 of 3 passes computed" in capsys.readouterr().out
    assert (
        main(arguments(copy, "--tta", "hflip", "--force")) == 0
        and (copy / "s.csv").read_bytes() == first
    )
    capsys.readouterr()
    name = read_eval(copy / "data")[0]
    shutil.copy(
        (copy / "data" / "eval" / "images") / read_eval(copy / "data")[1],
        (copy / "data" / "eval" / "images") / name,
    )
    assert main(arguments(copy, "--tta", "hflip", "--force")) == 0
    assert "6 of 6 passes computed" in capsys.readouterr().out
    fresh = (copy / "s.csv").read_bytes()
    for kept in (copy / "runs" / "small" / "fold1").glob("probs-*.npz"):
        table = read_probs(kept)
        write_probs(kept, Probs(table.ids, table.probs[::-1], "another key"), force=True)
    assert main(arguments(copy, "--tta", "hflip", "--force")) == 0
    assert (
        "2 of 6 passes computed" in capsys.readouterr().out
        and (copy / "s.csv").read_bytes() == fresh
    )


def test_a_place_that_cannot_be_written_costs_a_warning_not_the_submission(
    copy, monkeypatch, capsys
):

    def full(path, *args, **options):
        raise KitError(f"{path}: cannot be written: No space left on device")

    everywhere(monkeypatch, kit.results.probs, "write_probs", full)
    assert main(arguments(copy)) == 0
    assert "probabilities are not kept" in capsys.readouterr().err and (copy / "s.csv").exists()


# ------------------------------------------------------------ the out-of-fold score


def test_the_oof_score_is_pooled_and_joined_by_id(world, tmp_path):
    _, record = ensemble(
        [world.runs / "small"], world.plan, world.folder, tmp_path / "s.csv", engine=ENGINE
    )
    oof, checkpoints = record["oof"], checkpoints_of(world.runs / "small", world)
    tables = [read_oof(c, world.plan) for c in checkpoints]
    ids, probs = np.concatenate([t.ids for t in tables]), np.concatenate([t.probs for t in tables])
    truth = world.plan.photos.set_index("image").loc[ids, "label"].to_numpy()
    own = score(truth, probs.argmax(axis=1))
    assert {k: oof[k] for k in vars(own)} == pytest.approx(vars(own)) and oof["photos"] == len(
        world.plan.photos
    )
    assert sum(oof["true_counts"]) == sum(oof["predicted_counts"]) == oof["photos"]
    for checkpoint in checkpoints:
        assert oof["folds"][checkpoint.card.fold] == pytest.approx(checkpoint.card.score)


def test_oof_of_another_checkpoint_is_refused(copy, world):
    fold = Fold(copy / "runs" / "small" / "fold0")
    table, checkpoint = read_probs(fold.oof), checkpoints_of(fold.folder, world)[0]
    assert read_oof(checkpoint, world.plan).key == oof_key(fold.best, world.plan, 0, "float32")
    write_probs(fold.oof, Probs(table.ids, table.probs, "another"), force=True)
    with pytest.raises(KitError, match="belongs to another checkpoint"):
        read_oof(checkpoint, world.plan)


def test_the_views_are_scored_out_of_fold(copy, world, capsys):
    assert main(arguments(copy, "--tta", "hflip", "--score-tta")) == 0
    captured = capsys.readouterr()
    record = json.loads((copy / "s.json").read_text())
    members = find_members([copy / "runs" / "small"], world.plan, read_eval(copy / "data"))
    oof = oof_probs(members, world.plan, copy / "data", "hflip", ENGINE)
    truth = oof.photos["label"].to_numpy()
    both, plain, flipped = (
        score(truth, p[0].argmax(axis=1)).f1
        for p in (oof.probs, oof.views["plain"], oof.views["hflip"])
    )
    views = record["oof"]["views"]
    assert record["oof"]["f1"] == pytest.approx(both)
    assert (views["plain"]["alone"], views["plain"]["adds"]) == pytest.approx(
        (plain, both - flipped)
    )
    assert views["hflip"]["adds"] == pytest.approx(both - plain) and all(record["views"].values())
    assert (
        "alone and added to the others" in captured.out
        and "no view but the plain one" not in captured.out
    )
    # The plain view was known from the training, and the mirrored one is kept.
    assert len(list((copy / "runs" / "small" / "fold0").glob("oof-*.npz"))) == 1


# ------------------------------------------------------------ the command and its bad input


def test_the_record_and_the_printed_score(copy, capsys):
    assert main(arguments(copy, "--tta", "hflip")) == 0
    out = capsys.readouterr().out
    record = json.loads((copy / "s.json").read_text())
    assert list(record["views"]) == ["plain", "hflip"] and record["kit"] == __version__
    assert len(record["members"]) == 1 and len(record["members"][0]["files"]) == 3
    assert sum(record["counts"]) == 10 and record["command"].startswith("python -m kit.ensemble ")
    assert (
        f"macro-F1 {record['oof']['f1']:.3f}" in out
        and "by fold: " in out
        and "views: plain, hflip" in out
    )
    assert str(copy) not in json.dumps({k: v for k, v in record.items() if k != "command"})


@pytest.mark.parametrize(
    "select, patience, chosen", [("last", 0, False), ("last", 3, True), ("best", 0, True)]
)
def test_the_record_says_if_epochs_were_chosen_on_their_folds(
    world, tmp_path, capsys, select, patience, chosen
):
    run = chosen_otherwise(world.runs / "small", tmp_path / "run", world.plan, select, patience)
    assert (
        main([str(run), *arguments(world.plan_path.parents[1], "--out", tmp_path / "s.csv")[1:]])
        == 0
    )
    files = json.loads((tmp_path / "s.json").read_text())["members"][0]["files"]
    assert [(file["select"], file["chosen_on_fold"]) for file in files] == [(select, chosen)] * 3
    assert ("each fold's kept epoch was chosen on it" in capsys.readouterr().out) == chosen


def test_eight_people_of_each_class_are_enough(crowd, tmp_path, capsys):
    place = ["--data", crowd.data, "--plan", crowd.plan_path, "--out", tmp_path / "s.csv"]
    assert main(list(map(str, [*crowd.files, "--blend", "greedy", *place]))) == 0
    oof, out = json.loads((tmp_path / "s.json").read_text())["oof"], capsys.readouterr().out
    low, high = oof["interval"]
    assert (
        low < oof["f1"] < high
        and f"95 % interval {low:.3f} {high:.3f}, from 54 people; by fold: " in out
    )
    assert "  none" not in out and oof["tested"]["interval"] is not None
    (row,) = read_board(tmp_path / "leaderboard.csv")
    assert (row["low"], row["high"]) == (low, high)


def test_the_board_tells_what_picking_among_submissions_makes_of_noise(copy, world, capsys):
    for name, options in (("plain", ()), ("bright", ("--tta", "bright", "--score-tta"))):
        assert main(arguments(copy, *options, "--out", copy / f"{name}.csv")) == 0
        assert (
            compare(["--record", name, "--public", ".1", "--log", str(copy / "leaderboard.csv")])
            == 0
        )
    capsys.readouterr()
    assert compare(["--board", "--json", "--log", str(copy / "leaderboard.csv")]) == 0
    members = find_members([copy / "runs" / "small"], world.plan, read_eval(copy / "data"))
    oof = oof_probs(members, world.plan, copy / "data", "bright", ENGINE)
    people = GroupBootstrap(oof.photos["person"].to_numpy(), oof.photos["label"].to_numpy())
    draws = np.stack(
        [people.macro(probs[0].argmax(axis=1))[:500] for probs in (oof.views["plain"], oof.probs)]
    )
    noise = draws - draws.mean(axis=1, keepdims=True)
    found = json.loads(capsys.readouterr().out)["by_chance"]
    assert (
        found == pytest.approx(np.mean(noise.max(axis=0) - noise.mean(axis=0)), abs=2e-5)
        and found > 0
    )


def test_a_missing_fold_is_an_error_unless_allowed(copy, fails, capsys):
    shutil.rmtree(copy / "runs" / "small" / "fold1")
    line = fails(main, *arguments(copy))
    assert (
        "folds without a checkpoint (1 found: fold1)" in line
        and "--fold 1, or --allow-missing-folds" in line
    )
    assert not (copy / "s.csv").exists()
    assert main(arguments(copy, "--allow-missing-folds")) == 0
    assert len(json.loads((copy / "s.json").read_text())["members"][0]["files"]) == 2


def test_bad_input_is_one_line_and_writes_nothing(copy, fails):
    root = arguments(copy)
    assert "there is no such run" in fails(main, copy / "runs" / "smal", *root[1:])
    assert "holds no checkpoint" in fails(main, copy / "data", *root[1:])
    assert "did you mean hflip?" in fails(main, *root, "--tta", "hflipp")
    assert "the same checkpoint twice" in fails(main, root[0], *root)
    assert "--batch-size 0" in fails(main, *root, "--batch-size", "0")
    assert "let --out end in .csv" in fails(main, *root, "--out", copy / "s.txt")
    info = copy / "data" / "eval" / "info.csv"
    good = info.read_text()
    for content, said in (
        (good + good.splitlines()[1] + "\n", "repeats a value in column 'ImageID'"),
        (good + "nobody.jpg,0\n", "ids that name no file"),
        (good + "../data/train/train.csv,0\n", "plain file names"),
    ):
        info.write_text(content)
        assert said in fails(main, *root)
    info.write_text(good)
    assert not (copy / "s.csv").exists() and not (copy / "s.json").exists()
    (copy / "s.csv").write_text("mine")
    assert "exists already" in fails(main, *root)
    assert (copy / "s.csv").read_text() == "mine"


def test_a_checkpoint_of_another_plan(copy, fails):
    from kit.data.planning import plan_folds

    plan_folds(copy / "data", copy / "runs" / "folds.csv", folds=3, seed=1, audit=False, force=True)
    assert "was trained on another fold plan" in fails(main, *arguments(copy))


def test_a_damaged_checkpoint(copy, fails):
    best = copy / "runs" / "small" / "fold2" / "best.safetensors"
    best.write_bytes(best.read_bytes()[:5000])
    assert "is no checkpoint of the kit" in fails(main, *arguments(copy))


def test_a_checkpoint_in_another_folds_folder(copy, fails):
    shutil.rmtree(copy / "runs" / "small" / "fold1")
    shutil.copytree(copy / "runs" / "small" / "fold0", copy / "runs" / "small" / "fold1")
    assert "is the checkpoint of fold 0" in fails(main, *arguments(copy))


def test_input_files_are_never_written_over(copy, fails):
    shutil.copy(copy / "data" / "eval" / "info.csv", copy / "data" / "answers.csv")
    for out in (
        copy / "runs" / "folds.csv",
        copy / "data" / "eval" / "info.csv",
        copy / "data" / "answers.csv",
        copy / "runs" / "small" / "fold0" / "metrics.csv",
    ):
        before = out.read_bytes()
        assert "is a place of input files" in fails(main, *arguments(copy), "--out", out, "--force")
        assert out.read_bytes() == before


def test_a_damaged_kept_file_is_computed_again(copy, capsys):
    assert main(arguments(copy)) == 0
    first = (copy / "s.csv").read_bytes()
    next((copy / "runs" / "small" / "fold2").glob("probs-*.npz")).write_bytes(b"PK damaged")
    assert main(arguments(copy, "--force")) == 0
    captured = capsys.readouterr()
    assert "computed again" in captured.err and "1 of 3 passes computed" in captured.out
    assert (copy / "s.csv").read_bytes() == first


def test_two_runs_of_two_geometries(copy, world, capsys):
    for fold in range(3):
        source, target = (Fold(copy / "runs" / name / f"fold{fold}") for name in ("small", "wide"))
        target.folder.mkdir(parents=True)
        recipe = small("wide", size=(48, 36))
        torch.manual_seed(fold)
        network = Network(recipe.model, recipe.geometry).eval()
        save(
            target.best,
            network,
            checkpoint_info(recipe, network, fold, world.plan.hash, epoch=1, score=0.0),
        )
        table = read_probs(source.oof)
        write_probs(
            target.oof,
            Probs(table.ids[::-1], table.probs, oof_key(target.best, world.plan, fold, "float32")),
        )
    assert main([str(copy / "runs" / "wide"), *arguments(copy)]) == 0
    assert "6 of 6 passes computed" in capsys.readouterr().out


def test_runs_weigh_alike_whatever_folds_they_have(copy, world):
    shutil.copytree(copy / "runs" / "small", copy / "runs" / "other")
    for fold in range(1, 3):
        shutil.rmtree(copy / "runs" / "other" / f"fold{fold}")
    best = copy / "runs" / "other" / "fold0" / "best.safetensors"
    save(best, load(best), dataclasses.replace(read_checkpoint_info(best), epoch=77))
    paths = [copy / "runs" / "small", copy / "runs" / "other"]
    members = find_members(paths, world.plan, read_eval(copy / "data"), allow_missing=True)
    passes = Passes(members, copy / "data", read_eval(copy / "data"), "none", ENGINE)
    assert passes.weights(uniform("mean", 2)).tolist() == pytest.approx(
        [1 / 6, 1 / 6, 1 / 6, 1 / 2]
    )


def test_an_unfinished_fold_is_said(copy, capsys):
    Fold(copy / "runs" / "small" / "fold0").last.write_bytes(b"")
    assert main(arguments(copy)) == 0
    assert "fold0: training is not finished (2 of 2 epochs)" in capsys.readouterr().err


def test_a_submission_without_a_score_is_its_records_own(copy, capsys):
    assert main(arguments(copy, "--no-score")) == 0
    assert "is not its record" not in capsys.readouterr().err
    (copy / "s.json").write_text(
        json.dumps(json.loads((copy / "s.json").read_text()) | {"sha256": "0" * 64})
    )
    assert main(["--check", str(copy / "s.csv"), *arguments(copy)[1:5]]) == 0
    assert "s.json beside it is not its record" in capsys.readouterr().err
