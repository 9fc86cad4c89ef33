"""The least eigenvalue of a symmetric operator: how negative its curvature is."""

from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh
from torch import Tensor

from wellposed.errors import require
from wellposed.linalg._curvature import Operator

_DENSE = 20  # below, all columns are cheaper than a Krylov space


@final
@dataclass(frozen=True, slots=True)
class Eigenvalue:
    r"""An approximate eigenvalue.

    Args:
        value: A value of the Rayleigh quotient, so the least eigenvalue is at most this.
        residual: $\|Av - \lambda v\|$ of its unit vector: some eigenvalue is no further away.
        products: Products with the operator that it took.
    """

    value: float
    residual: float
    products: int


def least_eigenvalue(
    operator: Operator, like: Tensor, *, tolerance: float = 0.05, restarts: int = 10, seed: int = 0
) -> Eigenvalue:
    """The least eigenvalue, by ARPACK's restarted Lanczos iteration from a seeded random vector.

    Args:
        operator: v -> Av, symmetric.
        like: A vector of the right shape (n,), dtype and device.
        tolerance: Accuracy relative to the eigenvalue, above 0.
        restarts: At most this many, of 20 products each; then the best vector so far counts.
        seed: Of the start.

    Cost: typically 30 to 100 products. Raises `ArgumentError` where a product is not finite.
    """
    n, products = like.numel(), 0
    require(n > 0, "an operator on no coordinates has no eigenvalues; try n >= 1")

    def multiply(vector: np.ndarray) -> np.ndarray:
        nonlocal products
        products += 1
        v = torch.as_tensor(vector.reshape(-1), dtype=like.dtype, device=like.device)
        found = operator(v).detach().double().cpu().numpy()
        require(
            bool(np.isfinite(found).all()),
            f"product {products} with the operator is not finite; the loss has no second "
            "derivative at these weights",
        )
        return found

    if n <= _DENSE:
        matrix = np.stack([multiply(column) for column in np.eye(n)])
        _, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
        vector = vectors[:, 0]
    else:
        start = np.random.default_rng(seed).standard_normal(n)
        wrapped = LinearOperator((n, n), matvec=multiply, dtype=np.float64)
        try:
            _, vectors = eigsh(
                wrapped, k=1, which="SA", v0=start, tol=tolerance, ncv=_DENSE, maxiter=restarts
            )
            vector = vectors[:, 0]
        except ArpackNoConvergence as failure:
            found = failure.eigenvectors
            vector = found[:, 0] if found.size else start / np.linalg.norm(start)
    image = multiply(vector)
    value = float(vector @ image)
    return Eigenvalue(value, float(np.linalg.norm(image - value * vector)), products)
