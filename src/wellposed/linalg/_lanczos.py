"""Lanczos' iteration with full reorthogonalization: both ends of a spectrum, with bounds."""

import math
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.stats import beta as beta_distribution
from torch import Tensor

from wellposed.errors import require
from wellposed.linalg._curvature import Operator


@final
@dataclass(frozen=True, slots=True, eq=False)
class Ritz:
    r"""What a symmetric matrix A looks like on a Krylov space of m dimensions.

    Args:
        diagonal: $\alpha$ of the tridiagonal matrix T, shape (m,), in float64.
        off_diagonal: $\beta$, shape (m,); the last one leads out of the space.
        values: Eigenvalues $\theta$ of T, ascending; all of them lie within A's spectrum.
        residuals: $\|Ax - \theta x\| = \beta_m |s_m|$ per value: some eigenvalue of A is no further
            away.
        rotation: Eigenvectors s of T, as columns.
        basis: Orthonormal rows, shape (m, n).
        asymmetry: Largest entry of $Q^\top A Q - T$ over the largest of $|\theta|$: rounding where
            A is symmetric.
        exhausted: Whether the space is invariant, so that the values are eigenvalues of A.
        deflated: Dimensions that were kept out of the space.
    """

    diagonal: NDArray[np.float64]
    off_diagonal: NDArray[np.float64]
    values: NDArray[np.float64]
    residuals: NDArray[np.float64]
    rotation: NDArray[np.float64]
    basis: Tensor
    asymmetry: float
    exhausted: bool
    deflated: int = 0

    @property
    def products(self) -> int:
        """Products with A that it took."""
        return len(self.values)

    def vectors(self, which: slice | list[int]) -> Tensor:
        """Ritz vectors of the values of these numbers, one per row, of unit length."""
        chosen = torch.as_tensor(self.rotation[:, which].T.copy())
        return chosen.to(self.basis) @ self.basis

    def ceiling(self, failure: float = 0.01) -> float:
        r"""A bound that the largest eigenvalue exceeds with at most this probability.

        The space is that of one vector with a uniformly random direction, of n coordinates. Unless
        its part along the eigenvector is very small, some polynomial of degree m - 1 would have
        shown a larger value: with probability at least $1 - \delta$,

        $$\lambda_1 - \theta_1 \le \varepsilon (\lambda_1 - \lambda_n), \quad
        \varepsilon = \tanh^2 t, \quad \sinh t = \sinh\frac{\operatorname{arcosh} q^{-1/2}}{2m-1},$$

        q the $\delta$-quantile of Beta(1/2, (n-1)/2). The width of the spectrum is bounded by the
        same argument at its other end, half of the probability for each.

        Args:
            failure: In (0, 1), of both ends together.

        References:
            Kuczynski and Wozniakowski, Estimating the largest eigenvalue by the power and Lanczos
            algorithms with a random start, 1992.
        """
        return float(self.values[-1]) + self._slack(failure)

    def floor(self, failure: float = 0.01) -> float:
        """A bound that the least eigenvalue is below with at most this probability.

        Args:
            failure: In (0, 1), that this or `ceiling` at the same one does not hold.
        """
        return float(self.values[0]) - self._slack(failure)

    def _slack(self, failure: float) -> float:
        require(0 < failure < 1, f"a probability of failure is in (0, 1), got {failure}; try 0.01")
        if self.exhausted:
            return float(self.residuals.max())
        dimension = self.basis.shape[1] - self.deflated
        q = float(beta_distribution.ppf(failure / 2, 0.5, (dimension - 1) / 2))
        if q <= 0:
            return math.inf
        s = math.sinh(math.acosh(max(1.0, q**-0.5)) / (2 * self.products - 1))
        share = s * s / (1 + s * s)
        width = float(self.values[-1] - self.values[0])
        return share * width / (1 - 2 * share) if share < 0.5 else math.inf


def lanczos(
    product: Operator,
    start: Tensor,
    *,
    steps: int,
    largest: int = 1,
    smallest: int = 0,
    tolerance: float = 0.0,
    against: Tensor | None = None,
) -> Ritz:
    r"""Project a symmetric matrix on the space of $b, Ab, A^2 b, \dots$.

    Every new vector is made orthogonal to all before it, twice; T is kept in float64. Without that
    copies of values would appear that are there once.

    Args:
        product: v -> Av, A symmetric.
        start: b, shape (n,), of random direction where bounds are wanted; any length but 0.
        steps: At most this many products, at least 1.
        largest: So many values at the upper end have to be accurate.
        smallest: And so many at the lower end.
        tolerance: It ends once their residuals are at most this times their own size; 0 for all
            the steps.
        against: Orthonormal rows, shape (k, n); A is then $PAP$, P the projection on what is
            orthogonal to them.

    Cost: one product per step, and 4 j n operations for the j-th; steps + 1 vectors of memory.

    Raises `ArgumentError` where a product is not finite.
    """
    n, fixed = start.numel(), 0 if against is None else len(against)
    room = max(1, min(steps, n - fixed))
    basis = torch.empty((room, n), dtype=start.dtype, device=start.device)
    first = apart(apart(start.detach(), against), against)
    length = float(first.double().norm())
    require(
        steps >= 1 and 0 < length < math.inf,
        f"Lanczos' iteration needs a step and a start of finite length above 0, got {steps} steps "
        f"and a start of length {length:g}",
    )
    basis[0] = first / length
    alphas: list[float] = []
    betas: list[float] = []
    wrong = 0.0
    for j in range(room):
        image = apart(product(basis[j]).detach(), against)
        alpha = float(basis[j].double() @ image.double())
        require(
            math.isfinite(alpha),
            f"product {j + 1} with the operator is not finite; the loss has no second derivative "
            "at these weights",
        )
        known = basis[: j + 1]
        overlaps = known @ image
        expected = torch.zeros_like(overlaps)
        expected[j] = alpha
        if j:
            expected[j - 1] = betas[-1]
        wrong = max(wrong, float((overlaps - expected).abs().max()))
        image = image - overlaps @ known
        image = apart(image, against)  # what is left may be as small as rounding was before
        image = image - (known @ image) @ known
        alphas.append(alpha)
        betas.append(float(image.double().norm()))
        values, rotation = eigen(alphas, betas)
        scale = float(np.abs(values).max())
        residuals = betas[-1] * np.abs(rotation[-1])
        exhausted = betas[-1] <= 100 * torch.finfo(start.dtype).eps * scale or j + 1 == n - fixed
        if exhausted or j + 1 == room or _settled(values, residuals, largest, smallest, tolerance):
            break
        basis[j + 1] = image / betas[-1]
    return Ritz(
        np.array(alphas),
        np.array(betas),
        values,
        residuals,
        rotation,
        basis[: j + 1],
        wrong / scale if scale else 0.0,
        exhausted,
        fixed,
    )


def apart(vector: Tensor, against: Tensor | None) -> Tensor:
    """The vector without its part along these orthonormal rows, up to rounding of that part."""
    return vector if against is None else vector - (against @ vector) @ against


def eigen(alphas: ArrayLike, betas: ArrayLike) -> tuple[NDArray[np.float64], ...]:
    """Eigenvalues, ascending, and eigenvectors of T; the last beta leads out of it."""
    beside = np.asarray(betas)[:-1]
    values, rotation = np.linalg.eigh(np.diag(alphas) + np.diag(beside, 1) + np.diag(beside, -1))
    return values, rotation


def _settled(
    values: NDArray[np.float64],
    residuals: NDArray[np.float64],
    largest: int,
    smallest: int,
    tolerance: float,
) -> bool:
    """Whether the wanted values at both ends are accurate."""
    if tolerance <= 0 or len(values) <= largest + smallest:
        return False
    wanted = [*range(smallest), *range(len(values) - largest, len(values))]
    return bool((residuals[wanted] <= tolerance * np.abs(values[wanted])).all())
