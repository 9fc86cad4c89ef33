"""Limited-memory BFGS with the Armijo search."""

import math
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from wellposed.errors import require
from wellposed.linalg import flatten
from wellposed.optim._answers import ask, scalar
from wellposed.optim._armijo import Trial, armijo
from wellposed.optim._kept import Kept
from wellposed.optim._large_sample import LargeSample
from wellposed.optim._two_loop import is_usable, two_loop


class ArmijoLBFGS(LargeSample):
    r"""Limited-memory BFGS on a large fixed sample, every step of which decreases the loss.

    $$d = -H g, \qquad w \leftarrow w + \alpha d, \qquad
      E(w + \alpha d) \le E(w) + 10^{-4}\, \alpha\, g^\top d$$

    H is the inverse BFGS matrix of the last m pairs of steps and changes of the gradient; both
    gradients of a pair are on the same sample. A pair without positive curvature is left out. The
    step length starts from the last one, or twice it if that was accepted at once, up to `lr`; the
    first step goes down the gradient by a length of at most 1.

    `step(closure)` wants the closure that `torch.optim.LBFGS` wants: it computes the loss, calls
    backward() and returns the loss, the same function of the weights at each call. So it runs in
    every loop that torch's does, recipes included: each batch is then the sample of `iterations`
    steps, and has to be large. Torch's takes steps of a fixed length or searches for Wolfe's
    conditions; this one never ends higher than it began. Where no decrease is found, the pairs are
    forgotten and the gradient is tried; if that fails, the weights stay and a warning says so.

    Cost: one gradient per trial, usually one per iteration, and one per `step`; 8 m n
    multiplications per iteration. Memory: 2 m copies of the weights, and six more during a step.

    Args:
        params: Parameters, or one parameter group, of float32 or float64 on one device.
        lr: Longest step length $\alpha \ge 0$; 1 is the quasi-Newton step.
        iterations: Steps per `step(closure)`, at least 1.
        history: m >= 1, pairs that are kept.
        max_trials: Limit of gradients per line search, at least 1.

    Raises:
        ArgumentError: If a value is out of range.

    References:
        Liu and Nocedal, On the limited memory BFGS method for large scale optimization, 1989.
    """

    form = "computes the loss on the sample, calls backward() and returns the loss"
    citation: ClassVar[str] = """\
@article{liu1989limited,
  author  = {Liu, Dong C. and Nocedal, Jorge},
  title   = {On the Limited Memory {BFGS} Method for Large Scale Optimization},
  journal = {Mathematical Programming},
  volume  = {45},
  pages   = {503--528},
  year    = {1989}
}

@article{armijo1966minimization,
  author  = {Armijo, Larry},
  title   = {Minimization of Functions Having {Lipschitz} Continuous First Partial Derivatives},
  journal = {Pacific Journal of Mathematics},
  volume  = {16},
  number  = {1},
  pages   = {1--3},
  year    = {1966}
}"""

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1.0,
        *,
        iterations: int = 10,
        history: int = 10,
        max_trials: int = 20,
    ) -> None:
        require(lr >= 0, f"ArmijoLBFGS got lr={lr:g}; a step length is at least 0, try lr=1")
        counts = {"iterations": iterations, "history": history, "max_trials": max_trials}
        for key, value in counts.items():
            require(value >= 1, f"ArmijoLBFGS got {key}={value}; it is at least 1")
        super().__init__(params, {"lr": lr, **counts, "alpha": float(lr) or 1.0, "pairs": 0})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take `iterations` steps on the sample of the closure; the loss where they started.

        Raises `ArgumentError` if the closure is not of the right form, or the loss or its gradient
        is not finite; the weights are then as before. Another error in the closure leaves those of
        the last accepted iteration.
        """
        weights = self._weights()
        kept = Kept(weights)
        with kept.or_restored():  # a closure that moves weights and then fails
            answer, gradient = self._gradient(closure, weights)
            first = loss = scalar(answer, "ArmijoLBFGS").detach()
            self._finite(gradient)
        for _ in range(self.param_groups[0]["iterations"]):
            loss, gradient = self._iterate(closure, weights, loss, gradient)
            if self.outcome != "accepted":
                break
        return first

    def _iterate(
        self,
        closure: Callable[[], Any] | None,
        weights: list[Tensor],
        loss: Tensor,
        gradient: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """One step; loss and gradient after it, which are those before it if it failed."""
        group, kept = self.param_groups[0], Kept(weights)
        while True:
            order = self._order(weights)
            direction = -self._times_inverse(gradient, weights, order)
            slope = float(gradient @ direction)
            if order and slope >= 0:  # by rounding only
                group["pairs"] = 0
                continue
            first = min(group["alpha"], float(group["lr"]))
            if not order:
                first = min(float(group["lr"]), 1.0 / max(float(gradient.norm()), 1.0))
            if self._is_at_rest(loss, slope, direction, first, kept):
                return loss, gradient
            trial, after, there = self._search(closure, kept, direction, loss, slope, first)
            if trial.alpha > 0:
                self._remember(weights, trial.alpha * direction, there - gradient)
                if order:
                    group["alpha"] = trial.following
                group["outcome"] = "accepted"
                return after, there
            kept.restore()
            group["alpha"] = float(group["lr"])
            if not order:
                break
            group["pairs"] = 0
        with kept.or_restored():
            again, gradient = self._gradient(closure, weights)
        self._no_decrease(loss, first * slope, float(again.detach()))
        return loss, gradient

    def _search(
        self,
        closure: Callable[[], Any] | None,
        kept: Kept,
        direction: Tensor,
        loss: Tensor,
        slope: float,
        first: float,
    ) -> tuple[Trial, Tensor, Tensor]:
        """How the line search ended, and loss and gradient at the last point that it tried."""
        last = loss, direction

        def loss_at(alpha: float) -> float:
            nonlocal last
            kept.move(direction, alpha)
            answer, gradient = self._gradient(closure, kept.weights)
            last = answer.detach(), gradient
            return float(last[0]) if bool(gradient.isfinite().all()) else math.nan

        with kept.or_restored():
            limit = self.param_groups[0]["max_trials"]
            trial = armijo(loss_at, float(loss), slope, first, max_trials=limit)
        return trial, *last

    def _gradient(
        self, closure: Callable[[], Any] | None, weights: list[Tensor]
    ) -> tuple[Tensor, Tensor]:
        """What the closure returns, and the gradient that it leaves, shape (n,)."""
        for w in weights:
            w.grad = None  # whether or not the closure does
        self._count(gradients=1)
        with torch.enable_grad():
            answer = ask(closure, "ArmijoLBFGS", self.form)
        require(
            any(w.grad is not None for w in weights),
            "the closure of ArmijoLBFGS left no gradient in the weights; it calls backward() on "
            "the loss, and returns it",
        )
        return answer, flatten([w.grad for w in weights], weights)

    def _order(self, weights: list[Tensor]) -> list[int]:
        """The rows of the pairs, the oldest first; none if they are of other weights."""
        group, slots = self.param_groups[0], self.state[weights[0]]
        shape = (group["history"], sum(w.numel() for w in weights))
        if "steps" not in slots or slots["steps"].shape != shape:
            slots["steps"], slots["changes"] = (weights[0].new_zeros(shape) for _ in range(2))
            group["pairs"] = 0
        newest = group["pairs"]
        return [i % shape[0] for i in range(max(0, newest - shape[0]), newest)]

    def _times_inverse(self, gradient: Tensor, weights: list[Tensor], order: list[int]) -> Tensor:
        """H g."""
        slots = self.state[weights[0]]
        return two_loop(gradient, slots["steps"], slots["changes"], order)

    def _remember(self, weights: list[Tensor], step: Tensor, change: Tensor) -> None:
        """Keep a pair, in the place of the oldest, if its curvature is positive."""
        if is_usable(step, change):
            group, slots = self.param_groups[0], self.state[weights[0]]
            row = group["pairs"] % group["history"]
            slots["steps"][row], slots["changes"][row] = step, change
            group["pairs"] += 1
