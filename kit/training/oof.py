"""The out-of-fold probabilities of a fold's kept checkpoint: written, checked and made again."""

import numpy as np
import pandas as pd

from kit.data.loader import PhotoDataset, batches_of, make_loader
from kit.data.targets import targets
from kit.inference.autotune import prepare
from kit.inference.predict import predict
from kit.inference.views import make_views
from kit.metrics.sums import log_loss
from kit.models.checkpoint import load, read_checkpoint_info
from kit.results.probs import Probs, read_probs, write_probs
from kit.results.run import oof_key, oof_precision
from kit.system.console import warn
from kit.system.errors import KitError, problem
from kit.training.fold_data import limited, valid_batch
from kit.training.history import Row
from kit.training.job import FoldJob

_ROUNDING = 0.05  # allowed in the loss; another device makes far less


def write_oof(job: FoldJob, valid: pd.DataFrame, probs: np.ndarray, precision: str) -> None:
    """Write probabilities (N, C), computed in a precision, as those of the fold's checkpoint.

    `valid` are the N photos of the fold, as rows of the plan.
    """
    ids = valid["image"].to_numpy().astype(np.str_)
    key = oof_key(job.files.best, job.plan, job.fold, precision)
    write_probs(job.files.oof, Probs(ids, probs, key), force=True)


def is_kept(job: FoldJob, row: Row) -> bool:
    """True if the fold's checkpoint is that of an epoch and has its out-of-fold probabilities."""
    files = job.files
    try:
        return (
            files.best.exists()
            and files.oof.exists()
            and read_checkpoint_info(files.best).epoch == row["epoch"]
            and oof_precision(read_probs(files.oof).key, files.best, job.plan, job.fold) is not None
        )
    except KitError:
        return False


def rebuild_oof(job: FoldJob, row: Row) -> None:
    """Make the out-of-fold probabilities of a fold's kept epoch again unless they are its own.

    Raises `KitError` if the checkpoint is not that of the epoch.
    """
    files = job.files
    if is_kept(job, row):
        return
    info = read_checkpoint_info(files.best) if files.best.exists() else None
    if info is None or info.epoch != row["epoch"]:
        what = "is gone" if info is None else f"is of epoch {info.epoch}"
        raise problem(
            files.best,
            f"{what}, and the fold's is of epoch {row['epoch']:.0f}",
            remedy=f"put a copy of that one back, or train the fold again with "
            f"--fold {job.fold} --force",
        )
    warn(f"{files.oof} is gone, damaged or of another checkpoint; making it again")
    valid = limited(job.plan.photos[job.plan.photos["fold"] == job.fold], info.limit)
    loader = make_loader(
        PhotoDataset(
            job.data.train_images,
            valid["image"].tolist(),
            [info.geometry],
            read=job.competition.read,
        ),
        batches_of(len(valid), valid_batch(info.recipe["batch_size"])),
        job.workers,
        job.device,
    )
    network = prepare(load(files.best, job.device), job.device)
    probs = predict([network], loader, make_views("none"), job.device)[0][0, 0]
    saved, loss = row["val_loss"], log_loss(targets(valid, job.competition), probs)
    if abs(loss - saved) > _ROUNDING:
        raise problem(
            files.best,
            f"has the loss {loss:.3f}, not the {saved:.3f} of its epoch: it is of another training",
            remedy=f"put a copy of the right one back, or train the fold again with "
            f"--fold {job.fold} --force",
        )
    write_oof(job, valid, probs, network.mode.name)
