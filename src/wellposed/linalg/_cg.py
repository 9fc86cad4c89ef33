"""Conjugate gradients that stop where the matrix is not positive, or the trust region ends."""

import math
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from wellposed.linalg._curvature import Operator

CONVERGED = "converged"
CURVATURE = "negative curvature"
RADIUS = "trust radius"
LIMIT = "limit of products"
NOT_FINITE = "product not finite"


@final
@dataclass(frozen=True, slots=True)
class Solution:
    r"""Where conjugate gradients on $Ax = b$ ended.

    Args:
        x: Shape (n,). Unless b is 0 it is a direction of descent: $b^\top x > 0$.
        products: Products with A that it took.
        residual: $\|b - Ax\|$ as the recurrence has it, for a solution inside the region.
        ended: "converged", "negative curvature", "trust radius", "limit of products", or
            "product not finite".
    """

    x: Tensor
    products: int
    residual: float
    ended: str


def steihaug(
    product: Operator,
    b: Tensor,
    *,
    tolerance: float,
    max_products: int,
    radius: float = math.inf,
) -> Solution:
    r"""Minimize $\tfrac12 x^\top A x - b^\top x$ over $\|x\| \le$ `radius`, from x = 0.

    Conjugate gradients for as long as A is positive on their directions p and the iterates stay
    inside. Where $p^\top A p \le 0$, or the radius is reached, the last direction is followed to
    the boundary; without a radius the iterate so far is returned, and if there is none yet, b
    times $\|b\|^2 / |b^\top A b|$, the step that the size of the curvature suggests (b itself where
    the curvature is 0).

    Args:
        product: v -> Av, A symmetric.
        b: Shape (n,).
        tolerance: Stop once $\|b - Ax\|$ is at most this, at least 0.
        max_products: Limit of products with A, at least 1.
        radius: Of the trust region, above 0.

    Cost: one product per iteration; four vectors of memory.

    References:
        Steihaug, The conjugate gradient method and trust regions in large scale optimization, 1983.
    """
    x = torch.zeros_like(b)
    r, p = b.clone(), b.clone()
    squared = float(r @ r)
    if math.sqrt(squared) <= tolerance:
        return Solution(x, 0, math.sqrt(squared), CONVERGED)
    for done in range(1, max_products + 1):
        image = product(p)
        curvature, length = float(p @ image), float(p @ p)
        if not math.isfinite(curvature):
            x = _beyond(x, p, 1.0, radius, done)
            return Solution(x, done, math.sqrt(squared), NOT_FINITE)
        rounding = torch.finfo(b.dtype).eps * math.sqrt(length * float(image @ image))
        if curvature <= rounding:
            step = squared / -curvature if curvature < -rounding else 1.0
            x = _beyond(x, p, step, radius, done)
            return Solution(x, done, math.sqrt(squared), CURVATURE)
        step = squared / curvature
        ahead = x + step * p
        if float(ahead.norm()) >= radius:
            return Solution(_boundary(x, p, radius), done, math.sqrt(squared), RADIUS)
        x = ahead
        r -= step * image
        before, squared = squared, float(r @ r)
        if math.sqrt(squared) <= tolerance:
            return Solution(x, done, math.sqrt(squared), CONVERGED)
        p = r + (squared / before) * p
    return Solution(x, max_products, math.sqrt(squared), LIMIT)


def _beyond(x: Tensor, p: Tensor, step: float, radius: float, done: int) -> Tensor:
    """Where to stop at a direction without positive curvature."""
    if math.isfinite(radius):
        return _boundary(x, p, radius)
    return x if done > 1 else step * p


def _boundary(x: Tensor, p: Tensor, radius: float) -> Tensor:
    r"""$x + \tau p$ of length `radius`, $\tau \ge 0$; x is inside."""
    a, b, c = float(p @ p), float(x @ p), float(x @ x) - radius**2
    root = math.sqrt(max(b * b - a * c, 0.0))
    tau = -c / (b + root) if b > 0 else (root - b) / a  # the form that does not cancel
    return x + tau * p
