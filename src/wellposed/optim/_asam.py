"""ASAM: SAM in a ball that scales with the weights."""

from collections.abc import Callable
from typing import ClassVar

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.optimizer import ParamsT

from wellposed.errors import require
from wellposed.optim._picard import Picard


class ASAM(Picard):
    r"""SAM whose ball is measured relative to the weights, so rescaled layers change nothing.

    $$y = x + \rho\,\frac{T^2 g(x)}{\|T g(x)\|}, \quad T = \text{diag}\,|x|, \qquad
    x \leftarrow \text{Base}(x, g(y))$$

    A weight that is 0 is not displaced. See `SAM` for batch norm and several processes.

    Cost: one gradient evaluation per step, two per update of the weights; with `same_batch` two per
    step. Memory: the base's and one copy of the weights.

    Args:
        params: Parameters or parameter groups.
        lr: Step size of the base, at least 0.
        momentum: Of the built-in SGD, at least 0.
        weight_decay: Of the built-in SGD, at least 0.
        rho: $\rho \ge 0$, radius of the ball, relative to the weights. In the groups it stands as
            `pde_time` $= -\rho$.
        nesterov: As for `torch.optim.SGD`; of no effect without momentum.
        same_batch: As for `SAM`.
        maximize: Ascend instead.
        foreach: As for `torch.optim.SGD`.
        fused: As for `torch.optim.SGD`, but None means yes wherever it is safe.
        base: Another base optimizer, (params, lr=...) -> Optimizer, instead of SGD.

    Raises:
        ArgumentError: If a value is out of range.

    References:
        Kwon, Kim, Park and Choi, ASAM: adaptive sharpness-aware minimization for scale-invariant
        learning of deep neural networks, 2021, arXiv:2102.11600; without their $\eta$ in T.
    """

    citation: ClassVar[str] = """\
@inproceedings{kwon2021asam,
  author    = {Kwon, Jungmin and Kim, Jeongseop and Park, Hyunseo and Choi, In Kwon},
  title     = {{ASAM}: Adaptive Sharpness-Aware Minimization for Scale-Invariant Learning of Deep
               Neural Networks},
  booktitle = {International Conference on Machine Learning},
  year      = {2021},
  note      = {arXiv:2102.11600}
}"""

    def __init__(  # noqa: PLR0913 - one argument per symbol of the equation
        self,
        params: ParamsT,
        lr: float | Tensor = 0.05,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        *,
        rho: float = 0.5,
        nesterov: bool = True,
        same_batch: bool = False,
        maximize: bool = False,
        foreach: bool | None = None,
        fused: bool | None = None,
        base: Callable[..., Optimizer] | None = None,
    ) -> None:
        require(
            rho >= 0, f"rho={rho} was given; it is the radius of the probe, at least 0, try 0.5"
        )
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
            same_batch=same_batch,
            pde_time=-rho,
            normalize="adaptive",
        )
