"""Lower bounds of the margin: of the label's logit over each other one."""

import torch
from torch import Tensor

from wellposed.certify._alpha import ascend
from wellposed.certify._bounds import Bounds
from wellposed.certify._operation import count
from wellposed.certify._substitution import Rows, Substitution
from wellposed.certify._window import Window

_TOGETHER, _ASCENDING = 256, 32  # rows at a time, at most
_HELD, _REMEMBERED = 2**22, 2**25  # coefficients: of one layer; of all, in the ascent


def margins(
    bounds: Bounds, labels: Tensor, *, intervals: bool = False, steps: int = 0
) -> tuple[Tensor, int]:
    """A lower bound of each example's margin, and how many rows it took.

    Args:
        bounds: Of every value of the network.
        labels: One for each example.
        intervals: Go back through the last affine layers only.
        steps: Of the ascent on slopes, for the rows that are not positive without.
    """
    coefficients, images = differences(bounds.graph.operations[-1].shape, labels)
    last = len(bounds.graph.operations) - 1
    substitution = Substitution(bounds)
    found = torch.empty(len(images), dtype=torch.float64)
    sizes = [count(operation.shape) for operation in bounds.graph.operations]
    length = max(1, min(_TOGETHER, _HELD // max(sizes)))
    for begin in range(0, len(images), length):
        piece = slice(begin, begin + length)
        part = coefficients[piece]
        rows = Rows({last: Window(part)}, found.new_zeros(len(part)), images[piece])
        found[piece] = substitution.lower(rows, best=True, stop=intervals)
    cost = len(images)
    if steps:
        cost += _ascend(bounds, coefficients, images, found, steps)
    least = torch.full((len(labels),), torch.inf, dtype=torch.float64)
    return least.scatter_reduce(0, images, found, "amin"), cost


def _ascend(bounds: Bounds, coefficients: Tensor, images: Tensor, found: Tensor, steps: int) -> int:
    """Improve the rows that are not positive, in place."""
    left = (found <= 0).nonzero()[:, 0]
    every = sum(count(operation.shape) for operation in bounds.graph.operations)
    length = max(1, min(_ASCENDING, _REMEMBERED // every))
    for begin in range(0, len(left), length):
        piece = left[begin : begin + length]
        better = ascend(bounds, coefficients[piece], images[piece], steps)
        found[piece] = torch.maximum(found[piece], better)
    return 3 * steps * len(left)


def differences(shape: tuple[int, ...], labels: Tensor) -> tuple[Tensor, Tensor]:
    """Rows of the label's logit less another one, and the example of each.

    Args:
        shape: Of the logits of one example; a single logit stands for two classes, of which the
            first has logit 0.
        labels: One for each example.
    """
    classes = shape[0] if shape else 1
    if classes == 1:
        signs = 2.0 * labels.double() - 1
        return signs.reshape(-1, *shape), torch.arange(len(labels))
    wide = torch.eye(classes, dtype=torch.float64)
    every = wide[labels][:, None] - wide[None]
    others = torch.arange(classes) != labels[:, None]
    return every[others], torch.arange(len(labels))[:, None].expand(-1, classes)[others]
