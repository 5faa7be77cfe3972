"""Bad answers, probabilities, corrections and scores in tables, and bad names of photos."""

import os
import unicodedata
from pathlib import Path

from bad_world import DEFINITION, FIX, LOG, ONE, TEST, THEIRS, TRAIN, Content, gone, rows


def unicode_form(table: str, file: str) -> Content:
    """A photo's name in one Unicode form in the table, and in another one on the disk."""

    def make(root: Path) -> None:
        photo = f"data/train/{unicodedata.normalize(file, '한')}.png"
        (root / "data/train/003.png").rename(root / photo)
        text = TRAIN.replace("003", unicodedata.normalize(table, "한"))
        (root / "data/train.csv").write_text(text)

    return make


def nfd(root: Path) -> None:
    """A photo to predict whose name the disk has in NFD and the table in NFC."""
    name = unicodedata.normalize("NFD", "한")
    (root / "data/test/012.png").rename(root / f"data/test/{name}.png")
    (root / "data/test.csv").write_text(TEST.replace("012", "한"))


def same_photos(root: Path) -> None:
    """Photos to predict that are training photos."""
    for i in range(12, 16):
        os.replace(root / f"data/test/{i:03d}.png", root / f"data/train/{i:03d}.png")
    (root / "competition.py").write_text((DEFINITION % "").replace("test/{", "train/{"))
    (root / "data/train.csv").write_text(TRAIN + "012,a,w9\n")


def no_utf8(root: Path) -> None:
    """A pattern of photos, one of whose names is no UTF-8."""
    (root / "data/train/003.png").rename(root / "data/train" / os.fsdecode(b"\xff3.png"))
    listed = DEFINITION % ", target_pattern='([0-9])[.]'"
    table = 'train="train.csv", image="train/{id}.png", target="label", group="who"'
    (root / "competition.py").write_text(listed.replace(table, 'train="train/*.png"'))


# fmt: off
ANSWERS = [
    *rows(
        "test",
        ("has an id twice", TEST + "012,a\n",
         "repeats a value in column 'id' (1 found: 012); take test.csv as the competition "
         "gave it"),
        ("has an id of the training table as a text", TEST.replace("012", "x"),
         "ids that name no file in data (1 found: test/x.png); mend test_image, or unpack "
         "the data again"),
        ("names no photo", TEST.replace("012", "99"),
         "ids that name no file in data (1 found: test/99.png); mend test_image, or unpack "
         "the data again"),
        ("has classes that are none", "id,a,c\n012,1,0\n",
         "its columns a,c fit no answer: classes without a column (1 found: b); set test "
         "to the sample submission, or set answer and answer_column"),
        ("has ids in NFD", nfd,
         "ids that name no file in data (1 found: test/한.png (the file's name is in "
         "another Unicode form, NFD: write it so in the table)); mend test_image, or "
         "unpack the data again"),
        ("is gone", gone("data/test.csv"),
         "there is no such table; set test to the sample submission, or to the table of"),
        ("has training photos", same_photos,
         "photos to predict are training photos, too (1 found: 012, train/012.png); mend "
         "image and test_image"),
        ("has ids alone", "id\n012\n013\n",
         "has no column 'label'; take test.csv as the competition gave it"),
    ),
    *rows(
        "submission",
        ("lacks an id", ONE.replace("012,a\n", ""),
         "has ids that are not in one.csv (1 found: 012); compare submissions to one "
         "competition"),
        ("has an id more", ONE + "099,a\n",
         "lacks ids of one.csv (1 found: 099); compare submissions to one competition"),
        ("has an id twice", ONE + "012,a\n",
         "repeats a value in column 'id' (1 found: 012); every photo has one row"),
        ("has a class that is none", ONE.replace("012,a", "012,c"),
         "column 'label' must hold names of classes, such as a (1 found: 'c' at 012); mend "
         "these rows"),
        ("has an empty class", ONE.replace("012,a", "012,"),
         "column 'label' must hold names of classes, such as a (1 found: '' at 012); mend "
         "these rows"),
        ("has a class with a space", ONE.replace("012,a", "012, a"),
         "column 'label' must hold names of classes, such as a (1 found: ' a' at 012); "
         "mend these rows"),
        ("has a number that is none", ONE.replace(",a", ",2").replace(",b", ",1"),
         "column 'label' must hold whole numbers 0..1 (2 found, the first: '2' at 012); "
         "mend these rows"),
        ("has numbers as text of 2**63",
         ONE.replace(",a", ",9223372036854775808").replace(",b", ",1"),
         "column 'label' must hold names of classes, such as a (4 found, the first: "
         "'9223372036854775808' at 012); mend these rows"),
        ("has negative numbers", ONE.replace(",a", ",-1").replace(",b", ",1"),
         "column 'label' must hold names of classes, such as a (4 found, the first: '-1' "
         "at 012); mend these rows"),
        ("has other digits", ONE.replace(",a", ",٠").replace(",b", ",1"),
         "column 'label' must hold names of classes, such as a (4 found, the first: '٠' at "
         "012); mend these rows"),
        ("has ids that lost their zeros", ONE.replace("012", "12"),
         "lacks ids of one.csv (1 found: 12); compare submissions to one competition"),
        ("has NaN for a class", ONE.replace("012,a", "012,nan"),
         "column 'label' must hold names of classes, such as a (1 found: 'nan' at 012); "
         "mend these rows"),
        ("has dates", ONE.replace(",a", ",2026-01-01"),
         "column 'label' must hold names of classes, such as a (2 found, the first: "
         "'2026-01-01' at 012); mend these rows"),
        ("has booleans", ONE.replace(",a", ",True").replace(",b", ",False"),
         "column 'label' must hold names of classes, such as a (4 found, the first: 'True' "
         "at 012); mend these rows"),
    ),
    *rows(
        "answers",
        ("lacks an id", ONE.replace("012,a\n", ""),
         "lacks ids of one.csv (1 found: 012); compare submissions to one competition"),
        ("has a class that is none", ONE.replace("012,a", "012,c"),
         "column 'label' must hold names of classes, such as a (1 found: 'c' at 012); mend "
         "these rows"),
    ),
    *rows(
        "corrections",
        ("has another header", FIX.replace("value", "values"),
         "has no column 'value'; it needs id,target,value, and has id,target,values"),
        ("names no photo", FIX.replace("003", "3"),
         "corrects photos that train.csv does not have (1 found: 3); name a photo by its id"),
        ("names no target", FIX.replace("label,", "lable,"),
         "names a target that is not there (did you mean label?) (1 found: lable); write "
         "id,label|class,VALUE"),
        ("has a class that is none", FIX.replace(",a", ",c"),
         "has targets that are none of the classes (1 found: 'c' at train/003.png); mend "
         "these rows, or the definition's classes"),
        ("corrects a photo twice", FIX + "003,label,b\n",
         "corrects the same target twice (1 found: 003); keep one line of each"),
        ("has an empty class", FIX.replace(",a\n", ",\n"),
         "has targets that are none of the classes (1 found: '' at train/003.png); mend "
         "these rows, or the definition's classes"),
    ),
    *rows(
        "log",
        ("has a score that is text", LOG.replace("0.5", "good"),
         "holds scores that are no numbers (2 found, the first: oof 'good' of one.csv); "
         "mend these rows"),
        ("has an infinite score", LOG.replace("0.5", "1e999"),
         "holds scores that are no numbers (2 found, the first: oof '1e999' of one.csv); "
         "mend these rows"),
        ("has NaN", LOG.replace("0.5", "nan"),
         "holds scores that are no numbers (2 found, the first: oof 'nan' of one.csv); "
         "mend these rows"),
        ("has a decimal comma", LOG.replace("0.5", '"0,5"'),
         "holds scores that are no numbers (2 found, the first: oof '0,5' of one.csv); "
         "mend these rows"),
        ("has half an interval", LOG.replace("0.4", ""),
         "holds scores that are no numbers (1 found: half an interval of one.csv); mend "
         "these rows"),
        ("has a number with an underscore", LOG.replace("0.5", "0_5"),
         "holds scores that are no numbers (2 found, the first: oof '0_5' of one.csv); "
         "mend these rows"),
        ("has other digits", LOG.replace("0.5", "٠.5"),
         "holds scores that are no numbers (2 found, the first: oof '٠.5' of one.csv); "
         "mend these rows"),
    ),
    *rows(
        "csv",
        ("has logits", THEIRS.replace("0.5,0.5", "3.2,-1"),
         "rows with values outside 0..1 (4 found, the first: 012: 3.2); give softmax "
         "probabilities, not logits or percents"),
        ("has percents", THEIRS.replace("0.5", "50"),
         "rows with values outside 0..1 (4 found, the first: 012: 50); give softmax "
         "probabilities, not logits or percents"),
        ("has sums of 2", THEIRS.replace("0.5", "1"),
         "rows that do not sum to 1 (4 found, the first: 012: 2); give them with more "
         "decimals, or divide each row by its sum"),
        ("has sums of 0", THEIRS.replace("0.5", "0"),
         "rows that do not sum to 1 (4 found, the first: 012: 0); give them with more "
         "decimals, or divide each row by its sum"),
        ("has NaN", THEIRS.replace("012,0.5", "012,nan"),
         "rows with values that are no numbers (1 found: 012); it needs an id and the "
         "probabilities of the classes 0 to 1"),
        ("has an infinity", THEIRS.replace("012,0.5", "012,inf"),
         "rows with values that are no numbers (1 found: 012); it needs an id and the "
         "probabilities of the classes 0 to 1"),
        ("has a gap", THEIRS.replace("012,0.5", "012,"),
         "rows with values that are no numbers (1 found: 012); it needs an id and the "
         "probabilities of the classes 0 to 1"),
        ("has a text", THEIRS.replace("012,0.5", "012,half"),
         "rows with values that are no numbers (1 found: 012); it needs an id and the "
         "probabilities of the classes 0 to 1"),
        ("has a decimal comma", THEIRS.replace("012,0.5", '012,"0,5"'),
         "rows with values that are no numbers (1 found: 012); it needs an id and the "
         "probabilities of the classes 0 to 1"),
        ("has an id twice", THEIRS + "012,0.5,0.5\n",
         "repeats ids (1 found: 012); keep one row of each"),
        ("lacks an id", THEIRS.replace("012,0.5,0.5\n", ""),
         "lacks photos to predict (1 found: 012); every one of them needs a row"),
        ("has an id of nobody", THEIRS + "x,0.5,0.5\n",
         "has ids that are neither to be predicted nor training photos (1 found: x); "
         "training photos are called as in the plan, such as train/000.png"),
        ("lacks a class", "id,0\n012,1\n",
         "lacks columns of classes (1 found: 1); name them 0 to 1, or by the class names"),
        ("has a class more", THEIRS.replace("id,0,1", "id,0,1,2").replace("0.5,0.5", "0.5,0.5,0"),
         "columns that are no class (1 found: 2); name them 0 to 1, or by the class names"),
        ("has classes of another name", THEIRS.replace("0,1", "x,y"),
         "columns that are no class (2 found, the first: x); name them 0 to 1, or by the "
         "class names"),
        ("is a submission", ONE,
         "is a submission, and holds no probabilities; it needs an id and the "
         "probabilities of the classes 0 to 1"),
        ("has hexadecimals", THEIRS.replace("0.5,0.5", "0x1,0x0"),
         "rows with values that are no numbers (4 found, the first: 012); it needs an id "
         "and the probabilities of the classes 0 to 1"),
        ("has words", THEIRS.replace("0.5,0.5", "True,False"),
         "rows with values that are no numbers (4 found, the first: 012); it needs an id "
         "and the probabilities of the classes 0 to 1"),
        ("has few decimals", THEIRS.replace("0.5,0.5", "0.3,0.6"),
         "rows that do not sum to 1 (4 found, the first: 012: 0.9); give them with more "
         "decimals, or divide each row by its sum"),
    ),
    *rows(
        "train",
        ("has a name in NFC, and the file in NFD", unicode_form("NFC", "NFD"),
         "rows without a photo (1 found: data/train/한.png (the file's name is in another "
         "Unicode form, NFD: write it so in the table)); mend image, or unpack the data "
         "again"),
        ("has a name in NFD, and the file in NFC", unicode_form("NFD", "NFC"),
         "rows without a photo (1 found: data/train/한.png (the file's name is in another "
         "Unicode form, NFC: write it so in the table)); mend image, or unpack the data "
         "again"),
        ("has a name of 256 bytes", TRAIN.replace("003,", "x" * 252 + ","),
         "rows without a photo (1 found: data/train/ ... mend image, or unpack the data again"),
        ("has a name with a line break", TRAIN.replace("003,", '"0\n3",'),
         "rows without a photo (1 found: data/train/0 3.png); mend image, or unpack the "
         "data again"),
        ("has a name with a quote", TRAIN.replace("003,", '"0""3",'),
         'rows without a photo (1 found: data/train/0"3.png); mend image, or unpack the '
         "data again"),
        ("has a name with braces", TRAIN.replace("003,", "{label},"),
         "rows without a photo (1 found: data/train/{label}.png); mend image, or unpack "
         "the data again"),
        ("has a name with a percent sign", TRAIN.replace("003,", "%s,"),
         "rows without a photo (1 found: data/train/%s.png); mend image, or unpack the "
         "data again"),
        ("has a name with a dash", TRAIN.replace("003,", "-rf,"),
         "rows without a photo (1 found: data/train/-rf.png); mend image, or unpack the "
         "data again"),
        ("has a name with an emoji", TRAIN.replace("003,", "😀,"),
         "rows without a photo (1 found: data/train/😀.png); mend image, or unpack the data "
         "again"),
        ("has a name with a control character", TRAIN.replace("003,", "\x1b[31m,"),
         "rows without a photo (1 found: data/train/\\x1b[31m.png); mend image, or unpack "
         "the data again"),
        ("has a name of two dots", TRAIN.replace("003,", "..,"),
         "rows without a photo (1 found: data/train/...png); mend image, or unpack the "
         "data again"),
    ),
    *rows(
        "definition",
        ("lists photos whose names are no UTF-8", no_utf8,
         "holds files whose names are no UTF-8 (1 found: train/\\udcff3.png); rename these "
         "files"),
    ),
]
