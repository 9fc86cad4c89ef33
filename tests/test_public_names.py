"""The public namespace is the registry, so it must be complete, documented and honest."""

import inspect
from importlib import import_module
from pathlib import Path

import pytest

import wellposed

ROOT = Path(__file__).parent.parent
PACKAGES = sorted(wellposed._PACKAGES)


def public(package):
    return {
        name: value
        for name, value in vars(package).items()
        if not name.startswith("_") and not inspect.ismodule(value)
    }


def test_front_door_names_every_package():
    rooms = {p.parent.name for p in (ROOT / "src" / "wellposed").glob("*/__init__.py")}
    assert rooms - {"cli"} == set(PACKAGES)


@pytest.mark.parametrize("name", dir(wellposed))
def test_front_door_opens(name):
    assert getattr(wellposed, name)


def test_front_door_names_what_it_does_not_have():
    with pytest.raises(AttributeError, match="has no attribute 'optimise'"):
        _ = wellposed.optimise


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_of_ours_says_what_it_is(package):
    module = import_module(f"wellposed.{package}")
    silent = [
        name
        for name, value in public(module).items()
        if getattr(value, "__module__", "").startswith("wellposed")
        and callable(value)
        and not inspect.getdoc(value)
    ]
    assert not silent


@pytest.mark.parametrize("package", PACKAGES)
def test_api_page_shows_the_package(package):
    assert f"::: wellposed.{package}" in (ROOT / "docs" / "api" / f"{package}.md").read_text()
