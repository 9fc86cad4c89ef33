import pytest

from wellposed.recipe import Recipe, build
from wellposed.runs import RunFolder
from wellposed.train import fit

TABLES = {
    "data": {"name": "digits", "test": 0.2},
    "model": "linear",
    "optimizer": {"name": "sgd", "lr": 0.1},
    "train": {"epochs": 1, "threads": 1},
}


def train_in(path, tables):
    """A finished run of these tables."""
    recipe = Recipe.from_tables(tables)
    folder = RunFolder.create(path, kind="run", recipe=recipe.to_toml(), provenance={})
    made = build(recipe)
    fit(made.problem, made.optimizer, made.plan, folder=folder)
    return folder


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A finished run of a linear classifier on digits; do not change it."""
    return train_in(tmp_path_factory.mktemp("recipe") / "run", TABLES)


@pytest.fixture(scope="session")
def points(tmp_path_factory):
    """A finished run on points in the plane; do not change it."""
    return train_in(tmp_path_factory.mktemp("recipe") / "points", TABLES | {"data": "xor"})
