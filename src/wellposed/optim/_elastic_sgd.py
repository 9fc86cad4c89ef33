"""Elastic averaging SGD."""

from collections.abc import Callable
from typing import ClassVar, final

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.optimizer import ParamsT

from wellposed.optim._relaxation import Relaxation
from wellposed.optim._replicas import Replicas


@final
class ElasticSGD(Relaxation):
    r"""SGD in n replicas, tied to their mean by springs.

    $$\min_{x_1, \dots, x_n} \sum_{a=1}^n \Bigl(f(x_a) + \tfrac{\rho}{2}\|x_a - \bar x\|^2\Bigr)$$

    Every `inner_steps` steps of the base optimizer, each replica goes a fraction to the mean:

    $$x_a \leftarrow (1 - c)\,x_a + c\,\bar x, \qquad c = \tfrac{\rho}{1 + \rho}$$

    It is `Parle` without pull to an anchor and without averages over inner points. The published
    method keeps a center that follows the mean, $\tilde x \leftarrow (1 - \beta)\tilde x
    + \beta\bar x$ with $\beta = 0.9$; here the mean itself is the center ($\beta = 1$), so that
    no process has to serve the others. Replicas as for `Parle`; evaluate `at_consensus()`.

    Cost: one gradient per replica and step; one all-reduce per `inner_steps` steps. Memory: that
    of the base, one copy of the weights per replica for the anchor and one per process.

    Args:
        params: Parameters or parameter groups.
        lr: Step size of the base optimizer, at least 0.
        momentum: Of the SGD inside, at least 0.
        weight_decay: Of the SGD inside, at least 0.
        nesterov: As for `torch.optim.SGD`; of no effect without momentum.
        inner_steps: $\tau \ge 1$, gradients per coupling.
        rho: Strength of the springs, $\rho \ge 0$; inf makes all replicas the mean (local SGD).
        rho_growth: $\rho$ is multiplied by 1 + this at each coupling.
        rho_max: Limit to that growth, or None.
        coupling: `Replicas` in other processes, or None.
        integrator: "semi-implicit", or "explicit" for $x_a + \rho\,(\bar x' - x_a')$, with the
            weights after the last coupling, as published.
        foreach: As for `torch.optim.SGD`.
        fused: As for `torch.optim.SGD`, but None means yes wherever it is safe.
        base: Another base optimizer, (params, lr=...) -> Optimizer, instead of SGD.

    Raises:
        ArgumentError: If a value is out of range, or replicas are no copies of one model.

    References:
        Zhang, Choromanska and LeCun, Deep learning with elastic averaging SGD, 2015,
        arXiv:1412.6651; Chaudhari et al., Parle, 2018, arXiv:1707.00424.
    """

    citation: ClassVar[str] = """\
@inproceedings{zhang2015elastic,
  author    = {Zhang, Sixin and Choromanska, Anna and LeCun, Yann},
  title     = {Deep Learning with Elastic Averaging {SGD}},
  booktitle = {Advances in Neural Information Processing Systems},
  year      = {2015},
  note      = {arXiv:1412.6651}
}"""

    def __init__(  # noqa: PLR0913 - one argument per symbol of the equation
        self,
        params: ParamsT,
        lr: float | Tensor = 0.05,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        *,
        nesterov: bool = True,
        inner_steps: int = 10,
        rho: float = 0.5,
        rho_growth: float = 0.0,
        rho_max: float | None = None,
        coupling: Replicas | None = None,
        integrator: str = "semi-implicit",
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
            integrator=integrator,
            rho=rho,
            rho_growth=rho_growth,
            rho_max=rho_max,
            coupling=coupling,
        )
