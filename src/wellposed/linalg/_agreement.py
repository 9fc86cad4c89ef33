"""Whether a product of second order is right: against finite differences, and another way."""

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn

from wellposed.linalg._flatten import flatten, unflatten
from wellposed.linalg._kinds import Kind, backward, directional, form
from wellposed.linalg._mean_loss import MeanLoss

FEW = 4  # examples in float64
_LIMIT = 1e-4  # relative difference of two steps, up to which they have a limit
# Between close points lie fewer kinks; wide ones suffer less rounding.
_STEPS = (1e-5, 1e-7, 1e-3)


@final
@dataclass(frozen=True, slots=True)
class Agreement:
    r"""How well a product was verified; nan where a comparison was not possible.

    Args:
        difference: From the Richardson extrapolation of central differences, in float64 on a few
            examples, relative.
        rounding: How well two steps of it agree; above 1e-4 (kinks) they prove nothing.
        other: From the product computed another way, on the first batch, relative.
        tolerance: What `other` may be, from the precision of the weights.
    """

    difference: float
    rounding: float
    other: float
    tolerance: float

    @property
    def conclusive(self) -> bool:
        """Whether the finite difference has a limit."""
        return self.rounding <= _LIMIT

    @property
    def refuted(self) -> bool:
        """Whether some comparison says that the product is wrong."""
        wrong = self.conclusive and self.difference > 1e-5 + 10 * self.rounding
        return wrong or self.other > self.tolerance

    @property
    def verified(self) -> bool:
        """Whether some comparison says that it is right, and none that it is wrong."""
        return not self.refuted and (self.conclusive or not math.isnan(self.other))

    def __str__(self) -> str:
        """In words."""
        said = []
        if self.conclusive:
            said.append(f"finite differences of the gradient in float64 to {self.difference:.0e}")
        if not math.isnan(self.other):
            said.append(f"the product computed another way to {self.other:.0e}")
        if not said:
            return "not verified: no finite difference has a limit, and there is no other way"
        return ("disagrees with " if self.refuted else "agrees with ") + " and ".join(said)


def by_differences(
    mean: MeanLoss, kind: Kind, inputs: Tensor, targets: Tensor, *, forward: bool
) -> tuple[float, float]:
    """(difference, rounding) of a product on a few examples in float64; nan if that cannot be.

    Args:
        mean: The loss; its model is copied.
        kind: Which matrix.
        inputs: The first few are used.
        targets: Theirs.
        forward: Whether the product is by forward over reverse mode, or by two backward passes.

    Where no difference has a limit, the weights may lie on a kink (a ReLU of exactly 0): then all
    is repeated beside them.

    Cost: at most 24 gradients of a few examples, and two products.
    """
    found = _tested(mean, kind, inputs, targets, forward=forward, aside=0.0)
    if found[1] > _LIMIT:
        found = _tested(mean, kind, inputs, targets, forward=forward, aside=0.01)
    return found


def _tested(
    mean: MeanLoss, kind: Kind, inputs: Tensor, targets: Tensor, *, forward: bool, aside: float
) -> tuple[float, float]:
    try:
        exact = _in_float64(mean)
        _step_aside(exact, aside)
        inputs, targets = _double(inputs[:FEW]), _double(targets[:FEW])
        generator = torch.Generator().manual_seed(0)
        u, v = (_direction(exact.params, generator) for _ in range(2))
        if forward:
            product = directional(exact, kind)
            point = [p.detach() for p in exact.params]
            data = [inputs, targets, *exact.constants().values()]
            found = flatten(product(unflatten(v, point), point, data), point).detach()
        else:
            found = backward(exact, kind, inputs, targets)(v)
        function, between = form(exact, kind, inputs, targets)
        image, rounding = _slope(function, exact.params, v)
        if between is None:
            return _relative(found, image), rounding
        curved = between(image)
        other, more = _slope(function, exact.params, u)
        sizes = float(curved.flatten() @ image.flatten())
        sizes *= float(between(other).flatten() @ other.flatten())
        errors = [float(x.flatten() @ curved.flatten()) for x in (image, other)]
        errors = [abs(e - float(x @ found)) for e, x in zip(errors, (v, u), strict=True)]
        return max(errors) / max(math.sqrt(abs(sizes)), 1e-300), max(rounding, more)
    except Exception:  # noqa: BLE001 - custom layers may refuse float64, or to be copied
        return math.nan, math.nan


def compared(one: Tensor, other: Callable[[], Tensor]) -> float:
    """Relative difference from another way to compute it; nan if that way is closed."""
    try:
        return _relative(one, other())
    except Exception:  # noqa: BLE001 - the other way is allowed to fail, and then says nothing
        return math.nan


def tolerance(like: Sequence[Tensor]) -> float:
    """What two ways may differ by in the least of these precisions, relative."""
    return 3 * math.sqrt(max(torch.finfo(t.dtype).eps for t in like))


def _relative(one: Tensor, other: Tensor) -> float:
    scale = max(float(one.double().norm()), float(other.double().norm()))
    return float((one.double() - other.double()).norm()) / scale if scale else 0.0


def _in_float64(mean: MeanLoss) -> MeanLoss:
    loss = mean.loss
    if isinstance(loss, nn.Module):
        loss = copy.deepcopy(loss).double()
    return MeanLoss(copy.deepcopy(mean.model).double(), loss, mean.penalty)


def _step_aside(mean: MeanLoss, size: float) -> None:
    """Moves the copy's weights by this much relative to their size, biases of 0 by this much."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for p in mean.params if size else ():
            drawn = torch.randn(p.shape, dtype=torch.float64, generator=generator)
            p.add_(drawn.to(p.device) * size * float(p.square().mean().sqrt() or 1.0))


def _double(tensor: Tensor) -> Tensor:
    return tensor.double() if tensor.is_floating_point() else tensor


def _direction(params: Sequence[Tensor], generator: torch.Generator) -> Tensor:
    n = sum(p.numel() for p in params)
    drawn = torch.randn(n, dtype=torch.float64, generator=generator)
    found: Tensor = (drawn / drawn.norm()).to(params[0].device)
    return found


def _slope(
    function: Callable[[], Tensor], params: Sequence[Tensor], direction: Tensor
) -> tuple[Tensor, float]:
    """The derivative along a direction, and how well two steps agree; of the steps the best."""
    origin = [p.detach().clone() for p in params]
    pieces = unflatten(direction, params)
    size = max(1.0, float(flatten(origin, origin).norm()))

    def move(step: float) -> None:
        with torch.no_grad():
            for p, o, v in zip(params, origin, pieces, strict=True):
                torch.add(o, v, alpha=step, out=p)

    def at(step: float) -> Tensor:
        move(step)
        return function().detach()

    best, rounding = torch.zeros_like(direction), math.inf
    for h in (size * step for step in _STEPS):
        wide, narrow = ((at(s) - at(-s)) / (2 * s) for s in (h, h / 2))
        apart = _relative(wide, narrow)
        if apart < rounding:
            best, rounding = (4 * narrow - wide) / 3, apart
        if rounding < 1e-6:
            break
    move(0.0)
    return best, rounding
