import sys
from abc import ABC, abstractmethod
from types import ModuleType

import pytest

from wellposed import losses, models
from wellposed.errors import RecipeError, UnknownNameError
from wellposed.losses import CrossEntropy, Loss
from wellposed.recipe import lookup, public
from wellposed.recipe._lookup import imported


@pytest.mark.parametrize(
    "name", ["crossentropy", "CrossEntropy", "cross-entropy", "cross_entropy", "CROSS-ENTROPY"]
)
def test_case_and_hyphens_do_not_matter(name):
    assert lookup(losses, name, Loss) is CrossEntropy


def test_the_nearest_name_is_offered():
    with pytest.raises(UnknownNameError, match="no loss is called 'crosentropy'; did you mean"):
        lookup(losses, "crosentropy", Loss)


def test_the_kind_can_have_a_better_name_than_its_class():
    from torch import nn

    with pytest.raises(UnknownNameError, match="no model is called 'lenett'; did you mean 'lenet'"):
        lookup(models, "lenett", nn.Module, "model")


class Kind(ABC):
    @abstractmethod
    def f(self): ...


class Half(Kind):
    pass


class GoodOne(Kind):
    def f(self): ...


class Good_One(Kind):  # noqa: N801 - the clash is the point
    def f(self): ...


def module(**names):
    made = ModuleType("made")
    vars(made).update(names)
    return made


def test_bases_abstract_classes_private_names_and_others_are_not_names():
    package = module(Kind=Kind, Half=Half, _Hidden=GoodOne, GoodOne=GoodOne, Other=int, x=3)
    assert public(package, Kind) == {"goodone": GoodOne}


def test_two_names_for_one_class_are_no_clash():
    assert public(module(GoodOne=GoodOne, Goodone=GoodOne), Kind) == {"goodone": GoodOne}


def test_two_classes_under_one_name_are_refused():
    with pytest.raises(RecipeError, match="'goodone': GoodOne and Good_One; rename one"):
        lookup(module(GoodOne=GoodOne, Good_One=Good_One), "goodone", Kind)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return tmp_path


def test_an_object_of_the_user_is_imported_from_the_current_directory(here):
    (here / "mine_lookup.py").write_text("class Nets:\n    def make(): return 3\nnumber = 3\n")
    assert imported("mine_lookup:Nets.make")() == 3
    assert imported("mine_lookup:Nets.make")() == 3
    with pytest.raises(RecipeError, match="'mine_lookup:number' is a int; it should be callable"):
        imported("mine_lookup:number")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nowhere_at_all:make", "ModuleNotFoundError"),
        ("math:nothing", "AttributeError"),
        ("math:", "AttributeError"),
        (":make", "ValueError"),
        ("..:make", "cannot import"),
        ("broken_lookup:make", "ZeroDivisionError"),
        ("leaves_lookup:make", "SystemExit"),
    ],
)
def test_what_cannot_be_imported_is_one_sentence(here, name, words):
    (here / "broken_lookup.py").write_text("1 / 0\n")
    (here / "leaves_lookup.py").write_text("raise SystemExit(0)\n")
    with pytest.raises(RecipeError, match=words) as caught:
        imported(name)
    assert "package.module:factory" in str(caught.value)
    assert "\n" not in str(caught.value)
