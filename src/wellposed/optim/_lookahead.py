"""Lookahead: the relaxation without pull, noise or mean."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.optimizer import ParamsT

from wellposed.optim._presets import with_presets
from wellposed.optim._relaxation import Relaxation


class Lookahead(Relaxation):
    r"""k steps of a base optimizer forward, one step back: $x \leftarrow x - \eta\,(x - y_k)$.

    The control that any claim for a pull to the anchor has to pass: it is `Relaxation` with
    $\gamma = 0$. With `outer_momentum`, around AdamW, it is `DiLoCo` with one worker.

    Cost and memory: one gradient per step; one copy of the weights beside the base's state.

    Args:
        params: Parameters or parameter groups.
        lr: Step size of the base optimizer, at least 0.
        momentum: Of the inner SGD, at least 0.
        weight_decay: Of the inner SGD, at least 0.
        nesterov: As for `torch.optim.SGD`; of no effect without momentum.
        inner_steps: k >= 1, gradients per step of the anchor.
        outer_lr: $\eta > 0$, the fraction of the way to go.
        outer_momentum: Nesterov momentum of the outer step, in [0, 1).
        foreach: As for `torch.optim.SGD`.
        fused: As for `torch.optim.SGD`, but None means yes wherever it is safe.
        base: Another inner optimizer, (params, lr=...) -> Optimizer, instead of SGD.
        preset: "lookahead": the paper's k = 5 and 0.5, which are the defaults, by name.

    Raises:
        ArgumentError: If a value is out of range.
        UnknownNameError: If there is no such preset.

    References:
        Zhang, Lucas, Hinton and Ba, Lookahead optimizer, 2019, arXiv:1907.08610.
    """

    PRESETS: ClassVar[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
        {"lookahead": {"inner_steps": 5, "outer_lr": 0.5}}
    )
    citation: ClassVar[str] = """\
@inproceedings{zhang2019lookahead,
  author    = {Zhang, Michael R. and Lucas, James and Hinton, Geoffrey and Ba, Jimmy},
  title     = {Lookahead Optimizer: k Steps Forward, 1 Step Back},
  booktitle = {Advances in Neural Information Processing Systems},
  year      = {2019},
  note      = {arXiv:1907.08610}
}"""

    @with_presets
    def __init__(  # noqa: PLR0913 - one argument per symbol of the equation
        self,
        params: ParamsT,
        lr: float | Tensor = 0.05,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        *,
        nesterov: bool = True,
        inner_steps: int = 5,
        outer_lr: float = 0.5,
        outer_momentum: float = 0.0,
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
            foreach=foreach,
            fused=fused,
            inner_steps=inner_steps,
            outer_lr=outer_lr,
            outer_momentum=outer_momentum,
        )
