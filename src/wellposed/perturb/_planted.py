"""A test of an attack: does it find the points that are planted for it?"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from wellposed.errors import ArgumentError
from wellposed.perturb._attack import Attack
from wellposed.perturb._ball import Ball, Bounds
from wellposed.perturb._frozen import frozen
from wellposed.perturb._objective import class_logits, is_broken, margin
from wellposed.perturb._pool import Pool

_INNER = 200  # random points around each example that the twin still decides rightly
_CHECKED = 8  # of them, those that are nearest to its threshold, by a forward pass
_RIDGE = 1e-3  # of the mean variance of a feature


@final
@dataclass(frozen=True)
class Planted:
    """How many planted points there were, and how many of them an attack found.

    Args:
        tried: Examples.
        planted: Of them, those with a twin that provably breaks in the ball.
        found: Of these, those in whose ball the attack broke the twin.
        gradients: What it took, in backward passes to the input.
        forwards: Further forward passes.
    """

    tried: int
    planted: int
    found: int
    gradients: int
    forwards: int

    @property
    def share(self) -> float | None:
        """Found / planted; None where nothing could be planted."""
        return self.found / self.planted if self.planted else None


def planted(
    model: nn.Module,
    inputs: Float[Tensor, "n ..."],
    labels: Int[Tensor, " n"],
    ball: Ball,
    attacks: Sequence[Attack],
    *,
    bounds: Bounds = (0.0, 1.0),
    seed: int = 0,
) -> Planted:
    r"""Plant an adversarial point next to each example, and let attacks search for it.

    For each example a random point p of the ball's surface is drawn, and 200 random points inside
    the ball. The twin is the model with another last linear layer: the best linear discriminant
    between the features of p and those of the inner points, with its threshold half way between
    p and the inner point that comes next, and the scale of the model's own margin. What comes
    before and after that layer, and so whatever masks gradients there, is the model's own. That
    the twin is right at the example and at the inner points next to its threshold and wrong at p
    is checked by a forward pass; where it is not, nothing is planted. An attack that cannot find a
    point that is known to exist says nothing about points that are not known.

    Args:
        model: Its last linear layer that runs gives one output per class, or one for two classes,
            from features of shape (n, features).
        inputs: Shape (n, ...), within the bounds; a few.
        labels: The right classes, from 0.
        ball: Of a finite radius.
        attacks: Tried one after the other.
        bounds: Least and greatest value of an input.
        seed: Of random points.

    Raises `ArgumentError` if the model has no such layer.

    Cost: per example about 210 forward passes, and the attacks, in batches of one.

    References:
        Zimmermann, Brendel, Tramer and Carlini, Increasing confidence in adversarial robustness
        evaluations, 2022, arXiv:2206.13991, for the idea; the discriminant is ours.
    """
    generator = torch.Generator().manual_seed(seed % 2**63)
    count, found, gradients, forwards = 0, 0, 0, 0
    with frozen(model, seed):
        name = _readout(model, inputs[:1])
        for row in range(len(inputs)):
            x, y = inputs[row : row + 1], labels[row : row + 1]
            twin = _twin(model, name, x, y, ball, bounds, generator)
            forwards += _INNER + _CHECKED + 4
            if twin is None:
                continue
            count += 1
            for attack in attacks:
                new = attack(twin, x, y, ball, bounds=bounds, seed=seed, pool=Pool(1))
                gradients += int(new.gradients)
                forwards += int(new.forwards)
                if bool(new.broken):
                    found += 1
                    break
    return Planted(len(inputs), count, found, gradients, forwards)


def _readout(model: nn.Module, x: Tensor) -> str:
    """The name of the linear layer that runs last.

    Raises:
        ArgumentError: If there is none that gives the logits.
    """
    ran: list[str] = []
    names = [(name, m) for name, m in model.named_modules() if type(m) is nn.Linear]
    hooks = [
        module.register_forward_hook(lambda *_, name=name: ran.append(name))
        for name, module in names
    ]
    try:
        with torch.no_grad():
            outputs = model(x)
    finally:
        for hook in hooks:
            hook.remove()
    wide = outputs.shape[1] if outputs.dim() == 2 else 1
    layer = dict(names).get(ran[-1]) if ran else None
    if layer is None or layer.out_features != wide or ran.count(ran[-1]) > 1:
        raise ArgumentError(
            f"{type(model).__name__} has no linear layer at its end that gives its {wide} logits, "
            "in which a point could be planted"
        )
    return ran[-1]


def _twin(
    model: nn.Module, name: str, x: Tensor, y: Tensor, ball: Ball, bounds: Bounds,
    generator: torch.Generator,
) -> nn.Module | None:  # fmt: skip
    """The model with a point planted in the ball around x; None if that fails."""
    inner = ball.random(x.expand(_INNER, *x.shape[1:]), bounds, generator)
    noise = torch.randn(x.shape, generator=generator, dtype=torch.float64).to(x.device)
    point = ball.project(x.double() + 4 * ball.eps * ball.steepest(noise), x, bounds)
    points = torch.cat([point, x, inner])
    features, logits = _features(model, name, points)
    if features.dim() != 2 or not bool(features.isfinite().all()):
        return None
    own = float(margin(class_logits(logits[1:2], 1), y).abs())
    direction = _discriminant(features)
    scores = features.double() @ direction
    gap = scores[0] - scores[1:].max()
    if not bool(gap > 0):
        return None
    middle = scores[0] - gap / 2
    scale = own / (middle - scores[1]) if own > 0 else 1 / gap
    twin = copy.deepcopy(model)
    _set(twin.get_submodule(name), int(y), scale * direction, scale * middle)
    points = torch.cat([points[:2], inner[scores[2:].topk(_CHECKED).indices]])
    with torch.no_grad():
        broken = is_broken(margin(class_logits(twin(points), len(points)), y.expand(len(points))))
    return twin if bool(broken[0]) and not bool(broken[1:].any()) else None


def _features(model: nn.Module, name: str, points: Tensor) -> tuple[Tensor, Tensor]:
    """What goes into a layer, and what comes out of the model."""
    seen: list[Tensor] = []
    hook = model.get_submodule(name).register_forward_pre_hook(
        lambda _, given: seen.append(given[0].detach())
    )
    try:
        with torch.no_grad():
            logits = model(points)
    finally:
        hook.remove()
    return seen[-1], logits


def _discriminant(features: Tensor) -> Tensor:
    """The direction that tells the first row from the others, by Fisher's rule."""
    values = features.double()
    rest = values[1:]
    offset = rest - rest.mean(0)
    spread = offset.T @ offset / len(rest)
    ridge = _RIDGE * spread.diagonal().mean().clamp(min=1e-30)
    spread.diagonal().add_(ridge)
    direction: Tensor = torch.linalg.solve(spread, values[0] - rest.mean(0))
    return direction


def _set(layer: nn.Module, label: int, direction: Tensor, threshold: Tensor) -> None:
    """Logits that favour the label below the threshold, and another class above it."""
    assert isinstance(layer, nn.Linear)
    with torch.no_grad():
        weight, like = torch.zeros_like(layer.weight), layer.weight
        bias = torch.zeros(len(weight), dtype=like.dtype, device=like.device)
        if len(weight) == 1:
            sign = 2 * label - 1
            weight[0] = -sign * direction.to(like)
            bias[0] = sign * threshold.to(like)
        else:
            other = (label + 1) % len(weight)
            weight[label], weight[other] = -direction.to(like) / 2, direction.to(like) / 2
            half = threshold.to(like) / 2
            bias -= (half.abs() + direction.to(like).abs().sum()) * 10  # the others never lead
            bias[label], bias[other] = half, -half
        layer.weight = nn.Parameter(weight, requires_grad=False)
        layer.bias = nn.Parameter(bias, requires_grad=False)
