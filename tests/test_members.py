"""Members of an ensemble: runs, bare checkpoints and other teams' files, joined by id; the record
and its rerun; the check.
"""

import dataclasses
import json
import shutil

import numpy as np
import pandas as pd
import pytest
from conftest import CLASS_NAMES, NUM_CLASSES, everywhere
from test_ensemble import ENGINE, arguments, copy  # noqa: F401

import kit.blending.margins
import kit.inference.predict
import kit.system.versions
from kit.blending.rule import BLENDS
from kit.blending.select import select_blend
from kit.blending.settings import Settings
from kit.blending.submit import ensemble
from kit.compare import main as compare_main
from kit.data.plan import read_plan
from kit.ensemble import main
from kit.inference.member import unique_names
from kit.inference.members import find_members
from kit.inference.oof import Oof, oof_probs
from kit.inference.passes import predict_passes
from kit.models.checkpoint import load, read_checkpoint_info, save
from kit.results.check import check_submission, expected_counts
from kit.results.leaderboard import read_board
from kit.results.probs import Probs, read_foreign_probs, read_probs, write_probs
from kit.results.run import Fold, oof_key
from kit.results.submission import read_answers
from kit.scoring.agreement import correlations
from kit.scoring.bootstrap import GroupBootstrap
from kit.scoring.class_counts import Expected, distribution_p, rao_scott_correction
from kit.scoring.metrics import macro_f1
from kit.system.errors import KitError
from kit.system.versions import versions


def theirs(
    root, name="theirs.csv", seed=0, sure=3.0, order=None, columns=None, both=False, digits=6
):
    """Another team's file beside the data: test probabilities, and out-of-fold ones that are right
    more often than not.
    """
    rng = np.random.default_rng(seed)
    plan, ids = read_plan(root / "runs" / "folds.csv"), read_eval(root / "data")

    def table(names, logits):
        probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        probs = probs.round(digits)
        frame = pd.DataFrame(probs, columns=columns or [str(c) for c in range(18)])
        frame.insert(0, "ImageID", names)
        return frame.iloc[rng.permutation(len(frame))] if order else frame

    oof = rng.normal(size=(len(plan.photos), 18))
    oof[np.arange(len(oof)), plan.photos["label"]] += sure
    tables = [table(ids, rng.normal(size=(len(ids), 18)) * 2), table(plan.photos["image"], oof)]
    if both:
        pd.concat(tables).to_csv(root / name, index=False)
    else:
        for frame, path in zip(tables, (root / name, root / name.replace(".csv", ".oof.csv"))):
            frame.to_csv(path, index=False)
    return root / name


# ------------------------------------------------------------ files


def test_files_of_other_teams_join_by_id_in_any_order_and_form(copy):  # noqa: F811
    plan, ids = read_plan(copy / "runs" / "folds.csv"), read_eval(copy / "data")
    expected = None
    rng = np.random.default_rng(5)
    names = list(rng.permutation(CLASS_NAMES))
    files = [
        theirs(copy),
        theirs(copy, "both.csv", both=True, order=True),
        theirs(copy, "shuffled.csv", order=True),
    ]
    frame, oof = (
        pd.read_csv(copy / f"theirs{suffix}.csv", dtype={"ImageID": str}) for suffix in ("", ".oof")
    )
    for part, suffix in ((frame, ""), (oof, ".oof")):
        renamed = part.set_axis(["ImageID", *CLASS_NAMES], axis=1)
        renamed[["ImageID", *names]].to_csv(
            copy / f"named{suffix}.csv", index=False
        )  # the classes in another order, by name
        np.savez(
            copy / f"array{suffix}.npz",
            ids=part["ImageID"].to_numpy().astype(str),
            probs=part.drop(columns="ImageID").to_numpy(),
        )
    for path in [*files, copy / "named.csv", copy / "array.npz"]:
        (member,) = find_members([path], plan, ids)
        got = member.test.at(ids), member.oof.at(plan.photos["image"].tolist())
        expected = expected or got
        np.testing.assert_allclose(got[0], expected[0], atol=1e-6)
        np.testing.assert_allclose(got[1], expected[1], atol=1e-6)
    classes = []
    for path in files:
        out = copy / f"{path.stem}-out.csv"
        assert main(arguments(copy, path, "--blend", "weights", "--force-blend", "--out", out)) == 0
        classes.append(read_answers(out)["ans"].tolist())
    assert classes[0] == classes[1] == classes[2]


@pytest.mark.parametrize(
    "damage, said",
    [
        (lambda t: t.iloc[:-2], r"lacks photos to predict \(2 found, the first: "),
        (lambda t: pd.concat([t, t.iloc[:1]]), r"repeats ids \(1 found: "),
        (
            lambda t: pd.concat([t, t.iloc[:1].assign(ImageID="no.jpg")]),
            r"neither to be predicted nor training photos \(1 found: no",
        ),
        (
            lambda t: t.assign(**{str(c): t[str(c)] / 2 for c in range(18)}),
            r"do not sum to 1 \(10 found, the first: .*: 0.5\); give",
        ),
        (
            lambda t: t.assign(**{"0": t["0"] - 1}),
            r"values outside 0..1 \(10 found, the first: .*: -0.*not logits or percents",
        ),
        (lambda t: t.assign(**{"3": "x"}), r"values that are no numbers \(10 found, the first"),
        (lambda t: t[["ImageID"]].assign(ans=1), "is a submission, and holds no probabilities"),
        (lambda t: t.drop(columns="17"), r"lacks columns of classes \(1 found: 17\)"),
        (lambda t: t.assign(**{"18": 0.0}), r"columns that are no class \(1 found: 18\)"),
        (lambda t: t.rename(columns={"ImageID": "name"}), "its first column is 'name'"),
    ],
)
def test_what_is_wrong_with_a_file_is_one_line(copy, damage, said, fails):  # noqa: F811
    path = theirs(copy)
    damage(pd.read_csv(path, dtype={"ImageID": str})).to_csv(path, index=False)
    line = fails(main, *arguments(copy, path))
    assert str(path) in line
    with pytest.raises(KitError, match=said):
        raise KitError(line)
    assert not (copy / "s.csv").exists()


def test_oof_of_a_file_must_be_there_and_whole_or_the_score_is_done_without(copy, fails, capsys):  # noqa: F811
    path = theirs(copy)
    oof = copy / "theirs.oof.csv"
    oof.write_text("\n".join(oof.read_text().splitlines()[:-3]) + "\n")
    assert "theirs.oof.csv: lacks training photos (3 found" in fails(main, *arguments(copy, path))
    oof.unlink()
    line = fails(main, *arguments(copy, path))
    assert (
        "has no out-of-fold probabilities" in line
        and "theirs.oof.csv beside it, or --no-score" in line
    )
    assert "--no-score: a fitted blend" in fails(
        main, *arguments(copy, path, "--no-score", "--blend", "greedy")
    )
    assert main(arguments(copy, path, "--no-score")) == 0
    assert "no out-of-fold score" in capsys.readouterr().out
    assert json.loads((copy / "s.json").read_text())["oof"] is None
    assert "the same file twice" in fails(
        main, *arguments(copy, path, path, "--no-score", "--force")
    )
    assert "there is no such file" in fails(
        main, copy / "nobody.csv", *arguments(copy, "--force")[1:]
    )
    (copy / "bad.npz").write_bytes(b"PK no")
    assert "bad.npz: is no probability file" in fails(
        main, *arguments(copy, copy / "bad.npz", "--force")
    )
    np.savez(copy / "bad.npz", ids=np.array(["a"], dtype=object), probs=np.ones((1, 18)))
    line = fails(main, *arguments(copy, copy / "bad.npz", "--force"))
    assert (
        "bad.npz: is no probability file (ValueError: Object arrays" in line
        and "save ids.astype(str)" in line
    )
    (copy / "semi.csv").write_text("ImageID;0;1\na;1;0\n")
    assert "separated by something else than commas" in fails(
        main, *arguments(copy, copy / "semi.csv", "--force")
    )
    assert "is empty" in fails(
        main, *arguments(copy, (copy / "none.csv").write_text("") or copy / "none.csv", "--force")
    )


def test_a_file_changes_the_blend_by_its_weight(copy, world):  # noqa: F811
    path, ids = theirs(copy), read_eval(copy / "data")
    out, record = ensemble(
        [copy / "runs" / "small", path],
        read_plan(copy / "runs" / "folds.csv"),
        copy / "data",
        copy / "s.csv",
        engine=ENGINE,
    )
    checkpoints = find_members([copy / "runs" / "small"], world.plan, ids)[0].checkpoints
    found, _ = predict_passes(checkpoints, (copy / "data" / "eval" / "images"), ids, "none", ENGINE)
    run = np.mean([p.at(ids) for p in found.values()], axis=0, dtype=np.float64)
    expected = (0.5 * run + 0.5 * read_foreign_probs(path).at(ids)).argmax(axis=1)
    assert read_answers(out)["ans"].tolist() == expected.tolist()
    assert [m["weight"] for m in record["members"]] == [0.5, 0.5]


def test_a_member_given_twice_in_another_form_is_left_out(copy, capsys):  # noqa: F811
    first, second = theirs(copy), theirs(copy, "again.csv", digits=4, both=True)
    assert main(arguments(copy, first, second)) == 0
    assert "again: has the same probabilities as theirs, and is left out" in capsys.readouterr().err
    assert len(json.loads((copy / "s.json").read_text())["members"]) == 2
    third = theirs(copy, "third.csv", seed=1)
    shutil.copy(copy / "theirs.oof.csv", copy / "third.oof.csv")
    assert (
        main(arguments(copy, first, third, "--force")) == 0
    )  # other predictions count, whatever the out-of-fold ones are
    assert (
        "third: has the same out-of-fold probabilities as theirs, and counts beside it"
        in capsys.readouterr().err
    )
    assert len(json.loads((copy / "s.json").read_text())["members"]) == 3


def test_rows_that_nearly_sum_to_1_are_made_to(copy):  # noqa: F811
    path = theirs(copy, digits=4)
    probs = read_foreign_probs(path).probs
    assert np.abs(pd.read_csv(path).drop(columns="ImageID").sum(axis=1) - 1).max() > 5e-5
    assert np.abs(probs.sum(axis=1, dtype=np.float64) - 1).max() < 1e-6


def test_a_glob_takes_the_out_of_fold_files_with_their_own(copy):  # noqa: F811
    path = theirs(copy)
    assert main(arguments(copy, path.with_name("theirs.oof.csv"), path)) == 0
    assert len(json.loads((copy / "s.json").read_text())["members"]) == 2


def test_no_output_lies_over_a_members_files(copy, fails):  # noqa: F811
    path, best = theirs(copy), copy / "runs" / "small" / "fold0" / "best.safetensors"
    for member, out in ((path, copy / "theirs.oof.csv"), (best, best.with_name("metrics.csv"))):
        before = out.read_bytes()
        line = fails(
            main,
            str(member),
            *arguments(copy)[1:],
            "--out",
            out,
            "--force",
            "--allow-missing-folds",
        )
        assert "is a place of input files" in line and out.read_bytes() == before
    (copy / "s.json").write_text('{"mine": 1}')
    assert "is no record of a submission" in fails(main, *arguments(copy, "--force"))
    assert (copy / "s.json").read_text() == '{"mine": 1}' and not (copy / "s.csv").exists()


def test_a_bare_checkpoint_is_scored_by_its_own_fold(copy, world, capsys):  # noqa: F811
    for fold in (0, 1):
        shutil.copy(
            copy / "runs" / "small" / f"fold{fold}" / "best.safetensors",
            copy / f"b{fold}.safetensors",
        )
    plan, ids = world.plan, read_eval(copy / "data")
    (member,) = find_members([copy / "b0.safetensors", copy / "b1.safetensors"], plan, ids)
    assert member.name == "small" and len(member.checkpoints) == 2
    oof = oof_probs([member], plan, copy / "data", "none", ENGINE)
    kept = [read_probs(Fold(copy / "runs" / "small" / f"fold{fold}").oof) for fold in (0, 1)]
    both = Probs(np.concatenate([k.ids for k in kept]), np.concatenate([k.probs for k in kept]))
    np.testing.assert_allclose(oof.probs[0], both.at(oof.photos["image"].tolist()), atol=1e-5)
    best = copy / "runs" / "small" / "fold0" / "best.safetensors"
    assert main([str(best), *arguments(copy, theirs(copy))[1:]]) == 0
    assert "is of 42 of 126 training photos: small has no more" in capsys.readouterr().err
    with pytest.raises(KitError, match="the same checkpoint twice"):
        find_members([best, copy / "b0.safetensors"], plan, ids)
    card = read_checkpoint_info(copy / "b0.safetensors")
    save(copy / "b2.safetensors", load(best), dataclasses.replace(card, epoch=9))
    two = find_members(
        [copy / "b0.safetensors", copy / "b2.safetensors"], plan, ids
    )  # of one fold: two members
    assert [len(m.checkpoints) for m in two] == [1, 1] and len(set(unique_names(two))) == 2
    assert main(arguments(copy, copy / "b2.safetensors", "--fast", "--force")) == 0
    assert not (copy.parent / "pixels").exists()


def test_folders_that_are_no_folds_of_a_run_are_members_of_their_own(copy, world):  # noqa: F811
    for fold in (0, 1):
        shutil.copytree(copy / "runs" / "small" / f"fold{fold}", copy / "flat" / f"m{fold}")
    (copy / "flat" / "m1" / "oof.npz").unlink()
    members = find_members(
        [copy / "flat" / "m0", copy / "flat" / "m1"], world.plan, read_eval(copy / "data")
    )
    assert [m.name for m in members] == ["m0", "m1"]
    oof = oof_probs(
        members[1:], world.plan, copy / "data", "none", ENGINE
    )  # made by the network itself
    kept = read_probs(Fold(copy / "runs" / "small" / "fold1").oof)
    np.testing.assert_allclose(oof.probs[0], kept.at(oof.photos["image"].tolist()), atol=1e-5)


def test_a_typo_in_a_runs_name_is_told(copy, fails):  # noqa: F811
    line = fails(main, copy / "runs" / "smal", *arguments(copy)[1:])
    assert "there is no such run (did you mean" in line and "runs/small" in line


# ------------------------------------------------------------ the standing


def oof_of(seed, better, people=150):
    """Two members' out-of-fold probabilities, of which one is noise, and the plan's photos."""
    rng = np.random.default_rng(seed)
    person, label = np.repeat(np.arange(people), 7), rng.integers(0, 18, 7 * people)
    logits = rng.normal(size=(2, len(label), 18))
    logits[1] *= 3
    logits[0, np.arange(len(label)), label] += better
    probs = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
    photos = pd.DataFrame(
        {
            "image": [f"{p}/{i}" for i, p in enumerate(person)],
            "person": person.astype(str),
            "label": label,
            "fold": rng.permutation(people)[person] % 5,
        }
    )
    return Oof({"plain": probs.astype(np.float32)}, photos)


@pytest.mark.parametrize("blend", ["greedy", "weights"])
def test_a_fitted_blend_is_used_where_it_pays_and_only_there(blend):
    good = select_blend(oof_of(0, 4.0), blend, "argmax")
    assert (
        good.record["used"] == [blend, "argmax"]
        and not good.kept_mean
        and good.rule.weights[0] > 0.9
    )
    asked = good.record["candidates"][-1]
    assert asked["gain_interval"][0] > 0 and good.record["f1"] == pytest.approx(asked["nested"])
    alike = oof_of(0, 2.0)
    alike = Oof({"plain": np.stack([alike.views["plain"][0]] * 2)}, alike.photos)
    bad = select_blend(alike, blend, "argmax")
    assert (
        bad.kept_mean
        and bad.record["used"] == ["mean", "argmax"]
        and bad.rule.weights.tolist() == [0.5, 0.5]
    )
    forced = select_blend(alike, blend, "argmax", force=True)
    assert (
        forced.record["forced"]
        and forced.record["used"] == [blend, "argmax"]
        and not forced.kept_mean
    )


def test_the_standing_by_hand():
    oof = oof_of(1, 3.0)
    truth = oof.photos["label"].to_numpy()
    standing = select_blend(oof, "mean", "argmax")
    mean = oof.probs.mean(axis=0, dtype=np.float64).argmax(axis=1)
    assert (
        standing.record["f1"]
        == pytest.approx(macro_f1(truth, mean))
        == pytest.approx(standing.record["in_sample"])
    )
    assert standing.strengths == pytest.approx(
        [macro_f1(truth, m.argmax(axis=1)) for m in oof.probs]
    )
    low, high = standing.record["interval"]
    assert low < standing.record["f1"] < high and not standing.record["forced"]
    errors = oof.probs.reshape(2, -1) - np.eye(18)[truth].ravel()
    assert correlations(oof.probs, truth)[0, 1] == pytest.approx(
        np.corrcoef(*errors)[0, 1], abs=1e-5
    )
    assert json.loads(json.dumps(standing.record))["people"] == 150
    draws = GroupBootstrap(oof.photos["person"].to_numpy(), truth).macro(mean)[:500]
    np.testing.assert_allclose(
        [float(draw) for draw in standing.record["draws"].split()], draws, atol=6e-6
    )


def test_no_gain_is_claimed_of_noise():
    """Over many seeds a fitted blend of equal members is used no more often than chance allows."""
    used = 0
    for seed in range(20):
        oof = oof_of(seed, 2.0, people=60)
        rng = np.random.default_rng(seed)
        logits = np.log(oof.views["plain"][0]) + 0.7 * rng.normal(
            size=(5, *oof.views["plain"][0].shape)
        )
        probs = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
        used += not select_blend(
            Oof({"plain": probs.astype(np.float32)}, oof.photos), "greedy", "argmax"
        ).kept_mean
    assert used <= 2


@pytest.mark.parametrize("blend", ["gmean", "vote"])
def test_what_is_kept_instead_is_what_the_gain_is_over(blend):
    oof = oof_of(2, 2.0)
    standing = select_blend(oof, blend, "bias")
    tested = standing.record["tested"]
    assert tested["over"] == f"{blend} + argmax" and standing.kept_mean == (
        tested["interval"][0] <= 0
    )
    assert standing.record["used"] == [blend, "argmax" if standing.kept_mean else "bias"]


def test_below_eight_people_of_a_class_there_is_no_interval_and_it_is_said(copy, capsys):  # noqa: F811
    assert (
        main(
            arguments(
                copy,
                theirs(copy),
                "--blend",
                "weights",
                "--decide",
                "bias",
                "--tta",
                "hflip",
                "--score-tta",
            )
        )
        == 0
    )
    said = capsys.readouterr()
    oof = json.loads((copy / "s.json").read_text())["oof"]
    assert oof["interval"] is None and oof["effective"] == 3 and oof["tested"]["interval"] is None
    assert (
        "no interval: it would rest on 3 people of the rarest classes, and 8 are needed, from 18 "
        "people in all; by" in said.out
    )
    # Members, blends with their gains, views, classes and tasks.
    assert "95 % interval 0" not in said.out and said.out.count("  none") == 2 + 2 * 4 + 2 + 18 + 3
    # A gain without an interval is not above chance.
    assert (
        oof["used"] == ["mean", "argmax"]
        and "cannot be told from chance (no interval: it would rest on 3 people" in said.err
    )
    (row,) = read_board(copy / "leaderboard.csv")
    assert (row["oof"], row["low"], row["high"]) == (oof["f1"], "", "")
    assert compare_main(["--board", "--log", str(copy / "leaderboard.csv")]) == 0
    assert f"{oof['f1']:.4f}  none" in capsys.readouterr().out
    assert (
        main(["--from", str(copy / "s.json"), *arguments(copy, "--out", copy / "t.csv")[1:]]) == 0
    )
    assert "no interval: it would rest on 3 people" in capsys.readouterr().out
    assert (copy / "t.csv").read_bytes() == (copy / "s.csv").read_bytes()


# ------------------------------------------------------------ deciding early, by the command


def test_fast_writes_the_same_file_and_tells_what_it_saved(copy, capsys):  # noqa: F811
    path = theirs(copy)
    common = [path, "--tta", "hflip", "--blend", "greedy", "--force-blend", "--decide", "bias"]
    assert main(arguments(copy, *common, "--out", copy / "fast.csv", "--fast")) == 0
    assert "of the passes not known before saved" in capsys.readouterr().out
    assert main(arguments(copy, *common)) == 0
    assert (copy / "s.csv").read_bytes() == (copy / "fast.csv").read_bytes()
    record = json.loads((copy / "fast.json").read_text())
    assert 0 <= record["saved"] < 1 and sum(record["decided_after"]) == record["photos"]
    full = json.loads((copy / "s.json").read_text())
    assert (
        full["passes"] == 6 and full["passes_computed"] < 6
    )  # the first pass ran on all photos, and was kept
    assert main(arguments(copy, *common, "--out", copy / "third.csv", "--fast")) == 0
    assert json.loads((copy / "third.json").read_text())["passes_computed"] == 0
    assert (copy / "s.csv").read_bytes() == (copy / "third.csv").read_bytes()


def test_fast_runs_each_pass_on_the_undecided_photos_alone(copy, monkeypatch):  # noqa: F811
    plain, seen = kit.inference.predict.predict, []

    def counting(networks, loader, views, *rest):
        seen.append(len(loader.dataset))
        return plain(networks, loader, views, *rest)

    everywhere(monkeypatch, kit.inference.predict, "predict", counting)
    assert (
        main(
            arguments(
                copy, theirs(copy, sure=6.0), "--fast", "--tta", "hflip+shift", "--batch-size", "4"
            )
        )
        == 0
    )
    record = json.loads((copy / "s.json").read_text())
    assert record["passes_computed"] == pytest.approx(sum(seen) / 10, abs=0.01) and len(seen) <= 30


def test_fast_and_agree_say_what_they_cannot_do(copy, fails):  # noqa: F811
    root = arguments(copy)
    assert "--fast: of a vote blend" in fails(main, *root, "--fast", "--blend", "vote")
    assert "allows 0 of 10 photos" in fails(main, *root, "--agree", ".998")
    assert "--agree 2: take a share" in fails(main, *root, "--agree", "2")
    assert "there is no view to score" in fails(main, *root, "--score-tta")
    assert "one of the three" in fails(main) and "one of the three" in fails(
        main, *root, "--check", "x.csv"
    )
    assert not (copy / "s.csv").exists()


# ------------------------------------------------------------ the record, and its rerun


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
def test_from_makes_the_same_bytes_again(copy, options, capsys, monkeypatch):  # noqa: F811
    everywhere(monkeypatch, kit.blending.margins, "sample_size", lambda photos, agree: (2, 5))
    path = theirs(copy)
    more = {
        "COPY": [theirs(copy, "again.csv", digits=4)],
        "BARE": [copy / "b.safetensors"],
        "SINGLE": [],
    }.get(options[0], [])
    first = arguments(copy, path, *more, *[o for o in options if not o.isupper()])
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
    first, again = (json.loads((copy / name).read_text()) for name in ("s.json", "u.json"))
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


def test_agree_saves_nothing_where_everything_is_kept_and_says_so(copy, capsys, monkeypatch):  # noqa: F811
    everywhere(monkeypatch, kit.blending.margins, "sample_size", lambda photos, agree: (2, 5))
    assert main(arguments(copy, "--tta", "shift", "--agree", ".7")) == 0
    assert "with 95 % confidence at most 3 of 10 classes differ" in capsys.readouterr().out
    assert main(arguments(copy, "--tta", "shift", "--out", copy / "full.csv")) == 0
    capsys.readouterr()
    assert main(arguments(copy, "--tta", "shift", "--agree", ".7", "--out", copy / "t.csv")) == 0
    assert "there is nothing to save" in capsys.readouterr().err
    assert (copy / "t.csv").read_bytes() == (copy / "full.csv").read_bytes()
    assert json.loads((copy / "t.json").read_text())["settings"]["agree"] is None
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
    assert (
        main(list(map(str, ["--from", copy / "s.json", "--out", copy / "again.csv", *place]))) == 0
    )
    assert (copy / "again.csv").read_bytes() == (copy / "s.csv").read_bytes()


def test_from_refuses_other_members_and_other_classes(copy, fails, capsys):  # noqa: F811
    assert main(arguments(copy)) == 0
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
    name = read_eval(copy / "data")[0]
    shutil.copy(
        (copy / "data" / "eval" / "images") / read_eval(copy / "data")[1],
        (copy / "data" / "eval" / "images") / name,
    )
    record = json.loads((copy / "s.json").read_text())
    record["sha256"] = "0" * 64
    (copy / "other.json").write_text(json.dumps(record))
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
        (copy / "other.json").write_text(json.dumps(damage))
        assert "is no record of a submission" in fails(
            main, "--from", copy / "other.json", *again[2:]
        )
    assert not (copy / "t.csv").exists()


@pytest.mark.parametrize("blend", BLENDS)
def test_every_blend_writes_a_submission_named_by_what_was_used(copy, blend, monkeypatch, capsys):  # noqa: F811
    monkeypatch.chdir(copy)
    theirs(copy)
    place = ["--data", "data", "--device", "cpu", "--workers", "0"]
    assert main(["runs/small", "theirs.csv", "--blend", blend, *place]) == 0
    written = [
        path for path in (copy / "submissions").glob("*.csv") if path.name != "leaderboard.csv"
    ]
    record = json.loads(written[0].with_suffix(".json").read_text())
    used = record["oof"]["used"][0]
    assert [p.name for p in written] == [
        "small_theirs-none" + f"-{used}" * (used != "mean") + ".csv"
    ]
    assert ("is not used" in capsys.readouterr().err) == (used != blend)


# ------------------------------------------------------------ the check of a submission


def test_the_check_stands_alone(copy, fails, capsys):  # noqa: F811
    assert main(arguments(copy)) == 0
    capsys.readouterr()
    place = ["--data", copy / "data", "--plan", copy / "runs" / "folds.csv"]

    def check(path):
        assert main(list(map(str, ["--check", path, *place]))) == 0
        return capsys.readouterr()

    before = sorted(copy.iterdir())
    said = check(copy / "s.csv")
    assert "would pass" in said.out and "the out-of-fold predictions" in said.out
    shutil.copy(copy / "s.csv", copy / "t.csv")
    said = check(copy / "t.csv")
    assert (
        "is the same submission as" in said.err
        and "s.csv" in said.err
        and "the training labels" in said.out
    )
    (copy / "t.csv").unlink()
    assert sorted(copy.iterdir()) == before
    lines = (copy / "s.csv").read_text().splitlines()
    edited = lines[1].split(",")[0] + f",{(int(lines[1].split(',')[1]) + 1) % 18}"
    (copy / "t.csv").write_text("\n".join([lines[0], edited, *lines[2:]]) + "\n")
    shutil.copy(copy / "s.json", copy / "t.json")
    said = check(copy / "t.csv")
    assert "t.json beside it is not its record" in said.err and "the training labels" in said.out
    lines = (copy / "s.csv").read_text().splitlines()
    for content, wrong in (
        (lines[:-1], "lacks ids of"),
        ([lines[0], *lines[:0:-1]], "has another order than"),
        ([*lines[:-1], lines[-1].split(",")[0] + ",18"], "whole numbers 0..17"),
        ([*lines, "nobody.jpg,1"], "has ids not in"),
    ):
        (copy / "bad.csv").write_text("\n".join(content) + "\n")
        assert wrong in fails(main, "--check", copy / "bad.csv", *place)
    assert "there is no such file (did you mean" in fails(main, "--check", copy / "ss.csv", *place)
    assert "there is no such file" in fails(main, "--check", "", *place)
    assert "--check: takes no --force" in fails(main, "--check", copy / "s.csv", *place, "--force")
    assert (
        main(list(map(str, ["--check", copy / "s.csv", copy / "bad.csv", copy / "t.csv", *place])))
        == 2
    )
    captured = capsys.readouterr()
    assert captured.out.count("would pass: same ids") == 2 and "error: " in captured.err
    (copy / "runs" / "folds.json").unlink()
    assert "without the plan's labels" in check(copy / "s.csv").err


def test_absent_classes_and_far_counts_are_warned_of(copy):  # noqa: F811
    info = copy / "data" / "eval" / "info.csv"
    frame = pd.read_csv(info, dtype=str).assign(ans="4")
    frame.to_csv(copy / "all4.csv", index=False)
    expected = Expected(np.full(NUM_CLASSES, 100), (2.0, 17.0), "the out-of-fold predictions")
    lines = check_submission(copy / "all4.csv", info, expected)
    assert any("no photo has any of 17 classes" in line for line in lines)
    assert any(
        "otherwise than the out-of-fold predictions (p = " in line and CLASS_NAMES[4] in line
        for line in lines
    )
    assert expected_counts(copy / "all4.csv", None) is None


def test_the_design_effect_and_the_p_by_simulation():
    rng = np.random.default_rng(0)

    def draw(people):
        """Seven photos a person: five, one and one of three mask states of one gender and age."""
        of = rng.choice(6, people, p=[0.2, 0.2, 0.03, 0.27, 0.25, 0.05])
        return np.repeat(of, 7) + np.tile([0, 0, 0, 0, 0, 6, 12], people), np.repeat(
            np.arange(people), 7
        )

    assert rao_scott_correction(rng.integers(0, 18, 5000), np.arange(5000)) == pytest.approx(
        (1, 17), rel=0.05
    )
    same = rng.integers(0, 18, 500)
    assert rao_scott_correction(np.repeat(same, 7), np.repeat(np.arange(500), 7)) == pytest.approx(
        (7, 17), rel=0.05
    )
    small = []
    for _ in range(300):
        classes, person = draw(800)
        counts = np.bincount(draw(300)[0], minlength=18)
        expected = Expected(
            np.bincount(classes, minlength=18), rao_scott_correction(classes, person), ""
        )
        small.append(distribution_p(counts, expected) < 0.05)
    assert 0.01 < np.mean(small) < 0.09
    counts = np.bincount(draw(300)[0] // 6 * 6, minlength=18)  # all of one gender and age
    assert distribution_p(counts, expected) < 1e-6


def test_settings_are_frozen_and_plain():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().blend = "vote"


def test_probabilities_keep_their_seconds(tmp_path):
    write_probs(
        tmp_path / "p.npz", Probs(np.array(["a"]), np.eye(18, dtype=np.float32)[:1], "k", 2.5)
    )
    assert read_probs(tmp_path / "p.npz").seconds == 2.5


# ------------------------------------------------------------ probabilities for others


@pytest.mark.parametrize("suffix", [".csv", ".npz"])
@pytest.mark.parametrize(
    "options", [(), ("--blend", "weights", "--decide", "bias", "--force-blend")]
)
def test_saved_probabilities_are_a_member_with_the_same_score_and_classes(
    copy,  # noqa: F811
    suffix,
    options,
    monkeypatch,
):
    other, saved = theirs(copy, sure=1.0), copy / f"ours{suffix}"
    assert main(arguments(copy, other, "--tta", "hflip", *options, "--save-probs", saved)) == 0
    first, record = (copy / "s.csv").read_bytes(), json.loads((copy / "s.json").read_text())
    assert (copy / f"ours.oof{suffix}").exists() == (suffix == ".csv")
    shutil.rmtree(copy / "data" / "train")  # files need neither photos nor train.csv
    shutil.rmtree(copy / "data" / "eval" / "images")
    line = [
        str(a)
        for a in (
            saved,
            "--data",
            copy / "data",
            "--plan",
            copy / "runs" / "folds.csv",
            "--out",
            copy / "again.csv",
        )
    ]
    assert main(line) == 0 and (copy / "again.csv").read_bytes() == first
    again = json.loads((copy / "again.json").read_text())
    for key in ("f1", "accuracy", "folds", "predicted_counts"):
        assert again["oof"][key] == record["oof"][key]
    assert main([*line, "--force"]) == 0
    # To the last bit: what is read is what was written.
    table = read_foreign_probs(saved)
    assert np.abs(table.probs.sum(axis=1) - 1).max() < 1e-6
    assert main(["--from", str(copy / "again.json"), *line[1:-1], str(copy / "third.csv")]) == 0
    # Without a score no plan is needed either.
    monkeypatch.chdir(copy / "data")
    assert main([*line[:3], "--no-score", "--out", str(copy / "unscored.csv")]) == 0
    assert (copy / "unscored.csv").read_bytes() == first
    (copy / "data" / "eval" / "info.csv").unlink()
    assert main([*line, "--force"]) == 2


def test_saved_probabilities_are_calibrated(copy):  # noqa: F811
    other, saved = (
        theirs(copy, sure=6.0),
        copy / "ours.csv",
    )  # far surer than right: the temperature is not 1
    assert (
        main(arguments(copy, other, "--save-probs", saved, "--blend", "weights", "--force-blend"))
        == 0
    )
    record = json.loads((copy / "s.json").read_text())
    plan = read_plan(copy / "runs" / "folds.csv").photos.set_index("image")
    oof = read_foreign_probs(copy / "ours.oof.csv")
    own = oof.probs[np.arange(len(oof.ids)), plan.loc[oof.ids, "label"]]
    assert -np.log(own).mean() == pytest.approx(record["oof"]["log_loss"], abs=1e-4)
    assert record["temperature"] != pytest.approx(1, abs=0.02)


def test_saved_probabilities_say_what_they_are_without(copy, fails, capsys):  # noqa: F811
    saved = copy / "ours.csv"
    fold = [str(copy / "runs" / "small" / "fold0"), *map(str, arguments(copy)[1:])]
    assert main([*fold, "--save-probs", str(saved)]) == 0
    assert (
        "only 42 of 126 training photos have out-of-fold probabilities, so that none are written"
        in capsys.readouterr().err
    )
    assert not (copy / "ours.oof.csv").exists()
    assert "ours.csv: exists already" in fails(
        main, *fold, "--out", copy / "b.csv", "--save-probs", saved
    )
    assert "let --save-probs end in .csv or .npz" in fails(
        main, *fold, "--out", copy / "b.csv", "--save-probs", copy / "ours"
    )
    assert "leave --fast and --agree out" in fails(
        main, *fold, "--out", copy / "b.csv", "--fast", "--save-probs", copy / "b2.csv"
    )
    assert "takes no --save-probs" in fails(
        main, "--from", copy / "s.json", "--save-probs", copy / "b2.csv"
    )


def test_saved_probabilities_replace_nothing_but_probabilities(copy, fails, monkeypatch, capsys):  # noqa: F811
    other, plan, run = theirs(copy), copy / "runs" / "folds.csv", copy / "runs" / "small"
    assert main(arguments(copy, other)) == 0
    capsys.readouterr()

    def files():
        return {
            path: path.read_bytes()
            for path in copy.rglob("*")
            if path.is_file() and path.suffix != ".lock"
        }

    before, line = files(), [other, "--data", copy / "data", "--plan", plan, "--force"]
    own, inputs, name = (
        "the submission's own name",
        "is a place of input files",
        "is no name for probabilities",
    )
    for place, said in (
        (plan, inputs),
        (plan.with_suffix(".json"), inputs),
        (other, inputs),
        (copy / "theirs.oof.csv", inputs),
        (copy / "leaderboard.csv", name),
        (copy / "s.csv", "is a submission"),
        (copy / "new.csv", own),
        (copy / "data" / "train" / "p.csv", inputs),
        ("/proc/nowhere/p.csv", "cannot be written"),
    ):
        assert said in fails(main, *line, "--out", copy / "new.csv", "--save-probs", place)
    assert inputs in fails(
        main, run, *line[1:], "--out", copy / "new.csv", "--save-probs", run / "fold0" / "p.npz"
    )
    monkeypatch.chdir(copy)  # the submission's name is known only once its members are
    assert own in fails(main, *line, "--save-probs", "submissions/theirs-none.csv")
    assert files() == before


def test_a_record_whose_score_cannot_be_shown_makes_no_file(copy, fails, capsys):  # noqa: F811
    assert main(arguments(copy)) == 0
    capsys.readouterr()
    record = json.loads((copy / "s.json").read_text())
    oof, members = record["oof"], record["members"]
    for damage in (
        {"oof": oof | {"interval": "x"}},
        {"oof": oof | {"interval": [0.1]}},
        {"oof": oof | {"effective": "x"}},
        {"oof": oof | {"classes": [oof["classes"][0] | {"interval": 3}, *oof["classes"][1:]]}},
        {"members": [members[0] | {"files": [members[0]["files"][0] | {"chosen_on_fold": None}]}]},
    ):
        (copy / "bad.json").write_text(json.dumps(record | damage))
        line = ["--from", copy / "bad.json", *arguments(copy)[1:5], "--out", copy / "new.csv"]
        assert "is no record of a submission" in fails(main, *line)
    assert not (copy / "new.csv").exists()


def test_without_a_plan_checkpoints_and_a_mistyped_one_are_told(copy, fails, capsys):  # noqa: F811
    other = theirs(copy)
    assert main(arguments(copy)) == 0
    capsys.readouterr()
    assert "there is no fold plan" in fails(
        main, other, *arguments(copy)[1:3], "--no-score", "--plan", copy / "typo.csv"
    )
    assert "there is no fold plan" in fails(
        main, "--from", copy / "s.json", "--plan", copy / "typo.csv", *arguments(copy)[1:3]
    )


# ------------------------------------------------------------ versions


@pytest.mark.parametrize(
    "damage",
    [
        {"versions": None},
        {"versions": []},
        {"versions": {"torch": 2}},
        {"recipe": {}},
        {"versions": {"torch": None}},
        {"recipe": {"name": "a", "epochs": 2}},
    ],
)
def test_a_checkpoint_that_says_odd_things_of_itself_is_one_line(copy, damage, fails):  # noqa: F811
    best = Fold(copy / "runs" / "small" / "fold0").best
    save(
        copy / "loose.safetensors",
        load(best),
        dataclasses.replace(read_checkpoint_info(best), **damage),
    )
    assert "is no checkpoint of the kit" in fails(
        main, copy / "loose.safetensors", *arguments(copy)[1:], "--no-score"
    )


def test_other_versions_are_told_and_other_pixels_refused(copy, capsys, fails):  # noqa: F811
    best = Fold(copy / "runs" / "small" / "fold0").best
    card = read_checkpoint_info(best)
    assert card.versions == dict(versions()) and set(card.versions) == {
        "torch",
        "torchvision",
        "timm",
        "opencv",
        "pillow",
        "albumentations",
        "pixels",
    }
    assert all(card.versions.values())
    loose = copy / "loose.safetensors"
    line = [loose, *arguments(copy)[1:], "--no-score"]
    save(
        loose,
        load(best),
        dataclasses.replace(
            card, versions=card.versions | {"torch": "2.0.1", "torchvision": "0.1"}
        ),
    )
    assert main([str(a) for a in line]) == 0
    err = capsys.readouterr().err
    assert err.count("was made with torch 2.0.1 (here ") == 1 and "torchvision" not in err
    own = card.versions["torch"].split("+")[0].split(".")
    save(
        loose,
        load(best),
        dataclasses.replace(card, versions=card.versions | {"torch": f"{own[0]}.{own[1]}.99"}),
    )
    assert (
        main([str(a) for a in [*line, "--force"]]) == 0
        and "was made with" not in capsys.readouterr().err
    )
    save(loose, load(best), dataclasses.replace(card, versions=card.versions | {"pixels": "1"}))
    assert "decoded or resized otherwise (pixels 1, here 2)" in fails(main, *line, "--force")


def test_kept_probabilities_of_other_versions_are_computed_again(copy, monkeypatch):  # noqa: F811
    assert main(arguments(copy)) == 0 and main(arguments(copy, "--force")) == 0
    assert json.loads((copy / "s.json").read_text())["passes_computed"] == 0
    everywhere(monkeypatch, kit.system.versions, "inference_versions", lambda: {"torch": "77"})
    assert main(arguments(copy, "--force")) == 0
    assert json.loads((copy / "s.json").read_text())["passes_computed"] == 3


def test_a_record_is_made_again_by_running_every_network(copy, capsys, fails):  # noqa: F811
    assert main(arguments(copy)) == 0
    line = ["--from", copy / "s.json", *arguments(copy)[1:5], "--out", copy / "again.csv"]
    assert main([str(a) for a in line]) == 0
    record = json.loads((copy / "again.json").read_text())
    assert record["passes_computed"] == record["passes"] == 3 and record["versions"] == dict(
        versions()
    )
    capsys.readouterr()
    (copy / "old.json").write_text(
        json.dumps(record | {"versions": record["versions"] | {"pillow": "1.1.7"}})
    )
    assert main([str(a) for a in ["--from", copy / "old.json", *line[2:-1], copy / "new.csv"]]) == 0
    assert "old.json: was made with pillow 1.1.7 (here " in capsys.readouterr().err
    (copy / "bad.json").write_text(json.dumps(record | {"versions": {}}))
    assert "decoded or resized otherwise" in fails(
        main, "--from", copy / "bad.json", *line[2:-1], copy / "new2.csv"
    )


def test_exact_asks_for_out_of_fold_probabilities_of_fp32(copy):  # noqa: F811
    for fold in range(3):
        files, plan = (
            Fold(copy / "runs" / "small" / f"fold{fold}"),
            read_plan(copy / "runs" / "folds.csv"),
        )
        table = read_probs(files.oof)
        wrong = np.roll(table.probs, 1, axis=1)
        write_probs(
            files.oof,
            Probs(table.ids, wrong, oof_key(files.best, plan, fold, "float16")),
            force=True,
        )
    scores = []
    for option in ([], ["--exact"]):
        assert main(arguments(copy, *option, "--force")) == 0
        scores.append(json.loads((copy / "s.json").read_text())["oof"]["f1"])
    assert scores[0] != scores[1]
