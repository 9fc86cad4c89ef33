"""Lasry-Lions: descend on the double envelope of the loss, smooth from both sides."""

from collections.abc import Callable
from typing import ClassVar

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.optimizer import ParamsT

from wellposed.optim._relaxation import Relaxation


class LasryLions(Relaxation):
    r"""Minimize the loss relaxed by an inf-convolution of time t, then a sup-convolution of s < t.

    $$f_{t,s}(x) = \max_z \min_y f(y) + \frac{\|z - y\|^2}{2t} - \frac{\|x - z\|^2}{2s}, \qquad
    \nabla f_{t,s}(x) = \frac{z - x}{s}$$

    The inf-convolution alone caps positive curvature at 1/t but has kinks, where two valleys are
    equally good; the sup-convolution rounds them off, to curvature -1/s. Where the loss is smooth
    and $t < 1/|\lambda_{\min}|$, both together are `HamiltonJacobi` for the time t - s.

    In blocks of B gradients y descends from z, pulled to z; then z takes a damped step to
    $x + r\,(z - y)$ with $r = s/t$. After L gradients $x \leftarrow x - \eta\,(t - s)(z - x)/s$.
    What is found is the valley that descent from z finds, not always the deepest.

    Cost and memory: one gradient per step; momentum, anchor and z, three copies of the weights.

    Args:
        params: Parameters or parameter groups.
        lr: Inner step size h >= 0; schedule it as you would SGD's.
        momentum: m >= 0 of the inner SGD.
        weight_decay: At least 0, in the inner steps.
        nesterov: As for `torch.optim.SGD`; of no effect without momentum.
        inner_steps: L >= 1, gradients per step of the anchor.
        block: B, gradients per step of z, a divisor of L.
        gamma: The pull $\gamma = 1/t \ge 0$ of y to z.
        reverse: $r = s/t$ in (0, 1).
        mean: Damping of z, between 0 and 1: the weight of its newest value.
        outer_lr: $\eta > 0$.
        outer_momentum: Nesterov momentum of the outer step, in [0, 1).
        reset_momentum: Whether each cycle starts at rest.
        maximize: Ascend instead.
        foreach: As for `torch.optim.SGD`.
        fused: As for `torch.optim.SGD`, but None means yes wherever it is safe.
        base: Another inner optimizer, (params, lr=...) -> Optimizer, instead of SGD.

    Raises:
        ArgumentError: If a value is out of range.

    References:
        Lasry and Lions, A remark on regularization in Hilbert spaces, 1986. An unpublished variant
        in the code of Chaudhari et al., arXiv:1704.04932, suggested it; this scheme is ours.
    """

    citation: ClassVar[str] = """\
@article{lasry1986remark,
  author  = {Lasry, Jean-Michel and Lions, Pierre-Louis},
  title   = {A Remark on Regularization in {H}ilbert Spaces},
  journal = {Israel Journal of Mathematics},
  volume  = {55},
  number  = {3},
  pages   = {257--266},
  year    = {1986}
}"""

    def __init__(  # noqa: PLR0913 - one argument per symbol of the equation
        self,
        params: ParamsT,
        lr: float | Tensor = 0.05,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        *,
        nesterov: bool = True,
        inner_steps: int = 20,
        block: int = 5,
        gamma: float = 0.1,
        reverse: float = 0.5,
        mean: float = 0.5,
        outer_lr: float = 1.0,
        outer_momentum: float = 0.0,
        reset_momentum: bool = False,
        maximize: bool = False,
        foreach: bool | None = None,
        fused: bool | None = None,
        base: Callable[..., Optimizer] | None = None,
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
            block=block,
            gamma=gamma,
            reverse=reverse,
            mean=mean,
            outer_lr=outer_lr,
            outer_momentum=outer_momentum,
            reset_momentum=reset_momentum,
        )
