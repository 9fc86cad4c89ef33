"""Train deep networks as well-posed numerical problems, and see the evidence.

    min_w  E_{x ~ data} loss(model(x; w), y) + regularizer(w)

Names are imported on first use, so that `import wellposed` costs milliseconds and the
command line answers `--help` before torch is loaded.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wellposed import audit as audit
    from wellposed import compare as compare
    from wellposed import data as data
    from wellposed import init as init
    from wellposed import linalg as linalg
    from wellposed import losses as losses
    from wellposed import models as models
    from wellposed import optim as optim
    from wellposed import pde as pde
    from wellposed import perturb as perturb
    from wellposed import regularizers as regularizers
    from wellposed import report as report
    from wellposed import runs as runs
    from wellposed import stats as stats
    from wellposed import train as train
    from wellposed.audit import examine as examine
    from wellposed.problem import Problem as Problem
    from wellposed.train import fit as fit
    from wellposed.train import steps as steps

_PACKAGES = frozenset({
    "audit", "certify", "compare", "data", "init", "linalg", "losses", "models", "optim", "pde",
    "perturb", "problem", "recipe", "regularizers", "report", "runs", "stats", "train",
})  # fmt: skip
_HOME = {"examine": "audit", "Problem": "problem", "fit": "train", "steps": "train"}

__version__ = "0.1.0.dev0"


def __getattr__(name: str) -> object:
    """Import a public package, or a public name from its package, when first asked for."""
    if name in _PACKAGES:
        return import_module(f"wellposed.{name}")
    if name in _HOME:
        return getattr(import_module(f"wellposed.{_HOME[name]}"), name)
    raise AttributeError(f"module 'wellposed' has no attribute {name!r}")


def __dir__() -> list[str]:
    """All public names, loaded or not."""
    return sorted(_PACKAGES | _HOME.keys() | {"__version__"})
