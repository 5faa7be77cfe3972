import shutil

import pytest
from helpers import small
from trainings import on_cpu

from kit.results.run import Fold, read_metrics
from kit.system.errors import KitError
from kit.training.run import train


def test_lost_and_damaged_files_of_a_finished_fold(world, tmp_path, capsys):
    shutil.copytree(world.runs / "small", tmp_path / "small")
    files, whole = Fold(tmp_path / "small" / "fold0"), Fold(world.runs / "small" / "fold0")

    def again():
        train(small(), world.plan, world.folder, [0], tmp_path, on_cpu())

    for harm in (lambda: files.oof.unlink(), lambda: files.oof.write_bytes(b"damaged")):
        harm()
        again()
        assert (
            "making it again" in capsys.readouterr().err
            and files.oof.read_bytes() == whole.oof.read_bytes()
        )
    content = bytearray(files.best.read_bytes())
    content[-1] ^= 1
    files.best.write_bytes(bytes(content))
    with pytest.raises(KitError, match="it was changed or is damaged"):
        again()
    files.oof.unlink()
    files.metrics.write_text(
        whole.metrics.read_text()
        .replace(f"{read_metrics(whole.metrics)[0]['val_loss']}", "0.1")
        .replace(f"{read_metrics(whole.metrics)[1]['val_loss']}", "0.1")
    )
    with pytest.raises(KitError, match="has the loss .*, not the 0.100 it was saved with"):
        again()
    lines = whole.metrics.read_text().splitlines(keepends=True)
    for rows in (lines[:2], lines[:0]):
        shutil.copy(whole.best, files.best)
        files.metrics.write_text("".join(rows)) if rows else files.metrics.unlink()
        with pytest.raises(
            KitError, match=f"metrics of {len(rows[1:])} of 2 epochs, and no last.pt"
        ):
            again()
    assert files.best.read_bytes() == whole.best.read_bytes()
