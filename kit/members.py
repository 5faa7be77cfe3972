"""The members of an ensemble, runs and other teams' probability files, and their probabilities, joined by id."""

import contextlib
import dataclasses
import functools
import json
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from kit.console import Progress, warn
from kit.data import content_hash, eval_images, train_images
from kit.errors import KitError, nearest, problem
from kit.labels import NUM_CLASSES
from kit.pixels import Cache, Geometry, Photos, batches_of, cached, default_workers, make_loader
from kit.profile import stage
from kit.tables import (Fold, Plan, Probs, file_hash, oof_precision, read_foreign_probs, read_metrics, read_probs, text_hash,
                        write_probs)
from kit.versions import inference_versions, warn_versions

if TYPE_CHECKING:
    import torch

    from kit.blend import Rule
    from kit.checkpoint import Card
    from kit.fast import Ready, Way

PROBABILITY_FILES: Final = (".npz", ".csv")
FOLD_FOLDER: Final = re.compile(r"fold\d+")  # a fold's folder in a run
BATCH_SIZE: Final = 32


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint: its file, what it says of itself, and the SHA-256 of its bytes."""

    path: Path
    card: "Card"
    hash: str


@dataclass(frozen=True)
class Member:
    """What counts as one in a blend: a run with the checkpoints of its folds, or a file of probabilities.

    A file has its hash, and its rows as `test` and `oof`: those of the photos to predict, and of the training photos.
    """

    name: str
    checkpoints: tuple[Checkpoint, ...] = ()
    files: tuple[Path, ...] = ()
    test: Probs | None = None
    oof: Probs | None = None


@dataclass(frozen=True)
class Engine:
    """Where and how networks run: the device's name (None: the first GPU, else the CPU), loader processes, batch size.

    Each architecture runs in the way that is in `ways`, or in the fastest one, by measurement; with `exact`, in fp32. With
    `fresh` no probabilities that were kept are read.
    """

    device: str | None = None
    workers: int | None = None
    batch_size: int | None = None
    exact: bool = False
    fresh: bool = False
    ways: Mapping[str, "Way"] = dataclasses.field(default_factory=dict)

    def way(self, card: "Card", device: "torch.device") -> "Way":
        """How the network of a checkpoint runs."""
        from kit.fast import exact_way, measured_way
        if self.exact:
            way = exact_way(device)
        elif way_name(card) in self.ways:
            way = self.ways[way_name(card)]
        else:
            way = measured_way(card.model, card.geometry, card.head, card.cosine, device)
        return dataclasses.replace(way, photos=min(way.photos, self.batch_size or way.photos))

    def loader(self, photos: Photos, device: "torch.device", at_once: int = 0, few: bool = False) -> Any:
        """A loader that gives every photo once, in order, in batches of at least those that go through a network at once.

        For a `few` photos no processes are started.
        """
        workers = 0 if few else default_workers(device.type) if self.workers is None else self.workers
        return make_loader(photos, batches_of(len(photos), self.batch_size or max(BATCH_SIZE, at_once)), workers, device)


def way_name(card: "Card") -> str:
    """An architecture at a size, whose networks all run in one way."""
    return f"{card.model} {card.size[0]} x {card.size[1]}"


def ways_of(members: Sequence[Member], engine: Engine) -> dict[str, "Way"]:
    """The way in which each architecture among members runs."""
    from kit.device import choose_device
    device = choose_device(engine.device)
    return {way_name(c.card): engine.way(c.card, device) for member in members for c in member.checkpoints}


# ---------------------------------------------------------------- finding them

def only_files(paths: Sequence[Path]) -> bool:
    """True if paths name files of probabilities alone, for which no photo is needed."""
    return all(path.suffix in PROBABILITY_FILES and not path.is_dir() for path in paths)


def find_members(paths: Sequence[Path], plan: Plan | None, ids: Sequence[str], allow_missing: bool = False) -> list[Member]:
    """The members that paths name, in order: folders of runs, of single folds, checkpoints, and probability files.

    Single folds of one run are one member. `ids` are the photos to predict, which a file must have, all and only. Without a
    plan there can be files alone, whose out-of-fold probabilities are not read. Raises `KitError` for a folder without a
    checkpoint, one of another plan, one named twice, and, unless allowed, a run without a checkpoint for each fold.
    """
    runs: dict[tuple[Path, str, int], list[Checkpoint]] = {}
    files: dict[Path, Member] = {}
    order: list[tuple[Path, str, int] | Path] = []
    for path in paths:
        if only_files([path]):
            if path.resolve() in files:
                raise problem(path, "the same file twice", remedy="name each member once")
            if any(oof_beside(other).resolve() == path.resolve() for other in paths):
                continue  # a glob has taken it with its own
            beside = oof_beside(path)
            files[path.resolve()] = read_member_file(path, plan, ids, beside if beside.exists() else None)
            order.append(path.resolve())
            continue
        if plan is None:
            raise problem(path, "needs the fold plan it was trained on", remedy="name it with --plan")
        for (place, recipe), checkpoint in _find_checkpoints(path, plan, allow_missing):
            # A second checkpoint of a fold is of a second member.
            own = [c for key, run in runs.items() if key[:2] == (place, recipe) for c in run]
            number = sum(c.card.fold == checkpoint.card.fold for c in own)
            runs.setdefault((place, recipe, number), []).append(checkpoint)
            order.append((place, recipe, number))
    found = [checkpoint for run in runs.values() for checkpoint in run]
    repeated = [str(c.path) for i, c in enumerate(found) if c.hash in {other.hash for other in found[:i]}]
    if repeated:
        raise problem(repeated[0], "the same checkpoint twice", repeated, "name each run once")
    members = [files[key] if isinstance(key, Path) else Member(key[1] or key[0].name, tuple(runs[key]))
               for key in dict.fromkeys(order)]
    for member in members:
        if len({json.dumps(c.card.recipe, sort_keys=True) for c in member.checkpoints}) > 1:
            warn(f"{member.name}: its folds were trained by different recipes")
        _warn_versions(member)
    return members


def _warn_versions(member: Member) -> None:
    """Warn once of each set of other versions that a member's checkpoints were trained with."""
    for theirs in {json.dumps(c.card.versions, sort_keys=True) for c in member.checkpoints}:
        warn_versions(member.name, json.loads(theirs))


def _find_checkpoints(path: Path, plan: Plan, allow_missing: bool) -> Iterable[tuple[tuple[Path, str], Checkpoint]]:
    """The checkpoints of a path, each with the folder and, for a bare file, the recipe's name, that make it one's run."""
    from kit.checkpoint import read_card
    of_fold = path.name == "best.safetensors" and FOLD_FOLDER.fullmatch(path.resolve().parent.name)
    if path.suffix == ".safetensors" and path.is_file() and not of_fold:
        card = read_card(path)
        _check_card(path, card, plan)
        return [((path.resolve().parent, card.recipe["name"]), Checkpoint(path, card, file_hash(path)))]
    run = path.parent if of_fold else path
    single = (run / "best.safetensors").exists()
    folders = [run] if single else [run / f"fold{k}" for k in range(plan.k)]
    there = [folder for folder in folders if (folder / "best.safetensors").exists()]
    if not there:
        loose = sorted(run.glob("*.safetensors")) if run.is_dir() else []
        raise problem(run, "holds no checkpoint" if run.is_dir() else f"there is no such run{near(run)}",
                      remedy=f"name the files in it, such as {loose[0]}" if loose
                      else "train it with python -m kit.train RECIPE --fold all")
    missing = [folder.name for folder in folders if folder not in there]
    if missing and not allow_missing:
        raise problem(run, "folds without a checkpoint", missing, "train them with python -m kit.train RECIPE --fold "
                      f"{','.join(name[4:] for name in missing)}, or --allow-missing-folds")
    found = []
    for folder in there:
        files = Fold(folder)
        card = read_card(files.best)
        _check_card(files.best, card, plan)
        if not single and folder.name != f"fold{card.fold}":
            raise problem(files.best, f"is the checkpoint of fold {card.fold}", remedy="move it to its own folder")
        epochs = len(read_metrics(files.metrics))
        whole = epochs >= card.recipe["epochs"] or card.recipe["patience"] or not files.metrics.exists()  # a soup has none
        if files.last.exists() or not whole:
            warn(f"{folder}: training is not finished ({epochs} of {card.recipe['epochs']} epochs)")
        key = (run.resolve().parent if single and FOLD_FOLDER.fullmatch(run.resolve().name) else run.resolve(), "")
        found.append((key, Checkpoint(files.best, card, file_hash(files.best))))
    return found


def read_members(name: str, files: Sequence[Path], plan: Plan | None, ids: Sequence[str]) -> Member:
    """The member that a record names by its files: checkpoints, or a file of probabilities first."""
    from kit.checkpoint import read_card
    if files[0].suffix in PROBABILITY_FILES:
        return dataclasses.replace(read_member_file(files[0], plan, ids, *files[1:2]), name=name)
    checkpoints = tuple(Checkpoint(path, read_card(path), file_hash(path)) for path in files)
    for checkpoint in checkpoints:
        _check_card(checkpoint.path, checkpoint.card, plan)
    member = Member(name, checkpoints)
    _warn_versions(member)
    return member


def _check_card(path: Path, card: "Card", plan: Plan | None) -> None:
    if plan is None:
        raise problem(path, "needs the fold plan it was trained on", remedy="name it with --plan")
    if card.plan != plan.hash:
        raise problem(path, "was trained on another fold plan", remedy="name its plan with --plan, or train it again on this one")
    if card.limit:
        raise problem(path, f"is of a trial on {card.limit} photos", remedy="train the recipe without --limit")


def near(path: Path) -> str:
    """The name beside a path that is not there which was most likely meant, for a message."""
    try:
        return nearest(str(path), [str(path.parent / other.name) for other in path.parent.iterdir()])
    except OSError:
        return ""


def oof_beside(path: Path) -> Path:
    """Where a probability file's out-of-fold ones lie, if they are not in it: `<stem>.oof.<suffix>`."""
    return path.with_name(f"{path.stem}.oof{path.suffix}")


def read_member_file(path: Path, plan: Plan | None, ids: Sequence[str], beside: Path | None = None) -> Member:
    """A member of another team's probabilities: `path`, and the out-of-fold ones in it or in the file `beside`.

    Without a plan, which tells training photos, only the photos to predict are taken. Raises `KitError` where ids are missing, or
    are neither to be predicted nor training photos.
    """
    if not path.exists():
        raise problem(path, "there is no such file" + near(path), remedy="name a run's folder, or a file of probabilities")
    files = (path, beside) if beside and plan is not None else (path,)
    tables = [read_foreign_probs(file) for file in files]
    train = set(plan.photos["image"]) if plan is not None else set()
    known = train.union(ids)
    for file, table in zip(files, tables):
        extra = [i for i in table.ids.tolist() if i not in known and plan is not None]
        if extra:
            raise problem(file, "has ids that are neither to be predicted nor training photos", extra,
                          "training photos are called as in the plan, PERSON/mask1.jpg")
    both = Probs(np.concatenate([t.ids for t in tables]), np.concatenate([t.probs for t in tables]))
    if len(np.unique(both.ids)) < len(both.ids):
        raise problem(files[-1], f"has ids that {path.name} has, too", remedy="keep each in one of the two")
    test = np.isin(both.ids, list(ids))
    oof = Probs(both.ids[~test], both.probs[~test]) if plan is not None and not test.all() else None
    for what, wanted, there in (("photos to predict", ids, both.ids[test]), ("training photos", sorted(train), both.ids[~test])):
        missing = sorted(set(wanted) - set(there.tolist()))
        if missing and (what == "photos to predict" or oof is not None):
            raise problem(path if what == "photos to predict" else files[-1], f"lacks {what}", missing,
                          "every one of them needs a row")
    return Member(path.stem, (), files, Probs(both.ids[test], both.probs[test]), oof)


def named_apart(members: Sequence[Member]) -> list[str]:
    """The members' names, by their places where two have the same."""
    def place(member: Member) -> str:
        if member.files:
            return str(member.files[0])
        first = member.checkpoints[0].path
        return str(first.parent.parent if first.name == "best.safetensors" else first)
    names = [member.name for member in members]
    return [place(m) if names.count(name) > 1 else name for name, m in zip(names, members)]


# ---------------------------------------------------------------- probabilities

@contextlib.contextmanager
def _enough_memory(engine: Engine, device: "torch.device") -> Iterator[None]:
    from kit.device import out_of_memory
    try:
        yield
    except RuntimeError as error:
        if not out_of_memory(error):
            raise
        size = f"{engine.batch_size} photos a batch" if engine.batch_size else "a batch of photos"
        raise KitError(f"the memory of {device} is too small for {size}; take a smaller --batch-size, or another "
                       "--device") from error


def _key(checkpoint: Checkpoint, photos: str, view: str, engine: Engine, device: "torch.device") -> str:
    card = checkpoint.card
    return json.dumps({"checkpoint": checkpoint.hash, "photos": photos, "crop": card.crop, "size": card.size, "view": view,
                       "precision": engine.way(card, device).name, "versions": inference_versions()})


def _place(checkpoint: Checkpoint, prefix: str, key: str) -> Path:
    return checkpoint.path.parent / f"{prefix}-{text_hash(key)[:16]}.npz"


def _keep(tables: Iterable[tuple[Checkpoint, Probs]], prefix: str) -> None:
    """Keep probabilities beside their checkpoints; where that cannot be, the next ensemble computes them again."""
    failed = []
    for checkpoint, table in tables:
        try:
            write_probs(_place(checkpoint, prefix, table.key), table, force=True)
            if prefix == "probs":
                _place(checkpoint, "part", table.key).unlink(missing_ok=True)
        except KitError as error:
            failed.append(str(error).partition(";")[0])
    if failed:
        warn(f"probabilities are not kept ({len(failed)} files): {failed[0]}")


def _kept(checkpoint: Checkpoint, prefix: str, key: str, ids: Sequence[str], engine: Engine, whole: bool = True) -> Probs | None:
    """Probabilities that were kept, of all the photos `ids`, or if need not be `whole`, of some of them."""
    path = _place(checkpoint, prefix, key)
    if engine.fresh or not path.exists():
        return None
    try:
        kept = read_probs(path)
    except KitError as error:
        warn(f"computed again: {error}")
        return None
    return kept if kept.key == key and (set(kept.ids) == set(ids) if whole else set(kept.ids) <= set(ids)) else None


def predict_passes(checkpoints: Sequence[Checkpoint], root: Path, ids: Sequence[str], tta: str, engine: Engine,
                   force_views: bool = False, prefix: str = "probs", known: Callable[[Checkpoint], Probs | None] | None = None,
                   ) -> tuple[dict[tuple[int, str], Probs], int]:
    """The probabilities of each checkpoint (by its number) and view for photos, and how many passes a network computed.

    What was kept from before beside the checkpoints, as `<prefix>-*.npz`, is read; photos are decoded once for all that is
    missing. `known` gives a checkpoint's plain view where that is known.
    """
    from kit.device import choose_device
    from kit.predict import predict
    from kit.views import make_views
    views, device = make_views(tta, force_views), choose_device(engine.device)
    photos = content_hash(root, ids)
    found: dict[tuple[int, str], Probs] = {}
    for c, checkpoint in enumerate(checkpoints):
        for view in views:
            key = _key(checkpoint, photos, view, engine, device)
            kept = (known(checkpoint) if known and view == "plain" else None) or _kept(checkpoint, prefix, key, ids, engine)
            if kept is not None:
                found[c, view] = kept
    lacking = {view: [c for c in range(len(checkpoints)) if (c, view) not in found] for view in views}
    absent = sorted({c for cs in lacking.values() for c in cs})
    if not absent:
        return found, 0
    # Every missing view of every checkpoint that lacks one: a pass too many where only some lack a view, and one decode.
    todo = {view: transform for view, transform in views.items() if lacking[view]}
    groups = _groups([checkpoints[c] for c in absent], engine, device)
    caches = Caches(root, ids, prefix)
    with Progress(f"{len(absent)} checkpoints x {len(todo)} views", len(ids) * len(groups)) as progress, \
            _enough_memory(engine, device), contextlib.closing(caches):
        for group in groups:
            own = [absent[g] for g in group]
            geometries = list(dict.fromkeys(checkpoints[c].card.geometry for c in own))
            cache = caches.of(checkpoints[own[0]]) if len(groups) > 1 else None
            loader = engine.loader(Photos(root, ids, geometries, cache=cache), device,
                                   max(engine.way(checkpoints[c].card, device).photos for c in own))
            probs, seconds = predict((_load(checkpoints[c], engine, device) for c in own), loader, todo, device, progress)
            for n, c in enumerate(own):
                for v, view in enumerate(todo):
                    found[c, view] = Probs(np.array(ids, dtype=np.str_), probs[n, v],
                                           _key(checkpoints[c], photos, view, engine, device), float(seconds[v]) / len(own))
            # Group by group, so that what is stopped has not run for nothing.
            with stage("write"):
                _keep(((checkpoints[c], found[c, view]) for c in own for view in todo), prefix)
    return found, len(absent) * len(todo)


def _load(checkpoint: Checkpoint, engine: Engine, device: "torch.device") -> "Ready":
    """The network of a checkpoint, ready to run."""
    from kit.checkpoint import load
    from kit.fast import Ready
    with stage("load"):
        return Ready(load(checkpoint.path, device), engine.way(checkpoint.card, device))


def _bytes(checkpoint: Checkpoint, engine: Engine, device: "torch.device") -> int:
    """What a network's weights take in memory: one in 16 bits holds those of fp32 as well, and in mixed precision twice."""
    return checkpoint.card.parameters * (4 if engine.way(checkpoint.card, device).precision.itemsize == 4 else 8)


def _groups(checkpoints: Sequence[Checkpoint], engine: Engine, device: "torch.device") -> list[list[int]]:
    """The checkpoints, by number, whose networks are in memory together: all of them, if half of it is enough.

    If not, as many of one geometry as it holds, so that a pixel cache serves each group.
    """
    from kit.device import free_memory
    room, need = free_memory(device) // 2, [_bytes(checkpoint, engine, device) for checkpoint in checkpoints]
    if sum(need) <= room:
        return [list(range(len(checkpoints)))]
    groups: list[list[int]] = []
    for geometry in dict.fromkeys(checkpoint.card.geometry for checkpoint in checkpoints):
        groups.append([])
        for c in [c for c, checkpoint in enumerate(checkpoints) if checkpoint.card.geometry == geometry]:
            if groups[-1] and sum(need[other] for other in groups[-1]) + need[c] > room:
                groups.append([])
            groups[-1].append(c)
    return groups


class Caches:
    """Pixel caches of photos, one a geometry, made when asked for: beside the runs, or for the time of this object."""

    def __init__(self, root: Path, ids: Sequence[str], prefix: str) -> None:
        self.root, self.ids, self.name = root, list(ids), {"probs": "eval"}.get(prefix, prefix)
        self._caches: dict[Geometry, Cache | None] = {}
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def of(self, checkpoint: Checkpoint, build: bool = True) -> Cache | None:
        """The cache that a checkpoint's network sees; None where no disk has room, or it is not there and not to be built."""
        geometry = checkpoint.card.geometry
        if geometry not in self._caches:
            folder = checkpoint.path.resolve().parent  # of a fold in a run among runs, or of a file that lies anywhere
            if FOLD_FOLDER.fullmatch(folder.name) and len(folder.parents) > 3:
                place = folder.parents[1] / "pixels" / self.name
            else:
                self._folder = self._folder or tempfile.TemporaryDirectory(prefix="kit-pixels-")
                place = Path(self._folder.name)
            self._caches[geometry] = cached(place, self.root, self.ids, geometry, build)
        return self._caches[geometry]

    def close(self) -> None:
        """Remove what lay in no run."""
        if self._folder is not None:
            self._folder.cleanup()


def read_oof(checkpoint: Checkpoint, plan: Plan, exact: bool = False) -> Probs | None:
    """The out-of-fold probabilities beside a run's checkpoint, for exactly its fold's photos.

    None for a bare checkpoint, and where they are to be `exact` and did not run in fp32. Raises `KitError` for stale ones.
    """
    fold, path = checkpoint.card.fold, Fold(checkpoint.path.parent).oof
    if checkpoint.path.name != "best.safetensors" or not (path.exists() or FOLD_FOLDER.fullmatch(path.parent.resolve().name)):
        return None
    remedy = (f"python -m kit.train RECIPE --fold {fold} makes it again" if Fold(checkpoint.path.parent).metrics.exists()
              else "make the soup again, with --force")
    if not path.exists():
        raise problem(path, "is not there", remedy=remedy)
    oof = read_probs(path)
    precision = oof_precision(oof.key, checkpoint.path, plan, fold)
    if precision is None or set(oof.ids) != set(fold_ids(plan, fold)):
        raise problem(path, "belongs to another checkpoint than the one beside it", remedy=remedy)
    return None if exact and precision != "float32" else oof


def fold_ids(plan: Plan, fold: int) -> list[str]:
    """The photos of a fold."""
    return plan.photos.loc[plan.photos["fold"] == fold, "image"].tolist()


def mean_of(tables: Sequence[np.ndarray]) -> np.ndarray:
    """The mean of equal arrays, without a copy of them all."""
    total = tables[0].copy()
    for table in tables[1:]:
        total += table
    return total / len(tables) if len(tables) > 1 else tables[0]


@dataclass(frozen=True)
class Oof:
    """Members' out-of-fold probabilities for the photos that all of them have.

    `views` gives each view's (M, N, 18) float32; `photos` are the N rows of the plan, in its order.
    """

    views: dict[str, np.ndarray]
    photos: pd.DataFrame

    @functools.cached_property
    def probs(self) -> np.ndarray:
        """The mean over the views, (M, N, 18)."""
        return mean_of(list(self.views.values()))

    def without(self, members: Sequence[int]) -> "Oof":
        """The same without some members."""
        if not members:
            return self
        kept = [m for m in range(len(self.views["plain"])) if m not in members]
        return Oof({view: probs[kept] for view, probs in self.views.items()}, self.photos)


def oof_probs(members: Sequence[Member], plan: Plan, data: Path, tta: str, engine: Engine, force_views: bool = False) -> Oof:
    """The members' out-of-fold probabilities: each training photo by the checkpoint that has not seen its person, and views.

    A file's rows are the same for every view. Raises `KitError` where a member has none, or all have no photo in common.
    """
    from kit.views import make_views
    views = list(make_views(tta, force_views))
    tables: list[dict[str, list[Probs]]] = [{view: [] for view in views} for _ in members]
    for m, member in enumerate(members):
        if member.files and member.oof is None:
            raise problem(member.files[0], "has no out-of-fold probabilities, so that the ensemble has no score",
                          remedy=f"put them into {member.files[0].stem}.oof{member.files[0].suffix} beside it, or --no-score")
        for view in views if member.oof is not None else ():
            tables[m][view].append(member.oof)  # type: ignore[arg-type]
    for fold in range(plan.k):
        of = [(m, c) for m, member in enumerate(members) for c in member.checkpoints if c.card.fold == fold]
        if not of:
            continue
        known = [read_oof(c, plan, engine.exact) for _, c in of] if tta == "none" else []
        if known and None not in known:
            for (m, _), table in zip(of, known):
                tables[m]["plain"].append(table)  # type: ignore[arg-type]
            continue
        found, _ = predict_passes([c for _, c in of], train_images(data), fold_ids(plan, fold), tta, engine, force_views, "oof",
                                  lambda c: read_oof(c, plan, engine.exact))
        for n, (m, _) in enumerate(of):
            for view in views:
                tables[m][view].append(found[n, view])
    of_member = [{i for table in own["plain"] for i in table.ids.tolist()} for own in tables]
    photos = plan.photos[plan.photos["image"].isin(set.intersection(*of_member))].reset_index(drop=True)
    if photos.empty:
        raise KitError("the members' folds have no photo in common, so that their ensemble has no out-of-fold score; name whole "
                       "runs, or --no-score")
    if len(photos) < max(map(len, of_member)):
        least = int(np.argmin([len(there) for there in of_member]))
        warn(f"the score, and whatever is fitted, is of {len(photos):,} of {len(plan.photos):,} training photos: "
             f"{named_apart(members)[least]} has no more")
    images = photos["image"].tolist()
    stacks = {view: np.empty((len(members), len(images), NUM_CLASSES), np.float32) for view in views}
    for view, stack in stacks.items():
        for target, own in zip(stack, tables):
            parts = own.pop(view)  # one copy at a time: a hundred members are large
            target[:] = Probs(np.concatenate([t.ids for t in parts]), np.concatenate([t.probs for t in parts])).at(images)
    return Oof(stacks, photos)


class Passes:
    """The passes of an ensemble over photos: each a checkpoint with one view, or a file; run when asked, for the photos asked.

    `owners` (passes,) are the members; `probs` (passes, N, 18) float32 holds what has been asked, nothing is computed twice;
    `known` (passes,) are those that need no network. `computed` counts the photos that went through one. Photos come from a
    pixel cache, which is made unless only `few` will be asked for; else they are decoded each time. What was computed is kept
    beside the checkpoints, `probs-*.npz` of all photos at once, and `part-*.npz` of some by `close`.
    """

    def __init__(self, members: Sequence[Member], data: Path, ids: Sequence[str], tta: str, engine: Engine,
                 force_views: bool = False, few: bool = False) -> None:
        from kit.device import choose_device
        from kit.views import make_views
        self.views, self.device = make_views(tta, force_views), choose_device(engine.device)
        self.root, self.ids, self.engine = eval_images(data), list(ids), engine
        self.sources: list[tuple[int, Checkpoint | Probs, str]] = []
        for view in self.views:  # the plain view of all first: the others change less
            for m, member in enumerate(members):
                self.sources += [(m, checkpoint, view) for checkpoint in member.checkpoints]
                if member.test is not None and view == "plain":
                    self.sources.append((m, member.test, view))
        self.owners = np.array([m for m, _, _ in self.sources])
        self.probs = np.full((len(self.sources), len(self.ids), NUM_CLASSES), np.nan, np.float32)
        self.computed, self._photos = 0, content_hash(self.root, self.ids)
        self.known = np.zeros(len(self.sources), bool)
        self._caches, self._few = Caches(self.root, self.ids, "probs"), few
        self._networks: dict[str, Ready] = {}
        self._seconds, self._new = np.zeros(len(self.sources)), set[int]()
        for p, (_, source, _) in enumerate(self.sources):
            if isinstance(source, Probs):
                self.probs[p] = source.at(self.ids)
                self.known[p] = True
                continue
            kept = _kept(source, "probs", self._key(p), self.ids, engine)
            self.known[p] = kept is not None
            kept = kept or _kept(source, "part", self._key(p), self.ids, engine, whole=False)
            if kept is not None:
                self.probs[p, pd.Index(self.ids).get_indexer(pd.Index(kept.ids))] = kept.probs

    def weights(self, rule: "Rule") -> np.ndarray:
        """The weight of each pass, (passes,), where a member's passes share its own."""
        return rule.weights[self.owners] / np.bincount(self.owners)[self.owners]

    def ask(self, p: int, rows: np.ndarray, progress: Progress | None = None) -> np.ndarray:
        """The probabilities of pass `p` for the photos `rows`: (len(rows), 18)."""
        lacking = rows[np.isnan(self.probs[p, rows, 0])]
        if len(lacking):
            self._run([p], lacking, progress)
        if progress is not None:
            progress.advance(len(rows) - len(lacking))
        return self.probs[p, rows]

    def ask_all(self, rows: np.ndarray) -> np.ndarray:
        """The probabilities of all passes for the photos `rows`, which are decoded once: (passes, len(rows), 18)."""
        unknown = np.isnan(self.probs[:, rows, 0])
        lacking, wanted = np.flatnonzero(unknown.any(axis=1)).tolist(), rows[unknown.any(axis=0)]
        checkpoints = {source.hash: source for p in lacking for source in [self._checkpoint(p)]}
        for group in _groups(list(checkpoints.values()), self.engine, self.device) if lacking else ():
            hashes = {list(checkpoints)[g] for g in group}
            self._run([p for p in lacking if self._checkpoint(p).hash in hashes], wanted, None)
        return self.probs[:, rows]

    def close(self) -> None:
        """Keep what was computed, and let go of networks and photos."""
        for p in sorted(self._new):
            self._keep(p)
        self._networks.clear()
        self._caches.close()

    def _checkpoint(self, p: int) -> Checkpoint:
        source = self.sources[p][1]
        assert isinstance(source, Checkpoint)
        return source

    def _key(self, p: int) -> str:
        return _key(self._checkpoint(p), self._photos, self.sources[p][2], self.engine, self.device)

    def _keep(self, p: int) -> None:
        """Keep what is known of a pass."""
        rows, checkpoint, key = ~np.isnan(self.probs[p, :, 0]), self._checkpoint(p), self._key(p)
        table = Probs(np.array(self.ids, dtype=np.str_)[rows], self.probs[p, rows], key, float(self._seconds[p]))
        with stage("write"):
            _keep([(checkpoint, table)], "probs" if rows.all() else "part")
        self._new.discard(p)

    def _network(self, checkpoint: Checkpoint) -> "Ready":
        """The network of a checkpoint, which stays for its other views as long as there is memory."""
        from kit.device import free_memory
        if checkpoint.hash not in self._networks:
            if self._networks and 2 * _bytes(checkpoint, self.engine, self.device) > free_memory(self.device) // 2:
                self._networks.clear()
            self._networks[checkpoint.hash] = _load(checkpoint, self.engine, self.device)
        return self._networks[checkpoint.hash]

    def _run(self, passes: Sequence[int], rows: np.ndarray, progress: Progress | None) -> None:
        """Run passes, each checkpoint among them with each view among them, on the photos `rows`."""
        from kit.predict import predict
        checkpoints = list({c.hash: c for c in map(self._checkpoint, passes)}.values())
        hashes = [checkpoint.hash for checkpoint in checkpoints]
        views = {view: self.views[view] for view in dict.fromkeys(self.sources[p][2] for p in passes)}
        geometries = list(dict.fromkeys(c.card.geometry for c in checkpoints))
        cache = self._caches.of(checkpoints[0], not self._few) if len(geometries) == 1 else None
        photos = Photos(self.root, [self.ids[i] for i in rows], geometries, cache=cache)
        with _enough_memory(self.engine, self.device):
            networks = [self._network(checkpoint) for checkpoint in checkpoints]
            loader = self.engine.loader(photos, self.device, max(network.way.photos for network in networks), self._few)
            probs, seconds = predict(networks, loader, views, self.device, progress)
        for p in passes:
            c, v = hashes.index(self._checkpoint(p).hash), list(views).index(self.sources[p][2])
            self.probs[p, rows] = probs[c, v]
            self._seconds[p] += seconds[v] / len(checkpoints)
            self.computed += len(rows)
            self._new.add(p)
            if len(rows) == len(self.ids):
                self._keep(p)
