"""What a search leaves: a recipe that loads and a run in its place, or neither of them."""

import dataclasses

import pytest
from helpers import small
from trainings import on_cpu, recipe_file

from kit.recipe import load_recipe
from kit.scale.job import Place, run_here
from kit.system.errors import KitError
from kit.tuning.search import Search
from kit.tuning.space import read_space
from kit.tuning.study import DONE, Confirmation, Study, Trial, read_study, write_study
from kit.tuning.variant import publish, variant_text

CONFIRMED = Confirmation(
    1, (0.5, 0.625), 0.125, (0.0625, 0.25), 60.0, 0.01, (0.1, 0.15), (0.01, 0.3)
)
MANY = {
    "lr": 0.02,
    "drop_rate": 0,
    "optimizer": "sgd",
    "weight_decay": None,
    "pretrained": False,
    "label_smoothing": 0.125,
}


def study(settings, **changes):
    fields = {
        "name": "small_tuned",
        "recipe": {"name": "small"},
        "plan": "",
        "metric": "f1_macro",
        "space": (),
        "search_folds": (0,),
        "confirm_folds": (1, 2),
        "number": 2,
        "round": 1,
        "seed": 0,
        "prune": True,
        "trials": (Trial(0, {}, DONE, 0.5), Trial(1, settings, DONE, 0.75)),
        "confirmation": CONFIRMED,
    }
    return Study(**fields | changes)


@pytest.fixture
def search(world, tmp_path):
    space = read_space(["lr=1e-4..1e-1"], small(), world.plan.competition)
    runs = tmp_path / "runs"
    made = Search(runs / "tune", space, world.plan, world.folder, runs, on_cpu(), Place(run_here))
    trained = runs / "tune" / "t001" / "small_tuned" / "fold1"
    trained.mkdir(parents=True)
    (trained / "best.safetensors").touch()
    return made


@pytest.mark.parametrize("settings", [{"lr": 0.02}, MANY])
def test_a_variant_loads_as_the_recipe_that_was_trained(search, tmp_path, settings):
    base = recipe_file(tmp_path, "small")
    path = tmp_path / "small_tuned.py"
    path.write_text(variant_text(study(settings), search.metric.named, base))
    assert load_recipe(path).describe() == search.space.variant("small_tuned", settings).describe()
    text = path.read_text()
    assert max(map(len, text.splitlines())) <= 100 + len(str(base))
    assert "the best of 2 trials on fold 0" in text and "+0.0625 +0.2500" in text.replace("\n", " ")


def test_what_is_above_chance_is_written_and_its_run_moved_once(search, tmp_path):
    base, out = recipe_file(tmp_path, "small"), tmp_path / "small_tuned.py"
    published = publish(search, study({"lr": 0.02}), base, out)
    assert load_recipe(out).lr == 0.02 and published.published
    assert read_study(search.folder) == published
    assert (search.runs / "small_tuned" / "fold1" / "best.safetensors").exists()
    assert not (search.folder / "t001" / "small_tuned").exists()
    out.unlink()  # it is the person's now
    assert publish(search, published, base, out) == published and not out.exists()


def test_a_stop_between_the_two_is_made_good(search, tmp_path):
    base, out = recipe_file(tmp_path, "small"), tmp_path / "small_tuned.py"
    first = study({"lr": 0.02})
    publish(search, first, base, out)
    write_study(search.folder, first)  # as if it had been killed before the record was written
    assert publish(search, read_study(search.folder), base, out).published


def test_what_is_not_above_chance_leaves_no_recipe(search, tmp_path):
    base, out = recipe_file(tmp_path, "small"), tmp_path / "small_tuned.py"
    for confirmed in (None, dataclasses.replace(CONFIRMED, folds_interval=None)):
        assert publish(search, study({"lr": 0.02}, confirmation=confirmed), base, out).published
        assert not out.exists() and not (search.runs / "small_tuned").exists()


def test_what_is_there_already_is_replaced_only_by_force(search, tmp_path):
    base, out = recipe_file(tmp_path, "small"), tmp_path / "small_tuned.py"
    (search.runs / "small_tuned" / "mine").mkdir(parents=True)
    with pytest.raises(KitError, match="runs/small_tuned: exists already"):
        publish(search, study({"lr": 0.02}), base, out)
    out.write_text("mine\n")
    with pytest.raises(KitError, match="small_tuned.py: exists already"):
        publish(search, study({"lr": 0.02}), base, out)
    publish(search, study({"lr": 0.02}, replaces=True), base, out)
    assert load_recipe(out).lr == 0.02
    assert [path.name for path in (search.runs / "small_tuned").iterdir()] == ["fold1"]
