import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kit.competitions.mask_data import read_corrections, read_people
from kit.data.plan import read_plan, write_plan
from kit.results.probs import Probs, read_probs, write_probs
from kit.results.run import METRIC_COLUMNS, read_metrics, write_metrics
from kit.results.submission import read_answers, read_submission, write_submission
from kit.system.disk import atomic_write, write_json
from kit.system.errors import KitError, problem


def text(path: Path, content: str) -> Path:
    path.write_bytes(content.encode("utf-8"))
    return path


def test_an_error_is_one_line_with_count_and_first():
    assert (
        str(problem("a.csv", "is wrong", ["x", "y"], "mend it"))
        == "a.csv: is wrong (2 found, the first: x); mend it"
    )
    assert "\n" not in str(KitError("a\nb"))


def test_writing_leaves_nothing_behind_when_it_fails(tmp_path):
    with pytest.raises(ZeroDivisionError), atomic_write(tmp_path / "a.txt") as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_writing_refuses_what_exists_unless_forced(tmp_path):
    path = text(tmp_path / "a.txt", "old")
    with pytest.raises(KitError, match="exists already"), atomic_write(path):
        raise AssertionError("the block must not run")
    with atomic_write(path, force=True) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"


def test_a_full_disk_is_one_line_and_keeps_the_old_file(tmp_path):
    path = text(tmp_path / "a.txt", "old")
    with (
        pytest.raises(KitError, match="a.txt: cannot be written: No space left"),
        atomic_write(path, force=True) as temporary,
    ):
        temporary.write_text("half")
        raise OSError(28, "No space left on device")
    assert path.read_text() == "old" and len(list(tmp_path.iterdir())) == 1


# ------------------------------------------------------------ train.csv

ROW = "000001,male,Asian,30,000001_male_Asian_30\n"


@pytest.mark.parametrize(
    "content, said",
    [
        ("", "is empty"),
        ("id,gender,race,age,path\n", "no rows"),
        ("id,gender,race,path\n000001,male,Asian,p\n", "no column 'age'"),
        ("id,gender,race,age,path\n" + ROW + ROW, "repeats a value in column 'path'"),
        (
            "id,gender,race,age,path\n000001,man,Asian,30,p\n",
            "'gender' must hold male or female (1 found: 'man' at p)",
        ),
        ("id,gender,race,age,path\n000001,male,Asian,3O,p\n", "'3O' at p"),
        ("id,gender,race,age,path\n000001,male,Asian,-4,p\n", "'-4' at p"),
        ("id,gender,race,age,path\n000001,male,Asian,190,p\n", "'190' at p"),
        ("id,gender,race,age,path\n000001,male,Asian,45.5,p\n", "'45.5' at p"),
        ("id,gender,race,age,path\n000001,male,Asian,30,../p\n", "plain folder names"),
        ("id,gender,race,age,path\n000001,male,Asian,30,\n", "plain folder names"),
        ("id,gender\n1,2,3,4\n5\n6,7,8,9,0,1\n", "is no CSV with as many fields"),
        ("id,gender,race,age,path\n000001,male,Asian,30,p,x\n", "more fields than its header"),
        ("id,gender,race,age,age,path\n000001,male,Asian,30,31,p\n", "has column 'age' twice"),
        ("id,gender,race,age,path\n000001,male,Asian,\u0663\u0660,p\n", "must hold whole numbers"),
    ],
)
def test_bad_train_csv(tmp_path, content, said):
    with pytest.raises(KitError) as error:
        read_people(text(tmp_path / "train.csv", content))
    assert said in str(error.value) and "train.csv" in str(error.value)


def test_ids_stay_text(tmp_path):
    content = "\ufeffid,gender,race,age,path\r\nNA,male,Asian,30,NA\r\n0010,male,x,18,0010\r\n"
    people = read_people(text(tmp_path / "train.csv", content))
    assert people["id"].tolist() == ["NA", "0010"] and people["path"].tolist() == ["NA", "0010"]
    assert people["age"].tolist() == [30, 18]


def test_a_csv_of_another_encoding_is_refused(tmp_path):
    path = tmp_path / "train.csv"
    path.write_bytes("id,gender,race,age,path\n1,male,아시아,30,p\n".encode("cp949"))
    with pytest.raises(KitError, match="no UTF-8 CSV"):
        read_people(path)


# ------------------------------------------------------------ info.csv and submissions


@pytest.mark.parametrize(
    "content, said",
    [
        ("ImageID,ans\na.jpg,0\na.jpg,0\n", "repeats a value in column 'ImageID'"),
        ("ImageID,ans\n../a.jpg,0\n", "plain file names"),
        ("ImageID,ans\n..,0\n", "plain file names"),
        ("ImageID,ans\n/etc/passwd,0\n", "plain file names"),
        ("ImageID\na.jpg\n", "no column 'ans'"),
    ],
)
def test_bad_info_csv(tmp_path, content, said):
    with pytest.raises(KitError, match=said):
        read_info(text(tmp_path / "info.csv", content))


@pytest.mark.parametrize("answer", ["18", "18.0", "-1", "3.5", "", "x", "nan"])
def test_answers_are_whole_numbers_below_18(tmp_path, answer):
    with pytest.raises(KitError, match="whole numbers 0..17"):
        read_answers(text(tmp_path / "s.csv", f"ImageID,ans\na.jpg,3\nb.jpg,{answer}\n"))


PROBS = (
    "ImageID,"
    + ",".join(map(str, range(18)))
    + "\n"
    + "".join(
        f"{i}," + ",".join(str(float(c == best)) for c in range(18)) + "\n"
        for i, best in (("a.jpg", 3), ("b.jpg", 17))
    )
)


@pytest.mark.parametrize(
    "content, said",
    [
        (",ImageID,ans\n0,a.jpg,3\n1,b.jpg,17\n", "index column"),
        (PROBS, "holds probabilities"),
        ("ImageID,ans\na.jpg,3.0\nb.jpg,17.00\n", "2 classes written as 3.0"),
        ("\ufeffImageID,ans\na.jpg,3\nb.jpg,17\n", "byte-order mark"),
        ("ImageID,ans,conf\na.jpg,3,.5\nb.jpg,17,.6\n", "column 'conf'"),
        ("Unnamed: 0,ImageID,ans\n0,a.jpg,3\n1,b.jpg,17\n", "index column"),
        ("ImageID,ans\r\na.jpg,3\r\nb.jpg,17\r\n", ""),
        ("ans,ImageID\n3,a.jpg\n17,b.jpg\n", "the header 'ans,ImageID'"),
    ],
)
def test_what_can_be_understood_is_and_that_is_said_but_it_is_no_submission(
    tmp_path, capsys, content, said
):
    path = text(tmp_path / "한글 제출.csv", content)
    read = read_answers(path)
    assert (
        read["ImageID"].tolist() == ["a.jpg", "b.jpg"]
        and read["ans"].tolist() == [3, 17]
        and read["ans"].dtype == np.int64
    )
    active_members = capsys.readouterr().err
    assert (
        (said in active_members and active_members.count("\n") == 1 and "한글" in active_members)
        if said
        else active_members == ""
    )
    info = text(tmp_path / "info.csv", "ImageID,ans\na.jpg,0\nb.jpg,0\n")
    if "\r" in content:
        assert read_submission(path, info).tolist() == [3, 17]
    else:
        with pytest.raises(KitError, match="would not pass|whole numbers|has no column 'ans'"):
            read_submission(path, info)


@pytest.mark.parametrize(
    "content, said",
    [
        ("ImageID;ans\na.jpg;3\n", "separated by something else"),
        ("ImageID\tans\na.jpg\t3\n", "separated by something else"),
        ("ImageID,label\na.jpg,3\n", "has no column 'ans'"),
        (PROBS.replace("1.0", "0.7"), "do not sum to 1"),
        ("ImageID,ans\na.jpg,3,4\n", "more fields"),
        ("ImageID,ans\na.jpg,3\na.jpg,4\n", "repeats"),
        ("", "is empty"),
    ],
)
def test_what_cannot_be_understood_is_refused(tmp_path, content, said):
    with pytest.raises(KitError, match=said):
        read_answers(text(tmp_path / "s.csv", content))


def test_korean_text_of_another_encoding_is_refused(tmp_path):
    (tmp_path / "s.csv").write_bytes("ImageID,ans\n사진.jpg,3\n".encode("cp949"))
    with pytest.raises(KitError, match="is no UTF-8 CSV"):
        read_answers(tmp_path / "s.csv")
    (tmp_path / "s.csv").write_bytes("ImageID,ans\n사진.jpg,3\n".encode("utf-16"))
    with pytest.raises(KitError, match="is no UTF-8 CSV|NUL|has no column"):
        read_answers(tmp_path / "s.csv")


def test_a_submission_is_info_csv_with_ans_filled_in(tmp_path):
    info = text(tmp_path / "info.csv", "ImageID,ans\nb.jpg,0\na.jpg,0\n")
    write_submission(tmp_path / "s.csv", ["b.jpg", "a.jpg"], np.array([17, 3]), info, {})
    assert (tmp_path / "s.csv").read_bytes() == b"ImageID,ans\nb.jpg,17\na.jpg,3\n"
    assert read_answers(tmp_path / "s.csv")["ans"].tolist() == [17, 3]


@pytest.mark.parametrize(
    "ids, classes, said",
    [
        (["a.jpg", "b.jpg"], [0, 1], "another order"),
        (["b.jpg"], [0], "lacks ids"),
        (["b.jpg", "a.jpg", "c.jpg"], [0, 1, 2], "ids not in"),
        (["b.jpg", "a.jpg"], [0, 18], "0..17"),
    ],
)
def test_a_submission_that_would_not_pass_is_not_written(tmp_path, ids, classes, said):
    info = text(tmp_path / "info.csv", "ImageID,ans\nb.jpg,0\na.jpg,0\n")
    with pytest.raises(KitError, match=said):
        write_submission(tmp_path / "s.csv", ids, np.array(classes), info, {})
    assert [p.name for p in tmp_path.iterdir()] == ["info.csv"]


# ------------------------------------------------------------ corrections


@pytest.mark.parametrize(
    "row",
    [
        "p,gender,man",
        "p,age,old",
        "p,age,121",
        "p,race,Asian",
        "p,swap,mask1",
        "p,swap,mask1:mask1",
        "p,swap,mask1:mask6",
    ],
)
def test_bad_corrections(tmp_path, row):
    with pytest.raises(KitError, match="no correction"):
        read_corrections(text(tmp_path / "c.csv", f"path,field,value\n{row}\n"))


def test_a_field_is_corrected_once(tmp_path):
    with pytest.raises(KitError, match="twice"):
        read_corrections(text(tmp_path / "c.csv", "path,field,value\np,age,20\np,age,30\n"))


# ------------------------------------------------------------ the plan


def plan_rows() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "image": ["a/1.jpg", "a/2.jpg", "b/1.jpg"],
            "person": ["a", "a", "b"],
            "age": [20, 20, 60],
            "label": [0, 6, 5],
            "fold": [0, 0, 1],
        }
    )


def test_a_plan_comes_back_as_it_was_written(tmp_path):
    plan = write_plan(tmp_path / "folds.csv", plan_rows(), {"seed": 1})
    again = read_plan(tmp_path / "folds.csv")
    pd.testing.assert_frame_equal(again.photos, plan_rows())
    assert again.hash == plan.hash and again.k == 2 and again.meta["seed"] == 1


@pytest.mark.parametrize(
    "column, value, said",
    [
        ("image", ["a/1.jpg", "a/1.jpg", "b/1.jpg"], "repeats a value in column 'image'"),
        ("fold", [0, 1, 1], "a person must lie in one fold"),
        ("fold", [0, 0, 2], "folds must be 0..K-1"),
        ("fold", [0, 0, 0], "folds must be 0..K-1"),
        ("label", [0, 6, 18], "'label' must hold whole numbers 0..17"),
    ],
)
def test_a_bad_plan_is_refused(tmp_path, column, value, said):
    with pytest.raises(KitError, match=said):
        write_plan(tmp_path / "folds.csv", plan_rows().assign(**{column: value}), {})
    assert list(tmp_path.iterdir()) == []


def test_a_plan_changed_by_hand_is_refused(tmp_path):
    write_plan(tmp_path / "folds.csv", plan_rows(), {})
    with open(tmp_path / "folds.csv", "a") as file:
        file.write("c/1.jpg,c,20,0,1\n")
    with pytest.raises(KitError, match="is not the plan"):
        read_plan(tmp_path / "folds.csv")


# ------------------------------------------------------------ probabilities, metrics, JSON


def some_probs(n: int = 5) -> Probs:
    probs = np.random.default_rng(0).random((n, 18)).astype(np.float32)
    return Probs(
        np.array([f"사진{i}.jpg" for i in range(n)]),
        probs / probs.sum(axis=1, keepdims=True),
        "the key",
    )


def test_probs_come_back_as_they_were_written(tmp_path):
    table = some_probs()
    write_probs(tmp_path / "p.npz", table)
    again = read_probs(tmp_path / "p.npz")
    assert (
        again.ids.tolist() == table.ids.tolist()
        and again.key == "the key"
        and (again.probs == table.probs).all()
    )
    write_probs(tmp_path / "q.npz", table)
    assert (tmp_path / "p.npz").read_bytes() == (tmp_path / "q.npz").read_bytes()


def test_probs_are_taken_by_id():
    table = some_probs()
    assert (table.at(table.ids[::-1].tolist()) == table.probs[::-1]).all()
    with pytest.raises(KeyError, match="no probabilities for x"):
        table.at([str(table.ids[0]), "x"])


def test_bad_probs_are_neither_written_nor_read(tmp_path):
    good = some_probs()
    for probs, said in (
        (good.probs * 2, "do not sum to 1"),
        (good.probs[:, :17], "must be floats 5 x 18"),
        (np.full_like(good.probs, np.nan), "finite"),
    ):
        with pytest.raises(ValueError, match=said):
            write_probs(tmp_path / "p.npz", Probs(good.ids, probs))
        np.savez(tmp_path / "p.npz", ids=good.ids, probs=probs, key="")
        with pytest.raises(KitError, match=said):
            read_probs(tmp_path / "p.npz")
        os.remove(tmp_path / "p.npz")
    with pytest.raises(ValueError, match="not unique"):
        write_probs(tmp_path / "p.npz", Probs(np.array(["a"] * 5), good.probs))


def test_no_pickle_is_read(tmp_path):
    np.savez(
        tmp_path / "p.npz", ids=np.array([{"a": 1}], dtype=object), probs=np.zeros((1, 18)), key=""
    )
    with pytest.raises(KitError, match="no probability file"):
        read_probs(tmp_path / "p.npz")
    (tmp_path / "q.npz").write_bytes(b"PK broken")
    with pytest.raises(KitError, match="no probability file"):
        read_probs(tmp_path / "q.npz")


def test_metrics_come_back_as_numbers(tmp_path):
    rows = [
        {name: value + i for i, name in enumerate(METRIC_COLUMNS)}
        for value in (1 / 3, 0.1234567890123)
    ]
    write_metrics(tmp_path / "m.csv", rows)
    assert read_metrics(tmp_path / "m.csv") == rows and read_metrics(tmp_path / "none.csv") == []


@pytest.mark.parametrize(
    "content",
    ["epoch,val_f1_macro\n1,0.5\n", ",".join(METRIC_COLUMNS) + "\n" + "x" + ",1" * 10 + "\n", ""],
)
def test_a_damaged_metrics_file_is_one_line(tmp_path, content):
    with pytest.raises(KitError, match="m.csv"):
        read_metrics(text(tmp_path / "m.csv", content))


def test_json_keeps_korean(tmp_path):
    write_json(tmp_path / "a.json", {"이름": "값"})
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"이름": "값"}


def test_an_error_stays_one_readable_line(tmp_path):
    with pytest.raises(KitError) as found:
        read_answers(text(tmp_path / "s.csv", f"ImageID,ans\n{'x' * 100_000}\x1b[31m,77\n"))
    assert (
        len(str(found.value)) < 1000
        and "x..." in str(found.value)
        and "\x1b" not in str(found.value)
    )
    long = text(
        tmp_path / "l.csv", f"\n  \nImageID,ans,{'y' * 200_000}\na.jpg,3,1\n"
    )  # blank lines first, and no name's length
    assert read_answers(long)["ans"].tolist() == [3]
    with pytest.raises(KitError, match="would not pass"):
        read_submission(long, text(tmp_path / "info.csv", "ImageID,ans\na.jpg,0\n"))
    index = text(
        tmp_path / "p.csv",
        ","
        + PROBS.splitlines()[0]
        + "\n"
        + "".join(f"{n},{line}\n" for n, line in enumerate(PROBS.splitlines()[1:])),
    )
    assert read_answers(index)["ans"].tolist() == [3, 17] and read_answers(index)[
        "ImageID"
    ].tolist() == ["a.jpg", "b.jpg"]
