"""Polyak-Ruppert averaging: keep the average of the points that a base optimizer visits."""

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.optimizer import ParamsT

from wellposed.errors import require
from wellposed.optim._around import Around
from wellposed.optim._base import evaluate
from wellposed.optim._two_points import TwoPoints, has_anchor


class PolyakRuppert(Around, TwoPoints):
    r"""A base optimizer visits y; the average of what it visited is what one keeps.

    $$y_k = \text{Base}(y_{k-1}, g_k), \qquad
    x_n = x_{n-1} + \frac{y_k - x_{n-1}}{1 + \tau (n - 1)}, \qquad n = k - k_0$$

    With $\tau = 1$ the average is uniform: on a quadratic with curvature A and gradient noise of
    covariance S, any stable constant step gives it the covariance $A^{-1} S A^{-1} / n$ as n
    grows, the best there is. Elsewhere steps decrease as $k^{-p}$, 1/2 < p < 1
    (`RobbinsMonro`). With $\tau < 1$ the weights grow as $m^{1/\tau - 1}$, which forgets the start:
    the average is over about the last part $\tau$ of all points, for $1 / (\tau (2 - \tau))$
    times that covariance.

    While training, the model holds y; `eval()` or `at_anchor()` put the average there. Batch norm
    needs statistics of its own there (`anchor_statistics`).

    Cost: one gradient evaluation per step, and 3 reads or writes of every weight. Memory: one
    copy of the weights beside the base's state; two in float32 where weights have fewer bits.

    Args:
        params: Parameters or parameter groups. `lr` may differ between groups and be scheduled.
        lr: Step size of the base optimizer, at least 0.
        momentum: Of the SGD inside, at least 0.
        weight_decay: Of the SGD inside, at least 0.
        nesterov: As for `torch.optim.SGD`; of no effect without momentum.
        start: $k_0 \ge 0$, how many points to leave out first; until then x is y.
        tail: $\tau$ in (0, 1].
        base: Another optimizer, (params, lr=...) -> Optimizer, instead of SGD.

    Raises:
        ArgumentError: If a value is out of range, or an argument belongs to another base.

    References:
        Polyak and Juditsky, Acceleration of stochastic approximation by averaging, 1992.
        Shamir and Zhang, Stochastic gradient descent for non-smooth optimization, 2013,
        arXiv:1212.1824 (the weights for $\tau < 1$).
    """

    citation: ClassVar[str] = """\
@article{polyak1992acceleration,
  author  = {Polyak, Boris T. and Juditsky, Anatoli B.},
  title   = {Acceleration of Stochastic Approximation by Averaging},
  journal = {SIAM Journal on Control and Optimization},
  volume  = {30},
  number  = {4},
  pages   = {838--855},
  year    = {1992}
}

@inproceedings{shamir2013stochastic,
  author    = {Shamir, Ohad and Zhang, Tong},
  title     = {Stochastic Gradient Descent for Non-smooth Optimization: Convergence Results and
               Optimal Averaging Schemes},
  booktitle = {International Conference on Machine Learning},
  year      = {2013},
  note      = {arXiv:1212.1824}
}"""

    def __init__(  # noqa: PLR0913 - one argument per symbol of the equation
        self,
        params: ParamsT,
        lr: float | Tensor = 0.05,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        *,
        nesterov: bool = True,
        start: int = 0,
        tail: float = 1.0,
        base: Callable[..., Optimizer] | None = None,
    ) -> None:
        sgd = {"momentum": momentum, "weight_decay": weight_decay, "nesterov": nesterov}
        super().__init__(params, base, lr, sgd=sgd, own={"start": start, "tail": tail})

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group; its average begins where its parameters first move."""
        super().add_param_group(param_group)
        start, tail = self.param_groups[-1]["start"], self.param_groups[-1]["tail"]
        require(start >= 0, f"PolyakRuppert got start={start}; it is a number of steps, try 0")
        require(
            0 < tail <= 1,
            f"PolyakRuppert got tail={tail:g}; it is the part of all points to average, above 0 "
            "and at most 1, try 1 for a uniform average or 0.25",
        )

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step of the base optimizer, and average.

        Args:
            closure: Recomputes the loss and its gradient; called exactly once.

        Returns:
            What the closure returned, or None. A step while the model holds the average is
            refused by an `ArgumentError`.
        """
        self.check_training()
        loss = evaluate(closure)
        with torch.no_grad():
            self.base_step()
            for index, group in enumerate(self.param_groups):
                group["inner_index"] += 1
                if (n := group["inner_index"] - group["start"]) >= 1:
                    self._average(index, group, 1 / (1 + group["tail"] * (n - 1)))
        return loss

    def _average(self, index: int, group: dict[str, Any], weight: float) -> None:
        """Give the newest points this weight in the average; the first time it is an exact copy."""
        moved = [p for p in group["params"] if p.grad is not None or has_anchor(self.state, p)]
        for pair in self.pairs(index, moved):
            torch._foreach_lerp_(pair.anchors, pair.working(), weight)
