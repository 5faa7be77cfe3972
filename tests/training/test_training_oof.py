import dataclasses
import shutil

import pytest
from helpers import small
from trainings import on_cpu

from kit.models.checkpoint import load, read_checkpoint_info, save
from kit.results.run import Fold, read_metrics, write_metrics
from kit.system.errors import KitError
from kit.training.job import FoldJob
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
    with pytest.raises(KitError, match="checksum does not fit: the file is damaged.*; put a copy"):
        again()
    shutil.copy(whole.best, files.best)
    files.oof.unlink()
    origin = FoldJob(small(), world.plan, world.folder, 0, tmp_path, on_cpu()).origin
    rows = read_metrics(whole.metrics, origin)
    write_metrics(files.metrics, [row | {"val_loss": 0.1} for row in rows], origin)
    with pytest.raises(KitError, match="has the loss .*, not the 0.100 of its epoch"):
        again()
    earlier = dataclasses.replace(read_checkpoint_info(whole.best), epoch=1)
    save(files.best, load(whole.best), earlier)
    shutil.copy(whole.metrics, files.metrics)
    with pytest.raises(KitError, match="is of epoch 1, and the fold's is of epoch 2; put a copy"):
        again()
    for number, said in ((1, "metrics of 1 of 2 epochs, and no last.pt"), (0, "metrics of 0 of")):
        write_metrics(files.metrics, rows[:number], origin)
        if not number:
            files.metrics.unlink()
        with pytest.raises(KitError, match=said):
            again()
    files.metrics.write_bytes(whole.metrics.read_bytes()[:-9])
    with pytest.raises(KitError, match="metrics.csv: is damaged, .*; put a copy back, or train"):
        again()
