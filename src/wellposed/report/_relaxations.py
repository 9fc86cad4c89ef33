"""One loss, relaxed by four equations for growing times: its figure and its words."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from markupsafe import Markup

from wellposed.errors import require
from wellposed.pde import (
    Grid,
    Relaxed,
    ToyLoss,
    caustic_time,
    cole_hopf,
    heat,
    hopf_lax,
    sup_convolution,
)
from wellposed.report._relaxed_figure import Row, Words, relaxed_figure
from wellposed.report._sentences import plain

_TIMES = 3


@final
@dataclass(frozen=True, slots=True)
class Equation:
    """An equation that relaxes a loss.

    Args:
        name: What it is called.
        asks: What its solution at a point says about the loss around.
        solver: From values, grid, time and inverse temperature to the relaxed loss.
    """

    name: str
    asks: str
    solver: Callable[[np.ndarray, Grid, float, float], Relaxed]


EQUATIONS = (
    Equation("Heat", "how good is it around here on average?", lambda f, g, t, _: heat(f, g, t)),
    Equation("Viscous Hamilton-Jacobi", "local entropy: is much of what is near good?", cole_hopf),
    Equation(
        "Hamilton-Jacobi",
        "inf-convolution: is something better nearby?",
        lambda f, g, t, _: hopf_lax(f, g, t),
    ),
    Equation(
        "Hamilton-Jacobi, upwards",
        "sup-convolution: is everything nearby good?",
        lambda f, g, t, _: sup_convolution(f, g, t),
    ),
)


@final
@dataclass(frozen=True, slots=True)
class Relaxations:
    """A figure of one loss under four equations, with what is to be seen in it.

    Args:
        title: Names it.
        figure: The figure.
        narrow: The same for a narrow place.
        sentences: One per equation: where its minimum goes.
        caustic: Until when relaxing keeps the loss smooth, as a sentence.
    """

    title: str
    figure: Markup
    narrow: Markup
    sentences: list[str]
    caustic: str


def relaxations(toy: ToyLoss, times: Sequence[float], beta: float, *, points: int) -> Relaxations:
    """A loss under heat, viscous and plain Hamilton-Jacobi, and sup-convolution.

    Args:
        toy: The loss.
        times: One to three positive times, ascending.
        beta: Inverse temperature of the viscous equation, positive.
        points: Points of the grid along each axis of the picture.

    Raises `ArgumentError` outside these ranges, and what the solvers raise.
    """
    listed = ", ".join(f"{t:g}" for t in times)
    require(
        1 <= len(times) <= _TIMES and list(times) == sorted(set(times)) and times[0] > 0,
        f"a figure has one to {_TIMES} positive times, ascending, got {listed or 'none'}",
    )
    grid = toy.grid(points)
    ground = toy.values(grid)
    rows = [
        Row(e.name, e.asks, [ground, *(toy.relaxed(_at(e, t, beta), points) for t in times)])
        for e in EQUATIONS
    ]
    sentences = [_sentence(row, grid, times[-1]) for row in rows]
    caustic = _caustic(ground, grid)
    title = f"{toy.title}, relaxed for t = {listed}"
    words = Words(title, " ".join(sentences), [f"Viscous: beta = {beta:g}.", *caustic])
    return Relaxations(
        title,
        relaxed_figure(words, grid, times, rows),
        relaxed_figure(words, grid, times, rows, narrow=True),
        sentences,
        " ".join(caustic),
    )


def _at(equation: Equation, t: float, beta: float) -> Callable[[np.ndarray, Grid], Relaxed]:
    """The solver of an equation for one time."""
    return lambda f, grid: equation.solver(f, grid, t, beta)


def _sentence(row: Row, grid: Grid, t: float) -> str:
    """Where the minimum is before and after, and how high."""
    (before, low), (after, high) = (
        _minimum(grid, values) for values in (row.values[0], row.values[-1])
    )
    where = f"stays at {before}" if before == after else f"goes from {before} to {after}"
    rises = f"rises from {_signed(low)} to {_signed(high)}"
    height = rises if _signed(low) != _signed(high) else f"stays {_signed(low)}"
    return f"{row.heading}: until t = {t:g} the minimum {where}; its value {height}."


def _minimum(grid: Grid, values: np.ndarray) -> tuple[str, float]:
    """Where the minimum is, in words, and its value."""
    place = np.unravel_index(values.argmin(), values.shape)
    numbers = [_signed(float(axis[k])) for axis, k in zip(grid.axes, place, strict=True)]
    said = f"({', '.join(numbers)})" if len(numbers) > 1 else f"x = {numbers[0]}"
    return said, float(values.min())


def _signed(value: float) -> str:
    """A coordinate or a height with two decimals and a true minus sign."""
    return f"{round(value, 2) + 0.0:.2f}".replace("-", "\u2212")


def _caustic(ground: np.ndarray, grid: Grid) -> list[str]:
    """When kinks appear, for the lower and for the upper envelope."""
    ends = (("Lower", "|lambda_min|", ground), ("Upper", "lambda_max", -ground))
    return [
        f"{name} envelope: smooth for t < 1/{symbol} = {plain(caustic_time(values, grid))}."
        for name, symbol, values in ends
    ]
