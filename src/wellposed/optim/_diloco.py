"""DiLoCo: many steps of AdamW in each worker, then one Nesterov step on what they found."""

from collections.abc import Callable, Mapping
from functools import partial
from math import inf
from types import MappingProxyType
from typing import Any, ClassVar, final

from torch import Tensor
from torch.optim import AdamW, Optimizer
from torch.optim.optimizer import ParamsT

from wellposed.optim._presets import with_presets
from wellposed.optim._relaxation import Relaxation
from wellposed.optim._replicas import Replicas


@final
class DiLoCo(Relaxation):
    r"""Local steps of a base optimizer, then a Nesterov step along the mean of the differences.

    From a common x, each of n workers makes H steps of its own to $y_a$; then

    $$\Delta = x - \tfrac1n \sum_a y_a, \qquad v \leftarrow m v + \Delta, \qquad
    x \leftarrow x - \eta\,(\Delta + m v)$$

    It is `Lookahead` with outer momentum and $\rho = \infty$; with one worker, too, it is more than
    its base. Workers as the replicas of `Parle`; all hold the same x at the end of a cycle.

    Cost: one gradient per worker and step; one all-reduce per `inner_steps` steps. Memory: that of
    the base, two copies of the weights per worker (anchor, outer momentum) and one per process.

    Args:
        params: Parameters or parameter groups.
        lr: Step size of the base optimizer, at least 0.
        inner_steps: H >= 1, gradients per outer step.
        outer_lr: $\eta > 0$ of the outer step.
        outer_momentum: m of the outer step, in [0, 1).
        coupling: `Replicas` in other processes, or None.
        base: The base optimizer, (params, lr=...) -> Optimizer.
        preset: "diloco": the published settings, H = 500 and AdamW with lr 4e-4 and decay 0.1.

    Raises:
        ArgumentError: If a value is out of range, or replicas are no copies of one model.
        UnknownNameError: If there is no such preset.

    References:
        Douillard et al., DiLoCo: distributed low-communication training of language models, 2023,
        arXiv:2311.08105.
    """

    PRESETS: ClassVar[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
        {"diloco": {"lr": 4e-4, "inner_steps": 500, "base": partial(AdamW, weight_decay=0.1)}}
    )
    citation: ClassVar[str] = """\
@misc{douillard2023diloco,
  author = {Douillard, Arthur and Feng, Qixuan and Rusu, Andrei A. and Chhaparia, Rachita and
            Donchev, Yani and Kuncoro, Adhiguna and Ranzato, Marc'Aurelio and Szlam, Arthur and
            Shen, Jiajun},
  title  = {{DiLoCo}: Distributed Low-Communication Training of Language Models},
  year   = {2023},
  note   = {arXiv:2311.08105}
}"""

    @with_presets
    def __init__(  # noqa: PLR0913 - one argument per symbol of the equation
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-3,
        *,
        inner_steps: int = 50,
        outer_lr: float = 0.7,
        outer_momentum: float = 0.9,
        coupling: Replicas | None = None,
        base: Callable[..., Optimizer] = AdamW,
        preset: str | None = None,  # noqa: ARG002 - resolved by the decorator
    ) -> None:
        super().__init__(
            params,
            base,
            lr=lr,
            inner_steps=inner_steps,
            outer_lr=outer_lr,
            outer_momentum=outer_momentum,
            rho=inf,
            coupling=coupling,
        )
