"""The best output layer for given features, and what is left of the curvature once it is best."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

from torch import Tensor


@final
@dataclass(frozen=True, slots=True)
class OutputFit:
    r"""The minimizer W of $\tfrac1N \sum_i \ell(\phi_i^\top W, y_i) + \tfrac\lambda2 \|W\|^2$.

    Args:
        coefficients: W, shape (features, outputs), float64.
        loss: The minimum, shape ().
        residual: Norm of the gradient in W that is left.
        solves: Linear systems that it took.
        slope: Gradient of the mean loss in the outputs, shape (N, outputs).
        curve: Product with the Hessian H of the mean loss in the outputs, of that shape.
        inverse: Product with $K^{-1}$, $K = \Phi^\top H \Phi + \lambda I$, of the shape of W.
    """

    coefficients: Tensor
    loss: Tensor
    residual: float
    solves: int
    slope: Tensor
    curve: Callable[[Tensor], Tensor]
    inverse: Callable[[Tensor], Tensor]

    def reduced(self, design: Tensor, tangent: Tensor) -> Tensor:
        r"""$(H - H \Phi K^{-1} \Phi^\top H)\, u$: the curvature in the outputs if W follows.

        Args:
            design: $\Phi$, shape (N, features).
            tangent: u, shape (N, outputs).
        """
        curved = self.curve(tangent)
        return curved - self.curve(design @ self.inverse(design.T @ curved))
