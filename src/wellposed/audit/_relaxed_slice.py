"""What do the optimizers that relax the loss see along a line through the weights?"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeAlias, final

import numpy as np
from jaxtyping import Float
from torch import Tensor

from wellposed.audit._check import Check
from wellposed.audit._directions import filter_normalized, length
from wellposed.audit._landscape import LEVEL, Landscape, Table, cost, level_of_each
from wellposed.audit._slice import symmetric
from wellposed.audit._subject import Subject
from wellposed.errors import ArgumentError, require
from wellposed.pde import Grid, Relaxed, heat, hopf_lax
from wellposed.runs import Curves, Finding, Mark, Series, Verdict
from wellposed.stats import mean_interval

NODES = 9  # of the Gauss-Hermite rule, exact for polynomials up to degree 17
COARSE = 0.1  # of the rise by heat; what grid and quadrature may differ by
TIMES = (0.01, 0.04, 0.09, 0.36)

Line: TypeAlias = Float[np.ndarray, " points"]
Family: TypeAlias = list[tuple[float, Relaxed]]


def relaxed_slice(
    subject: Subject,
    *,
    examples: int = 256,
    points: int = 81,
    reach: float = 2.0,
    times: Sequence[float] = TIMES,
    pairs: int = 12,
) -> Finding:
    r"""Relax the objective on a line by heat and by Hamilton-Jacobi, for growing time.

    With $g(a) = f(w + a d)$, d a Gaussian direction in which every filter moves in proportion to
    its size:

    $$v(a, t) = \mathbb E\, g(a + \sqrt t\, \xi), \qquad
    u(a, t) = \min_b g(b) + \frac{(a - b)^2}{2t}$$

    v is what averaging over perturbations sees (`optim.Heat`), u what looking for something better
    nearby sees (`optim.HamiltonJacobi`, `optim.EntropySGD` without noise). Time is in squared
    lengths of the filters: $t \|d\|^2$ is the optimizers' own, the variance of each weight or
    $\gamma$. Beyond its ends the line is continued by its mirror image; values that this could have
    changed are not shown. Minima count where their walls are certain, with all intervals together
    at the level.

    One line of many is relaxed, and the optimizers relax in all directions at once. So heat is
    compared, for the first time, with the mean over perturbations of *all* filters,
    $\mathbb E\, f(w + \sqrt t\, d')$ with a fresh direction d' each time, in pairs $\pm d'$.

    Nothing here is a fault: the verdict is PASS wherever the line is relaxed truly, which a
    quadrature with values of the network between the points confirms.

    Args:
        subject: Network, loss, data; the training part where there is one.
        examples: At most this many.
        points: Of the line, odd, at least 41.
        reach: Of the line to both sides, in lengths of the filters.
        times: Ascending, each at least the squared spacing of the line.
        pairs: Perturbations of all filters, at least 2.

    Cost: points + 2 pairs + 12 forward passes per example.

    Raises `ArgumentError` outside these ranges, or if the loss is not finite along the line.

    References:
        Chaudhari, Oberman, Osher, Soatto and Carlier, Deep relaxation, 2018, arXiv:1704.04932.
    """
    require(
        points >= 41 and points % 2 == 1, f"points are odd and at least 41, got {points}; try 81"
    )
    require(pairs >= 2, f"an interval needs at least 2 pairs, got {pairs}; try 12")
    require(len(times) > 0, "no time to relax for; give at least one, such as 0.01")
    subject.require_parameters("relaxed-slice")
    land = Landscape(subject, "relaxed-slice", examples)
    direction = filter_normalized(subject.model, subject.generator("slice 0"))
    axis = symmetric(points, reach)
    table = land.line([direction], [(a,) for a in axis])
    require(
        bool(np.isfinite(table).all()),
        f"the loss is not finite on {int((~np.isfinite(table)).any(1).sum())} of {points} points "
        f"of the line; take a shorter one than reach={reach:g}",
    )
    line, grid = table.mean(1), Grid((np.asarray(axis),))
    warm = [(t, heat(line, grid, t)) for t in times]
    lowered = _resolved(line, grid, times)
    smoothing = _smoothing(land, direction, times[0], pairs)
    count = certain_minima(table)
    gone = _gone(line, warm) if count > 1 else None
    mine, (low, high) = float(smoothing.line.mean()), mean_interval(smoothing.line, LEVEL)
    error = abs(float(warm[0][1].values[points // 2] - line[points // 2]) - mine)
    resolved = error <= COARSE * max(abs(mine), 1e-2 * abs(float(land.center.mean())))
    return Finding(
        check="relaxed-slice",
        verdict=Verdict.PASS if resolved else Verdict.UNKNOWN,
        statement=_said(land, count, gone, times[0], smoothing)
        if resolved
        else f"The loss changes within the spacing of the line: heat for t = {times[0]:g} differs "
        f"from quadrature by {error:.2g}; take more points.",
        value=mine,
        interval=(low, high),
        level=LEVEL,
        unit="of the objective",
        evidence={
            "part": land.part,
            "examples": len(land.inputs),
            "objective": float(land.center.mean()),
            "times": list(times),
            "optimizers_time_per_time": length(direction) ** 2,
            "minima_that_are_certain": count,
            "minima_by_time": {
                "heat": {f"{t:g}": minima(r.values) for t, r in warm},
                "hamilton_jacobi": {f"{t:g}": minima(r.values) for t, r in lowered},
            },
            "second_minimum_gone_by": gone,
            "heat_in_all_filters": {
                "rise": float(smoothing.all_filters.mean()),
                "interval": list(mean_interval(smoothing.all_filters, LEVEL)),
                "pairs": pairs,
            },
            "batch_norm": "the model's own statistics, held fixed" if land.norms else "none",
            "seed": subject.seed,
        },
        verified=_verified(line, axis, (warm, lowered), smoothing),
        figures=tuple(
            _drawn(kind, axis, line, found)
            for kind, found in (("heat", warm), ("Hamilton-Jacobi", lowered))
            if found
        ),
    )


@final
@dataclass(frozen=True, slots=True)
class Smoothing:
    """How much heat of the shortest time raises the objective at the weights.

    Args:
        line: By the quadrature along the line, per example.
        all_filters: By perturbations of all filters, per pair.
    """

    line: Float[np.ndarray, " examples"]
    all_filters: Float[np.ndarray, " pairs"]


def minima(line: Line) -> int:
    """How many points lie below both neighbors; a flat bottom counts once, the ends do not.

    Args:
        line: Values at equal distances.
    """
    steps = np.sign(np.diff(line))
    turns = steps[steps != 0]
    return int(((turns[:-1] < 0) & (turns[1:] > 0)).sum())


def certain_minima(table: Table) -> int:
    """How many valleys are separated by walls that are certain, on both sides, over the examples.

    Of two neighboring minima the higher one counts only if the wall between them rises above it by
    an interval that holds for all walls together.

    Args:
        table: Losses, one row per point.
    """
    line = table.mean(1)
    steps = np.diff(line)
    valleys = [i for i in range(1, len(line) - 1) if steps[i - 1] < 0 <= steps[i]]
    candidates = max(len(valleys) - 1, 1)
    kept = valleys[:1]
    for valley in valleys[1:]:
        wall = kept[-1] + int(line[kept[-1] : valley + 1].argmax())
        higher = max(kept[-1], valley, key=lambda i: line[i])
        rise, _ = mean_interval(table[wall] - table[higher], level_of_each(candidates))
        if rise > 0:
            kept.append(valley)
        elif line[valley] < line[kept[-1]]:
            kept[-1] = valley
    return len(kept)


def _resolved(line: Line, grid: Grid, times: Sequence[float]) -> Family:
    """The solutions of Hamilton-Jacobi for the times that the grid is fine enough for."""
    found = []
    for t in times:
        with suppress(ArgumentError):
            found.append((t, hopf_lax(line, grid, t)))
    return found


def _gone(line: Line, relaxed: Family) -> float | None:
    """The first time from which on the line has one minimum; None if it never comes."""
    counts = [minima(line), *(minima(r.values) for _, r in relaxed)]
    last = max(k for k, count in enumerate(counts) if count > 1)
    return relaxed[last][0] if last < len(relaxed) else None


def _smoothing(land: Landscape, direction: dict[str, Tensor], t: float, pairs: int) -> Smoothing:
    """The mean over perturbations along the line by quadrature, and in all filters by sampling."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    around = land.line([direction], [(float(x) * t**0.5,) for x in nodes])
    along = weights / weights.sum() @ (around - land.center)
    generator = land.subject.generator("relaxed-slice")
    rises = []
    for _ in range(pairs):
        fresh = filter_normalized(land.subject.model, generator)
        both = land.line([fresh], [(-(t**0.5),), (t**0.5,)])
        rises.append(float((both.mean(0) - land.center).mean()))
    return Smoothing(np.asarray(along), np.asarray(rises))


def _said(land: Landscape, count: int, gone: float | None, t: float, smoothing: Smoothing) -> str:
    low, high = mean_interval(smoothing.line, LEVEL)
    wide = mean_interval(smoothing.all_filters, LEVEL)
    said = (
        f"On a line through the weights the {land.part} loss has {count} "
        f"minim{'um' if count == 1 else 'a'} that {'is' if count == 1 else 'are'} certain"
    )
    if count > 1:
        said += (
            ", and heat leaves more than one at all times shown"
            if gone is None
            else f", and heat leaves one from t = {gone:g} on"
        )
    return (
        f"{said}; heat for t = {t:g} raises the loss at the weights by "
        f"{smoothing.line.mean():.2g} [{low:.2g}, {high:.2g}] along the line, and by "
        f"{smoothing.all_filters.mean():.2g} [{wide[0]:.2g}, {wide[1]:.2g}] in all filters."
    )


def _verified(
    line: Line,
    axis: list[float],
    found: tuple[Family, Family],
    smoothing: Smoothing,
) -> str:
    """Heat against quadrature with values of the network between the points; a plain minimum."""
    middle = len(line) // 2
    by_grid = float(found[0][0][1].values[middle] - line[middle])
    a = np.asarray(axis)
    plain = [(line + (a[:, None] - a) ** 2 / (2 * t)).min(1) for t, _ in found[1]]
    pairs = zip(found[1], plain, strict=True)
    apart = max((float(np.abs(r.values - p).max()) for (_, r), p in pairs), default=0.0)
    return (
        f"heat at the weights by the grid {by_grid:.4g}, by quadrature of the network itself "
        f"{float(smoothing.line.mean()):.4g}; Hamilton-Jacobi against the plain minimum "
        f"over all pairs of points: {apart:.1e} apart"
    )


def _drawn(kind: str, axis: list[float], line: Line, found: Family) -> Curves:
    """The line and what is left of it after each time, where the ends cannot have mattered."""
    shown = [
        Series(f"t = {t:g}", tuple(axis), tuple(np.where(r.trusted, r.values, np.nan).tolist()))
        for t, r in found
        if r.trusted.any()
    ]
    return Curves(
        f"A line through the weights, relaxed by {kind}",
        "distance, in lengths of each filter",
        "objective",
        (Series("t = 0", tuple(axis), tuple(map(float, line))), *shown),
        marks=(Mark("x", 0.0, "the weights"),),
        note="Each curve is shown where the line's ends cannot have changed it.",
    )


CHECK = Check(
    relaxed_slice,
    family="landscape",
    question="What do the optimizers that relax the loss see along a line through the weights?",
    cost=lambda subject, examples=256, points=81, pairs=12, **_: cost(
        subject, examples, points + 2 * pairs + NODES + 3
    ),
    settings={
        "quick": {"examples": 128, "points": 41, "pairs": 6},
        "standard": {},
        "deep": {"examples": 1024, "points": 161, "pairs": 64},
    },
)
