"""Files that cannot be read or written are told, and mended as told, until they can."""

import functools
import gzip
import importlib.util
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
from helpers import mask_folder
from pets_folder import usual_folder
from remedies import after, command, tried

import kit.folds
import kit.sample
from kit.competitions import find_competition
from kit.competitions.mask_data import read_corrections, read_people
from kit.competitions.sample_folder import new_sample
from kit.data.definition import complete
from kit.data.folder import read_ids
from kit.data.plan import read_plan
from kit.data.training import read_training
from kit.recipe import load_recipe
from kit.results.check import check_place
from kit.system.disk import (
    atomic_write,
    check_output,
    file_hash,
    read_json,
    refuse_existing,
    write_json,
)
from kit.system.script import run_script
from kit.system.table import read_csv, read_table

Reads = Callable[[str | bytes], Callable[[], object]]


def reads(path: Path, read: Callable[[Path], object]) -> Reads:
    """`reads(...)(content)` is a call that writes a file and reads it."""

    def of(content: str | bytes) -> Callable[[], object]:
        data = content if isinstance(content, bytes) else content.encode()
        return after(lambda: path.write_bytes(data), lambda: read(path))

    return of


def test_tables(tmp_path, monkeypatch):
    path, good = tmp_path / "a.csv", "id,n\na,1\n"
    of = reads(path, lambda path: read_csv(path, ["id", "n"]))
    tried(lambda: read_csv(tmp_path / "b.csv"), "cannot be read: No such file", of(good))
    tried(of(""), "is empty; it needs a header line id,n", of(good))
    tried(of("id,n\n"), "has a header and no rows; it needs at least one row", of(good))
    tried(of("id,n\n가,1\n".encode("cp949")), "save it as UTF-8 with commas", of("id,n\n가,1\n"))
    said = "has rows with more fields than its header (1 found: line 3: 3 of 2); mend these rows"
    tried(of("id,n\na,1\nb,1,2\n"), said, of(good))
    said = "has rows with fewer fields than its header (1 found: line 3: 1 of 2); mend these rows"
    tried(of("id,n\na,1\nb\n"), said, of(good))
    said = "a quote is not closed, or a field is too long"
    tried(of('id,n\na,1\nb,"1\nc,"2"\n'), said, of(good))
    tried(of('id,n\na,"1\n'), "; close the quote, or mend it", of('id,n\na,"1"\n'))
    packed = gzip.compress(good.encode())
    tried(of(packed), "is a gzip file, and no CSV; unpack it first", of(gzip.decompress(packed)))
    said = "it holds zero bytes, as UTF-16 and damaged files do; save it as UTF-8 with commas"
    tried(of(good.encode("utf-16")), said, of(good))
    wide = ",".join(["id", "n", *map(str, range(10**5))])
    tried(of(f"{wide}\n"), "columns, and at most 100,000 are read; save it as rows", of(good))
    tried(of("id;n\na;1\n"), "is separated by something else than commas; save it with", of(good))
    tried(of("id,n,n\na,1,2\n"), "has column 'n' twice; it needs id,n", of(good))
    tried(of("id,m\na,1\n"), "has no column 'n'; it needs id,n, and has id,m", of(good))
    parquet = tmp_path / "a.parquet"
    parquet.write_bytes(b"x")
    as_csv = reads(path, read_table)(good)
    said = "is no parquet file"
    if importlib.util.find_spec("pyarrow"):
        tried(lambda: read_table(parquet), said, as_csv)
        pd.DataFrame({"id": []}).to_parquet(parquet)
        tried(lambda: read_table(parquet), "has no rows; it needs at least one row", as_csv)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    tried(lambda: read_table(parquet), "or save the table as CSV", as_csv)


def test_json(tmp_path):
    path = tmp_path / "a.json"
    of = reads(path, lambda path: read_json(path, "delete it"))
    good = after(path.unlink, lambda: write_json(path, {}), lambda: read_json(path, ""))
    tried(of("{"), "is no JSON (Expecting property name", good)
    tried(of("[]"), "holds no JSON object; delete it", good)
    tried(of("{}"), "is damaged, or was changed by hand: its checksum does not fit; delete", good)


def test_places_of_outputs(tmp_path):
    data, out = tmp_path / "data", tmp_path / "a.csv"
    data.mkdir()
    (tmp_path / "folder").mkdir()

    def place(path: Path, **options: Any) -> Callable[[], object]:
        return lambda: check_output(path, "a table", suffixes=(".csv", ""), **options)

    said = "is no name for a table; let --save end in .csv or"
    tried(place(tmp_path / "a.txt", option="--save"), said, place(out, option="--save"))
    inside, beside = place(data / "a.csv", inputs=[data]), place(out, inputs=[data])
    tried(inside, f"is a place of input files; choose a place outside of {data}", beside)
    out.touch()
    said = "exists already; choose another name, or --force to overwrite it"
    tried(place(out), said, place(tmp_path / "b.csv"))
    tried(place(out), said, place(out, force=True))
    tried(lambda: refuse_existing(out), said, lambda: refuse_existing(tmp_path / "b.csv"))
    tried(
        place(tmp_path / "folder", force=True),
        "is a folder; choose another name",
        place(out, force=True),
    )
    said = "is read-only, or no folder; choose another place"
    tried(place(out / "b.csv"), said, place(tmp_path / "b.csv"))

    def write(path: Path) -> None:
        with atomic_write(path) as temporary:
            temporary.touch()

    said = "cannot be written: File exists; name another place"
    tried(lambda: write(out / "c.csv"), said, lambda: write(tmp_path / "c.csv"))


def test_a_full_disk_is_made_free(tmp_path, monkeypatch):
    room = [False]

    def fsync(number: int) -> None:
        if not room[0]:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fsync)

    def write() -> None:
        write_json(tmp_path / "a.json", {})

    def free() -> None:
        room[0] = True
        write()

    tried(write, "No space left on device; free some space, and start again", free)


def test_names_of_submissions(tmp_path):
    def place(name: str) -> Callable[[], object]:
        return lambda: check_place(tmp_path / name, [], False)

    good = place("other.csv")
    said = "is no name for a submission, but the leaderboard log's; choose another --out"
    tried(place("leaderboard.csv"), said, good)
    (tmp_path / "a.json").write_text("{}")
    tried(lambda: check_place(tmp_path / "a.csv", [], True), "is no record of a submission", good)
    (tmp_path / "a.json").write_text("{")
    forced = lambda: check_place(tmp_path / "a.csv", [], True)  # noqa: E731
    said = "would be replaced by one; delete it, or choose another --out"
    tried(forced, said, after((tmp_path / "a.json").unlink, forced))


def test_scripts(tmp_path):
    of = reads(tmp_path / "a.py", lambda path: run_script(path, ["size"]))
    tried(of(b"x = '\xfc'"), "save it as UTF-8 text", of("x = 'ü'"))
    tried(of("x = ("), "line 1: syntax error: '(' was never closed; mend it", of("x = ()"))
    wrong = "def f(size): pass\nf(sise=1)\n"
    said = "(did you mean size?); mend the file"
    tried(of(wrong), said, of(wrong.replace("sise", "size")))


HEAD = "from kit.recipe import Recipe\n"
BODY = 'recipe = Recipe(name="mine", model="resnet18"{})\n'


def test_recipes(tmp_path):
    path = tmp_path / "mine.py"
    of, good = reads(path, load_recipe), HEAD + BODY.format("")
    path.write_text(good)
    tried(
        lambda: load_recipe(tmp_path / "mne.py"),
        f"there is no such recipe (did you mean {path}?); a recipe is a .py",
        of(good),
    )
    tried(of("x = 1"), "write: recipe = Recipe(name=..., model=...)", of(good))
    tried(of(good.replace("mine", "yours")), 'name both alike: name="mine"', of(good))
    named = HEAD + "def light():\n    pass\n" + BODY.format(", augment=light")
    other = HEAD + "from pets_folder import pets\n" + BODY.format(", augment=pets")
    tried(of(other), "takes augment from another module; define it in this file", of(named))
    none = HEAD + BODY.format(", augment=lambda: None")
    tried(of(none), "define it with def at the top level", of(named))
    tried(
        of(HEAD + BODY.format(", lr=-1")),
        "lr=-1 must be a number",
        of(HEAD + BODY.format(", lr=1e-3")),
    )


def test_definitions(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    head = "from kit.competition import Competition\n"
    good = 'competition = Competition(name="own", classes=("a", "b"){})\n'
    path = tmp_path / "competition.py"
    of = reads(path, lambda path: find_competition(str(path)))
    right = of(head + good.format(""))
    tried(of("x = 1"), "write: competition = Competition(name=..., tasks=..., ...)", right)
    named = "def score(truth, probs):\n    return 0.5\n" + good.format(", metric=score")
    said = "metric is no function by name; write: def metric(...), and metric=metric"
    tried(of(head + good.format(", metric=lambda t, p: 0.0")), said, of(head + named))
    said = "there is no shapes; name a file, such as competition.py, or one of"
    tried(lambda: find_competition("shapes"), said, right)
    tried(lambda: find_competition("shapes"), said, lambda: find_competition("mask"))


def test_corrections(tmp_path):
    root, given = usual_folder(tmp_path / "data")
    competition = complete(given, root)
    path, head = tmp_path / "fixes.csv", "id,target,value\n"
    of = reads(path, lambda path: read_training(competition, root, path))
    good = of(head + "p00,breed,corgi\n")
    tried(of(head + "p00,breed,pug\np00,breed,corgi\n"), "(1 found: p00); keep one line of", good)
    tried(of(head + "p00,bred,corgi\n"), "(did you mean breed?) (1 found: bred); write id,", good)
    tried(of(head + "p99,breed,corgi\n"), "name a photo by its id", good)


PEOPLE = "id,gender,race,age,path\n{}"
ROW = "000001,male,Asian,30,000001_male_Asian_30\n"


def test_people_and_their_corrections(tmp_path):
    of, good = reads(tmp_path / "train.csv", read_people), PEOPLE.format(ROW)
    said = "column 'gender' must hold male or female (1 found: 'man' at 000001_male_Asian_30)"
    tried(of(good.replace(",male,", ",man,")), said, of(good))
    said = "must hold plain folder names (1 found: '../p'); mend these rows"
    tried(of(PEOPLE.format("1,male,Asian,30,../p\n")), said, of(good))
    of, head = reads(tmp_path / "c.csv", read_corrections), "path,field,value\n"
    said = "write path,gender,male|female or path,age,<years> or path,swap,incorrect_mask:normal"
    for right in ("gender,male", "age,30", "swap,incorrect_mask:normal"):
        tried(of(f"{head}p,race,x\n"), said, of(f"{head}p,{right}\n"))
    said = "corrects the same field twice (1 found: p,age); keep one line of each"
    tried(of(f"{head}p,age,20\np,age,30\n"), said, of(f"{head}p,age,30\n"))


def test_a_folder_of_people(data, tmp_path):
    image, person = data / "train" / "images", "000003_male_Asian_35"
    csv, fixes = data / "train" / "train.csv", tmp_path / "fixes.csv"
    places = ["--data", str(data), "--out", str(tmp_path / "f.csv"), "--folds", "3", "--no-audit"]

    plan = functools.partial(command, kit.folds.main, *places, "--force")

    def moved(there: Path) -> Callable[[], object]:
        return after(lambda: shutil.move(there, tmp_path / "away"), plan())

    def put(there: Path) -> Callable[[], object]:
        return after(lambda: shutil.move(tmp_path / "away", there), plan())

    said = "it must hold a folder of photos for each row of train.csv"
    tried(moved(image), said, put(image))
    said = "(1 found: 000003_male_Asian_35); unpack the data again"
    tried(moved(image / person), said, put(image / person))
    photo = image / person / "mask1.jpg"
    tried(moved(photo), "/mask1); unpack the data again", put(photo))
    shutil.copy(photo, photo.with_suffix(".jpeg"))
    tried(plan(), "remove one of the two", after(photo.with_suffix(".jpeg").unlink, plan()))
    text = csv.read_text()
    csv.write_text(text.replace("000003,male,Asian,35,", "000003,female,Asian,35,"))
    fixes.write_text(f"path,field,value\n{person},gender,male\n")
    said = "or settle it with a line path,gender|age,value in a --corrections file"
    tried(plan(), said, plan("--corrections", str(fixes)))
    tried(plan(), "mend train.csv", after(lambda: csv.write_text(text), plan()))
    fixes.write_text("path,field,value\n000003,gender,male\n")
    right = f"path,field,value\n{person},gender,male\n"
    said = "(1 found: 000003); did you mean 000003_male_Asian_35?"
    corrected = plan("--corrections", fixes)
    tried(corrected, said, after(lambda: fixes.write_text(right), corrected))


def test_a_table_of_photos_to_predict(data):
    table = data / "eval" / "info.csv"
    text, read = table.read_text(), lambda: read_ids(mask_folder(data))
    table.write_text(text + "../a.jpg,0\n")
    said = "must hold plain file names (1 found: '../a.jpg'); take info.csv as the competition gave"
    tried(read, said, after(lambda: table.write_text(text), read))


def test_folders_of_samples(tmp_path):
    out = tmp_path / "s"
    draw = functools.partial(command, kit.sample.main, "--test-groups", 1)
    call = functools.partial(draw, "--groups", 6, "--out")
    tried(draw("--groups", 5, "--out", out), "--groups: is 5; take 6 or more", call(out))

    def new(path: Path, force: bool = False) -> Callable[[], object]:
        return lambda: new_sample(path, {}, force).__enter__() and None

    said = "exists already; choose another --out, or --force to draw it anew"
    tried(new(out), said, new(out, force=True))
    tried(new(out), said, new(tmp_path / "t"))
    (out / "sample.json").unlink()
    said = "so --force leaves it alone; choose another --out"
    tried(new(out, force=True), said, new(tmp_path / "u"))
    own = tmp_path / "own.py"
    own.write_text("from kit.competition import Competition\ncompetition = Competition(name='own')")
    right = functools.cache(call(tmp_path / "w", "--competition", "mask"))
    tried(call("."), "names the folder you are in; name a new one", right)
    said = "has no sample to draw; take one of kit/competitions"
    tried(call(tmp_path / "x", "--competition", own), said, right)


def test_the_plan_and_its_record(data, tmp_path):
    path = tmp_path / "folds.csv"
    words = ("--data", data, "--out", path, "--folds", 3, "--no-audit", "--force")
    read = functools.partial(read_plan, path)
    planned = after(command(kit.folds.main, *words), read)
    tried(read, "there is no fold plan; make one with python -m kit.folds", planned)
    text, record = path.read_text(), path.with_suffix(".json")
    told = json.loads(record.read_text())
    remedy = "plan again with python -m kit.folds --force"
    record.unlink()
    tried(read, f"the plan's record is not there; put a copy back, or {remedy}", planned)
    record.write_text("{")
    tried(read, remedy, planned)
    path.write_text(text + "\n")
    tried(read, f"or not the plan that folds.json describes; {remedy}", planned)

    def write(plan_text: str, **changes: object) -> None:
        path.write_text(plan_text)
        write_json(record, told | {"folds.csv": file_hash(path)} | changes, force=True)

    write(text, competition=None)
    tried(read, remedy, planned)
    image = text.splitlines()[1].partition(",")[0]
    write(text.replace(image, f"../{image}"))
    tried(read, f"outside of the data folder (1 found: ../{image}); {remedy}", planned)
    write(re.sub("(?m),[012]$", ",0", text))
    tried(read, f"folds must be 0..K-1 with K >= 2, and are [0]; {remedy}", planned)
    write(re.sub("(?m),0$", ",1", text, count=1))
    tried(read, f"must lie in one fold: {remedy}", planned)
