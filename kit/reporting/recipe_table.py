"""The table of recipes, with the cost of their networks."""

from pathlib import Path

from kit.competitions import find_competition
from kit.models.architecture import architecture_of
from kit.models.network import cost
from kit.recipe import load_recipe, shipped_recipe
from kit.system.console import show_table, warn
from kit.system.errors import KitError, problem


def show_recipes() -> None:
    """Print the recipes in `recipes/`, or the kit's own, with the cost of their networks."""
    folder = Path("recipes") if Path("recipes").is_dir() else shipped_recipe("tiny").parent
    rows, competition = [], find_competition()
    for path in sorted(folder.glob("[!_]*.py")):
        try:
            recipe = load_recipe(path)
            architecture = architecture_of(recipe, competition)
            parameters, gflop = cost(architecture)
        except KitError as error:
            warn(str(error))
            continue
        rows.append(
            [
                path,
                recipe.model,
                " x ".join(map(str, architecture.geometry.size)),
                f"{parameters / 1e6:.1f}",
                f"{gflop:.2f}",
                recipe.epochs,
                f"{recipe.batch_size}"
                + (f" x {recipe.accumulate}" if recipe.accumulate > 1 else ""),
                recipe.head,
                recipe.loss,
            ]
        )
    if not rows:
        raise problem(folder, "holds no recipes", remedy="run the command where recipes/ lies")
    show_table(
        "Recipes (M parameters, and GFLOP forward a photo: training takes three times as many)",
        ["recipe", "model", "size", "M", "GFLOP", "epochs", "batch", "head", "loss"],
        rows,
    )
