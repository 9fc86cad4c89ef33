"""Signs that an attack was weak, so that a network only seems to be robust."""

from dataclasses import asdict, dataclass, fields
from math import isfinite
from typing import Any, final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from wellposed.perturb._apgd import APGD
from wellposed.perturb._attack import Attack
from wellposed.perturb._attacked import Attacked
from wellposed.perturb._ball import Ball, Bounds, flat, inner_bounds
from wellposed.perturb._fgsm import FGSM
from wellposed.perturb._frozen import frozen
from wellposed.perturb._linf import Linf
from wellposed.perturb._objective import (
    CrossEntropy,
    Margin,
    Objective,
    class_logits,
    is_broken,
    margin,
)
from wellposed.perturb._pool import Pool
from wellposed.perturb._rungs import search

_POOL = Pool()
_ZERO = 0.1  # share of gradients that may vanish; dead units alone make less
_BLIND = 0.5  # share for cross-entropy; networks that are just sure make less
_CHANGES = 1e-4  # of the logits, relative: less is rounding that depends on threads
_LEFT = 0.05  # accuracy where any input is allowed; unmasked networks have 0
_MISSED = 0.05  # of those broken in a smaller ball
_GAIN = 0.002  # of accuracy, after Croce and Hein; and one example alone is chance
_REPEATS = 5
_SCALES = (0.01, 100.0)
_OBJECTIVES = (Margin(), CrossEntropy())


@final
@dataclass(frozen=True)
class Suspicions:
    """What was looked at; all shares are of 0 to 1.

    Args:
        zero_gradient: Share of examples at which the gradient of the margin is zero in every
            coordinate.
        blind_entropy: The same of cross-entropy, which most other attacks climb.
        stochastic: Largest change of a logit when the model is asked again, relative to the
            largest logit.
        unbounded_accuracy: Accuracy that is left where any input within the bounds is allowed; None
            without bounds.
        non_monotone: Share of examples broken in a smaller ball that the same attack, from its own
            start, does not break in this one; 0 if there is no smaller ball.
        blackbox_gain: Accuracy that a search without gradients takes from what the attack left.
        one_step_gain: Accuracy that a single step takes.
        scale_gain: Accuracy that cross-entropy takes with logits times 0.01 or times 100.
        longer_gain: Accuracy that is lost when the attack goes on from where it ended.
        planted_found: Share of planted adversarial points that the attack finds; None where none
            could be planted.
        examples: Of those that the attack left, how many were looked at.
        eps: The radius at which this was done.
        gradients: What it took, in backward passes to the input.
        forwards: Further forward passes.
    """

    zero_gradient: float
    blind_entropy: float
    stochastic: float
    unbounded_accuracy: float | None
    non_monotone: float
    blackbox_gain: float
    one_step_gain: float
    scale_gain: float
    longer_gain: float
    planted_found: float | None
    examples: int
    eps: float
    gradients: int
    forwards: int

    @property
    def raised(self) -> tuple[str, ...]:
        """The names of those that are beyond what an honest network shows."""
        limits = {
            "zero_gradient": _ZERO,
            "blind_entropy": _BLIND,
            "stochastic": _CHANGES,
            "unbounded_accuracy": _LEFT,
            "non_monotone": _MISSED,
        }
        found = [name for name, limit in limits.items() if (getattr(self, name) or 0) > limit]
        gains = ("blackbox_gain", "one_step_gain", "scale_gain", "longer_gain")
        found += [name for name in gains if getattr(self, name) > _GAIN]
        if self.planted_found is not None and self.planted_found < PLANTED:
            found.append("planted_found")
        return tuple(found)

    def to_dict(self) -> dict[str, Any]:
        """All numbers, and which of them are suspicious, ready for JSON."""
        return asdict(self) | {"raised": list(self.raised)}


PLANTED = 0.6
"""Share of planted points that an attack has to find: honest ones found 0.75 to all of them."""


def suspicions(  # noqa: PLR0913 - an attack's own arguments, and what it has found
    model: nn.Module,
    inputs: Float[Tensor, "n ..."],
    labels: Int[Tensor, " n"],
    ball: Ball,
    attacked: Attacked,
    smaller: Attacked | None = None,
    *,
    bounds: Bounds = (0.0, 1.0),
    seed: int = 0,
    examples: int = 50,
    queries: int = 200,
    pool: Pool = _POOL,
) -> tuple[Suspicions, Attacked]:
    """Look for signs that an attack was weak, on some of the examples that it left.

    Cheap attacks of other kinds than those of a ladder try what it could not do. What they break
    is broken, so that the result of the attack comes back with it. A gain counts if it is of two
    examples at least, so that one that lies on the boundary does not raise a flag.

    Args:
        model: As in `Attack`.
        inputs: Shape (n, ...), within the bounds.
        labels: The right classes, from 0.
        ball: What was attacked in.
        attacked: What was found there.
        smaller: What was found in a smaller ball.
        bounds: Least and greatest value of an input.
        seed: Of random numbers.
        examples: How many examples are looked at, at most.
        queries: Of a search that asks for outputs alone, for each: `Square` for images, else
            `RandomSearch`.
        pool: The size of the batch.

    Cost: per example that is looked at, at most about 90 gradients and 200 forward passes.

    References:
        Athalye, Carlini and Wagner, Obfuscated gradients give a false sense of security, 2018,
        arXiv:1802.00420; Carlini et al., On evaluating adversarial robustness, 2019,
        arXiv:1902.06705; the thresholds of accuracy are those of Croce and Hein, 2020,
        arXiv:2003.01690, the other ones are ours.
    """
    left = _some((~attacked.broken).nonzero().squeeze(1), examples)
    x, y = inputs[left], labels[left]
    known = _Known(attacked, left, labels)

    cost = [2 * len(left), _REPEATS * len(left)]

    def tried(attack: Attack, ball: Ball, net: nn.Module, begin: Tensor | None = None) -> Attacked:
        new = attack(net, x, y, ball, bounds=bounds, seed=seed, begin=begin, pool=pool)
        cost[0] += int(new.gradients.sum())
        cost[1] += int(new.forwards.sum())
        return new

    with frozen(model, seed):
        zero = [_zero_gradients(model, x, y, objective) for objective in _OBJECTIVES]
        changed = _changes(model, x)
        one = known.gain(tried(FGSM(), ball, model), model)
        longer = known.gain(tried(APGD(20), ball, model, attacked.examples[left]), model)
        nets = [_Scaled(model, factor) for factor in _SCALES]
        scaled = [known.gain(tried(APGD(20, CrossEntropy()), ball, net), model) for net in nets]
        seen = search(queries, images=inputs.dim() == 4)
        blackbox = known.gain(tried(seen, ball, model), model)
        low, high = inner_bounds(bounds, x)
        whole = Linf(float((high - low).max()))
        free = tried(APGD(20), whole, model) if isfinite(whole.eps) else None
        missed = 0.0
        if smaller is not None:
            rows = _some(smaller.broken.nonzero().squeeze(1), examples)
            again = APGD(10)(
                model, inputs[rows], labels[rows], ball, bounds=bounds, seed=seed, pool=pool
            )
            missed = _missed(again)
            cost[0] += int(again.gradients.sum())
            cost[1] += int(again.forwards.sum())
    found = Suspicions(
        zero_gradient=zero[0],
        blind_entropy=zero[1],
        stochastic=changed,
        unbounded_accuracy=free.accuracy if free is not None and len(left) else None,
        non_monotone=missed,
        blackbox_gain=blackbox,
        one_step_gain=one,
        scale_gain=max(scaled),
        longer_gain=longer,
        planted_found=None,
        examples=len(left),
        eps=float(ball.eps),
        gradients=cost[0],
        forwards=cost[1],
    )
    return found, known.attacked


class _Known:
    """What is broken among some examples that an attack left, by the attack or by others."""

    def __init__(self, attacked: Attacked, left: Tensor, labels: Tensor) -> None:
        self.left, self.labels = left, labels
        self.share = float((~attacked.broken).double().mean()) if len(attacked.broken) else 0.0
        self.attacked = Attacked(
            **{f.name: getattr(attacked, f.name).clone() for f in fields(attacked)}
        )

    def gain(self, new: Attacked, model: nn.Module) -> float:
        """The share of all examples that a further attack breaks, 0 for a single one."""
        if not len(self.left):
            return 0.0
        known, places = self.attacked, self.left
        with torch.no_grad():
            lead = margin(class_logits(model(new.examples), len(places)), self.labels[places])
        broken = new.broken & is_broken(lead)  # of the model itself, not of one that is scaled
        places = places[broken]
        known.examples[places], known.broken[places] = new.examples[broken], True
        known.margin[places] = lead[broken].to(known.margin)
        count = int(broken.sum())
        return 0.0 if count < 2 else self.share * count / len(self.left)


class _Scaled(nn.Module):
    """A model with its logits times a factor: the same decisions."""

    def __init__(self, model: nn.Module, factor: float) -> None:
        super().__init__()
        self.model, self.factor = model, factor

    def forward(self, x: Tensor) -> Tensor:
        """The logits, all times the factor."""
        scaled: Tensor = self.factor * self.model(x)
        return scaled


def _some(rows: Tensor, count: int) -> Tensor:
    """At most so many of the rows, evenly spaced."""
    if len(rows) <= count:
        return rows
    return rows[torch.linspace(0, len(rows) - 1, count).round().long()]


def _zero_gradients(model: nn.Module, x: Tensor, labels: Tensor, objective: Objective) -> float:
    """The share of examples without any slope."""
    if not len(x):
        return 0.0
    x = x.detach().requires_grad_()
    values = objective(class_logits(model(x), len(x)), labels)
    if not values.requires_grad:
        return 1.0
    (slope,) = torch.autograd.grad(values.sum(), [x], allow_unused=True)
    slope = torch.zeros_like(x) if slope is None else slope
    return float((flat(slope).nan_to_num(0.0) == 0).all(1).double().mean())


def _changes(model: nn.Module, x: Tensor) -> float:
    """The largest change of a logit in some repetitions, relative to the largest logit."""
    if not len(x):
        return 0.0
    with torch.no_grad():
        first, *rest = (class_logits(model(x), len(x)).double() for _ in range(_REPEATS))
    largest = float(first.abs().nan_to_num(0.0).max())
    changed = max(float((other - first).abs().nan_to_num(0.0).max()) for other in rest)
    return changed / largest if largest > 0 else changed


def _missed(again: Attacked) -> float:
    """The share of those that an attack did not break, of those that were right before it."""
    right = ~(again.broken & (again.gradients == 0))
    missed = int((~again.broken).sum())
    return 0.0 if missed < 2 else missed / int(right.sum())
