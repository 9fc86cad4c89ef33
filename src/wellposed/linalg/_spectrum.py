"""Trace and spectral density: what a Krylov space has not seen is sampled, the rest is exact."""

import math
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray

from wellposed.errors import require
from wellposed.linalg._curvature import Operator
from wellposed.linalg._lanczos import Ritz, eigen, lanczos
from wellposed.linalg._trace import Parts, Trace, apart_from, trace

_DEPTHS = 4


@final
@dataclass(frozen=True, slots=True, eq=False)
class Spectrum:
    r"""The eigenvalues of a symmetric matrix A, shape (n, n), as a weighted sample.

    Args:
        nodes: Values, ascending.
        counts: How many eigenvalues each stands for; their sum is n.
        trace: Estimates of $\operatorname{tr} A$.
        products: Products with A that it took, beside those of the Krylov space.
    """

    nodes: NDArray[np.float64]
    counts: NDArray[np.float64]
    trace: Trace
    products: int

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
    probes: int = 1,
    depth: int = 32,
    extra: int = 8,
    parts: Parts | None = None,
    seed: int = 0,
) -> Spectrum:
    r"""Trace and density of A from a Krylov space with basis Q and random probes beside it.

    The density is that of T, one eigenvalue per value, and that of PAP with $P = I - QQ^\top$ by
    Lanczos quadrature; taking out Q changes the number of eigenvalues below any x by at most one.
    Most eigenvalues of a network's Hessian are nearly 0, and rules of odd and of even depth place
    that mass differently, so the rules of the last four depths, which cost nothing, are averaged.
    One deep probe tells more of a density than several shallow ones; but its trace is a single
    sample, so `trace` takes some more, or where there are none the probes' own.

    Args:
        product: v -> Av, symmetric.
        ritz: Of `lanczos` with the same A.
        probes: Random vectors of the density, at least 1.
        depth: Products per vector, at least 1.
        extra: Samples of the trace, one product each; 0 to take it from the probes.
        parts: Of A, for `trace`; None for A alone.
        seed: Of the vectors.

    Cost: probes * depth + extra products.

    References:
        Ubaru, Chen and Saad, Fast estimation of tr(f(A)) via stochastic Lanczos quadrature, 2017.
    """
    require(
        probes >= 1 and depth >= 1 and extra >= 0,
        f"a spectrum takes at least one probe of one product, got probes={probes}, depth={depth}, "
        f"extra={extra}",
    )
    known, n = len(ritz.basis), ritz.basis.shape[1]
    inside, left = float(ritz.diagonal.sum()), n - known
    if left == 0:
        return Spectrum(ritz.values, np.ones(known), Trace(np.array([inside, inside])), 0)
    generator = apart_from(seed, "density")
    nodes, counts, samples, products = [ritz.values], [np.ones(known)], [], 0
    for _ in range(probes):
        z = torch.randn(n, dtype=ritz.basis.dtype, generator=generator).to(ritz.basis)
        run = lanczos(product, z, steps=depth, against=ritz.basis)
        products += run.products
        samples.append(inside + left * float(run.diagonal[0]))
        for values, weights in _rules(run):
            nodes.append(values)
            counts.append(weights * left / probes)
    order = np.argsort(np.concatenate(nodes), kind="stable")
    traced = Trace(np.array(samples))
    if extra:
        traced = trace(
            parts or [(1.0, product)], ritz.basis[0], beside=ritz, probes=extra, seed=seed
        )
    return Spectrum(
        np.concatenate(nodes)[order], np.concatenate(counts)[order], traced, products + extra
    )


def _rules(run: Ritz) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Nodes and weights of Gauss' rules of the last depths; their weights add up to 1 together."""
    deepest = run.products
    first = deepest if run.exhausted else max(1, deepest - _DEPTHS + 1)
    depths = range(first, deepest + 1)
    rules = [eigen(run.diagonal[:d], run.off_diagonal[:d]) for d in depths]
    return [(values, rotation[0] ** 2 / len(depths)) for values, rotation in rules]
