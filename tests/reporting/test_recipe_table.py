"""The table of recipes."""

from trainings import recipe_file

from kit.recipe import shipped_recipe
from kit.train import main


def test_the_list_of_recipes(capsys, tmp_path, monkeypatch, fails):
    assert main(["--list"]) == 0
    out = capsys.readouterr().out
    for path in shipped_recipe("tiny").parent.glob("*.py"):
        assert path.name in out
    assert "17.6" in out and "GFLOP" in out
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recipes").mkdir()
    assert "holds no recipes" in fails(main, "--list")
    assert "name a recipe" in fails(main)
    recipe_file(tmp_path / "recipes")
    (tmp_path / "recipes" / "broken.py").write_text("recipe = 3")
    assert main(["--list"]) == 0
    captured = capsys.readouterr()
    assert "mine.py" in captured.out and "broken.py" in captured.err
