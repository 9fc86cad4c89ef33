"""Stochastic backward Euler: an implicit gradient step by averaged fixed-point steps."""

from collections.abc import Callable
from typing import Any, ClassVar

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.optimizer import ParamsT

from wellposed.optim._picard import Picard


class BackwardEuler(Picard):
    r"""Solve the implicit step $x^+ = x - t\,\nabla f(x^+)$ by L damped fixed-point steps.

    $$p_0 = 0, \quad p_i = (1 - a)\,p_{i-1} + a\,g(x - t\,p_{i-1}), \qquad
    x \leftarrow x - t\,p_L, \qquad t = \text{lr}$$

    It is a proximal point step, $x^+ = \arg\min_y f(y) + \|x - y\|^2 / 2t$, to the accuracy of
    the inner iteration, which averages over fresh minibatches: large steps are stable where those
    of gradient descent are not. It visits the points that gradient descent with step a t visits on
    that objective. On curvature $\lambda$ the inner iteration contracts by $1 - a(1 + t\lambda)$:
    it needs $a < 2 / (1 + t\lambda)$. `Picard` with t = lr.

    Cost: one gradient evaluation per step, L per update. Memory: anchor and mean, two copies.

    Args:
        params: Parameters or parameter groups.
        lr: The implicit step t >= 0, also how far the probes go.
        momentum: Of the built-in SGD, at least 0.
        weight_decay: Of the built-in SGD, at least 0.
        inner_steps: L >= 1, gradients per implicit step.
        mean: Weight a of the newest gradient in (0, 1], the damping is 1 - a; or "uniform".
        nesterov: As for `torch.optim.SGD`; of no effect without momentum.
        same_batch: As for `Picard`.
        maximize: Ascend instead.
        foreach: As for `torch.optim.SGD`.
        fused: As for `torch.optim.SGD`, but None means yes wherever it is safe.
        base: Another base optimizer, (params, lr=...) -> Optimizer, instead of SGD.

    Raises:
        ArgumentError: If a value is out of range.

    References:
        Yin, Pham, Oberman and Osher, Stochastic backward Euler: an implicit gradient descent
        algorithm for k-means clustering, 2018, arXiv:1710.07746.
    """

    citation: ClassVar[str] = """\
@article{yin2018stochastic,
  author  = {Yin, Penghang and Pham, Minh and Oberman, Adam and Osher, Stanley},
  title   = {Stochastic Backward {E}uler: An Implicit Gradient Descent Algorithm for k-Means
             Clustering},
  journal = {Journal of Scientific Computing},
  volume  = {77},
  year    = {2018},
  note    = {arXiv:1710.07746}
}"""

    def __init__(  # noqa: PLR0913 - one argument per symbol of the equation
        self,
        params: ParamsT,
        lr: float | Tensor = 0.1,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        *,
        inner_steps: int = 10,
        mean: float | str = 0.25,
        nesterov: bool = False,
        same_batch: bool = False,
        maximize: bool = False,
        foreach: bool | None = None,
        fused: bool | None = None,
        base: Callable[..., Optimizer] | None = None,
    ) -> None:
        sgd: dict[str, Any] = {"momentum": momentum, "nesterov": nesterov}
        if base is not None and sgd == {"momentum": 0.0, "nesterov": False}:
            sgd = {}  # they were not given
        super().__init__(
            params,
            base,
            lr=lr,
            weight_decay=weight_decay,
            maximize=maximize,
            foreach=foreach,
            fused=fused,
            same_batch=same_batch,
            inner_steps=inner_steps,
            pde_time=None,
            mean=mean,
            **sgd,
        )
