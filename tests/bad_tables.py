"""Bad tables: what is wrong with a table of training photos, and with every CSV alike."""

import bz2
import gzip
import importlib.util
import lzma
import re
from pathlib import Path

from bad_world import (
    DEFINITION,
    FIX,
    KINDS,
    LOG,
    ONE,
    TEST,
    THEIRS,
    TRAIN,
    Bad,
    Content,
    folder,
    gone,
    link,
    pipe,
    rows,
)

TEXTS = {
    "test": TEST, "submission": ONE, "answers": ONE, "corrections": FIX, "log": LOG, "csv": THEIRS
}  # fmt: skip
PIPE = "is a pipe or a device, and no file; write what it gives to a file, and name that"


def alike(kind: str) -> list[Bad]:
    """What is wrong with a CSV of any kind."""
    text, path = TEXTS[kind], KINDS[kind].path
    header, _, body = text.partition("\n")
    return rows(
        kind,
        ("is empty", "", "is empty; it needs a header line"),
        ("has a header alone", header, "has a header and no rows; it needs at least one row"),
        ("is UTF-16", text.encode("utf-16"), "is no UTF-8 CSV ... save it as UTF-8 with commas"),
        ("has semicolons", text.replace(",", ";"), "by something else than commas; save it with"),
        ("lacks a field", text.rstrip().rpartition(",")[0], "fewer fields than its header (1 fou"),
        ("has a field more", text.rstrip() + ",x", "more fields than its header (1 found: line "),
        ("has a quote left open", text + '"', "is no CSV ... close the quote, or mend it"),
        ("has a column twice", text.replace("\n", ",x,x\n"),
         "has column 'x' twice; "),
        ("is a pipe", pipe(path), "no such table; set test" if kind == "test" else PIPE),
    )  # fmt: skip


# fmt: off
NO_PARQUET = "needs pyarrow, which is not installed; install it (pip install pyarrow), or save"
if importlib.util.find_spec("pyarrow"):
    NO_PARQUET = "is no parquet file ... take the file again, or save the table as CSV"


def parquet(content: bytes) -> Content:
    """A training table that is no parquet file, whatever its name says."""

    def make(root: Path) -> None:
        (root / "data/train.parquet").write_bytes(content)
        definition = (DEFINITION % "").replace("train.csv", "train.parquet")
        (root / "competition.py").write_text(definition)

    return make


TABLES = [
    *rows(
        "parquet",
        ("is empty", parquet(b""), NO_PARQUET),
        ("is a CSV", parquet(TRAIN.encode()), NO_PARQUET),
        ("is cut short", parquet(b"PAR1" + bytes(99)), NO_PARQUET),
        ("has a footer that is none", parquet(b"PAR1" + b"\xff" * 99 + b"PAR1"), NO_PARQUET),
    ),
    *(bad for kind in TEXTS for bad in alike(kind)),
    *rows(
        "train",
        ("is empty", "", "is empty; it needs a header line"),
        ("is blank lines alone", "\n\n", "is empty; it needs a header line"),
        ("has a header alone", "id,label,who\n",
         "has a header and no rows; it needs at least one row"),
        ("has no header", TRAIN.partition("\n")[2],
         "has no column 'label', which target names; it has 000,a,w0"),
        ("lacks a column", TRAIN.replace("label,", "lable,"),
         "has no column 'label' (did you mean lable?), which target names; it has id,lable,who"),
        ("has a column twice", TRAIN.replace("who", "label"),
         "has column 'label' twice; keep one of the two"),
        ("has a column twice but for a space", TRAIN.replace("who", " label"),
         "has column 'label' twice; keep one of the two"),
        ("has a semicolon for a comma", TRAIN.replace(",", ";"),
         "has one column only, and is separated by something else than commas; save it "
         "with commas"),
        ("has tabs", TRAIN.replace(",", "\t"),
         "has one column only, and is separated by something else than commas; save it "
         "with commas"),
        ("has semicolons and decimal commas", "id;label;x\n1;a;0,5\n",
         "has one column only, and is separated by something else than commas; save it "
         "with commas"),
        ("has a row too short", TRAIN.replace("003,b,w1", "003,b"),
         "has rows with fewer fields than its header (1 found: line 5: 2 of 3); mend these rows"),
        ("is cut short in its last row", TRAIN[:-4],
         "has rows with fewer fields than its header (1 found: line 13: 2 of 3); mend "
         "these rows"),
        ("has a row too long", TRAIN.replace("003,b,w1", "003,b,w1,x"),
         "has rows with more fields than its header (1 found: line 5: 4 of 3); mend these rows"),
        ("has more fields in each row than its header", TRAIN.replace("id,label,who", "id,label"),
         "has rows with more fields than its header (1 found: line 2: 3 of 2); mend these rows"),
        ("has a quote left open at the end", TRAIN + '"016,a,w9\n',
         "is no CSV ... close the quote, or mend it"),
        ("has two quotes left open", TRAIN.replace("003", '"003').replace("005", '"005'),
         "is no CSV: a quote is not closed, or a field is too long ... (1 found: line 7); "
         "mend that row"),
        ("is UTF-16", TRAIN.encode("utf-16"),
         "is no UTF-8 CSV: it holds zero bytes, as UTF-16 and damaged files do; save it as "
         "UTF-8 with commas"),
        ("is UTF-16 without a mark", TRAIN.encode("utf-16-le"),
         "is no UTF-8 CSV: it holds zero bytes, as UTF-16 and damaged files do; save it as "
         "UTF-8 with commas"),
        ("is Latin-1", TRAIN.replace("w1", "é").encode("latin-1"),
         "is no UTF-8 CSV ... save it as UTF-8 with commas"),
        ("is cp949", TRAIN.replace("w1", "얼굴").encode("cp949"),
         "is no UTF-8 CSV ... save it as UTF-8 with commas"),
        ("has zero bytes", TRAIN.replace("003", "0\0003"),
         "is no UTF-8 CSV: it holds zero bytes, as UTF-16 and damaged files do; save it as "
         "UTF-8 with commas"),
        ("is zero bytes alone", bytes(1000),
         "is no UTF-8 CSV: it holds zero bytes, as UTF-16 and damaged files do; save it as "
         "UTF-8 with commas"),
        ("is compressed by gzip", gzip.compress(TRAIN.encode()),
         "is a gzip file, and no CSV; unpack it first"),
        ("is a zip archive", b"PK\3\4" + TRAIN.encode(),
         "is a zip file, and no CSV; unpack it first"),
        ("is compressed by xz", lzma.compress(TRAIN.encode()),
         "is a xz file, and no CSV; unpack it first"),
        ("is compressed by bzip2", bz2.compress(TRAIN.encode()),
         "is a bzip2 file, and no CSV; unpack it first"),
        ("is a parquet file", b"PAR1" + bytes(99) + b"PAR1",
         "is a parquet file, and no CSV; name it .parquet"),
        ("has 100,001 columns", "id," + ",".join(map(str, range(10**5))) + "\n1\n",
         "has 100,001 columns, and at most 100,000 are read; save it as rows of several columns"),
        ("is a line that never ends", "x" * 200_000,
         "has a header and no rows; it needs at least one row"),
        ("has a lone surrogate", TRAIN.encode().replace(b"w1", b"\xed\xa0\x80"),
         "is no UTF-8 CSV ... save it as UTF-8 with commas"),
        ("is HTML", "<!DOCTYPE html>\n<html><body>Not found</body></html>\n",
         "has no column 'label', which target names; it has <!DOCTYPE html>"),
        ("is a Git LFS pointer",
         "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12345\n",
         "has no column 'label', which target names; it has version "
         "https://git-lfs.github.com/spec/v1"),
        ("says its separator first", "sep=;\n" + TRAIN.replace(",", ";"),
         "has one column only, and is separated by something else than commas; save it "
         "with commas"),
        ("has a comment first", "# made by hand\n" + TRAIN,
         "has rows with more fields than its header (1 found: line 2: 3 of 1); mend these rows"),
        ("has a class that is empty", TRAIN.replace("003,b", "003,"),
         "column 'label' gives no class to some photos (1 found: train/003.png); mend "
         "these rows, or take them out"),
        ("has one class alone", TRAIN.replace(",b,", ",a,"),
         "the target has one class alone (1 found: a); name another column"),
        ("names a photo twice", TRAIN + "003,b,w1\n",
         "names photos twice (1 found: train/003.png); keep one row of each"),
        ("names a photo that is not there", TRAIN.replace("003,", "999,"),
         "rows without a photo (1 found: data/train/999.png); mend image, or unpack the "
         "data again"),
        ("has ids that lost their zeros", TRAIN.replace("00", ""),
         "rows without a photo (10 found, the first: data/train/0.png); mend image, or "
         "unpack the data again"),
        ("has ids as floats", TRAIN.replace("003,", "3.0,"),
         "rows without a photo (1 found: data/train/3.0.png); mend image, or unpack the "
         "data again"),
        ("has an id in another case of a space", TRAIN.replace("003,", "003 ,"),
         "rows without a photo (1 found: data/train/003 .png); mend image, or unpack the "
         "data again"),
        ("has an empty id", TRAIN.replace("003,", ","),
         "rows without a photo (1 found: data/train/.png); mend image, or unpack the data again"),
        ("has a path out of the folder", TRAIN.replace("003,", "../../003,"),
         "names photos outside of the data folder (1 found: train/../../003.png); mend "
         "these rows"),
        ("has an absolute path", TRAIN.replace("id,", "id,").replace("003,", "/etc/passwd,"),
         "rows without a photo (1 found: data/train/etc/passwd.png); mend image, or unpack "
         "the data again"),
        ("has a pipe in an id", TRAIN.replace("003,", "0|3,"),
         "names photos with a | (1 found: train/0|3.png); rename these files"),
        ("has one group", re.sub("w[0-9]", "w", TRAIN),
         "who is the same for all 12 photos (1 found: w); name a column that tells groups apart"),
        ("has a group a photo",
         re.sub(",w[0-9]", "", TRAIN).replace("\n", ",x\n").replace("who,x", "who"),
         "who is the same for all 12 photos (1 found: x); name a column that tells groups apart"),
        ("is a folder", folder("data/train.csv"),
         "holds no train.csv; name the competition's folder with --data or KIT_DATA, or"),
        ("is a pipe", pipe("data/train.csv"),
         "holds no train.csv; name the competition's folder with --data or KIT_DATA, or"),
        ("is a link to itself", link("data/train.csv", "train.csv"),
         "holds no train.csv; name the competition's folder with --data or KIT_DATA, or"),
        ("is gone", gone("data/train.csv"),
         "holds no train.csv; name the competition's folder with --data or KIT_DATA, or"),
        ("is a device", link("data/train.csv", "/dev/zero"),
         "holds no train.csv; name the competition's folder with --data or KIT_DATA, or"),
    ),
]
