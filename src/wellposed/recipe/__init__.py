"""The only place where a string becomes a thing.

Reading and writing recipes needs no torch; what builds or restores loads it when it
is first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from wellposed.recipe._audit_recipe import audit_recipe as audit_recipe
from wellposed.recipe._lookup import lookup as lookup
from wellposed.recipe._lookup import public as public
from wellposed.recipe._part import Compare as Compare
from wellposed.recipe._part import Goal as Goal
from wellposed.recipe._part import Method as Method
from wellposed.recipe._part import Part as Part
from wellposed.recipe._presets import preset as preset
from wellposed.recipe._presets import presets as presets
from wellposed.recipe._recipe import Recipe as Recipe

if TYPE_CHECKING:
    from wellposed.recipe._build import Build as Build
    from wellposed.recipe._build import build as build
    from wellposed.recipe._build import dataset as dataset
    from wellposed.recipe._check import check as check
    from wellposed.recipe._check import resolve as resolve
    from wellposed.recipe._cite import citations as citations
    from wellposed.recipe._cite import citations_of as citations_of
    from wellposed.recipe._foreign import subject_of_module as subject_of_module
    from wellposed.recipe._registry import by_hand as by_hand
    from wellposed.recipe._registry import registry as registry
    from wellposed.recipe._restore import Restored as Restored
    from wellposed.recipe._restore import restore as restore
    from wellposed.recipe._source import other_data as other_data
    from wellposed.recipe._source import source as source
    from wellposed.recipe._subject import subject_of_run as subject_of_run

_HOME = {
    "Build": "_build", "build": "_build", "dataset": "_build",
    "check": "_check", "resolve": "_check",
    "citations": "_cite", "citations_of": "_cite",
    "by_hand": "_registry", "registry": "_registry",
    "Restored": "_restore", "restore": "_restore",
    "other_data": "_source", "source": "_source",
    "subject_of_module": "_foreign", "subject_of_run": "_subject",
}  # fmt: skip


def __getattr__(name: str) -> object:
    """Import what needs torch when it is first asked for."""
    if name in _HOME:
        return getattr(import_module(f"wellposed.recipe.{_HOME[name]}"), name)
    raise AttributeError(f"module 'wellposed.recipe' has no attribute {name!r}")


def __dir__() -> list[str]:
    """All public names, loaded or not."""
    here = {name for name in globals() if not name.startswith("_")}
    return sorted((here | _HOME.keys()) - {"TYPE_CHECKING", "import_module"})
