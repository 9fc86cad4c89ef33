"""SlowMo: local steps, exact averages, and slow momentum on top."""

from collections.abc import Callable
from math import inf
from typing import ClassVar, final

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.optimizer import ParamsT

from wellposed.optim._relaxation import Relaxation
from wellposed.optim._replicas import Replicas


@final
class SlowMo(Relaxation):
    r"""Local steps in each worker, their exact mean, then a heavy-ball step along the difference.

    With the step size h that the base optimizer has at the end of the cycle,

    $$u \leftarrow \beta u + \tfrac1h \Bigl(x - \tfrac1n \sum_a y_a\Bigr), \qquad
    x \leftarrow x - \alpha h\,u$$

    $\beta = 0$, $\alpha = 1$ is local SGD. Unlike `DiLoCo`, momentum is not Nesterov's, and is kept
    in units of gradients, so that a change of h acts on all of it. Workers as the replicas of
    `Parle`; all hold the same x at the end of a cycle, and momentum of the base stays their own.

    Cost: one gradient per worker and step; one all-reduce per `inner_steps` steps. Memory: that of
    the base, two copies of the weights per worker (anchor, outer momentum) and one per process.

    Args:
        params: Parameters or parameter groups.
        lr: h >= 0, the step size of the base optimizer.
        momentum: Of the SGD inside, at least 0.
        weight_decay: Of the SGD inside, at least 0.
        nesterov: As for `torch.optim.SGD`; of no effect without momentum.
        inner_steps: $\tau \ge 1$, gradients per outer step.
        outer_lr: $\alpha > 0$ of the outer step.
        outer_momentum: $\beta$ of the outer step, in [0, 1).
        coupling: `Replicas` in other processes, or None.
        reset_momentum: Whether the SGD inside starts each cycle at rest.
        foreach: As for `torch.optim.SGD`.
        fused: As for `torch.optim.SGD`, but None means yes wherever it is safe.
        base: Another base optimizer, (params, lr=...) -> Optimizer, instead of SGD.

    Raises:
        ArgumentError: If a value is out of range, or replicas are no copies of one model.

    References:
        Wang, Tantia, Ballas and Rabbat, SlowMo: improving communication-efficient distributed SGD
        with slow momentum, 2020, arXiv:1910.00643.
    """

    citation: ClassVar[str] = """\
@inproceedings{wang2020slowmo,
  author    = {Wang, Jianyu and Tantia, Vinayak and Ballas, Nicolas and Rabbat, Michael},
  title     = {{SlowMo}: Improving Communication-Efficient Distributed {SGD} with Slow Momentum},
  booktitle = {International Conference on Learning Representations},
  year      = {2020},
  note      = {arXiv:1910.00643}
}"""

    def __init__(  # noqa: PLR0913 - one argument per symbol of the equation
        self,
        params: ParamsT,
        lr: float | Tensor = 0.05,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        *,
        nesterov: bool = True,
        inner_steps: int = 12,
        outer_lr: float = 1.0,
        outer_momentum: float = 0.5,
        coupling: Replicas | None = None,
        reset_momentum: bool = False,
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
            foreach=foreach,
            fused=fused,
            inner_steps=inner_steps,
            outer_lr=outer_lr,
            outer_momentum=outer_momentum,
            outer_nesterov=False,
            reset_momentum=reset_momentum,
            rho=inf,
            coupling=coupling,
        )
