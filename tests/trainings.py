"""Trainings that tests share: their options, recipes, processes and files."""

import contextlib
import dataclasses
import signal
from collections.abc import Iterator
from pathlib import Path

from helpers import make_data
from PIL import Image

from kit.competitions.mask_labels import SHOTS
from kit.data.plan import Plan
from kit.inference.engine import Compute
from kit.models.checkpoint import load, read_checkpoint_info, save
from kit.recipe import shipped_recipe
from kit.results.probs import Probs, read_probs, write_probs
from kit.results.run import Fold, oof_key, origin_of, read_metrics
from kit.training.job import TrainOptions


def on_cpu(**options: object) -> TrainOptions:
    """Options of a training on the CPU, without loader processes."""
    return TrainOptions(compute=Compute("cpu", 0), **options)


def chosen_otherwise(run: Path, out: Path, plan: Plan, select: str, patience: int) -> Path:
    """A copy of a run of three folds whose checkpoints say that their epochs were chosen
    otherwise.
    """
    for fold in range(plan.k):
        source, files = Fold(run / f"fold{fold}"), Fold(out / f"fold{fold}")
        info = read_checkpoint_info(source.best)
        changed = dataclasses.replace(
            info, epoch=9, select=select, recipe=info.recipe | {"patience": patience}
        )
        save(files.best, load(source.best), changed)
        table = read_probs(source.oof)
        write_probs(
            files.oof,
            Probs(table.ids, table.probs[:, ::-1], oof_key(files.best, plan, fold, "float32")),
        )
    return out


RECIPE = """from dataclasses import replace

from kit.recipe import load_recipe

recipe = replace(load_recipe({tiny!r}), name="{name}", size=(32, 24){more})
"""


def recipe_text(name: str, size: tuple[int, int], epochs: int, lr: float) -> str:
    """The file of a recipe with a tiny network, for photos of any competition."""
    return f"""from kit.recipe import Recipe

recipe = Recipe(
    name="{name}",
    model="test_efficientnet",
    pretrained=False,
    size={size},
    augment=None,
    epochs={epochs},
    batch_size=8,
    lr={lr},
)
"""


FULL = (
    ", epochs=4, label_smoothing=0.1, head='tasks', sampler='sqrt', mix='cutmix', ema=0.9, "
    "accumulate=2, batch_size=4,"
    " clip=1.0, drop_rate=0.2, drop_path_rate=0.1, edges=(30, 58)"
)


def recipe_file(
    folder: Path, name: str = "mine", more: str = ", epochs=2", batch: str = ", batch_size=8"
) -> Path:
    """A recipe file: the tiny one, small and with `more` fields."""
    path = folder / f"{name}.py"
    tiny = str(shipped_recipe("tiny"))
    path.write_text(RECIPE.format(tiny=tiny, name=name, more=batch + more))
    return path


@dataclasses.dataclass(frozen=True)
class Killable:
    """A command that trains, and the folder of the same run without interruptions."""

    command: list[str]
    recipe: Path
    whole: Fold


@contextlib.contextmanager
def ctrl_c_for_children() -> Iterator[None]:
    """Processes started in the block hear SIGINT, even where the tests run in the background, for
    which it is ignored.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def metrics_of(files: Fold) -> list[dict[str, float]]:
    """The metrics of a fold, whose checkpoint says what they are of."""
    info = read_checkpoint_info(files.best)
    return read_metrics(files.metrics, origin_of(info.recipe, info.plan, info.fold))


def without_times(files: Fold) -> list[dict[str, float]]:
    """The metrics of a fold without what it took."""
    return [{k: v for k, v in row.items() if not k.startswith("time")} for row in metrics_of(files)]


def assert_same_run(a: Fold, b: Fold) -> None:
    """The same bytes and metrics, and both are finished."""
    assert a.best.read_bytes() == b.best.read_bytes() and a.oof.read_bytes() == b.oof.read_bytes()
    assert without_times(a) == without_times(b) and not a.last.exists() and not b.last.exists()


def make_coloured(root: Path, people: list[tuple[str, str, int]]) -> Path:
    """A competition folder of photos whose class stands in their colours, which is quickly
    learned.
    """
    make_data(root, people)
    for ident, gender, age in people:
        for shot, mask in SHOTS.items():
            colour = (40 + 80 * mask, 40 + 150 * (gender == "female"), 40 + 80 * (age // 20 - 1))
            photo = root / "train" / "images" / f"{ident}_{gender}_Asian_{age}" / f"{shot}.jpg"
            Image.new("RGB", (96, 128), colour).save(photo)
    return root
