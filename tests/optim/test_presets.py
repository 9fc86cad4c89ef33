"""Named sets of arguments."""

from typing import ClassVar

import pytest

from wellposed.errors import ArgumentError, UnknownNameError
from wellposed.optim._presets import with_presets


class Recipe:
    PRESETS: ClassVar = {"big": {"size": 10, "gamma": 3.0}}

    @with_presets
    def __init__(self, name, size=1, *, gamma=0.5, kappa=None, preset=None):  # noqa: ARG002
        self.got = (name, size, gamma, kappa)


def test_defaults_preset_and_explicit_arguments_in_rising_order():
    assert Recipe("a").got == ("a", 1, 0.5, None)
    assert Recipe("a", preset="big").got == ("a", 10, 3.0, None)
    assert Recipe("a", 1, preset="big").got == ("a", 1, 3.0, None)
    assert Recipe("a", gamma=0.5, preset="big").got == ("a", 10, 0.5, None)


def test_kappa_silences_gamma():
    assert Recipe("a", kappa=2.0).got == ("a", 1, 0.0, 2.0)
    assert Recipe("a", kappa=2.0, preset="big").got == ("a", 10, 0.0, 2.0)
    assert Recipe("a", kappa=None, gamma=1.0).got == ("a", 1, 1.0, None)


def test_refusals():
    with pytest.raises(ArgumentError, match="choose one"):
        Recipe("a", gamma=1.0, kappa=1.0)
    with pytest.raises(UnknownNameError, match="did you mean 'big'"):
        Recipe("a", preset="bigg")
    with pytest.raises(TypeError):
        Recipe("a", colour="red")
