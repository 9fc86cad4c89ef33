"""What does the objective look like around the weights, and does it still fall?"""

import math
from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Float
from torch import Tensor

from wellposed.audit._check import Check
from wellposed.audit._directions import filter_normalized, length
from wellposed.audit._landscape import LEVEL, Interval, Landscape, cost, level_of_each
from wellposed.audit._subject import Subject
from wellposed.errors import ArgumentError, first_line, in_a_line, require
from wellposed.runs import Curves, Finding, Mark, Series, Threshold, Verdict
from wellposed.stats import mean_interval

STEP = 0.02  # of the second differences, in lengths of the filters
HALVINGS = 17  # steps tried along the gradient: the weights' length, and down by halves
SHARE = 0.01  # of what a constant output loses
_KINKED = (
    "Relu", "LeakyRelu", "Prelu", "Rrelu", "Threshold", "Hardtanh", "Hardsigmoid", "Hardswish",
    "Clamp", "Abs", "Max", "Min", "Amax", "Amin", "AdaptiveMaxPool", "Softshrink", "Hardshrink",
)  # fmt: skip
"""How autograd's names of operations with kinks begin."""


def slice_(subject: Subject, *, examples: int = 512, points: int = 21) -> Finding:
    r"""Draw the objective along lines through the weights, and see whether it still falls.

    Two lines go along Gaussian directions d in which every filter moves in proportion to its size
    (Li et al.): $f(w + a d)$ for a symmetric grid of a in [-1, 1]; slope and curvature at a = 0
    are central differences of step 0.02, with intervals over the examples. The third goes down the
    gradient of one half of the examples; its best step is chosen on that half, and the fall of the
    loss is measured on the other, so that no choice flatters it. The fall is judged in units of
    the loss of a constant output.

    A fall says that training was not done. Curvature that is negative for certain says that w is
    no minimum. Neither a small fall nor positive curvature along two lines of thousands proves
    that w is one.

    Args:
        subject: Network, loss, data; the training part where there is one.
        examples: At most this many.
        points: Of each line, odd.

    Cost: 2 points + 30 forward passes per example, half a gradient, and a Hessian product.

    Raises `ArgumentError` if the number of points is even, or nothing can move.

    References:
        Li, Xu, Taylor, Studer and Goldstein, Visualizing the loss landscape of neural nets, 2018,
        arXiv:1712.09913.
        Goodfellow, Vinyals and Saxe, Qualitatively characterizing neural network optimization
        problems, 2015, arXiv:1412.6544.
    """
    require(points >= 3 and points % 2 == 1, f"points are odd and at least 3, got {points}; try 21")
    subject.require_parameters("slice")
    land = Landscape(subject, "slice", examples)
    directions = [
        filter_normalized(subject.model, subject.generator(f"slice {k}")) for k in range(2)
    ]
    grid = symmetric(points)
    lines = [land.line([d], [(a,) for a in grid]).mean(1) for d in directions]
    locals_ = [_local(land, d) for d in directions]
    descent = _down(land, directions[0])
    threshold = Threshold(
        SHARE,
        "above",
        "convention",
        f"{100 * SHARE:g} % of the loss of a constant output falls away along a single line",
    )
    verdict = threshold.judge(descent.interval)
    bent = [k for k, (_, curvature) in enumerate(locals_) if curvature[1] < 0]
    if bent:
        verdict = Verdict.WARN
    if not descent.agrees:
        verdict = Verdict.UNKNOWN
    return Finding(
        check="slice",
        verdict=verdict,
        statement=_said(land, descent, bent),
        value=descent.value,
        interval=descent.interval,
        level=LEVEL,
        unit="of a constant output's loss",
        threshold=threshold,
        evidence={
            "part": land.part,
            "examples": len(land.inputs),
            "objective": float(land.center.mean()),
            "constant_output": descent.scale,
            "step_along_gradient": descent.step,
            "slopes": [list(slope) for slope, _ in locals_],
            "curvatures": [list(curvature) for _, curvature in locals_],
            "level_of_slopes_and_curvatures": level_of_each(2 * len(locals_)),
            "direction_length": [length(d) for d in directions],
            "batch_norm": "the model's own statistics, held fixed" if land.norms else "none",
            "seed": subject.seed,
        },
        verified=_verified(land, directions[0], descent),
        remedy="train on; where the loss has stopped falling all the same, lower the step size "
        'towards the end ([[schedule]] name = "cosine"): a step too large hovers above the valley'
        if verdict is Verdict.WARN
        else "",
        figures=_figures(land, grid, lines, descent),
    )


def symmetric(points: int, reach: float = 1.0) -> list[float]:
    """An odd number of equally spaced points around an exact 0, symmetric to the last bit."""
    half = points // 2
    return [math.copysign(abs(k) / half * reach, k) if k else 0.0 for k in range(-half, half + 1)]


def _local(land: Landscape, direction: dict[str, Tensor]) -> tuple[Interval, Interval]:
    """Intervals for slope and curvature along a direction; four of them hold together."""
    before, after = land.line([direction], [(-STEP,), (STEP,)])
    require(
        bool(np.isfinite(before).all() and np.isfinite(after).all()),
        f"the objective is not finite where the filters have moved by {STEP:g} of their lengths, "
        "so that it has no slope there",
    )
    slope = (after - before) / (2 * STEP)
    curvature = (after - 2 * land.center + before) / STEP**2
    return mean_interval(slope, level_of_each(4)), mean_interval(curvature, level_of_each(4))


@final
@dataclass(frozen=True, slots=True)
class Descent:
    """What a line down the gradient brings on examples that had no part in it.

    Args:
        value: The fall, in units of `scale`.
        interval: Its interval.
        scale: The loss of a constant output.
        step: Of the best point, in lengths of the weights.
        steps: All that were tried.
        losses: On the half that was not asked, at each step.
        slopes: Of the other half along a random direction: by differences, by the gradient.
        agrees: Whether both are the same up to the error of differences.
    """

    value: float
    interval: Interval
    scale: float
    step: float
    steps: tuple[float, ...]
    losses: tuple[float, ...]
    slopes: tuple[float, float]
    agrees: bool


def _down(land: Landscape, direction: dict[str, Tensor]) -> Descent:
    """Down the gradient of every second example, judged on those between."""
    asked, judged = slice(0, None, 2), slice(1, None, 2)
    gradient = land.gradient(asked)
    scale, size = land.scale, length(gradient)
    slopes, agrees = _compared(land, direction, gradient, asked)
    if size == 0 or scale == 0:
        return Descent(0.0, (0.0, 0.0), scale, 0.0, (), (), slopes, agrees)
    stretch = length(land.trainable) / size
    steps = tuple(2.0**-k for k in reversed(range(HALVINGS)))
    table = land.line([gradient], [(-t * stretch,) for t in steps])
    chosen = int(np.nan_to_num(table[:, asked].mean(1), nan=np.inf).argmin())
    fall = (land.center - table[chosen])[judged] / scale
    return Descent(
        float(fall.mean()),
        mean_interval(fall, LEVEL),
        scale,
        steps[chosen],
        steps,
        tuple(table[:, judged].mean(1).tolist()),
        slopes,
        agrees,
    )


def _compared(
    land: Landscape, direction: dict[str, Tensor], gradient: dict[str, Tensor], rows: slice
) -> tuple[tuple[float, float], bool]:
    """The slope along a direction by differences and by the gradient, and whether both agree."""
    before, after = land.line([direction], [(-STEP,), (STEP,)])[:, rows].mean(1)
    here = land.center[rows].mean()
    differences = float(after - before) / (2 * STEP)
    by_gradient = float(
        sum((gradient[n].double() * d.double()).sum() for n, d in direction.items())
    )
    bend = abs(float(after - 2 * here + before)) / STEP  # what a kink between the two could change
    error = abs(differences - by_gradient)
    allowed = bend + 0.02 * abs(by_gradient) + 1e-3 * abs(float(here))
    return (differences, by_gradient), error <= allowed


def _said(land: Landscape, descent: Descent, bent: list[int]) -> str:
    low, high = (100 * end for end in descent.interval)
    verb = "lowers" if descent.value > 0 else "does not lower"
    said = (
        f"A step down the gradient of some {land.part} examples {verb} the loss of others: the "
        f"fall is {100 * descent.value:.2g} % [{low:.2g}, {high:.2g}] of a constant output's loss"
    )
    if not descent.agrees:
        return (
            "The gradient of the network is not that of its objective: along a random direction "
            f"the slope is {descent.slopes[0]:.4g} by differences and {descent.slopes[1]:.4g} by "
            "the gradient."
        )
    if bent:
        said += f", and {len(bent)} of 2 random directions have negative curvature for certain"
    return said + "."


def _verified(land: Landscape, direction: dict[str, Tensor], descent: Descent) -> str:
    """Slope and curvature by differences against gradient and Hessian."""
    before, after = land.line([direction], [(-STEP,), (STEP,)]).mean(1)
    second = (after - 2 * land.center.mean() + before) / STEP**2
    said = (
        f"slope along a random direction by differences {descent.slopes[0]:.4g}, by the gradient "
        f"{descent.slopes[1]:.4g}; "
    )
    try:
        exact = land.curvature(direction)
    except ArgumentError as error:
        return f"{said}nothing to compare the curvature with: {first_line(error)}"
    except RuntimeError as error:
        return f"{said}the Hessian product to compare the curvature with failed: {in_a_line(error)}"
    said += f"curvature by differences {second:.4g}, by a Hessian product {exact:.4g}"
    return f"{said} (which passes over kinks, as of ReLU)" if _kinked(land) else said


def _kinked(land: Landscape) -> bool:
    """Whether an operation with a kink is on the way to the objective."""
    with land.subject.quiet():
        value = land.subject.objective(*land.subject.take(land.part, 1))
    todo = set() if value.grad_fn is None else {value.grad_fn}
    seen = set(todo)
    while todo:
        node = todo.pop()
        if node.name().startswith(_KINKED):
            return True
        new = {n for n, _ in node.next_functions if n is not None} - seen
        seen |= new
        todo |= new
    return False


def _figures(
    land: Landscape, grid: list[float], lines: list[Float[np.ndarray, " points"]], descent: Descent
) -> tuple[Curves, ...]:
    center = float(land.center.mean())
    along = Curves(
        "Objective along random directions",
        "distance, in lengths of each filter",
        f"objective on {len(land.inputs)} {land.part} examples",
        tuple(
            Series(f"direction {k + 1}", tuple(grid), tuple(map(float, line)))
            for k, line in enumerate(lines)
        ),
        marks=(Mark("x", 0.0, "the weights"),),
        note="Gaussian directions, every filter in proportion to its size; biases stay.",
    )
    if not descent.steps:
        return (along,)
    down = Curves(
        "Objective down the gradient",
        "step, in lengths of the weights",
        "objective",
        (Series("other examples", descent.steps, descent.losses),),
        marks=(Mark("y", center, "at the weights"),),
        log_x=True,
        log_y=min(*descent.losses, center) > 0,
        note="The gradient is of one half of the examples, the curve of the other.",
    )
    return along, down


CHECK = Check(
    slice_,
    family="landscape",
    question="What does the objective look like around the weights, and does it still fall?",
    cost=lambda subject, examples=512, points=21: cost(subject, examples, 2 * points + 30, 4.5),
    settings={
        "quick": {"examples": 256},
        "standard": {},
        "deep": {"examples": 4096, "points": 41},
    },
)
