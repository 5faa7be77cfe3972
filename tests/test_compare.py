import dataclasses
import itertools
import json
import shutil

import numpy as np
import pytest
from conftest import chosen_otherwise, make_data, mask_folder

from kit.compare import main
from kit.data.folder import read_test
from kit.data.photos import size_of
from kit.models.checkpoint import read_checkpoint_info
from kit.reporting.comparison import compare
from kit.results.probs import read_probs
from kit.results.run import Fold
from kit.results.submission import read_answers
from kit.scoring.agreement import cluster_order, kappa, most_differing, most_diverse, vote
from kit.scoring.bootstrap import GroupBootstrap
from kit.scoring.metrics import macro_f1
from kit.system.disk import file_hash

A, B = [0, 1, 2, 3, 17], [0, 4, 2, 9, 16]


def write(path, classes, order=None):
    rows = [f"{i}.jpg,{c}" for i, c in enumerate(classes)]
    path.write_text(
        "ImageID,ans\n" + "\n".join(rows[i] for i in (order or range(len(rows)))) + "\n"
    )
    return path


def test_a_pair_by_hand_joined_by_id(tmp_path):
    a, b = write(tmp_path / "a.csv", A), write(tmp_path / "b.csv", B, order=[4, 2, 0, 1, 3])
    result = compare([a, b])
    pair = result["pairs"][0]
    assert (pair["a"], pair["b"], pair["agreement"], pair["differ"]) == ("a", "b", 0.4, 3)
    # 1 -> 4 is another gender, 3 -> 9 another mask, 17 -> 16 another age.
    assert (pair["mask"], pair["gender"], pair["age"]) == (1, 1, 1)
    assert sorted((f["from"], f["to"], f["photos"]) for f in pair["flips"]) == [
        (1, 4, 1),
        (3, 9, 1),
        (17, 16, 1),
    ]
    assert np.flatnonzero(result["files"]["b"]["counts"]).tolist() == [0, 2, 4, 9, 16]


def test_scores_with_answers_and_json(tmp_path, capsys):
    a, b, truth = (
        write(tmp_path / "a.csv", A),
        write(tmp_path / "b.csv", B),
        write(tmp_path / "truth.csv", A, [2, 0, 1, 4, 3]),
    )
    assert main([str(a), str(b), "--answers", str(truth), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["files"]["a"]["scores"]["accuracy"] == 1 and result["files"]["a"]["scores"][
        "f1"
    ] == pytest.approx(5 / 18)
    assert result["files"]["b"]["scores"]["f1"] == pytest.approx(2 / 18)
    assert result == json.loads(json.dumps(compare([a, b], truth)))


def test_what_a_person_sees(tmp_path, capsys):
    assert (
        main(
            [
                str(write(tmp_path / "a.csv", A)),
                str(write(tmp_path / "b.csv", B)),
                str(write(tmp_path / "c.csv", A)),
            ]
        )
        == 0
    )
    out = capsys.readouterr().out
    assert "a | b" in out and "40.00%" in out and "a | c" in out and "100.00%" in out
    assert "1 mask male 30-59 -> mask female 30-59" in out


def test_the_most_frequent_flips_alone_unless_all_are_asked_for(tmp_path, capsys, fails):
    flips = [(0, 1)] * 4 + [(2, 3)] * 3 + [(c, c - 1) for c in range(3, 12)] + [(5, 5)] * 3
    a, b = (
        write(tmp_path / f"{name}.csv", [flip[n] for flip in flips]) for n, name in enumerate("ab")
    )
    assert main([str(a), str(b), "--json"]) == 0
    (pair,) = json.loads(capsys.readouterr().out)["pairs"]
    assert [(f["from"], f["to"], f["photos"]) for f in pair["flips"]] == [
        (0, 1, 4),
        (2, 3, 3),
        (3, 2, 1),
        (4, 3, 1),
        (5, 4, 1),
    ]
    assert (pair["other_flips"], pair["differ"]) == (6, 16)
    assert main([str(a), str(b), "--json", "--all-flips"]) == 0
    (whole,) = json.loads(capsys.readouterr().out)["pairs"]
    assert (
        whole["flips"][:5] == pair["flips"]
        and len(whole["flips"]) == 11
        and whole["other_flips"] == 0
    )
    assert sum(f["photos"] for f in whole["flips"]) == 16
    assert main([str(a), str(b)]) == 0 and "6 other flips" in capsys.readouterr().out
    assert "--all-flips: is for --json" in fails(main, a, b, "--all-flips")
    assert "--all-flips: is for --json" in fails(main, "--board", "--json", "--all-flips")


def test_bad_input_is_one_line(tmp_path, fails, world):
    a, b = write(tmp_path / "a.csv", A), write(tmp_path / "b.csv", B[:4])
    assert "lacks ids of" in fails(main, a, b) and "has ids that are not in" in fails(main, b, a)
    assert "the same file twice" in fails(main, a, a)
    assert "nothing to compare it with" in fails(main, a)
    assert "cannot be read" in fails(main, a, tmp_path / "none.csv")
    assert "No such file" in fails(main, a, b.with_name("x"), "--answers", a)
    assert "with other runs alone" in fails(main, a, tmp_path) and "holds no checkpoint" in fails(
        main, tmp_path, world.runs, "--plan", world.plan_path
    )
    b.write_text("ImageID,ans\n0.jpg,0.5\n")
    assert "whole numbers 0..17 (1 found: '0.5' at 0.jpg)" in fails(main, a, b)
    b.write_text("ImageID;ans\n0.jpg;1\n")
    assert "separated by something else than commas" in fails(main, a, b)
    b.write_text("Image,ans\n0.jpg,1\n")
    assert "has no column 'ImageID'" in fails(main, a, b)
    assert "name submissions, or --board" in fails(main)


def test_a_name_is_not_markup(tmp_path, capsys):
    names = [write(tmp_path / name, A) for name in ("sub[hflip].csv", "sub[x].csv")]
    assert main([str(n) for n in names]) == 0
    assert "sub[hflip] | sub[x]" in capsys.readouterr().out


def test_equal_names_are_told_apart(tmp_path):
    (tmp_path / "x").mkdir()
    names = list(
        compare([write(tmp_path / "a.csv", A), write(tmp_path / "x" / "a.csv", B)])["files"]
    )
    assert names == [str(tmp_path / "a.csv"), str(tmp_path / "x" / "a.csv")]


# ------------------------------------------------------------ kappa, order, vote


def test_kappa_is_sklearns():
    from sklearn.metrics import cohen_kappa_score

    for seed in range(30):
        rng = np.random.default_rng(seed)
        a = rng.integers(0, 18, 60)
        b = np.where(rng.random(60) < 0.6, a, rng.integers(0, 18, 60))
        assert kappa(np.bincount(18 * a + b, minlength=324).reshape(18, 18)) == pytest.approx(
            cohen_kappa_score(a, b)
        )
    assert kappa(np.array([[4, 0], [0, 0]])) == 1.0  # both know one class only
    assert kappa(np.ones((2, 2))) == pytest.approx(0)


def test_similar_files_stand_together():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        kinds = rng.integers(0, 18, (3, 300))
        family = rng.permutation(np.repeat(np.arange(3), 4))
        files = np.stack(
            [np.where(rng.random(300) < 0.1, rng.integers(0, 18, 300), kinds[k]) for k in family]
        )
        order = cluster_order(files)
        assert sorted(order) == list(range(12))
        assert np.count_nonzero(np.diff(family[order])) == 2  # each family in one block


def test_the_vote_by_hand_and_its_ties():
    files = np.array([[1, 5, 7, 0], [2, 5, 8, 3], [2, 6, 9, 3], [1, 4, 9, 0]])
    assert vote(files).tolist() == [
        1,
        5,
        9,
        0,
    ]  # ties between 1 and 2, and 0 and 3: the earliest file's
    assert vote(files[::-1]).tolist() == [1, 5, 9, 0]
    assert vote(files[[1, 0, 2, 3]]).tolist() == [2, 5, 9, 3]
    assert vote(files[:1]).tolist() == files[0].tolist()


def test_a_vote_is_written_as_a_checked_submission(tmp_path, fails, capsys):
    data = make_data(tmp_path / "data", eval_photos=5)
    ids = read_test(mask_folder(data))
    files = []
    for n, classes in enumerate(([0, 1, 2, 3, 4], [0, 1, 5, 3, 9], [7, 1, 5, 8, 4])):
        files.append(tmp_path / f"s{n}.csv")
        rows = [f"{i},{c}" for i, c in zip(ids, classes)]
        files[-1].write_text(
            "\n".join(["ImageID,ans", *(rows[::-1] if n == 1 else rows)]) + "\n"
        )  # joined by id
    out = tmp_path / "vote.csv"
    arguments = [*map(str, files), "--vote", str(out), "--data", str(data)]
    assert main(arguments) == 0 and "the hard vote of 3 files" in capsys.readouterr().out
    assert (
        read_answers(out)["ans"].tolist() == [0, 1, 5, 3, 4]
        and read_answers(out)["ImageID"].tolist() == ids
    )
    record = json.loads(out.with_suffix(".json").read_text())
    assert [m["name"] for m in record["members"]] == ["s0", "s1", "s2"] and record[
        "sha256"
    ] == file_hash(out)
    assert "exists already" in fails(main, *arguments)
    assert main([*arguments, "--force"]) == 0
    assert "is a place of input files" in fails(
        main, *files, "--vote", files[0], "--data", data, "--force"
    )
    assert "is for --vote" in fails(main, *files, "--force")
    a, b = write(tmp_path / "a.csv", A), write(tmp_path / "b.csv", B)
    assert "has other ids than" in fails(main, a, b, "--vote", tmp_path / "w.csv", "--data", data)
    assert not (tmp_path / "w.csv").exists()


def test_many_files_are_told_by_the_matrix(tmp_path, capsys):
    rng = np.random.default_rng(0)
    files = [write(tmp_path / f"s{n}.csv", rng.integers(0, 18, 30)) for n in range(6)]
    assert main([str(f) for f in files]) == 0
    out = capsys.readouterr().out
    assert "Agreement in percent" in out and "Pairs:" not in out and "s0 | s1" not in out


# ------------------------------------------------------------ with the truth: intervals and paired


def predictions(seed, people=40, better=0.0):
    """Seven photos a person that succeed and fail together: truth, person, and two predictions of
    which b is better.
    """
    rng = np.random.default_rng(seed)
    person, truth = np.repeat(np.arange(people), 7), rng.integers(0, 18, people * 7)
    hard = rng.random(people)
    a, b = (
        np.where((hard + noise)[person] > 0.9, (truth + 1) % 18, truth)
        for noise in (0.4 * rng.random(people), 0.4 * rng.random(people) - better)
    )
    return truth, person, a, b


def test_the_paired_p_is_that_of_all_swaps():
    for seed in range(4):
        truth, person, a, b = predictions(seed, people=10)
        observed, found = abs(macro_f1(truth, b) - macro_f1(truth, a)), []
        for swap in itertools.product([False, True], repeat=10):
            swapped = np.array(swap)[person]
            found.append(
                abs(
                    macro_f1(truth, np.where(swapped, a, b))
                    - macro_f1(truth, np.where(swapped, b, a))
                )
            )
        exact = np.mean(np.array(found) >= observed - 1e-9)
        assert GroupBootstrap(person, truth).paired_p(a, b) == pytest.approx(exact, abs=0.05)


def test_the_paired_test_is_right_where_nothing_differs_and_finds_what_does():
    people = [predictions(seed) for seed in range(150)]
    p = np.array(
        [GroupBootstrap(person, truth, draws=300).paired_p(a, b) for truth, person, a, b in people]
    )
    assert np.mean(p < 0.1) < 0.18 and np.mean(p) > 0.4
    truth, person, a, b = predictions(0, people=200, better=0.3)
    assert (
        GroupBootstrap(person, truth).paired_p(a, b) < 0.01
        and GroupBootstrap(person, truth).paired_p(a, a) == 1
    )


def test_answers_with_people_give_intervals_by_people(tmp_path, capsys):
    truth, person, a, b = predictions(0, better=0.2)
    files = [write(tmp_path / f"{name}.csv", classes) for name, classes in (("a", a), ("b", b))]
    answers = tmp_path / "answers.csv"
    rows = [f"{i}.jpg,{t},p{p}" for i, (t, p) in enumerate(zip(truth, person))]
    answers.write_text("ImageID,ans,person\n" + "\n".join(rows[::-1]) + "\n")
    result = compare(files, answers)
    people = GroupBootstrap(np.array([f"p{p}" for p in person]), truth)
    assert result["by"] == "people" and result["files"]["a"]["interval"] == list(
        people.interval(people.macro(a))
    )
    pair = result["pairs"][0]
    assert pair["gain"] == pytest.approx(macro_f1(truth, b) - macro_f1(truth, a)) and pair[
        "p"
    ] == people.paired_p(a, b)
    assert pair["gain_interval"] == list(people.interval(people.macro(b) - people.macro(a)))
    assert main([*map(str, files), "--answers", str(answers)]) == 0
    assert "95 % interval by people" in capsys.readouterr().out
    plain = compare(files, write(tmp_path / "plain.csv", truth))
    assert plain["by"] == "photos"
    assert np.ptp(plain["files"]["a"]["interval"]) < np.ptp(result["files"]["a"]["interval"])


def test_of_few_people_there_is_no_interval_and_it_is_said(tmp_path, capsys, fails):
    truth, person, a, b = predictions(0, people=12, better=0.2)
    files = [
        write(tmp_path / f"{name}.csv", classes)
        for name, classes in (("a", a), ("b", b), ("c", truth))
    ]
    answers = tmp_path / "answers.csv"
    answers.write_text(
        "ImageID,ans,person\n"
        + "".join(f"{i}.jpg,{t},p{p}\n" for i, (t, p) in enumerate(zip(truth, person)))
    )
    few = int(GroupBootstrap(person, truth).effective)
    assert few < 8 and main([*map(str, files), "--answers", str(answers)]) == 0
    out = capsys.readouterr().out
    assert (
        f"no interval: it would rest on {few} people of the rarest classes, and 8 are needed" in out
    )
    assert out.count("  none  ") == 6 and "strong and least alike: cannot be told" in out
    assert main([*map(str, files), "--answers", str(answers), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["apart"] is None and int(result["effective"]) == few
    assert [file["interval"] for file in result["files"].values()] == [None] * 3
    assert [pair["gain_interval"] for pair in result["pairs"]] == [None] * 3 and 0 < result[
        "pairs"
    ][0]["p"] <= 1
    assert main([*map(str, files), "--answers", str(write(tmp_path / "plain.csv", truth))]) == 0
    assert " photos of the rarest classes" in capsys.readouterr().out
    assert "--plan: is for runs" in fails(main, *files, "--plan", tmp_path / "folds.csv")


def test_runs_are_compared_out_of_fold(world, tmp_path, fails, capsys):
    shutil.copytree(world.runs, tmp_path / "runs", ignore=shutil.ignore_patterns("pixels"))
    other = chosen_otherwise(
        world.runs / "small", tmp_path / "runs" / "other", world.plan, "last", 0
    )
    place = ["--plan", str(tmp_path / "runs" / "folds.csv")]
    assert main([str(tmp_path / "runs" / "small"), str(other), "--json", *place]) == 0
    result = json.loads(capsys.readouterr().out)
    tables = [read_probs(Fold(world.runs / "small" / f"fold{k}").oof) for k in range(3)]
    truth = (
        world.plan.photos.set_index("image")
        .loc[np.concatenate([t.ids for t in tables]), "label"]
        .to_numpy()
    )
    assert result["by"] == "people" and result["files"]["small"]["scores"]["f1"] == pytest.approx(
        macro_f1(truth, np.concatenate([t.probs for t in tables]).argmax(axis=1))
    )
    assert result["chosen_on_fold"] == []
    picked = chosen_otherwise(
        world.runs / "small", tmp_path / "runs" / "picked", world.plan, "best", 0
    )
    assert main([str(picked), str(other), *place]) == 0
    out = capsys.readouterr().out
    assert "p of a paired permutation test" in out
    assert (
        "epochs chosen on the fold they are scored on: picked; such scores are a little too good, "
        "and p of a gain over" in out
    )
    early = chosen_otherwise(
        world.runs / "small", tmp_path / "runs" / "early", world.plan, "last", 3
    )  # by when it ended
    assert main([str(picked), str(early), *place]) == 0
    out = capsys.readouterr().out
    assert "scored on: picked, early; such scores are a little too good\n" in out
    assert main([str(other), str(early / "fold0"), *place, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["chosen_on_fold"] == ["early"]
    more = chosen_otherwise(world.runs / "small", tmp_path / "runs" / "more", world.plan, "soup", 0)
    assert (
        main([str(other / "fold1"), str(more), *place]) == 0
        and "epochs chosen" not in capsys.readouterr().out
    )
    assert "with other runs alone" in fails(main, other, tmp_path / "a.csv", *place)


@pytest.mark.parametrize(
    "select, patience, chosen",
    [
        ("best", 0, True),
        ("last", 0, False),
        ("soup", 0, False),
        ("last", 4, True),
        ("best", 4, True),
    ],
)
def test_an_epoch_is_chosen_on_its_fold_by_its_score_or_by_when_training_ended(
    world, select, patience, chosen
):
    card = read_checkpoint_info(Fold(world.runs / "small" / "fold0").best)
    assert (
        dataclasses.replace(
            card, select=select, recipe=card.recipe | {"patience": patience}
        ).chosen_on_fold
        is chosen
    )


def test_strong_files_that_are_least_alike(tmp_path, capsys):
    kappas = {"ab": 0.9, "ac": 0.6, "ad": 0.1, "bc": 0.5, "bd": 0.1, "cd": 0.1}
    result = {
        "pairs": [{"a": pair[0], "b": pair[1], "kappa": value} for pair, value in kappas.items()]
    }
    scored = {
        "a": (0.60, 0.55),
        "b": (0.58, 0.50),
        "c": (0.56, 0.50),
        "d": (0.40, 0.35),
    }  # d is clearly worse
    two, three = most_diverse(result, scored)
    assert set(two["files"]) == {"b", "c"} and two["kappa"] == 0.5
    assert set(three["files"]) == {"a", "b", "c"} and three["kappa"] == pytest.approx(2 / 3)
    assert most_diverse(result, {"a": (0.6, 0.5), "b": (0.5, 0.4)}) == []
    # Where the best has no interval, it cannot be told what is clearly worse.
    assert most_diverse(result, scored | {"a": (0.6, None)}) is None and most_diverse(
        result, scored | {"d": (0.4, None)}
    )
    files = [
        write(tmp_path / f"{name}.csv", classes)
        for name, classes in (("a", A), ("b", B), ("c", A[::-1]))
    ]
    assert compare(files)["apart"] == []
    for path, f1 in zip(files, (0.6, 0.58, 0.59)):
        record = {"sha256": file_hash(path), "oof": {"f1": f1, "interval": [f1 - 0.1, f1 + 0.1]}}
        path.with_suffix(".json").write_text(json.dumps(record))
    assert main([str(path) for path in files]) == 0
    assert "strong and least alike: a, c, b (kappa " in capsys.readouterr().out.replace(
        "a, b, c", "a, c, b"
    )
    record = {"sha256": file_hash(files[0]), "oof": {"f1": 0.6, "interval": None}}
    files[0].with_suffix(".json").write_text(json.dumps(record))
    assert main([str(path) for path in files]) == 0
    assert (
        "strong and least alike: cannot be told" in capsys.readouterr().out
        and compare(files)["apart"] is None
    )
    files[0].with_suffix(".json").write_text('{"sha256": "of another"}')
    assert compare(files)["apart"] == []


# ------------------------------------------------------------ photos that flip, and counts


def test_the_photos_files_are_most_at_odds_over_come_first():
    a, b = np.array([0, 1, 2, 3, 4, 3]), np.array([0, 4, 2, 5, 5, 5])
    # Rows 3 and 5 flip alike, 3 to 5: the most frequent flip.
    assert most_differing(np.stack([a, b]), 9).tolist() == [3, 5, 1, 4] and most_differing(
        np.stack([a, b]), 1
    ).tolist() == [3]
    c = np.array([0, 4, 7, 6, 4, 3])
    assert most_differing(np.stack([a, b, c]), 9)[0] == 3  # three files, three classes
    assert most_differing(np.stack([a, a]), 9).tolist() == []


@pytest.mark.parametrize("seed", range(20))
def test_every_photo_that_differs_is_shown_once_and_no_other(seed):
    classes = np.random.default_rng(seed).integers(0, 3, (3, 40))
    rows = most_differing(classes, 100)
    assert sorted(rows.tolist()) == np.flatnonzero((classes != classes[0]).any(axis=0)).tolist()


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
    assert "is one run with the others" in fails(
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


def test_class_counts_stand_beside_those_out_of_fold(tmp_path, capsys):
    """A record's out-of-fold counts, scaled to the file's photos, and the p of a difference."""
    a, b = (
        write(tmp_path / "a.csv", [0] * 30 + [1] * 10),
        write(tmp_path / "b.csv", [0] * 20 + [1] * 20),
    )
    a.with_suffix(".json").write_text(
        json.dumps(
            {
                "sha256": file_hash(a),
                "oof": {
                    "predicted_counts": [60, 60] + [0] * 16,
                    "rao_scott_correction": [1.0, 1.0],
                    "f1": 0.5,
                    "interval": [0.4, 0.6],
                },
            }
        )
    )
    result = compare([a, b])
    assert (
        result["files"]["a"]["oof_counts"][:2] == [60, 60]
        and "oof_counts" not in result["files"]["b"]
    )
    # Two samples, 30 and 10 against 60 and 60: chi-square by hand.
    table = np.array([[30, 10], [60, 60]])
    fitted = table.sum(1, keepdims=True) * table.sum(0) / table.sum()
    from scipy.stats import chi2

    assert result["files"]["a"]["oof_p"] == pytest.approx(
        chi2.sf(((table - fitted) ** 2 / fitted).sum(), 1)
    )
    assert main([str(a), str(b)]) == 0
    out = capsys.readouterr().out
    assert "30 (20)" in out and "10 (20)" in out and "in brackets" in out
    a.write_text(
        a.read_text().replace("0.jpg,0", "0.jpg,2", 1)
    )  # a record of another file says nothing
    assert "oof_counts" not in compare([a, b])["files"]["a"]
