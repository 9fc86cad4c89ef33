"""Trace and spectral density: what a Krylov space has not seen is sampled, the rest is exact."""

import math
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import t as student

from wellposed.errors import require
from wellposed.linalg._curvature import Operator
from wellposed.linalg._lanczos import Ritz, lanczos


@final
@dataclass(frozen=True, slots=True, eq=False)
class Spectrum:
    r"""The eigenvalues of a symmetric matrix A, shape (n, n), as a weighted sample.

    Args:
        nodes: Values, ascending.
        counts: How many eigenvalues each stands for; their sum is n.
        trace: Estimate of $\operatorname{tr} A$, unbiased.
        samples: Its independent samples; their mean is the trace.
        products: Products with A that it took, beside those of the Krylov space.
    """

    nodes: NDArray[np.float64]
    counts: NDArray[np.float64]
    trace: float
    samples: NDArray[np.float64]
    products: int

    @property
    def error(self) -> float:
        """Standard error of the trace; nan with one sample."""
        count = len(self.samples)
        return float(self.samples.std(ddof=1) / math.sqrt(count)) if count > 1 else math.nan

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Student's interval for the trace.

        Args:
            level: In (0, 1).
        """
        require(0 < level < 1, f"a level is in (0, 1), got {level}; try 0.95")
        if len(self.samples) < 2:
            return -math.inf, math.inf
        reach = self.error * float(student.ppf((1 + level) / 2, len(self.samples) - 1))
        return self.trace - reach, self.trace + reach

    @property
    def square(self) -> float:
        r"""Estimate of $\|A\|_F^2 = \sum \lambda^2$."""
        return float(self.counts @ self.nodes**2)

    @property
    def negative_mass(self) -> float:
        r"""Share of the negative eigenvalues in $\sum |\lambda|$: 0 at a minimum."""
        whole = float(self.counts @ np.abs(self.nodes))
        return float(self.counts @ np.maximum(-self.nodes, 0)) / whole if whole else 0.0

    def effective_dimension(self, damping: float = 0.0) -> float:
        r"""How many directions the matrix acts in.

        Without damping $(\sum |\lambda|)^2 / \sum \lambda^2$, which is n for the identity and 1 for
        a matrix of rank one; with damping d $\sum |\lambda| / (|\lambda| + d)$.

        Args:
            damping: At least 0.
        """
        size = np.abs(self.nodes)
        if damping > 0:
            return float(self.counts @ (size / (size + damping)))
        return float(self.counts @ size) ** 2 / self.square if self.square else 0.0

    def below(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """How many eigenvalues are at most x, for each of them."""
        sums = np.concatenate([[0.0], np.cumsum(self.counts)])
        return sums[np.searchsorted(self.nodes, x, side="right")]

    def density(self, x: NDArray[np.float64], width: NDArray[np.float64]) -> NDArray[np.float64]:
        """Eigenvalues per unit at x, each node spread out as a normal density of this width."""
        apart = (x[:, None] - self.nodes) / width[:, None]
        bells = np.exp(-0.5 * apart**2) / (width[:, None] * math.sqrt(2 * math.pi))
        found: NDArray[np.float64] = bells @ self.counts
        return found


def spectrum(
    product: Operator,
    ritz: Ritz,
    *,
    probes: int = 4,
    depth: int = 10,
    extra: int = 0,
    seed: int = 0,
) -> Spectrum:
    r"""Trace and density of A from a Krylov space with basis Q and random probes beside it.

    $\operatorname{tr} A = \operatorname{tr} T + \operatorname{tr} PAP$ with $P = I - QQ^\top$. The
    first is known. The second is (n - m) times the mean of $z^\top A z$ over unit vectors z beside
    Q, all directions equally likely: no bias, and the large eigenvalues are no longer in the
    variance. In the same way the density is that of T, one eigenvalue per value, and that of PAP
    by Lanczos quadrature; taking out Q changes the number of eigenvalues below any x by at most
    one.

    Args:
        product: v -> Av, symmetric.
        ritz: Of `lanczos` with the same A.
        probes: Random vectors, at least 1.
        depth: Products per vector, at least 1.
        extra: Random vectors more for the trace alone, one product each.
        seed: Of the vectors.

    Cost: probes * depth + extra products.

    References:
        Hutchinson, A stochastic estimator of the trace of the influence matrix, 1989. Ubaru, Chen
        and Saad, Fast estimation of tr(f(A)) via stochastic Lanczos quadrature, 2017.
    """
    require(
        probes >= 1 and depth >= 1 and extra >= 0,
        f"a spectrum takes at least one probe of one product, got probes={probes}, depth={depth}, "
        f"extra={extra}",
    )
    known, n = len(ritz.basis), ritz.basis.shape[1]
    inside, left = float(ritz.diagonal.sum()), n - known
    if left == 0 or (ritz.exhausted and known == n):
        return Spectrum(ritz.values, np.ones(known), inside, np.array([inside, inside]), 0)
    generator = torch.Generator().manual_seed(seed)
    nodes, counts, samples, products = [ritz.values], [np.ones(known)], [], 0
    for number in range(probes + extra):
        steps = depth if number < probes else 1
        z = torch.randn(n, dtype=ritz.basis.dtype, generator=generator).to(ritz.basis)
        run = lanczos(product, z, steps=steps, against=ritz.basis)
        products += run.products
        samples.append(inside + left * float(run.diagonal[0]))
        if number < probes:
            nodes.append(run.values)
            counts.append(run.rotation[0] ** 2 * left / probes)
    order = np.argsort(np.concatenate(nodes), kind="stable")
    found = np.array(samples)
    return Spectrum(
        np.concatenate(nodes)[order],
        np.concatenate(counts)[order],
        float(found.mean()),
        found,
        products,
    )
