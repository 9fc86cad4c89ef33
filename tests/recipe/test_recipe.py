from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from wellposed.errors import RecipeError, UnknownNameError
from wellposed.recipe import Part, Recipe, presets

TEXT = """\
seed = 3
model = "lenet"
[data]
name = "digits"
validation = 0.15
[optimizer]
name = "sgd"
lr = 0.1
[[schedule]]
name = "cosine"
[train]
epochs = 3
[goal]
test_error = 0.1
[compare]
seeds = [0, 1]
[compare.methods.sgd]
[compare.methods.ema]
train = {ema = 0.98}
[compare.methods.adamw.optimizer]
name = "adamw"
"""


def test_what_is_written_is_read():
    recipe = Recipe.parse(TEXT, "r.toml")
    assert recipe.seed == 3
    assert recipe.model == Part(name="lenet")
    assert recipe.optimizer == Part(name="sgd", lr=0.1)
    assert recipe.schedule == (Part(name="cosine"),)
    assert recipe.loss == Part(name="crossentropy")
    assert recipe.goal.limits() == {"test": 0.1}
    assert recipe.methods == ("sgd", "ema", "adamw")


def test_a_recipe_does_not_change():
    with pytest.raises(ValidationError, match="frozen"):
        Recipe.parse(TEXT).seed = 4


def test_toml_and_back_is_the_same_recipe():
    recipe = Recipe.parse(TEXT, "r.toml")
    assert Recipe.parse(recipe.to_toml(), "other.toml") == recipe


WORDS = st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=8)
VALUES = st.recursive(
    st.booleans()
    | st.integers(-(2**62), 2**62)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)
ARGUMENTS = st.dictionaries(WORDS.filter(lambda key: key != "name"), VALUES, max_size=4)
PARTS = st.builds(lambda name, rest: {"name": name, **rest}, WORDS, ARGUMENTS)
METHODS = st.dictionaries(
    st.from_regex(r"\A[a-z][a-z0-9_+-]{0,8}\Z"),
    st.fixed_dictionaries({}, optional={"optimizer": PARTS, "train": ARGUMENTS}),
    max_size=3,
)
COMPARES = st.fixed_dictionaries(
    {}, optional={"seeds": st.lists(st.integers(0, 9), min_size=1, unique=True), "methods": METHODS}
)
TABLES = st.fixed_dictionaries(
    {"data": PARTS, "model": PARTS, "optimizer": PARTS},
    optional={
        "seed": st.integers(0, 2**32 - 1),
        "augment": st.lists(PARTS, max_size=2),
        "init": PARTS,
        "loss": PARTS,
        "regularizer": st.lists(PARTS, max_size=2),
        "schedule": st.lists(PARTS, max_size=2),
        "train": ARGUMENTS,
        "goal": st.fixed_dictionaries({"test_error": st.floats(0, 1)}),
        "compare": COMPARES,
    },
)


@given(TABLES)
def test_any_recipe_survives_its_own_text(tables):
    recipe = Recipe.from_tables(tables)
    again = Recipe.parse(recipe.to_toml())
    assert again == recipe
    assert again.to_toml() == recipe.to_toml()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("seed = 3", "sed = 3", r"^r\.toml:1: no key 'sed' is known; did you mean 'seed'\?$"),
        ("seed = 3", "seed = true", r"^r\.toml:1: seed is true; it should be a whole number$"),
        ("seed = 3", "seed = -1", r"seed is -1; it should be greater than or equal to 0$"),
        ("seed = 3", "seed = 3.5", "seed is 3.5; it should be a whole number"),
        ('"lenet"', "3", r"^r\.toml:2: model is 3; it should be a table$"),
        ('"lenet"', '""', "model.name is ''; it should be a string that is not empty"),
        ('name = "digits"', "", r"^r\.toml:3: \[data\] has no name; say which"),
        ("[data]", "[dta]", r"^r\.toml: \[data\] is missing; it names what to use"),
        ("[[schedule]]", "[schedule]", r"^r\.toml:9: schedule is a table; it should be a list$"),
        ("test_error = 0.1", "test_error = 5", r"^r\.toml:14: goal\.test_error is 5; it should be"),
        ("test_error", "tset_error", r"no key 'tset_error' is known in \[goal\]; did you mean"),
        ("[0, 1]", "[1, 1]", r"^r\.toml:16: compare\.seeds holds a seed twice: \[1, 1\]"),
        ("[0, 1]", "[-1]", "compare.seeds holds -1; a seed is at least 0"),
        ("[0, 1]", "[]", "it should be a list that is not empty"),
        ("[0, 1]", '["a"]', r"compare\.seeds\.0 is 'a'; it should be a whole number"),
        ("methods.ema", 'methods."../x"', "has a method called '../x'"),
        ("methods.ema", "methods.SGD", "differ only in case"),
        ("ema = 0.98}", "ema = 0.98}\ndata = 3", r"toml:20: no key 'data' is known in \[comp"),
        ("train = {ema = 0.98}", "train = 3", r"^r\.toml:19: .*train is 3; it should be a table"),
    ],
)  # fmt: skip
def test_what_a_recipe_cannot_mean_is_one_sentence(old, new, words):
    assert old in TEXT
    with pytest.raises(RecipeError, match=words) as caught:
        Recipe.parse(TEXT.replace(old, new, 1), "r.toml")
    assert "\n" not in str(caught.value)


def test_an_override_is_checked_like_the_file():
    recipe = Recipe.parse(TEXT, "r.toml").override(["optimizer.lr=0.5", "model=mlp"])
    assert recipe.optimizer.arguments["lr"] == 0.5
    assert recipe.model.name == "mlp"
    assert recipe.origin.at(("optimizer", "lr")) == "--set optimizer.lr=0.5"
    with pytest.raises(
        RecipeError, match=r"^--set optimzer\.lr=1: no key 'optimzer' .* did you mean 'optimizer'"
    ):
        recipe.override(["optimzer.lr=1"])


def test_a_run_of_a_race_is_the_base_with_the_method_s_tables():
    recipe = Recipe.parse(TEXT, "r.toml")
    ema = recipe.run("ema", 7)
    assert (ema.seed, ema.compare) == (7, None)
    assert ema.train == {"epochs": 3, "ema": 0.98}
    assert ema.optimizer == recipe.optimizer
    adamw = recipe.run("adamw", 1)
    assert adamw.optimizer == Part(name="adamw")
    assert adamw.origin.at(("optimizer", "lr")) == "r.toml:20"
    assert adamw.origin.at(("schedule", 0)) == "r.toml:9"
    with pytest.raises(RecipeError, match="no method is called 'rmsprop'"):
        recipe.run("rmsprop", 0)


def test_without_methods_the_optimizer_is_the_method():
    tables = {"data": "digits", "model": "lenet", "optimizer": "pkg.mod:MyAdam"}
    recipe = Recipe.from_tables({**tables, "compare": {"seeds": [4]}})
    assert recipe.methods == ("myadam",)
    assert recipe.run("myadam", 4).optimizer.name == "pkg.mod:MyAdam"
    assert Recipe.from_tables(tables).methods == ("myadam",)


def test_a_file_is_read_and_named(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(TEXT)
    assert Recipe.read(file) == Recipe.parse(TEXT)
    assert Recipe.read(str(file)).origin.at(("seed",)) == f"{file}:1"


@pytest.mark.parametrize("name", sorted(presets()))
def test_each_preset_is_a_recipe_with_a_title(name):
    assert Recipe.read(name) == Recipe.parse(Recipe.read(name).to_toml())
    assert len(presets()[name]) > 10


def test_the_nearest_preset_is_offered():
    with pytest.raises(UnknownNameError, match="no recipe is called 'mian'; did you mean 'main'"):
        Recipe.read("mian")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, r"cannot read the recipe .*x\.toml: no such file or directory; `wellposed recipe`"),
        (b"\xff\xfe\x00", "is not text in UTF-8"),
        (b"#" * 70_000, "is larger than 64 KiB"),
    ],
)
def test_a_file_that_is_no_recipe_is_refused(tmp_path, content, words):
    file = tmp_path / "x.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(RecipeError, match=words):
        Recipe.read(file)


@pytest.mark.parametrize("path", [".", "a\0b.toml"])
def test_a_path_that_is_no_file_is_refused(path):
    with pytest.raises(RecipeError, match="cannot read the recipe"):
        Recipe.read(path)


def test_a_device_is_read_within_bounds():
    if not Path("/dev/zero").exists():
        pytest.skip("no /dev/zero here")
    with pytest.raises(RecipeError, match="is larger than 64 KiB"):
        Recipe.read("/dev/zero")
