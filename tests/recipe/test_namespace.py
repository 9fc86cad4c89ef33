import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellposed import recipe
from wellposed.errors import WellposedError
from wellposed.recipe import Recipe, check, preset


def test_what_needs_torch_is_named_and_found():
    assert {"Recipe", "build", "restore", "registry"} <= set(dir(recipe))
    assert all(getattr(recipe, name) for name in dir(recipe))


def test_what_is_not_there_is_said():
    with pytest.raises(AttributeError, match="has no attribute 'bild'"):
        _ = recipe.bild


TEXT = preset("default")


@given(
    st.integers(0, len(TEXT)),
    st.integers(0, 40),
    st.text("abcxyz=[]{}\"'\n.# 01-_\0\\é", max_size=12),
)
def test_a_damaged_recipe_is_read_or_refused_with_one_sentence(begin, length, new):
    fault = ""
    try:
        check(Recipe.parse(TEXT[:begin] + new + TEXT[begin + length :], "r.toml"))
    except WellposedError as error:
        fault = str(error)
    assert "\n" not in fault
    assert not fault or fault.startswith("r.toml")
