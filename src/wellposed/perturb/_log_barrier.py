"""LogBarrier: from far behind the boundary towards the input, kept from crossing back."""

from dataclasses import dataclass
from math import log
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.special import ndtri

from wellposed.errors import require
from wellposed.perturb._attack import Attack
from wellposed.perturb._ball import Ball, flat, like_rows
from wellposed.perturb._rows import Rows

_NOISE, _LOUDER, _LOUDEST = 0.01, 1.1, 100.0  # of the range: at first, per trial, and at most


@final
@dataclass(frozen=True)
class LogBarrier(Attack):
    r"""The nearest point that breaks, by an interior point method.

    $$\min_x\ \tfrac12 \|x - x_0\|_2^2 - \alpha \log\big(\max_{j \ne y} p_j(x) - p_y(x)\big)$$

    with the probabilities p and a weight $\alpha$ that falls. In the maximum norm the first term is
    $\sum_i w_i |\delta_i|$ with the weights $w = \mathrm{softmax}(T |\delta|)$, in the sum norm
    $\|\delta\|_1$. It starts at the input with normal noise, clipped to the bounds and louder with
    each trial, until that breaks. A gradient step whose end does not break is halved until it does.

    Args:
        outer: How often $\alpha$ is shrunk, at least 1.
        inner: Evaluations with one $\alpha$, at least 1, those for the start among them.
        alpha: The first weight, positive.
        shrink: Its factor after `inner` evaluations, in (0, 1).
        step_size: Of the gradient steps, in (0, 1].
        temperature: T, positive; per unit of the inputs, like the three above for inputs over
            about [0, 1].

    Raises:
        ArgumentError: Outside these ranges.

    Cost: outer * inner gradients and one forward pass per example, one forward pass at the inputs,
    and one for each new nearest point. The published version evaluates each point twice.

    References:
        Finlay, Pooladian and Oberman, The LogBarrier adversarial attack: making effective use of
        decision boundary information, 2019, arXiv:1903.10396.
    """

    outer: int = 15
    inner: int = 500
    alpha: float = 0.1
    shrink: float = 0.75
    step_size: float = 0.01
    temperature: float = 500.0
    smallest = True

    def __post_init__(self) -> None:
        for name in ("outer", "inner"):
            count = getattr(self, name)
            require(count >= 1, f"LogBarrier needs {name} of at least 1, got {count}")
        for name in ("alpha", "temperature"):
            size = getattr(self, name)
            require(size > 0, f"LogBarrier needs {name} > 0, got {size}")
        require(0 < self.shrink < 1, f"LogBarrier needs shrink in (0, 1), got {self.shrink}")
        require(
            0 < self.step_size <= 1,
            f"LogBarrier needs step_size in (0, 1], got {self.step_size}",
        )

    def length(self, _ball: Ball) -> int:
        """Each evaluation, and the last point."""
        return self.outer * self.inner + 1

    def start(self, rows: Rows) -> None:
        """At the input with some noise, or where the caller says."""
        low, high = rows.faces
        state = rows.state
        state["trial"] = rows.told(_noisy(rows), lambda x: x.clamp(low, high))
        state["x"] = rows.center.clone()
        state["inside"] = torch.zeros_like(rows.broken)

    def step(self, rows: Rows) -> None:
        """Whether the trial breaks, and the next one: a step from it, or half the way back."""
        state, trial = rows.state, rows.state["trial"]
        value, slope = rows.gradient(trial, log_gap)
        breaks = value > -torch.inf
        state["x"] = x = torch.where(like_rows(breaks, trial), trial, state["x"])
        state["inside"] = inside = state["inside"] | breaks
        ahead = self._ahead(rows, x, slope)
        next_trial = torch.where(like_rows(breaks, x), ahead, (trial + x) / 2)
        if not inside.all():
            next_trial = torch.where(like_rows(inside, x), next_trial, _noisy(rows))
        state["trial"] = next_trial

    def _ahead(self, rows: Rows, x: Tensor, slope: Tensor) -> Tensor:
        """A step down the norm and up the barrier, within the bounds."""
        delta, h = flat(x - rows.center), self.step_size
        alpha = self.alpha * self.shrink ** (rows.clock // self.inner).to(x)
        push = h * like_rows(alpha, delta) * flat(slope)
        norm = rows.game.ball.norm
        if norm == "l2":
            delta = (1 - h) * delta + push
        elif norm == "l1":
            delta = delta + push
            delta = delta.sign() * (delta.abs() - h).clamp_min(0)
        else:
            size = delta.abs()
            weights = (self.temperature * size).softmax(1)
            excess = size - (weights * size).sum(1, keepdim=True)
            delta = delta - h * weights * (1 + self.temperature * excess) * delta.sign() + push
        low, high = rows.faces
        return (rows.center + delta.view_as(x)).clamp(low, high)


def log_gap(logits: Float[Tensor, "n classes"], labels: Int[Tensor, " n"]) -> Float[Tensor, " n"]:
    r"""$\log(\max_{j \ne y} p_j - p_y)$, and minus infinity where the right class is not behind."""
    shares = logits.softmax(1)
    right = labels.unsqueeze(1)
    gap = shares.scatter(1, right, 0).max(1).values - shares.gather(1, right).squeeze(1)
    behind = gap > 0
    return torch.where(behind, torch.where(behind, gap, 1).log(), -torch.inf)


def _noisy(rows: Rows) -> Tensor:
    """The inputs with normal noise, inside the bounds; the louder, the later."""
    low, high = rows.faces
    numbers = rows.uniform(rows.center[0].numel()).clamp_min(2.0**-60)
    growth = ((rows.clock + 1).double() * log(_LOUDER)).exp().clamp_max(_LOUDEST / _NOISE)
    size = like_rows(_NOISE * growth, rows.center) * (high - low).nan_to_num(posinf=1.0)
    noise: Tensor = size * ndtri(numbers).view_as(rows.center)
    return (rows.center + noise.to(rows.center)).clamp(low, high)
