"""Better bounds of the values that enter a bend, by going back from each of them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import final

import torch
from torch import Tensor

from wellposed.certify._activation import Activation
from wellposed.certify._bounds import Bounds
from wellposed.certify._operation import Affine, Input
from wellposed.certify._substitution import Images, Rows, Substitution
from wellposed.certify._window import Window, channels_last

_TRIAL = 16  # rows of the first piece, which tells how large pieces may be
_ALONE = 24  # rows of one example from which on they go alone


@final
@dataclass(eq=False)
class Tightening:
    """Goes back from values whose bounds leave an activation undecided.

    One side first, the one on which the value of the example itself lies: where that decides the
    sign, the other side is not needed.

    Args:
        values: Of each operation at the examples.
        everywhere: Go back from every such layer; else only where all behind it is affine.
        budget: Coefficients held at a time.
    """

    values: list[Tensor]
    everywhere: bool
    budget: int = 2**19
    rows: int = 0
    """How many rows have been taken back."""
    _peaks: dict[int, int] = field(default_factory=dict)

    def __call__(self, bounds: Bounds, number: int) -> None:
        """Improve the bounds of a value."""
        affine = all(
            isinstance(bounds.graph.operations[k], (Affine, Input))
            for k in bounds.graph.behind(number)
        )
        if affine and bounds.region.norm == "linf":
            return  # one layer from a box: intervals are exact, and nearly so behind two
        if not (self.everywhere or affine):
            return
        substitution = Substitution(bounds)
        positive = self.values[number] > 0
        for lower in (positive, ~positive):
            wanted = _undecided(bounds, number)
            self._side(substitution, number, wanted & lower, 1.0)
            self._side(substitution, number, wanted & ~lower, -1.0)

    def _side(self, substitution: Substitution, number: int, wanted: Tensor, sign: float) -> None:
        bounds = substitution.bounds
        which = wanted.reshape(len(wanted), -1).nonzero()
        if not len(which):
            return
        found = torch.empty(len(which), dtype=torch.float64)
        for piece, images in self._pieces(which, number):
            neurons = which[piece, 1]
            rows = start(bounds, number, neurons, sign, images)
            found[piece] = substitution.lower(rows)
            self._peaks[number] = max(self._peaks.get(number, 1), substitution.peak)
        self.rows += len(which)
        new = torch.full(wanted.shape, -torch.inf, dtype=torch.float64)
        new.view(len(wanted), -1)[which[:, 0], which[:, 1]] = found
        nothing = torch.full_like(new, torch.inf)
        if sign > 0:
            bounds.intersect(number, new, nothing)
        else:
            bounds.intersect(number, -nothing, -new)

    def _pieces(self, which: Tensor, number: int) -> Iterator[tuple[slice, Images]]:
        """Pieces of rows that fit; those of one example together where there are many."""
        images = which[:, 0]
        counts = torch.bincount(images)
        alone = len(which) >= _ALONE * int((counts > 0).sum())
        begin = 0
        while begin < len(which):
            known = self._peaks.get(number)
            length = _TRIAL if known is None else max(1, self.budget // known)
            end = min(len(which), begin + length)
            if alone:
                same = images[begin:end] == images[begin]
                end = begin + int(same.sum())
                yield slice(begin, end), int(images[begin])
            else:
                yield slice(begin, end), images[begin:end]
            begin = end


def _undecided(bounds: Bounds, number: int) -> Tensor:
    """Where better bounds of a value would help what it enters."""
    low, high = bounds.low[number], bounds.high[number]
    wanted = torch.zeros_like(low, dtype=torch.bool)
    for user in bounds.graph.users[number]:
        operation = bounds.graph.operations[user]
        if isinstance(operation, Activation):
            wanted |= operation.open(low, high)
        elif not isinstance(operation, Affine):
            wanted |= low < high
    return wanted


def start(bounds: Bounds, number: int, neurons: Tensor, sign: float, images: Images) -> Rows:
    """Rows that stand for sign times single values of an affine operation.

    Args:
        bounds: Of the values behind it.
        number: Of the operation.
        neurons: Places in the flattened value, one for each row.
        sign: 1 for lower bounds, -1 for the negative of upper ones.
        images: The example of each row, or of all.
    """
    operation = bounds.graph.operations[number]
    assert isinstance(operation, Affine)
    windows = operation.rows(neurons)
    if windows is None:
        windows = operation.transpose(_unit(operation.shape, neurons))
    error = bounds.error(number)
    error = error.reshape(len(error), -1)[images, neurons]
    offset = operation.offset()
    constant = -error
    if offset is not None:
        constant = constant + sign * offset.expand(operation.shape).flatten()[neurons]
    pending: dict[int, Window] = {}
    for source, window in zip(operation.inputs, windows, strict=True):
        shape = bounds.graph.operations[source].shape
        window = Window(window.values if sign == 1 else -window.values, window.corner)
        if window.corner is not None:
            window = window.without_padding(shape)
        known = pending.get(source)
        pending[source] = window if known is None else known.plus(window, shape)
    return Rows(pending, constant, images)


def _unit(shape: tuple[int, ...], neurons: Tensor) -> Window:
    """Coefficient 1 at one place of each row: of images, at a window of one place."""
    if len(shape) == 3:
        channels, height, width = shape
        place = neurons % (height * width)
        values = torch.zeros((len(neurons), 1, 1, channels), dtype=torch.float64)
        values[torch.arange(len(neurons)), 0, 0, neurons // (height * width)] = 1
        return Window(values, torch.stack([place // width, place % width], 1))
    values = torch.zeros((len(neurons), *shape), dtype=torch.float64)
    values.view(len(neurons), -1)[torch.arange(len(neurons)), neurons] = 1
    return Window(channels_last(values))
