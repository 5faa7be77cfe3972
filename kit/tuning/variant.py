"""What a search leaves: the five lines of a variant recipe, and its run in its place."""

import dataclasses
import shutil
import textwrap
from pathlib import Path

from kit.metrics.metric import MetricName
from kit.scoring.bootstrap import show_interval
from kit.system.disk import atomic_write, refuse_existing
from kit.system.durable import move
from kit.tuning.search import Search
from kit.tuning.show import say_folds
from kit.tuning.space import show_settings
from kit.tuning.study import Study, write_study


def publish(search: Search, study: Study, base: Path, out: Path) -> Study:
    """Write the variant's recipe, and move its run beside the others, if its gain is above chance.

    `base` is the recipe's file. Raises `KitError` where one of both is there already, unless the
    study replaces them.
    """
    confirmed = study.confirmation
    if study.published:
        return study
    if confirmed is not None and confirmed.above_chance:
        text = variant_text(study, search.metric.named, base)
        if not out.exists() or out.read_text(encoding="utf-8") != text:
            with atomic_write(out, study.replaces) as temporary:
                temporary.write_text(text, encoding="utf-8")
        run = search.folder_of(study.trials[confirmed.trial]) / study.name
        place = search.runs / study.name
        if run.exists():  # else it has been moved
            if study.replaces and place.exists():
                shutil.rmtree(place)
            refuse_existing(place)
            move(run, place)
    study = dataclasses.replace(study, published=True)
    write_study(search.folder, study)
    return study


def variant_text(study: Study, metric: MetricName, base: Path) -> str:
    """The recipe of the confirmed trial, as a variant of the file `base`."""
    confirmed = study.confirmation
    if confirmed is None:
        raise ValueError("nothing was confirmed")
    settings = study.trials[confirmed.trial].settings
    before, after = confirmed.scores
    chosen, others = say_folds(study.search_folds), say_folds(study.confirm_folds)
    doc = (
        f"{base.stem} with {show_settings(settings)}: the best of {len(study.trials)} trials on "
        f"{chosen}, where its score flatters it. On {others}, which chose nothing, its "
        f"{metric.title} is {after:.4f}, and {before:.4f} without: gain {confirmed.gain:+.4f}, "
        f"95 % interval {show_interval(confirmed.interval, '+.4f')}."
    )
    fields = [f"name={study.name!r}", *(f"{key}={value!r}" for key, value in settings.items())]
    call = f"replace(load_recipe({str(base)!r}), {', '.join(fields)})".replace("'", '"')
    lines = [f"recipe = {call}"]
    if len(lines[0]) > 100:
        inner = [f"    load_recipe({str(base)!r}),", *(f"    {field}," for field in fields)]
        lines = ["recipe = replace(", *(line.replace("'", '"') for line in inner), ")"]
    return "\n".join(
        [
            *textwrap.wrap(f'"""{doc}', 98),
            '"""',
            "",
            "from dataclasses import replace",
            "",
            "from kit.recipe import load_recipe",
            "",
            *lines,
            "",
        ]
    )
