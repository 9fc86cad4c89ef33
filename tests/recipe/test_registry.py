import pytest

from wellposed import data, models, optim
from wellposed.errors import RecipeError
from wellposed.recipe import by_hand, registry
from wellposed.recipe._origin import locate
from wellposed.recipe._registry import TABLES, named

ORIGIN = locate("[model]\nname = 'x'\n", "r.toml")


@pytest.mark.parametrize("table", TABLES)
def test_every_table_names_classes_that_say_what_they_are(table):
    assert registry(table)
    for name, made in registry(table).items():
        assert name == name.lower()
        assert made.__doc__


def test_the_names_of_the_issue_are_there():
    assert {"digits", "mnist", "fashionmnist", "cifar10", "imagefolder", "npz"} <= registry(
        "data"
    ).keys()
    assert registry("optimizer").keys() >= {"sgd", "adamw", "entropysgd", "lookahead"}
    assert registry("schedule").keys() >= {"cosine", "robbinsmonro", "steplr"}
    assert registry("model")["lenet"] is models.LeNet


def test_what_a_recipe_cannot_say_is_not_offered():
    offered = {made for table in TABLES for made in registry(table).values()}
    assert not offered & {data.UserSource, optim.GroupScheduler, optim.LambdaLR}


def test_a_name_may_be_written_as_people_write_it():
    assert named("data", "fashion-mnist", ORIGIN, ("data",)) is data.FashionMNIST
    assert named("optimizer", "AdamW", ORIGIN, ("optimizer",)) is optim.AdamW


@pytest.mark.parametrize(
    ("table", "name", "words"),
    [
        ("model", "lenett", r"^r\.toml:2: no model is called 'lenett'; did you mean 'lenet'"),
        ("data", "fashon-mnist", "'fashon-mnist'; did you mean 'fashionmnist'"),
        ("init", "glorott", "no initializer is called"),
        ("augment", "shft", "no augmentation is called 'shft'; did you mean 'shift'"),
        ("model", "nowhere_at_all:make", r"^r\.toml:2: cannot import 'nowhere_at_all:make'"),
    ],
)
def test_the_nearest_name_is_offered_with_the_line(table, name, words):
    with pytest.raises(RecipeError, match=words):
        named(table, name, ORIGIN, ("model",))


def test_an_optimizer_with_closures_of_its_own_is_not_offered_and_says_how_to_use_it():
    assert not {"newtoncg", "gaussnewton"} & registry("optimizer").keys()
    assert set(by_hand("optimizer")) == {"newtoncg", "gaussnewton", "varpro", "svrg"}
    words = r"^r\.toml:2: NewtonCG cannot be run by a recipe: its closure.*in a program: \w+"
    with pytest.raises(RecipeError, match=words) as caught:
        named("optimizer", "newton-cg", ORIGIN, ("model",))
    assert "\n" not in str(caught.value)
