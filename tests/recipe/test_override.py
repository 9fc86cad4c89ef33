import pytest

from wellposed.errors import RecipeError
from wellposed.recipe._origin import Origin
from wellposed.recipe._override import apply

BASE = {
    "seed": 0,
    "optimizer": {"name": "sgd", "lr": 0.1},
    "schedule": [{"name": "cosine"}],
}


def applied(*settings):
    return apply(BASE, settings, Origin("r.toml", {("optimizer", "lr"): "r.toml:5"}))


@pytest.mark.parametrize(
    ("setting", "path", "value"),
    [
        ("seed=3", ["seed"], 3),
        ("optimizer.lr = 0.5", ["optimizer", "lr"], 0.5),
        ("optimizer.nesterov=true", ["optimizer", "nesterov"], True),
        ("optimizer=adamw", ["optimizer"], "adamw"),
        ("schedule.0.warmup=0.1", ["schedule", 0], {"name": "cosine", "warmup": 0.1}),
        ("schedule.1.name=linear", ["schedule", 1], {"name": "linear"}),
        ("regularizer.0.name=l2", ["regularizer"], [{"name": "l2"}]),
        ("compare.methods.sgd.lr=1", ["compare"], {"methods": {"sgd": {"lr": 1}}}),
        ("goal={test_error=0.1}", ["goal"], {"test_error": 0.1}),
    ],
)  # fmt: skip
def test_a_setting_replaces_one_value(setting, path, value):
    tables, origin = applied(setting)
    found = tables
    for key in path:
        found = found[key]
    assert found == value
    assert origin.at(tuple(path)).startswith("--set ")
    assert BASE["seed"] == 0
    assert BASE["schedule"] == [{"name": "cosine"}]


def test_later_settings_see_earlier_ones():
    tables, origin = applied("optimizer=adamw", "optimizer.lr=1e-3")
    assert tables["optimizer"] == {"name": "adamw", "lr": 1e-3}
    assert origin.at(("optimizer", "lr")) == "--set optimizer.lr=1e-3"
    assert origin.at(("optimizer", "name")) == "--set optimizer=adamw"


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("seed", "a setting reads key=value"),
        ("=3", "a setting reads key=value"),
        ("a..b=3", "a setting reads key=value"),
        ("seed.x=3", "seed is 0, not a table"),
        ("optimizer.lr.x.y=3", "optimizer.lr is 0.1, not a table"),
        ("schedule.name=x", "schedule is a list; after it comes a number from 0 to 1"),
        ("schedule.7.name=x", "not '7'"),
        ("schedule.²=x", "not '²'"),
        ("seed=[", "is not TOML"),
        ("seed=" + "[" * 200, r"\.\.\."),
    ],
)
def test_what_cannot_be_set_is_one_sentence(setting, words):
    with pytest.raises(RecipeError, match=words) as caught:
        applied(setting)
    assert str(caught.value).startswith("--set ")
