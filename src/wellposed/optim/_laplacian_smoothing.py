"""Laplacian smoothing: gradients without the jumps from one entry to the next."""

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.optimizer import ParamsT

from wellposed.errors import require
from wellposed.optim._buckets import is_low
from wellposed.optim._cyclic_reduction import PeriodicSolver, factors
from wellposed.optim._transformed import Transformed

_LARGEST_SIGMA = 1e4  # 100 entries wide, when p is 1
_LARGEST_ORDER = 4


class LaplacianSmoothing(Transformed):
    r"""Experimental: a base optimizer whose gradients are smoothed along each flattened tensor.

    $$d = \bigl(I + (-1)^p \sigma \Delta^p\bigr)^{-1} g, \qquad
    (\Delta g)_i = g_{i+1} - 2 g_i + g_{i-1} \text{ (periodic)}$$

    For p = 1 this is an implicit step of the heat equation over the time $\sigma$: it keeps the
    mean of g, raises its minimum, lowers its maximum, and reduces the variance of white gradient
    noise to $(1 + 2\sigma)(1 + 4\sigma)^{-3/2}$ of it. Momentum and weight decay act after it.

    The order of the weights of a layer is arbitrary, so that smoothness along it has no meaning
    by itself, and an equivalent network with permuted channels is trained differently. Compare
    it with SGD at the same number of gradients before you believe in it.

    Cost: one gradient evaluation per step, and $p \log_2$ of the smoothing's width passes over
    the gradients (5 to 6 for $\sigma = 1$, p = 1; exact to rounding, no Fourier transform).
    Memory: two copies of the gradients beside the base's state.

    Args:
        params: Parameters or parameter groups. `lr`, `sigma` and `order` may differ between
            groups and be scheduled.
        lr: Step size of the base optimizer, at least 0. For SGD on a loss whose curvature is
            largest across rough directions it may be larger than without smoothing, by up to
            $1 + 4^p \sigma$.
        momentum: Of the SGD inside, at least 0.
        weight_decay: Of the SGD inside, at least 0.
        nesterov: As for `torch.optim.SGD`; of no effect without momentum.
        sigma: $\sigma$ from 0 to 10,000; smoothing is about $\sigma^{1/2p}$ entries wide. With 0
            this is the base, bit for bit.
        order: p from 1 to 4. From 2 on the maximum principle does not hold.
        base: Another optimizer, (params, lr=...) -> Optimizer, instead of SGD.

    Raises:
        ArgumentError: If a value is out of range, or an argument belongs to another base.

    References:
        Osher, Wang, Yin, Luo, Barekat, Pham and Lin, Laplacian smoothing gradient descent, 2018,
        arXiv:1806.06317.
    """

    citation: ClassVar[str] = """\
@misc{osher2018laplacian,
  author = {Osher, Stanley and Wang, Bao and Yin, Penghang and Luo, Xiyang and Barekat, Farzin and
            Pham, Minh and Lin, Alex},
  title  = {Laplacian Smoothing Gradient Descent},
  year   = {2018},
  note   = {arXiv:1806.06317}
}"""

    def __init__(  # noqa: PLR0913 - one argument per symbol of the equation
        self,
        params: ParamsT,
        lr: float | Tensor = 0.05,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        *,
        nesterov: bool = True,
        sigma: float = 1.0,
        order: int = 1,
        base: Callable[..., Optimizer] | None = None,
    ) -> None:
        sgd = {"momentum": momentum, "weight_decay": weight_decay, "nesterov": nesterov}
        self._solvers: dict[tuple[int, torch.dtype], tuple[list[Tensor], PeriodicSolver]] = {}
        super().__init__(params, base, lr, sgd=sgd, own={"sigma": sigma, "order": order})

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group."""
        super().add_param_group(param_group)
        sigma, order = self.param_groups[-1]["sigma"], self.param_groups[-1]["order"]
        require(
            0 <= sigma <= _LARGEST_SIGMA,
            f"LaplacianSmoothing got sigma={sigma:g}; it is at least 0 and at most "
            f"{_LARGEST_SIGMA:g}, try 1",
        )
        require(
            order in range(1, _LARGEST_ORDER + 1),
            f"LaplacianSmoothing got order={order}; it is an integer from 1 to {_LARGEST_ORDER}, "
            "try 1",
        )

    def is_active(self, group: dict[str, Any]) -> bool:
        """Whether there is any smoothing."""
        return bool(group["sigma"] != 0)

    def transform(
        self, index: int, group: dict[str, Any], params: list[Tensor], grads: list[Tensor]
    ) -> list[Tensor]:
        """The smoothed gradients, in the memory of a solver."""
        dtype = torch.float32 if is_low(params[0]) else params[0].dtype
        by = factors(float(group["sigma"]), group["order"], dtype)
        known, solver = self._solvers.get((index, params[0].dtype), ([], None))
        same = list(map(id, known)) == list(map(id, params))
        # Also for a shorter reach: where in memory an entry lies may decide its last bit, and a
        # resumed run shall go on as this one.
        if solver is None or not same or solver.reach != by.reach:
            solver = PeriodicSolver(params, dtype, by.reach)
            self._solvers[index, params[0].dtype] = params, solver
        return solver.solve(grads, by)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._solvers = {}
