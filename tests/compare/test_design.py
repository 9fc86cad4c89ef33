from collections import Counter

from wellposed.compare import Entry, design
from wellposed.recipe import Recipe

BASE = {"data": "digits", "model": "linear", "optimizer": "sgd"}


def race(methods=("a", "b", "c"), seeds=(0, 1, 5)):
    compare = {"seeds": list(seeds), "methods": {name: {} for name in methods}}
    return Recipe.from_tables(BASE | {"compare": compare})


def test_each_method_runs_once_with_each_seed():
    entries = design(race())
    assert Counter(entries) == Counter(Entry(m, s) for m in "abc" for s in (0, 1, 5))


def test_seeds_are_blocks_in_which_the_order_rotates():
    assert [e.method for e in design(race())] == [*"abc", *"bca", *"cab"]
    assert [e.seed for e in design(race())] == [0, 0, 0, 1, 1, 1, 5, 5, 5]


def test_a_recipe_without_methods_is_one_method():
    assert design(race(methods=(), seeds=(3,))) == (Entry("sgd", 3),)
    assert design(Recipe.from_tables(BASE | {"seed": 7})) == (Entry("sgd", 7),)


def test_an_entry_names_its_folder():
    assert Entry("sgd-ema", 3).name == "runs/sgd-ema/seed-3"
