import pytest

from wellposed.errors import UnknownNameError
from wellposed.recipe import preset, presets


def test_a_preset_is_its_text_and_its_first_line_its_title():
    for name, title in presets().items():
        assert preset(name).startswith(f"# {title}\n")


def test_the_presets_that_documents_name_are_there():
    assert {"default", "main", "mnist-lenet"} <= presets().keys()


def test_an_unknown_preset_is_refused():
    with pytest.raises(UnknownNameError, match="no recipe is called 'x'; known are cifar10"):
        preset("x")
