"""Is there a lower place near the weights, on a plane through them?"""

from typing import Any

import numpy as np
from jaxtyping import Float

from wellposed.audit._check import Check
from wellposed.audit._directions import filter_normalized, moved
from wellposed.audit._landscape import LEVEL, Landscape, cost, level_of_each
from wellposed.audit._slice import symmetric
from wellposed.audit._subject import Subject
from wellposed.errors import require
from wellposed.runs import Finding, Surface, Threshold, Verdict
from wellposed.stats import mean_interval

LOWER = 0.05  # of what a constant output loses; less than that no random direction should bring


def plane(
    subject: Subject, *, examples: int = 256, points: int = 15, reach: float = 1.0
) -> Finding:
    r"""Draw the objective on a plane through the weights, and look for a lower place on it.

    $f(w + a\,d_1 + b\,d_2)$ with two Gaussian directions in which every filter moves in proportion
    to its size (Li et al.), on a symmetric grid with the weights exactly in its center. The value
    is the greatest fall from the center to another point; its interval holds for all points of the
    grid together (Bonferroni), so that the search for the lowest costs nothing in honesty.

    A plane of two directions among thousands shows no valley that lies across it: a picture that
    looks convex proves nothing about the rest, and its roughness depends on the examples and on
    the filters' sizes. Both are shown, neither is judged.

    Args:
        subject: Network, loss, data; the training part where there is one.
        examples: At most this many.
        points: Of each side, odd.
        reach: Of each side, in lengths of the filters, above 0.

    Cost: points² + 4 forward passes per example.

    Raises `ArgumentError` outside these ranges, or if nothing can move.

    References:
        Li, Xu, Taylor, Studer and Goldstein, Visualizing the loss landscape of neural nets, 2018,
        arXiv:1712.09913.
    """
    require(points >= 3 and points % 2 == 1, f"points are odd and at least 3, got {points}; try 15")
    require(reach > 0, f"reach is above 0, got {reach:g}; try 1")
    subject.require_parameters("plane")
    land = Landscape(subject, "plane", examples)
    d1, d2 = (filter_normalized(subject.model, subject.generator(f"slice {k}")) for k in range(2))
    axis = symmetric(points, reach)
    table = land.line([d1, d2], [(a, b) for b in axis for a in axis])
    surface = table.mean(1).reshape(points, points)
    scale = land.scale
    falls = [mean_interval(row, level_of_each(points**2 - 1)) for row in _falls(table, land)]
    interval = tuple(max(end[k] for end in falls) / scale for k in (0, 1)) if scale else (0.0, 0.0)
    lowest = int(np.nan_to_num(surface, nan=np.inf).argmin())
    place = (axis[lowest % points], axis[lowest // points])
    others = np.delete(surface.ravel(), points**2 // 2)
    value = float(land.center.mean() - np.nanmin(others)) / (scale or 1.0)
    threshold = Threshold(
        LOWER,
        "above",
        "convention",
        f"{100 * LOWER:g} % of the loss of a constant output falls away at a point nearby",
    )
    verdict = threshold.judge((interval[0], interval[1]))
    low, high = (100 * end for end in interval)
    where = f"at ({place[0]:.2g}, {place[1]:.2g})" if any(place) else "in the center"
    shown = (
        "another point is lower than the center for certain"
        if interval[0] > 0
        else "no point is shown to be lower than the center"
    )
    corner = moved(land.trainable, [d1, d2], (axis[-1], axis[-1]))
    return Finding(
        check="plane",
        verdict=verdict,
        statement=f"On a plane through the weights {shown}: the lowest {land.part} loss seen is "
        f"{where}, and from the center to another point it falls by at most {100 * value:.2g} % "
        f"[{low:.2g}, {high:.2g}] of a constant output's loss.",
        value=value,
        interval=(interval[0], interval[1]),
        level=LEVEL,
        unit="of a constant output's loss",
        threshold=threshold,
        evidence={
            "part": land.part,
            "examples": len(land.inputs),
            "objective": float(land.center.mean()),
            "constant_output": scale,
            "convex_share": _convex_share(surface),
            "convex_share_is": "points where second differences are positive definite; no interval",
            "batch_norm": "the model's own statistics, held fixed" if land.norms else "none",
            "seed": subject.seed,
        },
        verified=f"a corner is {float(surface[-1, -1]):.6g}, and {land.of_a_copy(corner):.6g} on a "
        f"copy with the weights written; the center is {land.rounding:.1e} from the objective",
        remedy="train on: a random step already lowers the loss" if verdict is Verdict.WARN else "",
        figures=(_drawn(land, axis, surface, place),),
    )


def _falls(table: Float[np.ndarray, "points examples"], land: Landscape) -> Any:
    """Falls from the center to each other point that has finite losses, example by example."""
    falls = land.center - np.delete(table, len(table) // 2, axis=0)
    finite = falls[np.isfinite(falls).all(1)]
    require(len(finite) > 0, "no point of the plane beside the weights has a finite loss")
    return finite


def _convex_share(f: Float[np.ndarray, "n n"]) -> float:
    """Share of inner points at which the matrix of second differences is positive definite."""
    c = f[1:-1, 1:-1]
    xx = f[1:-1, 2:] - 2 * c + f[1:-1, :-2]
    yy = f[2:, 1:-1] - 2 * c + f[:-2, 1:-1]
    xy = (f[2:, 2:] - f[2:, :-2] - f[:-2, 2:] + f[:-2, :-2]) / 4
    return float(((xx > 0) & (xx * yy > xy**2)).mean())


def _drawn(
    land: Landscape, axis: list[float], surface: np.ndarray, lowest: tuple[float, float]
) -> Surface:
    """The plane as a map, with the weights and the lowest point named."""
    shown = tuple(tuple(float(v) for v in row) for row in surface)
    other = ((*lowest, "lowest seen"),) if any(lowest) else ()
    return Surface(
        f"Objective on {len(land.inputs)} {land.part} examples",
        tuple(axis),
        tuple(axis),
        shown,
        x_label="first direction, in lengths of each filter",
        y_label="second direction",
        log=bool(np.nanmin(surface) > 0),
        points=((0.0, 0.0, "the weights"), *other),
        note="Two Gaussian directions of thousands: what is convex here need not be so elsewhere.",
    )


CHECK = Check(
    plane,
    family="landscape",
    question="Is there a lower place near the weights, on a plane through them?",
    cost=lambda subject, examples=256, points=15: cost(subject, examples, points**2 + 5),
    settings={"standard": {}, "deep": {"examples": 1024, "points": 31}},
)
