"""The trace of a sum of symmetric matrices, from random vectors for each of them."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias, final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import t as student
from torch import Tensor

from wellposed.errors import require
from wellposed.linalg._curvature import Operator
from wellposed.linalg._lanczos import Ritz, apart

Parts: TypeAlias = Sequence[tuple[float, Operator]]
r"""(c, v -> Bv) each, of the symmetric matrix $A = \sum_b c_b B_b$."""


@final
@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    r"""Independent and unbiased estimates of $\operatorname{tr} A$.

    Args:
        samples: Shape (k,), in float64; k at least 1.
    """

    samples: NDArray[np.float64]

    @property
    def value(self) -> float:
        """Their mean."""
        return float(self.samples.mean())

    @property
    def error(self) -> float:
        """Standard error of the mean; nan with one sample."""
        count = len(self.samples)
        return float(self.samples.std(ddof=1) / math.sqrt(count)) if count > 1 else math.nan

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Student's interval.

        Args:
            level: In (0, 1).
        """
        require(0 < level < 1, f"a level is in (0, 1), got {level}; try 0.95")
        if len(self.samples) < 2:
            return -math.inf, math.inf
        reach = self.error * float(student.ppf((1 + level) / 2, len(self.samples) - 1))
        return self.value - reach, self.value + reach


def trace(
    parts: Parts, like: Tensor, *, beside: Ritz | None = None, probes: int = 8, seed: int = 0
) -> Trace:
    r"""Estimate $\operatorname{tr} A$, $A = \sum_b c_b B_b$, with vectors of their own for each b.

    One sample is $(n - m) \sum_b c_b z_b^\top B_b z_b$ with independent unit vectors $z_b$, all
    directions equally likely, beside the m dimensions of a Krylov space, on which the trace is
    known. It costs as much as one product with A, but where the $B_b$ resemble each other, as the
    Hessians of the batches of one dataset do, its variance is that of one vector over the number
    of parts; the space takes the large eigenvalues out of it as well.

    Args:
        parts: Of A, at least one; `Curvature.parts`, or `[(1.0, product)]`.
        like: Shape (n,); n, the type and the device.
        beside: Of `lanczos` with the same A.
        probes: Samples, at least 1.
        seed: Of the vectors.

    Cost: one product with each part per sample.

    References:
        Hutchinson, A stochastic estimator of the trace of the influence matrix, 1989.
    """
    require(probes >= 1, f"a trace takes at least one sample, got probes={probes}; try 8")
    inside = 0.0 if beside is None else float(beside.diagonal.sum())
    basis = None if beside is None else beside.basis
    left = len(like) - (0 if basis is None else len(basis))
    if left == 0:
        return Trace(np.array([inside, inside]))
    generator = apart_from(seed, "trace")
    samples = np.full(probes, inside)
    for number in range(probes):
        for share, product in parts:
            z = apart(torch.randn(len(like), dtype=like.dtype, generator=generator).to(like), basis)
            quotient = float(z.double() @ product(z).double()) / float(z.double().square().sum())
            samples[number] += left * share * quotient
    return Trace(samples)


def apart_from(seed: int, purpose: str) -> torch.Generator:
    """Random numbers of this seed that are not those of `torch.Generator().manual_seed(seed)`.

    A probe equal to the vector that a Krylov space began with has next to nothing beside it.

    Args:
        seed: Of the caller, any.
        purpose: Each has its own numbers.
    """
    digest = hashlib.sha256(f"{purpose} {seed}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big", signed=True))
