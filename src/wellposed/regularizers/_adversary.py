"""The adversary of a training: where it may go, and how it looks for the worst place."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, final

import torch
from torch import Tensor, nn

from wellposed.errors import require
from wellposed.perturb import L1, L2, Ball, Linf
from wellposed.regularizers._still import evaluating, generator_of, still

Norm = Literal["linf", "l2", "l1"]
Start = Literal["uniform", "wide", "near", "zero"]
Mode = Literal["eval", "train"]
Bounds = tuple[float, float]

_BALLS: dict[str, type[Ball]] = {"linf": Linf, "l2": L2, "l1": L1}
_NEAR = 1e-3  # standard deviation of a start near the input, as in the reference of TRADES
_ROUNDING = 1e-3  # of the bounds: what reading, mirroring or standardizing may leave


@final
@dataclass(frozen=True, slots=True)
class Adversary:
    r"""Projected ascent $x \leftarrow P(x + \alpha\, v(\nabla_x m))$ of a measure m in a ball.

    Args:
        ball: Where it may go, around each input.
        bounds: Least and greatest value of an input.
        steps: K >= 1.
        step: Step size $\alpha$, in the units of the inputs.
        start: "uniform": a random point of the ball. "wide": one of the ball of twice the radius;
            the steps are then not projected on the ball, only on the bounds. "near": normal noise
            of deviation 0.001. "zero": the input.
        mode: Of the network during the search: "eval", or "train", where batch norm works with
            the statistics of the perturbed batch. The running statistics stay as they are.
    """

    ball: Ball
    bounds: Bounds = (0.0, 1.0)
    steps: int = 1
    step: float = 0.0
    start: Start = "uniform"
    mode: Mode = "eval"

    def worst(
        self, model: nn.Module, inputs: Tensor, measure: Callable[[Tensor], Tensor]
    ) -> Tensor:
        """The inputs, each moved to where the measure of its output is larger.

        Args:
            model: Its gradients, buffers and modes are left as they are.
            inputs: Within the bounds, shape (batch, ...).
            measure: Outputs to one value per example.

        Returns what no derivative passes through, except that to the inputs where they have one.
        Raises `ArgumentError` if an input is outside the bounds.

        Cost: K forward passes and K gradients to the inputs alone.
        """
        center = inputs.detach()
        require_within(center, self.bounds)
        found = self._start(model, center)
        with torch.enable_grad(), evaluating(model) if self.mode == "eval" else still(model):
            for _ in range(self.steps):
                found.requires_grad_()
                (gradient,) = torch.autograd.grad(measure(model(found.clone())).sum(), found)
                moved = found.detach() + self.step * self.ball.steepest(gradient)
                found = self._inside(moved, center)
        return found + (inputs - center) if inputs.requires_grad else found

    def _start(self, model: nn.Module, center: Tensor) -> Tensor:
        if self.start == "zero":
            return center.clone()
        generator = generator_of(model, center.device)
        if self.start == "near":
            noise = torch.empty_like(center).normal_(std=_NEAR, generator=generator)
            return self._inside(center + noise, center)
        radius = self.ball.eps * (2 if self.start == "wide" else 1)
        return scattered(self.ball.resized(radius), center, self.bounds, generator)

    def _inside(self, moved: Tensor, center: Tensor) -> Tensor:
        """The nearest point allowed. A training claims nothing, so a box is exact up to an ulp."""
        if self.start == "wide":
            return moved.clamp_(*self.bounds)
        if isinstance(self.ball, Linf):
            low, high = center - self.ball.eps, center + self.ball.eps
            return torch.maximum(torch.minimum(moved, high), low).clamp_(*self.bounds)
        return self.ball.project(moved, center.clamp(*self.bounds), self.bounds)


def require_within(inputs: Tensor, bounds: Bounds) -> None:
    """Refuse inputs that are outside the bounds by more than rounding."""
    (low, high), (least, most) = bounds, inputs.aminmax()
    slack = _ROUNDING * (high - low)
    require(
        bool((least >= low - slack) & (most <= high + slack)),
        f"an adversary moves inputs within bounds [{low:g}, {high:g}], but they are from "
        f"{float(least):g} to {float(most):g}; put standardize = false into [data], so that "
        "eps is in the units of raw inputs, or give the bounds of what the model is given",
    )


def scattered(
    ball: Ball, center: Tensor, bounds: Bounds, generator: torch.Generator | None
) -> Tensor:
    """A random point of the ball around each input, of a box up to an ulp."""
    if isinstance(ball, Linf):
        noise = torch.empty_like(center).uniform_(-ball.eps, ball.eps, generator=generator)
        return (center + noise).clamp_(*bounds)
    return ball.random(center.clamp(*bounds), bounds, generator)


def ball_of(norm: Norm, eps: float, owner: str) -> Ball:
    """The ball of that norm; raises `ArgumentError` for what is none."""
    require(norm in _BALLS, f"{owner} has the norms linf, l2 and l1, got norm={norm!r}")
    require(0 < eps < float("inf"), f"{owner} needs a finite radius eps > 0, got eps={eps:g}")
    return _BALLS[norm](eps)


def require_search(owner: str, steps: int, step: float | None, bounds: Bounds) -> None:
    """Refuse a search that is none."""
    require(steps >= 1, f"{owner} needs steps >= 1, got steps={steps}; 1 is fast and often enough")
    require(step is None or step > 0, f"{owner} needs step > 0, got step={step}; None chooses it")
    require(
        bounds[0] < bounds[1],
        f"{owner} needs bounds (least, greatest) of an input, got bounds={tuple(bounds)}",
    )
