import sys
from types import ModuleType

import numpy as np
import pytest
import torch

from wellposed.data import Examples, Raw, UserSource, load
from wellposed.errors import ArgumentError, DataError, UnknownNameError


@pytest.fixture
def mine(monkeypatch):
    module = ModuleType("mine")
    monkeypatch.setitem(sys.modules, "mine", module)
    return module


def pair(n=40):
    return np.arange(2.0 * n).reshape(n, 2), np.arange(n) % 2


def test_a_pair_is_the_train_part(mine):
    mine.pair = pair
    data = load(UserSource("mine:pair", {"n": 60}))
    assert data.name == "user"
    assert data.origin == "mine:pair"
    assert data.classes == ("0", "1")
    assert sum(len(part) for part in data.parts.values()) == 60


def test_a_raw_is_taken_as_it_is_and_places_are_handed_over(mine, places):
    seen = []

    def raw(places):
        seen.append(places)
        return Raw(train=Examples(*pair()), classes=("no", "yes"), license="mine")

    mine.raw = raw
    source = UserSource("mine:raw")
    assert source.find(places) == "mine:raw"
    assert load(source, places=places).license == "mine"
    assert seen == [places]


def crash():
    raise OSError("the disk is on fire")


def refuse():
    raise DataError("my own sentence")


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        (crash, "mine:f raised OSError: the disk is on fire"),
        (refuse, "^my own sentence$"),
        (lambda: 7, "returned int; it must return a Raw or a pair"),
        (lambda: (1, 2, 3), "returned tuple"),
        (lambda: (torch.ones(3, 2), torch.tensor([-1, 0, 1])), "class numbers from -1 to 1"),
        (lambda: (torch.ones(3, 2), torch.tensor([1, 2, 9])), "class numbers from 1 to 9"),
        (lambda: (torch.ones(3, 2), torch.tensor([0.0, 0, 1])), "whole class numbers"),
    ],
)
def test_refuses_functions_that_do_not_deliver(mine, places, function, sentence):
    mine.f = function
    with pytest.raises((DataError, ArgumentError), match=sentence):
        UserSource("mine:f").read(places)


def test_refuses_functions_that_are_not_there(mine, places):
    mine.moons = pair
    mine.number = 3
    with pytest.raises(UnknownNameError, match="did you mean 'moons'"):
        UserSource("mine:moon").read(places)
    with pytest.raises(UnknownNameError, match="no function of mine is called 'number'"):
        UserSource("mine:number").read(places)
    with pytest.raises(DataError, match="cannot be imported"):
        UserSource("not.there:f").read(places)


@pytest.mark.parametrize("text", ["mine.moons", "mine:", ":moons"])
def test_refuses_what_is_no_address_of_a_function(text):
    with pytest.raises(ArgumentError, match=r"package\.module:function"):
        UserSource(text)
