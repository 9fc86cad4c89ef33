"""Extragradient: look one step ahead, then step with the gradient found there."""

from collections.abc import Callable
from typing import Any, ClassVar

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.optimizer import ParamsT

from wellposed.optim._picard import Picard


class Extragradient(Picard):
    r"""Step with the gradient at the point where a plain step would have gone.

    $$y = x - h\,g(x), \qquad x \leftarrow \text{Base}(x, g(y))$$

    One undamped Picard step for the implicit equation $x^+ = x - h \nabla f(x^+)$, `Picard` with
    $t = h$. On monotone but not conservative problems (games, saddle points) it converges where
    gradient descent turns in circles; for plain minimization it damps what `lr` would amplify.

    Cost: one gradient evaluation per step, two per update of the weights. Memory: the base's and
    one copy of the weights.

    Args:
        params: Parameters or parameter groups.
        lr: Step size of the base, at least 0.
        momentum: Of the built-in SGD, at least 0.
        weight_decay: Of the built-in SGD, at least 0.
        pde_time: Length t of the look ahead; None for the present lr.
        nesterov: As for `torch.optim.SGD`; of no effect without momentum.
        same_batch: As for `Picard`.
        maximize: Ascend instead.
        foreach: As for `torch.optim.SGD`.
        fused: As for `torch.optim.SGD`, but None means yes wherever it is safe.
        base: Another base optimizer, (params, lr=...) -> Optimizer, instead of SGD.

    Raises:
        ArgumentError: If a value is out of range.

    References:
        Korpelevich, The extragradient method for finding saddle points and other problems, 1976.
    """

    citation: ClassVar[str] = """\
@article{korpelevich1976extragradient,
  author  = {Korpelevich, Galina M.},
  title   = {The Extragradient Method for Finding Saddle Points and Other Problems},
  journal = {Matecon},
  volume  = {12},
  pages   = {747--756},
  year    = {1976}
}"""

    def __init__(  # noqa: PLR0913 - one argument per symbol of the equation
        self,
        params: ParamsT,
        lr: float | Tensor = 0.05,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        *,
        pde_time: float | None = None,
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
            pde_time=pde_time,
            **sgd,
        )
