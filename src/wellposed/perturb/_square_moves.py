"""Squares and pyramids: how the square attack starts, and what it proposes."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from wellposed.perturb._rows import Rows

_NONE = 1e-12  # on norms that are divided by: what is smaller is no perturbation
_TILES = 5  # per side, in the starting pattern


@final
@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """A square of each row, seen through a frame that is as large as the largest of them.

    Args:
        side: In pixels, shape (n,).
        down: Rows of the image counted from the square's corner, (n, s, s) for a frame of side s.
        right: Columns. What the frame has beyond the square repeats its last row and column.
        inside: Whether a place of the frame is in the square.
        places: Where in the flattened image each place is, (n, 1, s * s).
    """

    side: Tensor
    down: Tensor
    right: Tensor
    inside: Tensor
    places: Tensor

    @classmethod
    def at(cls, side: Tensor, top: Tensor, left: Tensor, width: int) -> "Window":
        """Squares of these sides with these corners, in images of this width."""
        frame = int(side.max()) if len(side) else 1
        steps = torch.arange(frame, device=side.device)
        clipped = torch.minimum(steps, side.unsqueeze(1) - 1)
        down, right = clipped.unsqueeze(2), clipped.unsqueeze(1)
        within = steps < side.unsqueeze(1)
        inside = within.unsqueeze(2) & within.unsqueeze(1)
        places = (top.view(-1, 1, 1) + down) * width + left.view(-1, 1, 1) + right
        down, right = (part.expand(places.shape) for part in (down, right))
        return cls(side, down, right, inside, places.flatten(1).unsqueeze(1))

    @classmethod
    def drawn(cls, side: Tensor, numbers: Tensor, image: Tensor) -> "Window":
        """Of these sides, at a place that two numbers per row stand for; all are equally likely."""
        height, width = image.shape[2:]
        top, left = ((numbers[:, i] * (n - side + 1)).long() for i, n in ((0, height), (1, width)))
        return cls.at(side, top, left, width)

    def seen(self, image: Tensor) -> Tensor:
        """What flattened images (n, channels, pixels) have in the frame, (n, channels, s * s)."""
        return image.gather(2, self.places.expand(-1, image.shape[1], -1))

    def filled(self, image: Tensor, values: Tensor) -> Tensor:
        """The images with these values in the frame."""
        places = self.places.expand(-1, image.shape[1], -1)
        return image.scatter(2, places, values.expand(places.shape))


def square_sides(wanted: Tensor, image: Tensor, norm: str) -> Tensor:
    """Sides in whole pixels; outside the maximum norm odd and at least 3: a pyramid needs room."""
    side = wanted.round().long()
    if norm != "linf":
        side = (side + (side % 2 == 0)).clamp_min(3)
    return side.clamp_min(1).clamp_max(min(image.shape[2:]))


def begin_stripes(rows: Rows) -> Tensor:
    """Every column of every channel at one end of the box."""
    n, channels, _, width = rows.center.shape
    up = rows.uniform(channels * width).view(n, channels, 1, width) >= 0.5
    return torch.where(up, rows.room.high, rows.room.low)


def begin_pyramids(rows: Rows) -> Tensor:
    """A pattern of pairs of pyramids of either sign, as many as the ball holds."""
    center, norm = rows.center, rows.game.ball.norm
    n, channels, height, width = center.shape
    side = max(min(height, width) // _TILES, 1)
    down, across = (min(length // side, length) for length in (height, width))
    top, left = (height - down * side) // 2, (width - across * side) // 2
    turned = rows.uniform(down * across).view(n, down, across) > 0.5
    signs = _signs(rows.uniform(down * across * channels)).view(n, channels, down, across)
    zero = torch.zeros(1, dtype=torch.int64, device=center.device)
    one = pyramids(Window.at(zero + side, zero, zero, side), zero > 0, norm)[0]
    pattern = center.new_zeros(center.shape, dtype=torch.float64)
    for i in range(down):
        for j in range(across):
            tile = torch.where(turned[:, i, j].view(-1, 1, 1), one.T, one).unsqueeze(1)
            y, x = top + i * side, left + j * side
            pattern[:, :, y : y + side, x : x + side] = signs[:, :, i, j, None, None] * tile
    if norm == "l2":
        pattern = _scaled(pattern, rows.game.ball.eps)
    return center + pattern


def moved(rows: Rows, x: Tensor, sides: Tensor) -> Tensor:
    """The proposals that follow from these points, inside ball and bounds.

    Args:
        rows: Of images.
        x: Where they are.
        sides: Of their squares, before any rounding to whole pixels.
    """
    ball, channels = rows.game.ball, x.shape[1]
    sides = square_sides(sides, x, ball.norm)
    if ball.norm == "linf":
        numbers = rows.uniform(2 + channels)
        window = Window.drawn(sides, numbers[:, :2], x)
        up = numbers[:, 2:].unsqueeze(2) >= 0.5
        ends = (rows.room.low, rows.room.high)
        low, high = (window.seen(end.expand_as(x).flatten(2)) for end in ends)
        return window.filled(x.flatten(2), torch.where(up, high, low)).view_as(x)
    numbers = rows.uniform(5 + channels)
    window, source = (Window.drawn(sides, numbers[:, i : i + 2], x) for i in (0, 2))
    delta = (x.double() - rows.center.double()).flatten(2)
    whole = _size(delta, ball.norm, (1, 2))
    inside, gone = (w.inside.flatten(1).unsqueeze(1) for w in (window, source))
    frame = window.seen(delta)
    there = frame * inside
    delta = window.filled(delta, torch.zeros_like(frame))
    from_there = source.seen(delta) * gone
    freed = _size(torch.cat([there, from_there], 2), ball.norm, (2,))
    bump = pyramids(window, numbers[:, 4] > 0.5, ball.norm).flatten(1).unsqueeze(1)
    bump = _signs(numbers[:, 5:]).unsqueeze(2) * bump
    bump = bump + frame / (_size(there, ball.norm, (2,)) + _NONE)
    bump = bump / (_size(bump * inside, ball.norm, (2,)) + _NONE)
    if ball.norm == "l2":
        spare = (ball.eps**2 - whole.square()).clamp_min(0) / channels
        bump = bump * (spare + freed.square()).sqrt()
    else:  # more than there is: the projection onto the ball decides which pixels keep theirs
        bump = bump * ((ball.eps - whole).clamp_min(0) + channels * freed)
    delta = window.filled(source.filled(delta, torch.zeros_like(from_there)), bump).view_as(x)
    if ball.norm == "l2":
        delta = _scaled(delta, ball.eps)
    return rows.project(rows.center.double() + delta)


def pyramids(window: Window, turned: Tensor, norm: str) -> Tensor:
    r"""Two pyramids side by side in each square, of opposite sign and norm 1 together.

    The upper half of the square holds one, the lower half the other one, or the left and the right
    half if it is turned. At Chebyshev distance r from the middle of its half, a pyramid is as high
    as $\sum_{k=r}^{m} (k+1)^{-q}$ with $m$ half the side, q being 2 in the L2 norm and 4 in the L1
    norm.
    """
    flip = turned.view(-1, 1, 1)
    down = torch.where(flip, window.right, window.down)
    right = torch.where(flip, window.down, window.right)
    side = window.side.view(-1, 1, 1)
    upper = side // 2
    first = down < upper
    offset = torch.where(first, 0, upper)
    middle = torch.where(first, upper, side - upper) // 2
    distance = torch.maximum((down - offset - middle).abs(), (right - side // 2).abs())
    terms = torch.arange(1, down.shape[-1] + 2, device=down.device).double()
    sums = torch.cat([terms[:1] * 0, (terms ** (-2 if norm == "l2" else -4)).cumsum(0)])
    height = sums[side // 2 + 1] - sums[distance]
    halves = [torch.where(half, height, 0) for half in (first, ~first)]
    halves = [half / (_size(half * window.inside, norm, (1, 2)) + _NONE) for half in halves]
    pair = halves[0] - halves[1]
    return pair / (_size(pair * window.inside, norm, (1, 2)) + _NONE)


def _signs(numbers: Tensor) -> Tensor:
    return torch.where(numbers >= 0.5, 1.0, -1.0).double()


def _scaled(delta: Tensor, eps: float) -> Tensor:
    """Perturbations that use the whole radius."""
    return delta * (eps / (_size(delta, "l2", (1, 2, 3)) + _NONE))


def _size(values: Tensor, norm: str, axes: tuple[int, ...]) -> Tensor:
    """The norm along these axes."""
    if norm == "l2":
        return values.square().sum(axes, keepdim=True).sqrt()
    return values.abs().sum(axes, keepdim=True)
