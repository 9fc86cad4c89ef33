from wellposed.recipe import Recipe, preset


def test_a_recipe_is_printed_to_be_copied(cli, tmp_path):
    found = cli("recipe")
    assert found.out == preset("default")
    (tmp_path / "mine.toml").write_text(found.out)
    assert Recipe.read(tmp_path / "mine.toml") == Recipe.read("default")
    assert cli("recipe", "main").out == preset("main")


def test_the_nearest_preset_is_offered(cli):
    found = cli("recipe", "mian")
    assert found.code == 2
    assert "did you mean 'main'" in found.err
