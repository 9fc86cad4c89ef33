"""Newton's method by conjugate gradients."""

from collections.abc import Callable
from typing import Any, ClassVar

from torch import Tensor
from torch.optim.optimizer import ParamsT

from wellposed.linalg import hessian
from wellposed.optim._answers import ask, backward_explained, scalar
from wellposed.optim._truncated_newton import Quadratic, TruncatedNewton


class NewtonCG(TruncatedNewton):
    r"""Newton's method on a large fixed sample, its system solved by a few Hessian products.

    $$\|\nabla^2 E(w)\, d + g\| \le \min(\tfrac12, \|g\|^{q})\, \|g\|, \qquad
      w \leftarrow w + \alpha d, \qquad E(w + \alpha d) \le E(w) + 10^{-4}\, \alpha\, g^\top d$$

    Conjugate gradients (Steihaug) stop at that residual, at negative curvature, or at the trust
    radius. The step length starts from the last one, or twice it if that was accepted at once, up
    to `lr`. Near a minimum with positive curvature the error converges with order $1 + q$.

    `step(closure)` wants a closure that **returns the loss with its graph and does not call
    backward()**, and that is a function of the weights: the same examples at each call, no
    dropout. Take several steps on a sample, then draw another. `optimizer.effort` counts what was
    spent, `optimizer.outcome` says how the step ended. Where no decrease is found, the weights
    stay as they are and a warning says so.

    Cost: per step one gradient, one Hessian product (at most two gradients) per iteration of
    conjugate gradients, one loss per trial. Memory: none between steps; six vectors and the graph
    of the gradient during one.

    Args:
        params: Parameters, or one parameter group, of float32 or float64 on one device.
        lr: Longest step length $\alpha \ge 0$; 1 is Newton's step.
        iterations: Newton steps per `step(closure)`, at least 1.
        max_products: Limit of Hessian products per Newton step, at least 1.
        forcing: Exponent $q > 0$; 1 for quadratic convergence.
        radius: Trust radius $\|d\| \le \Delta$ in the units of the weights, above 0; None for none.
        max_trials: Limit of losses per line search, at least 1.

    Raises:
        ArgumentError: If a value is out of range.

    References:
        Dembo, Eisenstat and Steihaug, Inexact Newton methods, 1982; Steihaug, The conjugate
        gradient method and trust regions in large scale optimization, 1983; Eisenstat and Walker,
        Choosing the forcing terms in an inexact Newton method, 1996.
    """

    form = "returns the loss on the sample, with its graph, without calling backward()"
    by_hand = (
        "its closure returns the loss with its graph, which training loops do not give; in a "
        "program: optimizer.step(lambda: criterion(model(x), y)) on a large sample"
    )
    citation: ClassVar[str] = """\
@article{steihaug1983conjugate,
  author  = {Steihaug, Trond},
  title   = {The Conjugate Gradient Method and Trust Regions in Large Scale Optimization},
  journal = {SIAM Journal on Numerical Analysis},
  volume  = {20},
  number  = {3},
  pages   = {626--637},
  year    = {1983}
}

@article{eisenstat1996choosing,
  author  = {Eisenstat, Stanley C. and Walker, Homer F.},
  title   = {Choosing the Forcing Terms in an Inexact {Newton} Method},
  journal = {SIAM Journal on Scientific Computing},
  volume  = {17},
  number  = {1},
  pages   = {16--32},
  year    = {1996}
}"""

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1.0,
        *,
        iterations: int = 1,
        max_products: int = 50,
        forcing: float = 0.5,
        radius: float | None = None,
        max_trials: int = 20,
    ) -> None:
        super().__init__(
            params,
            lr=lr,
            iterations=iterations,
            max_products=max_products,
            forcing=forcing,
            radius=radius,
            max_trials=max_trials,
        )

    def _quadratic(self, closure: Callable[[], Any] | None, weights: list[Tensor]) -> Quadratic:
        loss = scalar(ask(closure, "NewtonCG", self.form), "NewtonCG", graph=True)
        with backward_explained("NewtonCG"):
            gradient, product = hessian(loss.reshape(()), weights)
        return Quadratic(loss, gradient, product)

    def _loss(self, answer: Any) -> float:
        return float(answer.detach())
