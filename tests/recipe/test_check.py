import pytest

from wellposed.errors import RecipeError
from wellposed.recipe import Recipe, check, resolve
from wellposed.recipe._check import check_all, source_of
from wellposed.train import Plan

TEXT = """\
data = "digits"
[model]
name = "mlp"
hidden = [8]
[optimizer]
name = "entropysgd"
lr = 0.05
[[schedule]]
name = "cosine"
key = "gamma"
[[schedule]]
name = "steplr"
step_size = 3
[[regularizer]]
name = "l2"
strength = 0.1
[train]
epochs = 2
"""


def test_a_recipe_is_checked_wholly():
    parts = check(Recipe.parse(TEXT))
    assert parts.plan(seed=3, augment=()) == Plan(epochs=2, seed=3)
    assert [key for _, key in parts.schedule] == ["gamma", "lr"]
    assert parts.model.arguments == {"hidden": [8]}


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("hidden = [8]", "hiden = [8]", r"^r\.toml:4: MLP has no argument 'hiden'; did you mean"),
        ("hidden = [8]", 'hidden = ["a"]', r"^r\.toml:4: model\.hidden is a list of 1; it should"),
        ("hidden = [8]", "classes = 3", r"^r\.toml:4: MLP has no argument 'classes'; known are"),
        ("lr = 0.05", "lrr = 0.05", r"^r\.toml:7: EntropySGD has no argument 'lrr'; did you mean"),
        ("lr = 0.05", 'lr = "big"', r"^r\.toml:7: optimizer\.lr is 'big'; it should be a number"),
        ("lr = 0.05", "params = [1]", "EntropySGD has no argument 'params'"),
        ("strength", "strenght", r"^r\.toml:16: L2 has no argument 'strenght'; did you mean"),
        ('"gamma"', "3", r"^r\.toml:10: schedule\.0\.key is 3; it should be the name of a key"),
        ("step_size = 3", 'key = "lr"', r"^r\.toml:13: StepLR has no argument 'key'"),
        ("step_size = 3", "", r"^r\.toml:11: StepLR needs step_size; add step_size = \.\.\. to"),
        ("epochs = 2", "epoch = 2", r"^r\.toml:18: Plan has no argument 'epoch'; did you mean"),
        ("epochs = 2", "seed = 2", "Plan has no argument 'seed'"),
        ("epochs = 2", 'precision = "half"', r"train\.precision is 'half'; it should be one of"),
        ('"digits"', '"digit"', r"^r\.toml:1: no dataset is called 'digit'; did you mean 'digits'"),
        ('"digits"', '{name = "digits", valdation = 0.1}', "Digits has no argument 'valdation'; "),
        ('"digits"', '{name = "digits", test = "a"}', r"data\.test is 'a'; it should be a number"),
        ('"digits"', '"imagefolder"', "ImageFolder needs path; add path = ... to"),
    ],
)  # fmt: skip
def test_a_fault_is_one_sentence_with_its_line(old, new, words):
    with pytest.raises(RecipeError, match=words) as caught:
        check(Recipe.parse(TEXT.replace(old, new, 1), "r.toml"))
    assert "\n" not in str(caught.value)


def test_the_loader_s_arguments_stand_beside_the_source_s_own():
    recipe = Recipe.parse(TEXT).override(["data={name='xor', n=50, validation=0.3, seed=2}"])
    parts = check(recipe)
    assert parts.source.arguments == {"n": 50, "seed": 2}
    assert parts.loading == {"validation": 0.3}
    assert source_of(recipe)().n == 50


def test_a_relaxation_takes_another_base_by_name_or_as_a_table():
    recipe = Recipe.parse(TEXT).override(["optimizer={name='lookahead', base='adamw'}"])
    assert check(recipe).optimizer.arguments["base"].make.__name__ == "AdamW"
    recipe = recipe.override(["optimizer.base={name='rmsprop', alpha=0.9}"])
    assert check(recipe).optimizer.arguments["base"].arguments == {"alpha": 0.9}


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("optimizer={name='sgd', base='adamw'}", "SGD has no argument 'base'"),
        ("optimizer={name='lookahead', base='adamww'}", "no optimizer is called 'adamww'"),
        ("optimizer={name='lookahead', base={name='adamw', lr=1}}", "AdamW has no argument 'lr'"),
        ("optimizer={name='lookahead', base=3}", "optimizer is 3; it should be a table"),
    ],
)
def test_a_wrong_base_is_refused(setting, words):
    with pytest.raises(RecipeError, match=words):
        check(Recipe.parse(TEXT).override([setting]))


def test_all_methods_of_a_race_are_checked():
    race = "[compare.methods.a]\n[compare.methods.b]\noptimizer = {name = 'sgd', lrr = 1}\n"
    recipe = Recipe.parse(TEXT + race, "r.toml")
    with pytest.raises(RecipeError, match=r"^r\.toml:21: SGD has no argument 'lrr'"):
        check_all(recipe)
    check_all(recipe.override(["compare.methods.b.optimizer=sgd"]))
    check_all(Recipe.parse(TEXT))


def test_a_resolved_recipe_finds_its_data_from_anywhere(tmp_path, monkeypatch):
    (tmp_path / "photos").mkdir()
    monkeypatch.chdir(tmp_path)
    recipe = Recipe.parse(TEXT).override(["data={name='imagefolder', path='photos', size=8}"])
    resolved = resolve(recipe)
    assert resolved.data.arguments == {"path": str(tmp_path / "photos"), "size": 8}
    assert Recipe.parse(resolved.to_toml()) == resolved
    missing = recipe.override(["data.path=elsewhere"])
    assert resolve(missing).data.arguments["path"] == "elsewhere"


def test_a_user_s_own_data_is_checked_by_its_signature(tmp_path, monkeypatch):
    (tmp_path / "own_check.py").write_text("def points(places, many=3):\n    ...\n")
    monkeypatch.chdir(tmp_path)
    recipe = Recipe.parse(TEXT).override(["data={name='own_check:points', many=5, test=0.1}"])
    parts = check(recipe)
    assert parts.source.arguments == {"function": "own_check:points", "arguments": {"many": 5}}
    assert parts.loading == {"test": 0.1}
    with pytest.raises(RecipeError, match="points has no argument 'mny'; did you mean 'many'"):
        check(recipe.override(["data={name='own_check:points', mny=5}"]))
