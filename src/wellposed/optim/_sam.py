"""SAM: descend on the worst loss within a small ball."""

from collections.abc import Callable
from typing import ClassVar

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.optimizer import ParamsT

from wellposed.errors import require
from wellposed.optim._picard import Picard


class SAM(Picard):
    r"""Descend on the loss at the worst point of a ball around the weights, to first order.

    $$y = x + \rho\,\frac{g(x)}{\|g(x)\|}, \qquad x \leftarrow \text{Base}(x, g(y))$$

    It is one normalized Picard step of the sup-convolution, `Picard` with $t = -\rho$: where
    `HamiltonJacobi` asks whether something better is nearby, it asks whether everything nearby is
    good. Compare it at equal gradient evaluations: an update takes two.

    Batch norm sees the probes too; statistics for evaluation belong to the anchor
    (`anchor_statistics`). With several processes the gradient of the probe is the mean over them,
    unless the model is in `no_sync` for that step.

    Cost: one gradient evaluation per step, two per update of the weights; with `same_batch` two per
    step. Memory: the base's and one copy of the weights.

    Args:
        params: Parameters or parameter groups.
        lr: Step size of the base, at least 0.
        momentum: Of the built-in SGD, at least 0.
        weight_decay: Of the built-in SGD, at least 0.
        rho: $\rho \ge 0$, radius of the ball in the Euclidean norm over all weights. In the groups
            it stands as `pde_time` $= -\rho$.
        nesterov: As for `torch.optim.SGD`; of no effect without momentum.
        same_batch: False, one gradient per step, the probe's and the update's from two consecutive
            batches; or True, both from the same batch as in the paper: `step(closure)` then calls
            the closure twice. They are different methods.
        maximize: Ascend instead.
        foreach: As for `torch.optim.SGD`.
        fused: As for `torch.optim.SGD`, but None means yes wherever it is safe.
        base: Another base optimizer, (params, lr=...) -> Optimizer, instead of SGD.

    Raises:
        ArgumentError: If a value is out of range.

    References:
        Foret, Kleiner, Mobahi and Neyshabur, Sharpness-aware minimization for efficiently improving
        generalization, 2021, arXiv:2010.01412; the form with one gradient per step is ours.
    """

    citation: ClassVar[str] = """\
@inproceedings{foret2021sharpness,
  author    = {Foret, Pierre and Kleiner, Ariel and Mobahi, Hossein and Neyshabur, Behnam},
  title     = {Sharpness-Aware Minimization for Efficiently Improving Generalization},
  booktitle = {International Conference on Learning Representations},
  year      = {2021},
  note      = {arXiv:2010.01412}
}"""

    def __init__(  # noqa: PLR0913 - one argument per symbol of the equation
        self,
        params: ParamsT,
        lr: float | Tensor = 0.05,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        *,
        rho: float = 0.05,
        nesterov: bool = True,
        same_batch: bool = False,
        maximize: bool = False,
        foreach: bool | None = None,
        fused: bool | None = None,
        base: Callable[..., Optimizer] | None = None,
    ) -> None:
        require(
            rho >= 0, f"rho={rho} was given; it is the radius of the probe, at least 0, try 0.05"
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
            normalize="norm",
        )
