"""The curved activations of public networks, with bounds of their second derivatives.

References:
    Hendrycks and Gimpel, 2016, arXiv:1606.08415 (GELU); Elfwing, Uchibe and Doya, 2017,
    arXiv:1702.03118 (SiLU); Howard et al., 2019, arXiv:1905.02244 (hardswish); Misra, 2019,
    arXiv:1908.08681 (Mish); Clevert, Unterthiner and Hochreiter, 2015, arXiv:1511.07289 (ELU).
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from wellposed.certify._arithmetic import Arithmetic
from wellposed.certify._curved import Curved

_DENSITY = 1 / math.sqrt(2 * math.pi)


@dataclass(frozen=True, eq=False)
class GELU(Curved):
    r"""$z \Phi(z)$ with the normal distribution function.

    $\varphi'' = (2 - z^2) \phi(z)$, which is $2 \phi(0)$ at most, and falls in |z| from 2 on.
    """

    dip: ClassVar[float] = -0.7517915246935645
    stretch: ClassVar[float] = 1.13

    def apply(self, *values: Tensor) -> Tensor:
        """The function."""
        return functional.gelu(values[0])

    def derivative(self, value: Tensor) -> Tensor:
        """The derivative."""
        density = _DENSITY * (-value.square() / 2).exp()
        share: Tensor = torch.special.ndtr(value)
        return share + value * density

    def curvature(self, nearest: Tensor) -> Tensor:
        """The bound above."""
        tail = (nearest.square() + 2) * _DENSITY * (-nearest.square() / 2).exp()
        return torch.where(nearest < 2, 2 * _DENSITY, tail) * (1 + 1e-9)


@dataclass(frozen=True, eq=False)
class GELUTanh(Curved):
    r"""$z (1 + \tanh g) / 2$, $g = \sqrt{2 / \pi} (z + 0.044715 z^3)$: the approximation of GELU.

    With $s = 1 - \tanh^2 g \le 4 e^{-2|g|}$: $\varphi'' = s (g' + z (g''/2 - g'^2 \tanh g))$, of
    which the absolute value is below 0.82, and where |z| is large below
    $4 e^{-2|g|} (g' + |z| (g''/2 + g'^2))$, which falls from 2 on.
    """

    dip: ClassVar[float] = -0.7524614220710162
    stretch: ClassVar[float] = 1.13

    def apply(self, *values: Tensor) -> Tensor:
        """The function."""
        return functional.gelu(values[0], approximate="tanh")

    def derivative(self, value: Tensor) -> Tensor:
        """The derivative."""
        inner, slope, _ = self._inner(value)
        tanh = inner.tanh()
        return (1 + tanh) / 2 + value * (1 - tanh.square()) * slope / 2

    def curvature(self, nearest: Tensor) -> Tensor:
        """The bound above."""
        inner, slope, bend = self._inner(nearest)
        tail = 4 * (-2 * inner).exp() * (slope + nearest * (bend / 2 + slope.square()))
        return torch.where(nearest < 2, 0.82, tail.clamp(max=0.82)) * (1 + 1e-9)

    @staticmethod
    def _inner(z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        factor = math.sqrt(2 / math.pi)
        inner = factor * (z + 0.044715 * z.pow(3))
        return inner, factor * (1 + 0.134145 * z.square()), factor * 0.26829 * z


@dataclass(frozen=True, eq=False)
class SiLU(Curved):
    r"""$z \sigma(z)$ with the logistic function.

    $\varphi'' = \sigma' (2 + z (1 - 2 \sigma))$, which is 1/2 at most, and at most
    $(2 + |z|) e^{-|z|}$.
    """

    pieces: ClassVar[tuple[float, ...]] = (-16.0, -8.0, -4.0, -2.0, 0.0, 2.0, 4.0, 8.0, 16.0)
    dip: ClassVar[float] = -1.2784645427610738
    stretch: ClassVar[float] = 1.1

    def apply(self, *values: Tensor) -> Tensor:
        """The function."""
        return functional.silu(values[0])

    def derivative(self, value: Tensor) -> Tensor:
        """The derivative."""
        share = value.sigmoid()
        return share * (1 + value * (-value).sigmoid())

    def curvature(self, nearest: Tensor) -> Tensor:
        """The bound above."""
        return ((2 + nearest) * (-nearest).exp()).clamp(max=0.5) * (1 + 1e-9)


@dataclass(frozen=True, eq=False)
class Softplus(Curved):
    r"""$\log(1 + e^{\beta z}) / \beta$; $\varphi'' = \beta \sigma'(\beta z)$.

    Args:
        beta: Above 0.
        threshold: Of beta z, above which torch returns z; at least 20.
    """

    beta: float = 1.0
    threshold: float = 20.0

    @property
    def size(self) -> float:
        """The logarithm is divided by beta."""
        return max(1.0, 1 / self.beta)

    def apply(self, *values: Tensor) -> Tensor:
        """The function, without torch's step of e^-20 at the threshold, which the errors hold."""
        return functional.softplus(values[0], self.beta, 40.0)

    def error(self, magnitude: Tensor, program: Arithmetic) -> Tensor:
        """That of the formula, and the step at the threshold."""
        step = math.exp(-self.threshold) / self.beta
        return super().error(magnitude, program) + step * (1 + 1e-9)

    def derivative(self, value: Tensor) -> Tensor:
        """The derivative."""
        return (self.beta * value).sigmoid()

    def curvature(self, nearest: Tensor) -> Tensor:
        """The bound above."""
        return self.beta * (-self.beta * nearest).exp().clamp(max=0.25) * (1 + 1e-9)


@dataclass(frozen=True, eq=False)
class Mish(Curved):
    r"""$z \tanh(\log(1 + e^z))$; $|\varphi''| \le 0.65$, and at most $4 (2 + |z|) e^{-|z|}$."""

    pieces: ClassVar[tuple[float, ...]] = SiLU.pieces
    dip: ClassVar[float] = -1.1924312145154977
    stretch: ClassVar[float] = 1.09

    def apply(self, *values: Tensor) -> Tensor:
        """The function."""
        return functional.mish(values[0])

    def derivative(self, value: Tensor) -> Tensor:
        """The derivative."""
        share = functional.softplus(value).tanh()
        return share + value * (1 - share.square()) * value.sigmoid()

    def curvature(self, nearest: Tensor) -> Tensor:
        """The bound above."""
        return (4 * (2 + nearest) * (-nearest).exp()).clamp(max=0.65) * (1 + 1e-9)


@dataclass(frozen=True, eq=False)
class HardSwish(Curved):
    """0 up to -3, z from 3 on, and z (z + 3) / 6 between; the second derivative is 1/3 there."""

    pieces: ClassVar[tuple[float, ...]] = (-3.0, 0.0, 3.0)
    dip: ClassVar[float] = -1.5
    stretch: ClassVar[float] = 1.5

    def apply(self, *values: Tensor) -> Tensor:
        """The function."""
        return functional.hardswish(values[0])

    def derivative(self, value: Tensor) -> Tensor:
        """The derivative."""
        inner = (2 * value + 3) / 6
        return torch.where(value <= -3, 0.0, torch.where(value >= 3, 1.0, inner))

    def curvature(self, nearest: Tensor) -> Tensor:
        """The bound above."""
        return torch.where(nearest < 3, (1 + 1e-9) / 3, 0.0)


@dataclass(frozen=True, eq=False)
class ELU(Curved):
    """scale z above 0, and scale alpha (exp(rate z) - 1) below: ELU, SELU and CELU.

    Args:
        alpha: Above 0.
        scale: Above 0.
        rate: Above 0.
    """

    alpha: float = 1.0
    scale: float = 1.0
    rate: float = 1.0

    @property
    def contraction(self) -> float:
        """The larger of the derivatives on both sides of 0."""
        return self.scale * max(1.0, self.alpha * self.rate)

    @property
    def size(self) -> float:
        """Far below 0 it is -scale alpha."""
        return max(1.0, self.scale * max(1.0, self.alpha, self.alpha * self.rate))

    def apply(self, *values: Tensor) -> Tensor:
        """The function."""
        below = self.alpha * torch.expm1(self.rate * values[0].clamp(max=0))
        return self.scale * (values[0].clamp(min=0) + below)

    def derivative(self, value: Tensor) -> Tensor:
        """The derivative."""
        below = self.alpha * self.rate * (self.rate * value.clamp(max=0)).exp()
        return self.scale * torch.where(value > 0, 1.0, below)

    def curvature(self, nearest: Tensor) -> Tensor:
        """That below 0, which falls away from it."""
        most = self.scale * self.alpha * self.rate**2 * (1 + 1e-9)
        return most * (-self.rate * nearest).exp()


@dataclass(frozen=True, eq=False)
class Square(Curved):
    """The square of a value; the second derivative is 2."""

    pieces: ClassVar[tuple[float, ...]] = ()
    dip: ClassVar[float] = 0.0
    stretch: ClassVar[float] = math.inf

    def apply(self, *values: Tensor) -> Tensor:
        """The function."""
        return values[0].square()

    def error(self, magnitude: Tensor, program: Arithmetic) -> Tensor:
        """Of two roundings."""
        return 4 * program.unit * magnitude.square() + super().error(magnitude, program)

    def derivative(self, value: Tensor) -> Tensor:
        """Twice the value."""
        return 2 * value

    def curvature(self, nearest: Tensor) -> Tensor:
        """2."""
        return torch.full_like(nearest, 2 + 1e-9)
