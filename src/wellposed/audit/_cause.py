"""Why a chain of layers changes the size of signals, by closed forms that fit what was measured."""

import math
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor

from wellposed.audit._chain import Chain, Propagation
from wellposed.audit._mean_field import MeanField, derivative
from wellposed.audit._sites import Activation, Site, Trace

_LOW = 0.1  # a share of the greatest derivative's power: below, an activation is called saturated


@final
@dataclass(frozen=True, slots=True)
class Theory:
    """What mean-field theory predicts between two layers of a chain.

    Args:
        field: With the variance of the weights above, and the activation between.
        q: Mean square of what the layer below gives.
        passed: E phi'^2 measured on what it gives.
        greatest: The greatest phi'^2 anywhere.
    """

    field: MeanField
    q: float
    passed: float
    greatest: float

    @property
    def chi(self) -> float:
        """The factor of a gradient's power on its way down."""
        return self.field.chi(self.q)

    @property
    def merging(self) -> float:
        """The factor of the squared relative difference of inputs that are nearly equal."""
        new = self.field.forward(self.q)
        return self.q * self.chi / new if new > 0 else 0.0

    @property
    def growth(self) -> float:
        """The factor of the power of activations on their way up."""
        return self.field.forward(self.q) / self.q if self.q > 0 else math.inf


def theories(trace: Trace, chain: Chain) -> list[Theory | None]:
    """One prediction per pair of neighbors; None where other things than a function are between."""
    made: list[Theory | None] = []
    for lower, upper, (_, phi) in zip(chain.sites, chain.sites[1:], chain.between, strict=False):
        matrix = trace.sites[upper].matrix
        made.append(
            None
            if phi is None or matrix is None
            else _theory(trace.sites[lower], trace.sites[upper], matrix, phi)
        )
    return made


def _theory(lower: Site, upper: Site, matrix: Tensor, phi: Activation) -> Theory | None:
    bias = getattr(upper.module, "bias", None)
    squares = 0.0 if bias is None else float(bias.detach().double().square().mean())
    gives = lower.gives.detach()
    try:
        field = MeanField(phi, fan_in(matrix) * float(matrix.double().square().mean()), squares)
        slopes = derivative(phi, torch.linspace(-6, 6, 1201, dtype=torch.float64))
        q = float(gives.double().square().mean())
        passed = float(derivative(phi, gives).double().square().mean())
        field.chi(q)
    except (RuntimeError, TypeError, ValueError):
        return None  # an activation that takes no other shape or type than that of its layer
    return Theory(field, q, passed, float(slopes.square().max()))


def predicted(theory: list[Theory | None], sizes: np.ndarray, *, backward: bool) -> np.ndarray:
    """Sizes along a chain by theory, from a measured one wherever theory has to begin anew."""
    out = np.array(sizes, dtype=float)
    if backward:
        for k in range(len(theory) - 1, -1, -1):
            here = theory[k]
            if here is not None:
                out[k] = out[k + 1] * math.sqrt(here.chi)
    else:
        for k, here in enumerate(theory):
            if here is not None:
                out[k + 1] = math.sqrt(here.field.forward(float(out[k]) ** 2))
    return out


def cause(found: Propagation, chain: Chain, theory: list[Theory | None], *, backward: bool) -> str:
    """The likeliest cause of a trend, in words and with the closed form; empty if none fits."""
    known = [t for t in theory if t is not None]
    names = sorted({name for (name, _), t in zip(chain.between, theory, strict=True) if t})
    between = " or ".join(n for n in names if n not in {"nothing", "identity"}) or "no activation"
    residual = _residual_sums(found.trace, chain)
    if 3 * residual >= len(theory):
        return (
            f"{residual} sums of a residual branch with its input are neither scaled nor "
            "normalized, and each may double the power"
        )
    if chain.normalized:
        return (
            "batch normalization followed by ReLU, without residual connections, multiplies the "
            "power of gradients by about pi/(pi - 1) = 1.47 per layer"
        )
    if 2 * len(known) < len(theory) or not known:
        return ""
    # each theory's own numbers, so that the text says what was measured here
    passed = float(np.median([t.passed for t in known]))
    greatest = float(np.median([t.greatest for t in known]))
    chi = float(np.exp(np.mean([math.log(max(t.chi, 1e-300)) for t in known])))
    variance = float(np.median([t.field.weight for t in known]))
    if variance == 0:
        return "most weights are 0"
    if passed < _LOW * greatest:
        return (
            f"{between} is saturated or dead: it lets {passed:.2g} of a gradient's power pass, of "
            f"at most {greatest:.2g}"
        )
    forward = float(np.exp(np.mean([math.log(max(t.growth, 1e-300)) for t in known])))
    what, factor = ("gradients", chi) if backward else ("activations", forward)
    text = (
        f"{law(found.trace, chain, variance)}, which with {between} multiplies the power of {what} "
        f"by {factor:.3g} per layer in theory, their size by {math.sqrt(factor):.3g}"
    )
    homogeneous = all(math.isclose(t.field.slope(t.q), t.field.slope(9 * t.q)) for t in known[:3])
    keeps = f"; {variance / factor:.2g}/(fan in) would keep it" if homogeneous else ""
    return text + keeps


def law(trace: Trace, chain: Chain, variance: float) -> str:
    """The distribution of the weights of a chain, in words."""
    matrices = [m for m in (trace.sites[n].matrix for n in chain.sites[1:]) if m is not None]
    if 2 * sum(map(is_default, matrices)) > len(matrices):
        return "the weights are torch's default draw, of variance 1/(3 fan in)"
    return f"the weights have variance {variance:.3g}/(fan in)"


def fan_in(matrix: Tensor) -> int:
    """Inputs of one unit."""
    return max(1, matrix[0].numel())


def is_default(matrix: Tensor) -> bool:
    """Whether weights look like torch's default draw, uniform within 1/sqrt(fan in).

    Of n such weights, the mean square has a relative standard deviation of sqrt(0.8/n); four of
    them are allowed, and no weight beyond the bound.
    """
    n, inputs = matrix.numel(), fan_in(matrix)
    power = inputs * float(matrix.double().square().mean())
    near = abs(3 * power - 1) <= 4 * math.sqrt(0.8 / n)
    return near and float(matrix.abs().max()) * math.sqrt(inputs) <= 1 + 1e-5


def looks_trained(matrices: list[Tensor]) -> bool:
    """Whether a layer has a singular value far above what independent weights can have.

    The greatest of independent weights of variance s^2 is about s (sqrt(m) + sqrt(n)).
    """
    for matrix in matrices:
        a = matrix.reshape(len(matrix), -1)[:256, :256].double()
        edge = float(a.square().mean().sqrt()) * (math.sqrt(len(a)) + math.sqrt(a.shape[1]))
        if min(a.shape) > 1 and float(torch.linalg.matrix_norm(a, 2)) > 1.25 * edge:
            return True
    return False


def _residual_sums(trace: Trace, chain: Chain) -> int:
    """Before how many layers of a chain the sum of a layer's output and an earlier tensor is."""
    return sum(
        phi is None and _is_sum(trace, upper)
        for upper, (_, phi) in zip(chain.sites[1:], chain.between, strict=True)
    )


def _is_sum(trace: Trace, upper: int) -> bool:
    target = trace.sites[upper].given
    if target is None:
        return False
    total = target.detach()[:1]
    before = trace.sites[max(0, upper - 12) : upper]
    branches = [s.gives.detach()[:1] for s in before[-6:]]
    trunks = [t.detach()[:1] for s in before for t in (s.given, s.gives) if t is not None]
    return any(
        torch.allclose(whole, total, rtol=1e-4, atol=1e-6)
        for f in branches
        for t in trunks
        if f.shape == t.shape == total.shape
        for whole in (f + t, torch.relu(f + t))
    )
