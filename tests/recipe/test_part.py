import pytest

from wellposed.recipe import Compare, Goal, Method, Part
from wellposed.recipe._part import plain


def test_arguments_stand_beside_the_name_in_toml():
    part = Part.model_validate({"name": "sgd", "lr": 0.1})
    assert part == Part(name="sgd", lr=0.1)
    assert part.table() == {"name": "sgd", "lr": 0.1}


@pytest.mark.parametrize("key", ["arguments", "table", "model_config", "copy", "__class__"])
def test_an_argument_may_have_any_name(key):
    part = Part.model_validate({"name": "sgd", key: 3})
    assert part.table() == {"name": "sgd", key: 3}
    assert part.arguments == {key: 3}


def test_a_bare_string_is_a_name():
    assert Part.model_validate("sgd") == Part(name="sgd")


def test_a_goal_lists_only_its_limits():
    assert Goal(test_error=0.05, train_error=0.0).limits() == {"test": 0.05, "train": 0.0}
    assert Goal().limits() == {}


@pytest.mark.parametrize(
    ("value", "tables"),
    [
        (Method(train={"ema": 0.9}), {"train": {"ema": 0.9}}),
        (Compare(seeds=(1,)), {"seeds": [1], "methods": {}}),
        ((Part(name="a"), 1), [{"name": "a"}, 1]),
    ],
)
def test_plain_is_what_toml_can_hold(value, tables):
    assert plain(value) == tables
