"""Hamilton-Jacobi: descend on the Moreau envelope of the loss."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.optimizer import ParamsT

from wellposed.optim._presets import with_presets
from wellposed.optim._relaxation import Relaxation


class HamiltonJacobi(Relaxation):
    r"""Minimize the loss relaxed by the non-viscous Hamilton-Jacobi equation for a time t.

    $$u_t = -\tfrac12 \|\nabla u\|^2, \quad u(\cdot, 0) = f, \qquad
    u(x, t) = \min_y f(y) + \frac{\|x - y\|^2}{2t}, \qquad
    \nabla u = \frac{x - \text{prox}_{tf}(x)}{t}$$

    The proximal point is approached by L steps of pulled SGD from the anchor x, each with a fresh
    minibatch; then x moves to the last of them. Minimizers stay where they are, positive curvature
    is capped at 1/t, and the problem is well posed while $t < 1 / |\lambda_{\min}|$ for the most
    negative curvature of f. It is `Relaxation` without noise and mean.

    The same points are visited by the damped fixed-point iteration $p \leftarrow b\,p +
    (1 - b)\,\nabla f(x - t p)$: with the explicit pull, no momentum, $h = (1 - b)\,t$ and
    $\eta = \text{lr} / t$, this is `Picard` with `pde_time` t, `mean` 1 - b and step size lr.

    Cost and memory: one gradient per step, L per step of the anchor; momentum and anchor, two
    copies of the weights.

    Args:
        params: Parameters or parameter groups.
        lr: Inner step size h >= 0; schedule it as you would SGD's.
        momentum: m >= 0 of the inner SGD.
        weight_decay: At least 0, in the inner steps.
        nesterov: As for `torch.optim.SGD`; of no effect without momentum.
        inner_steps: L >= 1, gradients per step of the anchor.
        gamma: The pull $\gamma = 1/t \ge 0$.
        kappa: Instead of gamma, $\kappa = \gamma h L / (1 - m)$; see `Relaxation`.
        gamma_growth: $\gamma$ is multiplied by 1 + this at each outer step: t shrinks.
        gamma_max: Limit to that growth, or None.
        outer_lr: $\eta > 0$, the fraction of the way to the proximal point; 1 goes there.
        outer_momentum: Nesterov momentum of the outer step, in [0, 1).
        reset_momentum: Whether each cycle starts at rest.
        integrator: "semi-implicit" or "explicit".
        maximize: Ascend instead.
        foreach: As for `torch.optim.SGD`.
        fused: As for `torch.optim.SGD`, but None means yes wherever it is safe.
        base: Another inner optimizer, (params, lr=...) -> Optimizer, instead of SGD.
        preset: "hj": the inner settings of the authors' descent variant. They decay the anchor
            step: schedule `outer_lr`.

    Raises:
        ArgumentError: If a value is out of range.
        UnknownNameError: If there is no such preset.

    References:
        Chaudhari, Oberman, Osher, Soatto and Carlier, Deep relaxation, 2018, arXiv:1704.04932.
    """

    PRESETS: ClassVar[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
        {"hj": {"lr": 0.25, "gamma": 1e-4, "gamma_growth": 1e-3, "reset_momentum": True}}
    )
    citation: ClassVar[str] = Relaxation.citation

    @with_presets
    def __init__(  # noqa: PLR0913 - one argument per symbol of the equation
        self,
        params: ParamsT,
        lr: float | Tensor = 0.05,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        *,
        nesterov: bool = True,
        inner_steps: int = 20,
        gamma: float = 0.1,
        kappa: float | None = None,
        gamma_growth: float = 0.0,
        gamma_max: float | None = None,
        outer_lr: float = 1.0,
        outer_momentum: float = 0.0,
        reset_momentum: bool = False,
        integrator: str = "semi-implicit",
        maximize: bool = False,
        foreach: bool | None = None,
        fused: bool | None = None,
        base: Callable[..., Optimizer] | None = None,
        preset: str | None = None,  # noqa: ARG002 - resolved by the decorator
    ) -> None:
        super().__init__(
            params,
            base,
            lr=lr,
            momentum=momentum,
            weight_decay=weight_decay,
            nesterov=nesterov,
            maximize=maximize,
            foreach=foreach,
            fused=fused,
            inner_steps=inner_steps,
            gamma=gamma,
            kappa=kappa,
            gamma_growth=gamma_growth,
            gamma_max=gamma_max,
            integrator=integrator,
            outer_lr=outer_lr,
            outer_momentum=outer_momentum,
            reset_momentum=reset_momentum,
        )
