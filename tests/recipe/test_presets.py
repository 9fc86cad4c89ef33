from pathlib import Path

import pytest

from wellposed.errors import UnknownNameError
from wellposed.recipe import Recipe, preset, presets, resolve
from wellposed.recipe._check import check_all


def test_a_preset_is_its_text_and_its_first_line_its_title():
    for name, title in presets().items():
        assert preset(name).startswith(f"# {title}\n")


def test_the_presets_that_documents_name_are_there():
    named = {"fashion-mnist-fast", "fashion-mnist-input-gradient", "fashion-mnist-robust"}
    assert {"default", "main", "mnist-lenet"} | named <= presets().keys()


def test_an_unknown_preset_is_refused():
    with pytest.raises(UnknownNameError, match="no recipe is called 'x'; known are cifar10"):
        preset("x")


@pytest.mark.parametrize("name", sorted(presets()))
def test_every_preset_names_only_what_there_is(name):
    recipe = Recipe.read(name)
    check_all(recipe)
    assert resolve(recipe).tables()["model"]["name"] == recipe.model.name


@pytest.mark.parametrize(
    "path", sorted(Path(__file__).parents[2].glob("reproductions/*.toml")), ids=lambda p: p.stem
)
def test_every_study_names_only_what_there_is(path):
    check_all(Recipe.read(path))
