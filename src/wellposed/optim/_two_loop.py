"""The inverse BFGS matrix times a vector, from a few pairs of steps and changes of the gradient."""

from collections.abc import Sequence

import torch
from torch import Tensor


def two_loop(gradient: Tensor, steps: Tensor, changes: Tensor, order: Sequence[int]) -> Tensor:
    r"""$H g$, H the inverse BFGS matrix after the pairs, starting from $\gamma I$.

    $$H \leftarrow (I - \rho s y^\top) H (I - \rho y s^\top) + \rho s s^\top, \qquad
      \rho = \frac{1}{s^\top y}, \qquad \gamma = \frac{s^\top y}{y^\top y} \text{ of the newest}$$

    Args:
        gradient: g, shape (n,).
        steps: s, one per row, shape (m, n).
        changes: y, one per row, shape (m, n), each with $s^\top y > 0$.
        order: Rows in use, the oldest first; without any the gradient itself comes back.

    Cost: four products of vectors per pair, no other memory than one vector.

    References:
        Nocedal, Updating quasi-Newton matrices with limited storage, 1980.
    """
    found = gradient.clone()
    weights = []
    for i in reversed(order):
        share = (steps[i] @ found) / (steps[i] @ changes[i])
        found.addcmul_(changes[i], share, value=-1)
        weights.append(share)
    if order:
        s, y = steps[order[-1]], changes[order[-1]]
        found *= (s @ y) / (y @ y)
    for i, share in zip(order, reversed(weights), strict=True):
        found.addcmul_(steps[i], share - (changes[i] @ found) / (steps[i] @ changes[i]))
    return found


def is_usable(step: Tensor, change: Tensor) -> bool:
    r"""Whether $s^\top y$ is positive beyond rounding, so that the matrix stays positive."""
    rounding = torch.finfo(step.dtype).eps * float(step.norm()) * float(change.norm())
    return float(step @ change) > rounding
