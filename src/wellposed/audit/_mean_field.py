"""What a wide random layer does to the size of signals: closed forms, by a fixed quadrature."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import final

import torch
from torch import Tensor

from wellposed.errors import require

_REACH = 9.0  # beyond, a standard normal has 2e-19 of its mass
_NODES = 4096  # even, so that no node is at 0, where kinks are
_PLANE = 256  # nodes per axis of integrals over two inputs
_STEPS = 2000


@final
@dataclass(frozen=True, slots=True)
class MeanField:
    r"""A wide layer $z = W \phi(x) + b$ with independent weights, as its width goes to infinity.

    Weights have variance $\sigma_w^2 / \text{fan in}$ and biases $\sigma_b^2$. With a standard
    normal $u$ and $q$ the mean square of a preactivation,

    $$q' = \sigma_w^2\, E\, \phi(\sqrt q\, u)^2 + \sigma_b^2, \qquad
    \chi = \sigma_w^2\, E\, \phi'(\sqrt q\, u)^2$$

    $\chi$ is the factor of the squared norm of a gradient per layer, whatever the widths; that of
    its mean square per unit has a further factor fan out / fan in. $\chi < 1$: gradients vanish
    and inputs merge, $\chi > 1$: gradients explode and inputs separate, within about
    $1/|\ln \chi|$ layers. Integrals are trapezoid sums on a fixed grid, good to 4 digits also
    where $\phi'$ jumps.

    Args:
        activation: $\phi$, elementwise.
        weight: $\sigma_w^2 \ge 0$: fan in times the variance of a weight.
        bias: $\sigma_b^2 \ge 0$.

    Raises:
        ArgumentError: If a variance is negative.

    References:
        Poole, Lahiri, Raghu, Sohl-Dickstein and Ganguli, Exponential expressivity in deep neural
        networks through transient chaos, 2016, arXiv:1606.05340; Schoenholz, Gilmer, Ganguli and
        Sohl-Dickstein, Deep information propagation, 2017, arXiv:1611.01232.
    """

    activation: Callable[[Tensor], Tensor]
    weight: float
    bias: float = 0.0

    def __post_init__(self) -> None:
        require(
            self.weight >= 0 and self.bias >= 0,
            f"variances are at least 0, got weight={self.weight:g} and bias={self.bias:g}",
        )

    def power(self, q: float) -> float:
        r"""$E\, \phi(\sqrt q\, u)^2$."""
        u, mass = _line()
        return float(mass @ self.activation(math.sqrt(q) * u).square())

    def slope(self, q: float) -> float:
        r"""$E\, \phi'(\sqrt q\, u)^2$: the share of a gradient's power that passes."""
        u, mass = _line()
        return float(mass @ derivative(self.activation, math.sqrt(q) * u).square())

    def forward(self, q: float) -> float:
        """q', the mean square of a preactivation one layer on."""
        return self.weight * self.power(q) + self.bias

    def chi(self, q: float, fan_ratio: float = 1.0) -> float:
        """The factor of a gradient's squared norm per layer.

        Args:
            q: Mean square of the preactivations.
            fan_ratio: 1 for the norm; fan out / fan in for the mean square per unit.
        """
        return self.weight * self.slope(q) * fan_ratio

    def critical_weight(self, q: float = 1.0) -> float:
        """The variance that would keep q as it is, without biases."""
        return q / self.power(q)

    def fixed_point(self, q: float = 1.0) -> float:
        """Where q settles, from a start; 0 or inf where it dies out or grows without bound."""
        for _ in range(_STEPS):
            new = self.forward(q)
            if not 1e-60 < new < 1e60:
                return 0.0 if new <= 1e-60 else math.inf
            if abs(new - q) <= 1e-12 * q:
                return new
            q = new
        return q

    def depth_scale(self, q: float) -> float:
        r"""$1 / |\ln \chi|$: after so many layers, gradients have changed by the factor e."""
        chi = self.chi(q)
        if chi <= 0:
            return 0.0
        return math.inf if chi == 1 else 1 / abs(math.log(chi))

    def correlation(self, c: float, q: float) -> float:
        r"""The correlation of two preactivations one layer on; its slope at 1 is $\chi$ at q*.

        Args:
            c: Their correlation here, in [-1, 1].
            q: Mean square of both.

        Where nothing is left of either, both are 0, and so the same: 1.
        """
        require(-1 <= c <= 1, f"a correlation is in [-1, 1], got c={c:g}")
        a, b, mass = _plane()
        other = c * a + math.sqrt(1 - c * c) * b
        scale = math.sqrt(q)
        product = self.activation(scale * a) * self.activation(scale * other)
        both = self.activation(scale * a).square()
        shared, own = (float((mass * t).sum()) for t in (product, both))
        power = self.weight * own + self.bias
        return (self.weight * shared + self.bias) / power if power > 0 else 1.0


def derivative(activation: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """The derivative of an elementwise function at each entry."""
    with torch.enable_grad():
        x = x.detach().clone().requires_grad_()
        y = activation(x.clone())  # a copy of its own, for functions that work in place
        if not y.requires_grad:
            return torch.zeros_like(x)
        return torch.autograd.grad(y.sum(), x)[0]


@lru_cache(maxsize=1)
def _line() -> tuple[Tensor, Tensor]:
    """Nodes, and the normal mass that each stands for."""
    return _normal(_NODES)


@lru_cache(maxsize=1)
def _plane() -> tuple[Tensor, Tensor, Tensor]:
    u, mass = _normal(_PLANE)
    return u[:, None], u[None, :], mass[:, None] * mass[None, :]


def _normal(nodes: int) -> tuple[Tensor, Tensor]:
    step = 2 * _REACH / nodes
    u = (torch.arange(nodes, dtype=torch.float64) + 0.5) * step - _REACH
    mass = torch.exp(-u * u / 2)
    return u, mass / mass.sum()
