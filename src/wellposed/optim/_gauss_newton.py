"""The Gauss-Newton method, without its matrix."""

from collections.abc import Callable
from typing import Any, ClassVar

from torch import Tensor
from torch.optim.optimizer import ParamsT

from wellposed.errors import ArgumentError, require
from wellposed.linalg import gauss_newton
from wellposed.optim._answers import ask, backward_explained, scalar
from wellposed.optim._truncated_newton import Quadratic, TruncatedNewton


class GaussNewton(TruncatedNewton):
    r"""Gauss-Newton on a large fixed sample: curvature of the loss, not of the network.

    $$\|(J^\top H J + \lambda I)\, d + g\| \le \min(\tfrac12, \|g\|^{q})\, \|g\|, \qquad
      w \leftarrow w + \alpha d, \qquad E(w + \alpha d) \le E(w) + 10^{-4}\, \alpha\, g^\top d$$

    J is the Jacobian of the outputs in the weights, H the Hessian of the loss in the outputs: the
    identity for the squared error, $\operatorname{diag}(p) - pp^\top$ for the cross-entropy. The
    matrix is never negative where the loss is convex in the outputs, so the network's own second
    derivatives, which make the Hessian indefinite, are left out; with outputs linear in the weights
    it is Newton's method. Where residuals stay large it converges linearly only.

    `step(closure)` wants a closure that **returns (loss, outputs), the loss computed from these
    outputs, with its graph, and does not call backward()**. A penalty on the weights in the loss
    counts in the gradient and not in the matrix: say $\tfrac{\lambda}{2}\|w\|^2$ with
    `damping`$\, = \lambda$. The rest is as for `NewtonCG`.

    Cost: per step one gradient and the graph of the Jacobian (counted as one product), one product
    (one J v and one J'u, at most two gradients) per iteration of conjugate gradients, one loss per
    trial. Memory: as for `NewtonCG`.

    Args:
        params: Parameters, or one parameter group, of float32 or float64 on one device.
        lr: Longest step length $\alpha \ge 0$; 1 is Gauss-Newton's step.
        damping: $\lambda \ge 0$ (Levenberg, Marquardt), in units of the curvature.
        iterations: Steps per `step(closure)`, at least 1.
        max_products: Limit of products per step, at least 1.
        forcing: Exponent $q > 0$.
        radius: Trust radius $\|d\| \le \Delta$ in the units of the weights, above 0; None for none.
        max_trials: Limit of losses per line search, at least 1.

    Raises:
        ArgumentError: If a value is out of range.

    References:
        Schraudolph, Fast curvature matrix-vector products for second-order gradient descent, 2002.
    """

    form = (
        "returns (loss, outputs) on the sample, the loss computed from these outputs, without "
        "calling backward()"
    )
    by_hand = (
        "its closure returns (loss, outputs) with their graph, which training loops do not give; "
        "in a program: a closure with outputs = model(x); return criterion(outputs, y), outputs"
    )
    citation: ClassVar[str] = """\
@article{schraudolph2002fast,
  author  = {Schraudolph, Nicol N.},
  title   = {Fast Curvature Matrix-Vector Products for Second-Order Gradient Descent},
  journal = {Neural Computation},
  volume  = {14},
  number  = {7},
  pages   = {1723--1738},
  year    = {2002}
}"""

    def __init__(  # noqa: PLR0913 - one argument per symbol of the equation
        self,
        params: ParamsT,
        lr: float = 1.0,
        *,
        damping: float = 0.0,
        iterations: int = 1,
        max_products: int = 50,
        forcing: float = 0.5,
        radius: float | None = None,
        max_trials: int = 20,
    ) -> None:
        require(damping >= 0, f"GaussNewton got damping={damping:g}; it is at least 0, try 1e-3")
        super().__init__(
            params,
            lr=lr,
            damping=damping,
            iterations=iterations,
            max_products=max_products,
            forcing=forcing,
            radius=radius,
            max_trials=max_trials,
        )

    def _quadratic(self, closure: Callable[[], Any] | None, weights: list[Tensor]) -> Quadratic:
        answer, outputs = self._pair(ask(closure, "GaussNewton", self.form))
        loss = scalar(answer, "GaussNewton", graph=True)
        with backward_explained("GaussNewton"):
            gradient, product = gauss_newton(loss.reshape(()), outputs, weights)
        self._count(products=1)  # the graph of J'u, made once
        damping = self.param_groups[0]["damping"]
        return Quadratic(loss, gradient, lambda v: product(v) + damping * v)

    def _loss(self, answer: Any) -> float:
        return float(self._pair(answer)[0].detach())

    def _pair(self, answer: Any) -> tuple[Any, Tensor]:
        """Loss and outputs.

        Raises:
            ArgumentError: If the answer is no such pair.
        """
        if not (isinstance(answer, tuple) and len(answer) == 2 and isinstance(answer[1], Tensor)):
            raise ArgumentError(
                f"the closure of GaussNewton returned a {type(answer).__name__}; it returns "
                "(loss, outputs), two tensors, the loss computed from these outputs"
            )
        return answer
