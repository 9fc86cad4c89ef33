r"""Backward substitution: rows of coefficients taken back from a layer to the input.

From $s \ge \langle a, v \rangle + c$ for the values v of one layer follows the like for the layers
that v is made of: through $v = Ah + b + e$ with $a \leftarrow A^\top a$,
$c \leftarrow c + \langle a, b \rangle - \langle |a|, E \rangle$, and through an activation with its
lower line where $a > 0$ and its upper one where $a < 0$. At the input the minimum over the region
is known.

What rounding does to $A^\top a$ is at most $\gamma |A|^\top |a|$, which costs
$\gamma \langle |a|, |A| |h| \rangle$: the same form as the program's error, and part of E.
"""

from dataclasses import dataclass, field
from typing import final

import torch
from torch import Tensor

from wellposed.certify._activation import Activation
from wellposed.certify._arithmetic import DOUBLE
from wellposed.certify._bounds import Bounds
from wellposed.certify._field import Field, as_field
from wellposed.certify._max_pool import MaxPool
from wellposed.certify._operation import Affine, Input, count
from wellposed.certify._product import Product
from wellposed.certify._region import least_change
from wellposed.certify._window import Window

Images = Tensor | int
Slopes = dict[int, Tensor]

_FLOOR = 1e-20  # above all that underflow in our own sums can change, relative to 1 + |h|


@final
@dataclass(eq=False)
class Rows:
    """Lower bounds under way: coefficients of layers, and the constants beside them.

    Args:
        pending: Coefficients by operation.
        constant: One for each row; float64.
        images: The example of each row, or of all.
        size: Of the terms that went into the constants, in absolute value.
    """

    pending: dict[int, Window]
    constant: Tensor
    images: Images
    size: Tensor = field(init=False)

    def __post_init__(self) -> None:
        self.size = self.constant.abs()

    def add(self, terms: Tensor) -> None:
        """Add to the constants."""
        self.constant = self.constant + terms
        self.size = self.size + terms.detach().abs()


@final
@dataclass(eq=False)
class Substitution:
    """Takes rows back through a network whose bounds are known.

    Args:
        bounds: Of every value that is met.
        slopes: Of lines below activations, for each row, instead of the default ones.
    """

    bounds: Bounds
    slopes: Slopes = field(default_factory=dict)
    peak: int = 1
    """The most coefficients that a row has had in any layer."""

    def __post_init__(self) -> None:
        self._graph = self.bounds.graph
        self._fields: dict[int, Field] = {}
        self._reaches: dict[int, Field] = {}
        self._highest: float | None = None

    def forget(self) -> None:
        """Drop what was derived from the bounds."""
        self._fields.clear()
        self._reaches.clear()
        self._highest = None

    def lower(self, rows: Rows, *, best: bool = False, stop: bool = False) -> Tensor:
        """Lower bounds of what the rows stand for.

        Args:
            rows: Used up.
            best: Also try the interval bounds of every layer that is not affine.
            stop: Go back through affine layers only, and take interval bounds there.
        """
        found = torch.full_like(rows.constant, -torch.inf)
        for number in range(max(rows.pending), -1, -1):
            if number not in rows.pending:
                continue
            operation = self._graph.operations[number]
            if (best or stop) and not isinstance(operation, (Affine, Input)):
                found = torch.maximum(found, self._intervals(rows))
                if stop:
                    return found
            window = rows.pending.pop(number)
            self.peak = max(self.peak, window.values[0].numel())
            self._through(rows, number, window)
        return torch.maximum(found, self._settled(rows))

    def _through(self, rows: Rows, number: int, window: Window) -> None:
        """From the value of an operation to those that it takes."""
        operation = self._graph.operations[number]
        if isinstance(operation, Affine):
            self._affine(rows, number, operation, window)
        elif isinstance(operation, Activation):
            self._activation(rows, number, operation, window)
        elif isinstance(operation, MaxPool):
            self._max_pool(rows, number, operation, window)
        elif isinstance(operation, Product):
            self._product(rows, number, operation, window)
        else:
            self._input(rows, window)

    def _affine(self, rows: Rows, number: int, operation: Affine, window: Window) -> None:
        if number not in self._absorbed():
            offset, error = self._field(number).at(window, rows.images)
            terms = _dot(window.values, offset) - _dot(window.values.abs(), error)
            rows.add(terms)
        self._pass_on(rows, operation.inputs, operation.transpose(window))

    def _pass_on(self, rows: Rows, inputs: tuple[int, ...], windows: list[Window]) -> None:
        for source, window in zip(inputs, windows, strict=True):
            shape = self._graph.operations[source].shape
            straight = isinstance(self._graph.operations[source], Affine)
            if window.corner is not None:
                _, h, w, _ = window.values.shape
                if h * w >= shape[1] * shape[2]:
                    window = window.whole(shape)
                elif straight:
                    window = window.without_padding(shape)
            known = rows.pending.get(source)
            if known is not None:
                window = known.plus(window, shape)
                self._rounded_sum(rows, source, window)
            rows.pending[source] = window

    def _rounded_sum(self, rows: Rows, number: int, window: Window) -> None:
        """Coefficients that meet are added, which rounds them once."""
        if number not in self._reaches:
            self._reaches[number] = as_field([self.bounds.reach(number)])
        [reach] = self._reaches[number].at(window, rows.images)
        rows.add(-4 * DOUBLE.unit * _dot(window.values.abs(), reach))

    def _activation(self, rows: Rows, number: int, operation: Activation, window: Window) -> None:
        lower, lower_at, upper, upper_at = self._field(number).at(window, rows.images)
        if number in self.slopes:
            window = window.whole(operation.shape)
            lower, lower_at, upper, upper_at = self._field(number).at(window, rows.images)
            lower = self.slopes[number]
        positive, negative = window.values.clamp(min=0), window.values.clamp(max=0)
        rows.add(_dot(positive, lower_at) + _dot(negative, upper_at))
        values = (negative * upper).addcmul_(positive, lower)  # one of the two is 0
        self._pass_on(rows, operation.inputs, [Window(values, window.corner)])

    def _max_pool(self, rows: Rows, number: int, operation: MaxPool, window: Window) -> None:
        place, decided, ceiling, reach = self._field(number).at(window, rows.images)
        window = window.without_padding(operation.shape)
        taken = (window.values > 0) | (decided > 0)
        rows.add(_dot(torch.where(taken, 0.0, window.values), ceiling))
        rows.add(-_dot(window.values.abs(), reach))
        values = torch.where(taken, window.values, 0.0)
        self._pass_on(
            rows, operation.inputs, [operation.route(Window(values, window.corner), place)]
        )

    def _product(self, rows: Rows, number: int, operation: Product, window: Window) -> None:
        first, second, at, off = self._field(number).at(window, rows.images)
        rows.add(_dot(window.values, at) - _dot(window.values.abs(), off))
        parts = [Window(window.values * slope, window.corner) for slope in (second, first)]
        self._pass_on(rows, operation.inputs, parts)

    def _input(self, rows: Rows, window: Window) -> None:
        region = self.bounds.region
        center, down, up = self._field(0).at(window, rows.images)
        values, down, up = (side.reshape(len(side), -1) for side in (window.values, down, up))
        change, size = least_change(values, down, up, region.eps, region.norm)
        terms = (values * center.reshape(len(center), -1)).abs().sum(1)
        slack = DOUBLE.gamma(4 * (count(self._graph.operations[0].shape) + 8)) * (terms + size)
        rows.add(_dot(window.values, center))
        rows.add(change - slack)

    def _intervals(self, rows: Rows) -> Tensor:
        """The bounds with the intervals of every layer at which the rows stand."""
        total, size = rows.constant.clone(), rows.size.clone()
        for number, window in rows.pending.items():
            low, high = self.bounds.low[number], self.bounds.high[number]
            middle, half = as_field([(low + high) / 2, (high - low) / 2]).at(window, rows.images)
            linear = _dot(window.values, middle)
            terms = _dot(window.values.abs(), middle.abs() + half)
            slack = DOUBLE.gamma(4 * (window.values[0].numel() + 8)) * terms
            total = total + linear - _dot(window.values.abs(), half) - slack
            size = size + terms
        return self._rounded(total, size)

    def _settled(self, rows: Rows) -> Tensor:
        return self._rounded(rows.constant, rows.size)

    def _rounded(self, total: Tensor, size: Tensor) -> Tensor:
        """Less what the additions of the constants, and underflow, may have changed."""
        slack = 1e-12 * size + _FLOOR * (1 + self._largest())
        return (total - slack).nan_to_num(nan=-torch.inf, posinf=-torch.inf, neginf=-torch.inf)

    def _largest(self) -> float:
        if self._highest is None:
            sides = (*self.bounds.low.values(), *self.bounds.high.values())
            self._highest = max(float(side.abs().max()) for side in sides)
        return self._highest

    def _absorbed(self) -> set[int]:
        """Affine operations whose offset and error the activation behind them carries."""
        if self.slopes:
            return set()
        operations, users = self._graph.operations, self._graph.users
        return {
            number
            for number, operation in enumerate(operations)
            if isinstance(operation, Affine)
            and len(users[number]) == 1
            and isinstance(operations[users[number][0]], Activation)
        }

    def _field(self, number: int) -> Field:
        if number not in self._fields:
            operation = self._graph.operations[number]
            if isinstance(operation, Affine):
                values = self._affine_field(number, operation)
            elif isinstance(operation, Activation):
                values = self._activation_field(number, operation)
            elif isinstance(operation, MaxPool):
                values = self._max_pool_field(operation)
            elif isinstance(operation, Product):
                values = self._product_field(operation)
            else:
                values = self._input_field()
            self._fields[number] = as_field(values)
        return self._fields[number]

    def _offset_and_error(self, number: int, operation: Affine) -> tuple[Tensor, Tensor]:
        error = self.bounds.error(number)
        offset = operation.offset()
        return torch.zeros_like(error) if offset is None else offset.expand_as(error), error

    def _affine_field(self, number: int, operation: Affine) -> list[Tensor]:
        offset, error = self._offset_and_error(number, operation)
        return [offset, error * (1 + 2 * DOUBLE.gamma(count(operation.shape) + 8))]

    def _activation_field(self, number: int, operation: Activation) -> list[Tensor]:
        """Slopes and intercepts, the intercepts moved outward by all that rounding may do."""
        [source] = operation.inputs
        low, high = self.bounds.low[source], self.bounds.high[source]
        lines = operation.lines(low, high, *operation.slopes(low, high))
        reach = torch.maximum(low.abs(), high.abs())
        own = DOUBLE.gamma(count(operation.shape) + 16)
        program = operation.error(reach, self.bounds.program)
        moved = []
        for sign, slope, at in (
            (-1, lines.lower, lines.lower_at),
            (1, lines.upper, lines.upper_at),
        ):
            steep = torch.ones_like(slope) if number in self.slopes else slope.abs()
            slack = program + 4 * DOUBLE.unit * steep * reach + own * at.abs()
            if source in self._absorbed():
                before = self._graph.operations[source]
                assert isinstance(before, Affine)
                offset, error = self._offset_and_error(source, before)
                at = at + slope * offset
                slack = slack + slope.abs() * (error + own * offset.abs())
            moved += [slope, at + sign * slack * (1 + 4 * own)]
        return moved

    def _max_pool_field(self, operation: MaxPool) -> list[Tensor]:
        [source] = operation.inputs
        low, high = self.bounds.low[source], self.bounds.high[source]
        place, decided = operation.chosen(low, high)
        ceiling = operation.apply(high)
        own = 2 * DOUBLE.gamma(count(operation.shape) + 8)
        # Where windows overlap, coefficients of one place are added up.
        added = (
            2
            * DOUBLE.gamma(count(operation.kernel) + 8)
            * operation.apply(torch.maximum(low.abs(), high.abs()))
        )
        return [place.double(), decided.double(), ceiling + own * ceiling.abs(), added]

    def _product_field(self, operation: Product) -> list[Tensor]:
        """The middles, and the plane's constant, off by what lies between and all rounding."""
        sides = (self.bounds.low, self.bounds.high)
        lows, highs = ([side[k] for k in operation.inputs] for side in sides)
        first, second, apart = operation.plane(lows, highs)
        at = -first * second
        reaches = [
            torch.maximum(low.abs(), high.abs()) for low, high in zip(lows, highs, strict=True)
        ]
        size = reaches[0] * reaches[1]
        own = DOUBLE.gamma(count(operation.shape) + 16)
        off = operation.error(size, self.bounds.program) + apart + 8 * own * size
        return [first, second, at, off * (1 + 4 * own)]

    def _input_field(self) -> list[Tensor]:
        region, room = self.bounds.region, 1 + 4 * DOUBLE.unit
        return [
            region.center,
            (region.center - region.low) * room,
            (region.high - region.center) * room,
        ]


def _dot(first: Tensor, second: Tensor) -> Tensor:
    """Inner products of rows; the second may have one row for all."""
    flat, other = first.reshape(len(first), -1), second.reshape(len(second), -1)
    if len(other) == 1:
        return flat @ other[0]
    products: Tensor = torch.linalg.vecdot(flat, other)
    return products
