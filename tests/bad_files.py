"""Bad checkpoints, records, recipes and definitions."""

import json
import struct

from bad_world import DEFINITION, RECIPE, changed, folder, gone, pipe, rows

from kit.system.checksum import with_checksum


def tensors(header: str, size: int | None = None) -> bytes:
    """A safetensors file of a header, which says how long that is."""
    content = header.encode()
    return struct.pack("<Q", len(content) if size is None else size) + content


def named(kit: str) -> bytes:
    """A safetensors file with a text as the kit's metadata."""
    return tensors(json.dumps({"__metadata__": {"kit": kit}}))


READS_FLOATS = "import numpy\n\ndef read(path):\n    return numpy.zeros((9, 9, 3))\n\n"

# fmt: off
FILES = [
    *rows(
        "checkpoint",
        ("is empty", b"", "is no checkpoint of the kit ... put a copy of it back"),
        ("says its header has 2**60 bytes", tensors("{}", 2**60),
         "is no checkpoint of the kit ... put a copy of it back"),
        ("says its header has 99 bytes", tensors("{}", 99),
         "is no checkpoint of the kit ... put a copy of it back"),
        ("has no metadata", tensors("{}"),
         "is no checkpoint of the kit ... put a copy of it back"),
        ("is no JSON", tensors("{"),
         "is no checkpoint of the kit ... put a copy of it back"),
        ("has metadata of others", tensors('{"__metadata__":{"format":"pt"}}'),
         "is no checkpoint of the kit ... put a copy of it back"),
        ("has metadata that is no JSON", tensors('{"__metadata__":{"kit":"{"}}'),
         "is no checkpoint of the kit ... put a copy of it back"),
        ("has metadata nested 100,000 deep", named("[" * 10**5),
         "is no checkpoint of the kit ... put a copy of it back"),
        ("has a number of a million digits", named("9" * 10**6),
         "is no checkpoint of the kit ... put a copy of it back"),
        ("has a list", named("[]"),
         "is no checkpoint of the kit ... put a copy of it back"),
        ("is a pickle", b"\x80\x04K\x01.",
         "is no checkpoint of the kit ... put a copy of it back"),
        ("is a pipe", pipe("c.safetensors"),
         "there is no such run; train it with python -m kit.train RECIPE --fold all"),
        ("is gone", gone("c.safetensors"),
         "there is no such run; train it with python -m kit.train RECIPE --fold all"),
    ),
    *rows(
        "record",
        ("is empty", "", "is no JSON ... put a copy back, or plan again"),
        ("is no JSON", "{", "is no JSON ... put a copy back, or plan again"),
        ("is a list", "[]", "holds no JSON object; put a copy back, or plan again"),
        ("is nested 100,000 deep", "[" * 10**5, "is no JSON ... put a copy back, or plan again"),
        ("has a number of a million digits", '{"a": ' + "9" * 10**6 + "}",
         "is no JSON ... put a copy back, or plan again"),
        ("is UTF-16", "{}".encode("utf-16"), "is no JSON ... put a copy back, or plan again"),
        ("is Latin-1", b'{"a": "\xe9"}', "is no JSON ... put a copy back, or plan again"),
        ("has no checksum", "{}", "its checksum does not fit; put a copy back, or plan again"),
        ("is another plan's", json.dumps(with_checksum({"folds.csv": "of others"})),
         "or not the plan that folds.json describes; plan again with python -m kit.folds "
         "--force"),
        ("is gone", gone("folds.json"),
         "the plan's record is not there; put a copy back, or plan again"),
        ("is a pipe", pipe("folds.json"),
         "is a pipe or a device, and no file; write what it gives to a file, and name that"),
        ("is a folder", folder("folds.json"), "cannot be read: Is a directory; check the path"),
    ),
    *rows(
        "ensemble",
        ("is empty", "", "is no JSON ... put a copy back, or make"),
        ("is no JSON", "no", "is no JSON ... put a copy back, or make"),
        ("is nested 100,000 deep", '{"a":' * 10**5, "is no JSON ... put a copy back, or make"),
        ("is of something else", json.dumps(with_checksum({"a": 1})),
         "is no record of a submission ... name the .json beside a submission that "
         "kit.ensemble has written"),
        ("is a pipe", pipe("e.json"),
         "there is no such file; name the .json beside a submission that kit.ensemble has "
         "written"),
        ("is gone", lambda root: None,
         "there is no such file (did you mean folds.json?); name the .json beside a "
         "submission that kit.ensemble has written"),
    ),
    *rows(
        "plan",
        ("is changed", changed("folds.csv", ",0\n", ",1\n"),
         "or not the plan that folds.json describes; plan again with python -m kit.folds "
         "--force"),
        ("is gone", gone("folds.csv"), "there is no fold plan; make one with python -m kit.folds"),
    ),
    *rows(
        "recipe",
        ("is empty", "",
         "has no variable 'recipe' that is a Recipe; write: recipe = Recipe(name=..., "
         "model=...)"),
        ("is no Python", "recipe = (", "small.py line 1: syntax error:"),
        ("has zero bytes", b"a\0b", "small.py line ?: syntax error:"),
        ("is Latin-1", b"# \xe9\n", "cannot be read ... save it as UTF-8 text"),
        ("is nested 1,000 deep", "(" * 1000, "small.py line 1: syntax error:"),
        ("divides by zero", "1 / 0", "small.py line 1: ZeroDivisionError: division by zero"),
        ("ends the program", "raise SystemExit", "small.py line 1: SystemExit:"),
        ("misspells a field", RECIPE.replace("epochs", "epoch"),
         "small.py line 3: ... unexpected keyword argument 'epoch' (did you mean epochs?)"),
        ("has a recipe of another type", "recipe = 1",
         "has no variable 'recipe' that is a Recipe; write: recipe = Recipe(name=..., "
         "model=...)"),
        ("has a field of another type", RECIPE.replace("epochs=1", "epochs='1'"),
         "recipe small: epochs='1' must be a whole number from 1 to 1000000"),
        ("has an infinite rate", RECIPE.replace("lr=1e-3", "lr=1e999"),
         "recipe small: lr=inf must be a number above 0 to 1e+06"),
        ("has NaN", RECIPE.replace("lr=1e-3", "lr=float('nan')"),
         "recipe small: lr=nan must be a number above 0 to 1e+06"),
        ("has 2**63 epochs", RECIPE.replace("epochs=1", "epochs=2**63"),
         "recipe small: epochs=9223372036854775808 must be a whole number from 1 to 1000000"),
        ("has a size of 0", RECIPE.replace("(32, 32)", "(0, 32)"),
         "recipe small: size=(0, 32) must be a pair (height, width) of pixels, or the "
         "longer side alone"),
        ("is gone", gone("small.py"),
         "there is no such recipe; a recipe is a .py file; the kit's own are in recipes/"),
        ("is a folder", folder("small.py"),
         "there is no such recipe; a recipe is a .py file; the kit's own are in recipes/"),
        ("is a pipe", pipe("small.py"),
         "there is no such recipe; a recipe is a .py file; the kit's own are in recipes/"),
    ),
    *rows(
        "definition",
        ("is empty", "",
         "has no variable 'competition' that is a Competition; write: competition = "
         "Competition(name=..., tasks=..., ...)"),
        ("is no Python", "competition =", "competition.py line 1: syntax error:"),
        ("has another name for it", DEFINITION.replace("competition =", "other =") % "",
         "has no variable 'competition' that is a Competition; write: competition = "
         "Competition(name=..., tasks=..., ...)"),
        ("misspells a field", DEFINITION.replace("target=", "targt=") % "",
         "competition.py line 3: ... unexpected keyword argument 'targt' (did you mean target?)"),
        ("names no column", DEFINITION.replace("label", "lable") % "",
         "has no column 'lable' (did you mean label?), which target names; it has id,label,who"),
        ("names no column in a template", DEFINITION.replace("train/{id}", "train/{ident}") % "",
         "names no column of train.csv (1 found: {ident}); it has id,label,who"),
        ("has a template without a field",
         DEFINITION.replace("train/{id}.png", "train/000.png") % "",
         "names photos twice (11 found, the first: train/000.png); keep one row of each"),
        ("has a template that leaves the folder",
         DEFINITION.replace("train/{id}", "../train/{id}") % "",
         "names photos outside of the data folder (12 found, the first: ../train/000.png); "
         "mend these rows"),
        ("has a class without photos", DEFINITION % ", classes=('a', 'b', 'c')",
         "has no photo of some classes (1 found: c); mend the definition's classes, or "
         "leave them out: then the"),
        ("has a metric of nobody", DEFINITION % ", metric='acuracy'",
         "metric 'acuracy': there is no such metric (did you mean accuracy?); take accuracy, "
         "balanced_accuracy, roc_auc, partial_auc, average_precision, log_loss, "),
        ("has an unknown kind", DEFINITION % ", kind='class'",
         "competition tiny: kind='class' must be one of , classes, order, labels, tasks "
         "(did you mean classes?)"),
        ("has a negative frame", DEFINITION % ", frame=(-1, 32)",
         "competition tiny: frame=(-1, 32) must be a pair (height, width) of pixels"),
        ("has a crop above 1", DEFINITION % ", crop=(2.0, 1.0)",
         "competition tiny: crop=(2.0, 1.0) must be a pair (height, width) of shares up to "
         "1.0, such as (0.9, 0.9)"),
        ("mirrors classes that are none", DEFINITION % ", mirror={'a': 'c'}",
         "competition tiny: mirror names classes that are not there (1 found: c); its "
         "classes are a,b"),
        ("has a pattern that is none", DEFINITION % ", target_pattern='('",
         "competition tiny: target_pattern='(' must be a regular expression with one "
         "group, such as '([a-z]+)[0-9]*$'"),
        ("is a pipe", pipe("competition.py"),
         "holds no train/train.csv; name the competition's folder with --data or KIT_DATA, or"),
        ("has a name of control characters", DEFINITION.replace("tiny", "a\\x1bb") % "",
         "competition a\\x1bb: name='a\\x1bb' must be a printable text"),
        ("reads photos as floats",
         READS_FLOATS + DEFINITION % ", read=read",
         "photos that cannot be used (12 found, the first: train/000.png: `read` must give "
         "uint8 (height, width, channels) ... mend the competition's read, or its channels"),
        ("reads by a lambda", DEFINITION % ", read=lambda path: path",
         "read is no function by name; write: def read(...), and read=read"),
    ),
]
