"""Which optimizers belong together, and what a step of each consumes."""

import inspect

from torch.optim import LBFGS, Optimizer

from wellposed.optim._large_sample import LargeSample
from wellposed.optim._relaxation import Relaxation
from wellposed.optim._two_level import TwoLevel
from wellposed.optim._zeroth_order import ZerothOrder

FAMILIES = {
    "torch": "one gradient per step",
    "relaxation": "one gradient per step, around SGD or any other base",
    "replicas": "one gradient per step and replica; drawn together once per cycle",
    "neighbour": "one gradient per step",
    "zeroth order": "values of the loss only, several per step; a closure without backward()",
    "large sample": "several gradients of one large batch per step; a closure",
}
"""What one `step()` of a family consumes."""


def family(made: type[Optimizer]) -> str:
    """The family of an optimizer class, a key of `FAMILIES`.

    Args:
        made: The class; of a class of yours, the family of what it derives from.
    """
    if issubclass(made, ZerothOrder):
        return "zeroth order"
    if issubclass(made, LargeSample | LBFGS):
        return "large sample"
    if issubclass(made, Relaxation) and made is not Relaxation and _takes(made, "coupling"):
        return "replicas"
    if issubclass(made, TwoLevel):
        return "relaxation"
    return "torch" if made.__module__.startswith("torch.") else "neighbour"


def _takes(made: type, argument: str) -> bool:
    return argument in inspect.signature(made).parameters
