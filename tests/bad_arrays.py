"""Bad probability files of other teams."""

import io
import warnings
import zipfile

import numpy as np
from bad_world import folder, gone, pipe, rows

IDS = np.array([f"{i:03d}" for i in range(12, 16)])
HALVES = np.full((4, 2), 0.5, np.float32)


def npy(array: np.ndarray) -> bytes:
    """An array as a file of its own."""
    content = io.BytesIO()
    np.save(content, array)
    return content.getvalue()


def saved(ids: np.ndarray = IDS, probs: np.ndarray = HALVES) -> bytes:
    """A probability file as numpy writes it."""
    content = io.BytesIO()
    np.savez(content, ids=ids, probs=probs)
    return content.getvalue()


def zipped(*members: tuple[str, bytes]) -> bytes:
    """An archive of arrays' bytes."""
    content = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(content, "w") as file:
        warnings.simplefilter("ignore")  # of a name that stands twice
        for name, array in members:
            file.writestr(f"{name}.npy", array)
    return content.getvalue()


def many_rows() -> bytes:
    """An array that says it has 2**62 rows."""
    rows, spaces = b"(4, 2), }", b"(4611686018427387904, 2), }"
    return npy(HALVES).replace(rows + b" " * (len(spaces) - len(rows)), spaces)


NEEDS = "is no probability file ... it needs an id and the probabilities of the classes 0 to 1"
OTHER = f"ids must be texts (N,) and probs floats (N, 2), and are %s; {NEEDS.partition(' ... ')[2]}"

# fmt: off
ARRAYS = [
    *rows(
        "npz",
        ("is empty", b"", NEEDS),
        ("is a text", "no archive", NEEDS),
        ("is cut short", saved()[:-40], NEEDS),
        ("is cut in half", saved()[:400], NEEDS),
        ("has no ids", zipped(("probs", npy(HALVES))), NEEDS),
        ("has no probs", zipped(("ids", npy(IDS))), NEEDS),
        ("has probs twice",
         zipped(("ids", npy(IDS)), ("probs", npy(HALVES)), ("probs", npy(HALVES))),
         NEEDS),
        ("has an .npy alone", npy(HALVES), NEEDS),
        ("has objects", saved(IDS.astype(object)),
         "is no probability file ... save ids.astype(str), which needs no pickle"),
        ("has ids as numbers", saved(np.arange(4)), OTHER % "int64 (4,) and float32 (4, 2)"),
        ("has ids as bytes", saved(IDS.astype("S")), OTHER % "|S3 (4,) and float32 (4, 2)"),
        ("has ids in two columns", saved(IDS[:, None]), OTHER % "<U3 (4, 1) and float32 (4, 2)"),
        ("has ids 0-d", saved(np.array("012")), OTHER % "<U3 () and float32 (4, 2)"),
        ("has whole numbers", saved(probs=np.ones((4, 2), int)),
         OTHER % "<U3 (4,) and int64 (4, 2)"),
        ("has booleans", saved(probs=np.ones((4, 2), bool)), OTHER % "<U3 (4,) and bool (4, 2)"),
        ("has complex numbers", saved(probs=HALVES.astype(complex)),
         OTHER % "<U3 (4,) and complex128 (4, 2)"),
        ("has texts", saved(probs=HALVES.astype(str)), OTHER % "<U3 (4,) and <U32 (4, 2)"),
        ("has dates", saved(probs=np.zeros((4, 2), "M8[s]")),
         OTHER % "<U3 (4,) and datetime64[s] (4, 2)"),
        ("has three axes", saved(probs=HALVES[None]), OTHER % "<U3 (4,) and float32 (1, 4, 2)"),
        ("has one axis", saved(probs=HALVES[:, 0]), OTHER % "<U3 (4,) and float32 (4,)"),
        ("has 0-d probs", saved(probs=np.float32(0.5)), OTHER % "<U3 (4,) and float32 ()"),
        ("has a class more", saved(probs=np.full((4, 3), 1 / 3)),
         OTHER % "<U3 (4,) and float64 (4, 3)"),
        ("has rows more", saved(probs=np.full((5, 2), 0.5)), OTHER % "<U3 (4,) and float64 (5, 2)"),
        ("has classes and photos swapped", saved(probs=HALVES.T),
         OTHER % "<U3 (4,) and float32 (2, 4)"),
        ("has no rows", saved(IDS[:0], HALVES[:0]),
         "lacks photos to predict (4 found, the first: 012); every one of them needs a row"),
        ("has NaN", saved(probs=HALVES * np.nan),
         "rows with values that are no numbers (4 found, the first: 012); it needs an id "
         "and the probabilities of the classes 0 to 1"),
        ("has an infinity", saved(probs=HALVES * np.inf),
         "rows with values that are no numbers (4 found, the first: 012); it needs an id "
         "and the probabilities of the classes 0 to 1"),
        ("has negative numbers", saved(probs=HALVES * [[-1, 3]]),
         "rows with values outside 0..1 (4 found, the first: 012: -0.5); give softmax "
         "probabilities, not logits or percents"),
        ("has logits", saved(probs=HALVES * [[9, 1]]),
         "rows with values outside 0..1 (4 found, the first: 012: 4.5); give softmax "
         "probabilities, not logits or percents"),
        ("has sums of 2", saved(probs=HALVES * 2),
         "rows that do not sum to 1 (4 found, the first: 012: 2); give them with more "
         "decimals, or divide each row by its sum"),
        ("has an id twice", saved(IDS[[0, 0, 1, 2]]),
         "repeats ids (1 found: 012); keep one row of each"),
        ("has an id with a space", saved(np.char.add(IDS, ".")),
         "has ids that are neither to be predicted nor training photos (4 found, the "
         "first: 012.); training photos are called as in the plan, such as train/000.png"),
        ("has ids that lost zeros", saved(np.array(["12", "13", "14", "15"])),
         "has ids that are neither to be predicted nor training photos (4 found, the "
         "first: 12); training photos are called as in the plan, such as train/000.png"),
        ("lacks an id", saved(IDS[:3], HALVES[:3]),
         "lacks photos to predict (1 found: 015); every one of them needs a row"),
        ("has characters that are none", saved().replace("012".encode("utf-32-le"), b"\xff" * 12),
         NEEDS),
        ("has a header of 4 GB",
         zipped(("ids", npy(IDS)), ("probs", b"\x93NUMPY\2\0\xff\xff\xff\xff")),
         NEEDS),
        ("says it has 2**62 rows", zipped(("ids", npy(IDS)), ("probs", many_rows())), NEEDS),
        ("is code", zipped(("ids", npy(IDS)), ("probs", npy(HALVES).replace(b"False", b"f()  "))),
         NEEDS),
        ("is a pipe", pipe("theirs.npz"),
         "is a pipe or a device, and no file; write what it gives to a file, and name that"),
        ("is a folder", folder("theirs.npz"),
         "holds no checkpoint; train it with python -m kit.train RECIPE --fold all"),
        ("is gone", gone("theirs.npz"),
         "there is no such file (did you mean theirs.csv?); name a run's folder, or a file "
         "of probabilities"),
    )
]
