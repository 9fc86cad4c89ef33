"""Sparse APGD: in the L1 norm a step moves the coordinates that matter, and only these."""

from math import ceil

import torch
from torch import Tensor
from torch.special import ndtri

from wellposed.perturb._ball import flat, like_rows
from wellposed.perturb._rows import Rows, Values

PHASES = (3.0, 2.0, 1.0)
"""The radii, in units of eps: a large ball first, from whose best point the next one starts."""

_SHARES = (0.3, 0.3)  # of the steps in the first phases; the last one has the rest
_DENSER = 1.5  # a step moves so many coordinates less than the best point has moved
_SPARSER = 0.95  # below this ratio of moved coordinates the step may be long again
_SHORTEST = 0.1  # step, in units of the radius


def begin_sparse(rows: Rows) -> None:
    """The state of rows whose round begins: a normal vector, moved into the largest ball."""
    center = rows.center
    numbers = rows.uniform(center[0].numel()).clamp_min(2.0**-60)
    wanted = rows.told(center + ndtri(numbers).view_as(center).to(center), lambda x: x)
    phase = torch.zeros_like(rows.index)
    x = _projected(rows, wanted, phase)
    rows.state |= {"x": x} | _fresh(rows, x, phase)


def step_sparse(rows: Rows, steps: int, objective: Values) -> None:
    """One step towards a larger objective."""
    state, x = rows.state, rows.state["x"]
    value, slope = rows.gradient(x, objective)
    keep_top(state, x, slope, value.to(state["top_value"]))
    lengths = phase_lengths(steps)
    starts = torch.tensor([sum(lengths[:p]) + p for p in range(3)], device=x.device)
    phase = (rows.clock.unsqueeze(1) >= starts).sum(1) - 1
    time = rows.clock - starts[phase]
    length = torch.tensor(lengths, device=x.device)[phase]
    x, slope = _checked(rows, x, slope, phase, time, length)
    state["x"] = _projected(rows, x + _sparse_step(state, slope), phase)
    over = (time == length) & (phase + 1 < len(PHASES))
    if over.any():
        _next_phase(rows, over, phase)


def keep_top(state: dict[str, Tensor], x: Tensor, slope: Tensor, value: Tensor) -> None:
    """Note the points with the largest value so far, and their gradients."""
    higher = value > state["top_value"]
    state["top_value"] = torch.where(higher, value, state["top_value"])
    higher = like_rows(higher, x)
    state["top"] = torch.where(higher, x, state["top"])
    state["top_slope"] = torch.where(higher, slope, state["top_slope"])


def phase_lengths(steps: int) -> tuple[int, int, int]:
    """How many steps each phase has, from at least 4 in all."""
    first, second = (ceil(share * steps) for share in _SHARES)
    return first, second, steps - first - second


def _fresh(rows: Rows, x: Tensor, phase: Tensor) -> dict[str, Tensor]:
    """What a phase begins with at these points."""
    moved = _moved(x, rows.center)
    return {
        "top": x.clone(),
        "top_slope": torch.zeros_like(x),
        "top_value": torch.full_like(rows.margin, -torch.inf),
        "size": _radius(rows, phase),
        "moved": moved,
        "active": moved / _DENSER,
    }


def _checked(
    rows: Rows, x: Tensor, slope: Tensor, phase: Tensor, time: Tensor, length: Tensor
) -> tuple[Tensor, Tensor]:
    """At a checkpoint: how many coordinates move from now on, how far, and from where."""
    gap = (0.04 * length).long().clamp_min(1)
    due = (time > 0) & (time % gap == 0)
    if not due.any():
        return x, slope
    state, radius = rows.state, _radius(rows, phase)
    moved = _moved(state["top"], rows.center)
    sparser = moved / state["moved"] < _SPARSER
    size = torch.where(sparser, radius, state["size"] / _DENSER)
    size = torch.minimum(torch.maximum(size, _SHORTEST * radius), radius)
    state["size"] = torch.where(due, size, state["size"])
    state["active"] = torch.where(due, moved / _DENSER, state["active"])
    state["moved"] = torch.where(due, moved, state["moved"])
    back = like_rows(due & sparser, x)
    return torch.where(back, state["top"], x), torch.where(back, state["top_slope"], slope)


def _sparse_step(state: dict[str, Tensor], slope: Tensor) -> Tensor:
    """A step of the L1 length `size` along the signs of the `active` largest derivatives."""
    sizes = flat(slope.abs())
    dimensions = sizes.shape[1]
    place = (dimensions - state["active"]).clamp(0, dimensions - 1).long()
    least = sizes.sort(1).values.gather(1, place.unsqueeze(1))
    signs = torch.where(sizes >= least, flat(slope).sign(), 0)
    step = signs * (state["size"] / signs.abs().sum(1).clamp_min(1).double()).unsqueeze(1).to(signs)
    return step.view_as(slope)


def _next_phase(rows: Rows, over: Tensor, phase: Tensor) -> None:
    """The rows whose phase is over start the next one from its best point."""
    x = _projected(rows, rows.state["top"], (phase + 1).clamp_max(len(PHASES) - 1))
    for name, column in ({"x": x} | _fresh(rows, x, (phase + 1).clamp_max(2))).items():
        rows.state[name] = torch.where(like_rows(over, column), column, rows.state[name])


def _projected(rows: Rows, x: Tensor, phase: Tensor) -> Tensor:
    """The nearest points of each row's own ball."""
    found = torch.empty_like(x)
    for number, factor in enumerate(PHASES):
        those = phase == number
        if those.any():
            ball = rows.game.ball.resized(factor * rows.game.ball.eps)
            found[those] = ball.project(x[those], rows.center[those], rows.game.bounds)
    return found


def _radius(rows: Rows, phase: Tensor) -> Tensor:
    return torch.tensor(PHASES, dtype=torch.float64, device=phase.device)[phase] * (
        rows.game.ball.eps
    )


def _moved(x: Tensor, center: Tensor) -> Tensor:
    """How many coordinates differ from the center's."""
    return flat(x != center).sum(1).double()
