"""The steps that making an ensemble and making it again share."""

from pathlib import Path

import pytest
from helpers import mask_folder
from networks import members_of

from kit.blending.settings import EnsembleSettings, Output
from kit.blending.steps import check_output, photo_ids
from kit.data.folder import read_ids
from kit.system.errors import KitError


def test_files_of_probabilities_need_no_photo(copy):
    data = mask_folder(copy / "data")
    ids = read_ids(data)
    (data.test_images / ids[0]).unlink()
    assert photo_ids([Path("theirs.csv"), Path("ours.npz")], data) == ids
    with pytest.raises(KitError, match="ids that name no file"):
        photo_ids([copy / "runs" / "small", Path("theirs.csv")], data)


def test_an_output_lies_over_nothing_that_is_read(copy, world, monkeypatch):
    data, run, settings = mask_folder(copy / "data"), copy / "runs" / "small", EnsembleSettings()
    monkeypatch.chdir(copy)
    members, plan = members_of(world, run), copy / "runs" / "folds.csv"

    def place(**output):
        return check_output(Output(**output), members, [run], data, settings)

    assert place() == Path("submissions/small-none.csv")
    assert place(path=Path("a.csv"), save_probs=Path("p.npz")) == Path("a.csv")
    for path in (run / "a.csv", copy / "data" / "train" / "a.csv", plan):
        with pytest.raises(KitError, match="is a place of input files"):
            place(path=path, inputs=(plan,), force=True)
    Path("a.json").write_text("{}")
    with pytest.raises(KitError, match="exists already"):
        place(path=Path("a.csv"))
    with pytest.raises(KitError, match="is the submission's own name"):
        place(path=Path("b.csv"), save_probs=Path("b.csv"))
