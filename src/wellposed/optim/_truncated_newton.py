"""Newton's method with inexact steps, for any curvature that is known by its products."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from wellposed.errors import require
from wellposed.linalg import Operator, Solution, steihaug
from wellposed.optim._answers import ask
from wellposed.optim._armijo import armijo
from wellposed.optim._kept import Kept
from wellposed.optim._large_sample import LargeSample


@dataclass(frozen=True, slots=True)
class Quadratic:
    r"""The model $E + g^\top d + \tfrac12 d^\top A d$ of the objective around the weights.

    Args:
        loss: E, shape ().
        gradient: g, shape (n,).
        product: v -> Av.
    """

    loss: Tensor
    gradient: Tensor
    product: Operator


class TruncatedNewton(LargeSample):
    r"""Base: solve $A d = -g$ by truncated conjugate gradients, and search along d.

    Args:
        params: Parameters, or one parameter group.
        lr: Longest step length, at least 0.
        iterations: Newton steps per `step`, at least 1.
        max_products: Limit of curvature products per Newton step, at least 1.
        forcing: Exponent of the forcing term, above 0.
        radius: Of the trust region, above 0; None for none.
        max_trials: Limit of losses per line search, at least 1.
        own: Further values of the group.

    Raises:
        ArgumentError: If a value is out of range.
    """

    def __init__(
        self,
        params: ParamsT,
        *,
        lr: float,
        iterations: int,
        max_products: int,
        forcing: float,
        radius: float | None,
        max_trials: int,
        **own: Any,
    ) -> None:
        name = type(self).__name__
        require(lr >= 0, f"{name} got lr={lr:g}; a step length is at least 0, try lr=1")
        counts = {
            "iterations": iterations,
            "max_products": max_products,
            "max_trials": max_trials,
        }
        for key, value in counts.items():
            require(value >= 1, f"{name} got {key}={value}; it is at least 1")
        require(forcing > 0, f"{name} got forcing={forcing:g}; it is above 0, try 0.5")
        require(
            radius is None or radius > 0,
            f"{name} got radius={radius}; it is above 0, or None for no trust region",
        )
        numbers = {
            "lr": lr,
            **counts,
            "forcing": forcing,
            "radius": radius,
            "alpha": float(lr) or 1.0,
        }
        super().__init__(params, numbers | own)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take `iterations` steps on the sample of the closure; the loss where they started.

        Raises `ArgumentError` if the closure is not of the right form, or the loss or its gradient
        is not finite; the weights are then as before. Another error in the closure leaves those of
        the last accepted iteration.
        """
        first = None
        for _ in range(self.param_groups[0]["iterations"]):
            loss = self._iterate(closure)
            first = loss if first is None else first
            if self.outcome != "accepted":
                break
        return first

    @abstractmethod
    def _quadratic(self, closure: Callable[[], Any] | None, weights: list[Tensor]) -> Quadratic:
        """The model of the objective at the present weights."""

    @abstractmethod
    def _loss(self, answer: Any) -> float:
        """The objective from a closure's answer, without a graph; inf or nan are allowed."""

    def _others(self) -> list[Tensor]:
        """What else a step sets."""
        return []

    def _iterate(self, closure: Callable[[], Any] | None) -> Tensor:
        """One Newton step; the loss before it."""
        group, weights = self.param_groups[0], self._weights()
        kept = Kept(weights, self._others())
        with kept.or_restored():
            loss, gradient, found = self._direction(closure, weights)
            direction, slope = found.x, float(gradient @ found.x)
            if slope >= 0:  # 0, or by rounding
                direction, slope = -gradient, -float(gradient @ gradient)
            first = min(group["alpha"], float(group["lr"]))
            if self._is_at_rest(loss, slope, direction, first, kept):
                kept.restore()
                return loss

            def loss_at(alpha: float) -> float:
                kept.move(direction, alpha)
                return self._value(closure)

            trial = armijo(loss_at, float(loss), slope, first, max_trials=group["max_trials"])
            if trial.alpha > 0:
                group["alpha"], group["outcome"] = trial.following, "accepted"
                return loss
            kept.restore()
            again = self._value(closure)
            kept.restore()
        group["alpha"] = float(group["lr"])
        self._no_decrease(loss, first * slope, again)
        return loss

    def _direction(
        self, closure: Callable[[], Any] | None, weights: list[Tensor]
    ) -> tuple[Tensor, Tensor, Solution]:
        """Loss, gradient and the inexact solution of A d = -g; the graph is gone afterwards."""
        group = self.param_groups[0]
        with torch.enable_grad():
            model = self._quadratic(closure, weights)
        norm = self._finite(model.gradient)
        limit = {} if group["radius"] is None else {"radius": group["radius"]}
        found = steihaug(
            model.product,
            -model.gradient,
            tolerance=min(0.5, norm ** group["forcing"]) * norm,
            max_products=group["max_products"],
            **limit,
        )
        self._count(gradients=1, products=found.products)
        return model.loss.detach(), model.gradient, found

    def _value(self, closure: Callable[[], Any] | None) -> float:
        """The objective at the present weights."""
        self._count(losses=1)
        with torch.enable_grad():  # the loss may itself hold derivatives, by the inputs for example
            return self._loss(ask(closure, type(self).__name__, self.form))
