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
    """A random square of each row.

    Args:
        side: In pixels, shape (n,).
        top: First row that it covers.
        left: First column.
    """

    side: Tensor
    top: Tensor
    left: Tensor

    @classmethod
    def drawn(cls, rows: Rows, side: Tensor) -> "Window":
        """Anywhere in the images, all places being equally likely.

        Outside the maximum norm sides are odd and at least 3, so that a pyramid has room.
        """
        smallest, shortest = 1, min(rows.center.shape[2:])
        side = side.round().long()
        if rows.game.ball.norm != "linf":
            smallest, side = 3, side + (side % 2 == 0)
        return cls.placed(rows, side.clamp_min(smallest).clamp_max(shortest))

    @classmethod
    def placed(cls, rows: Rows, side: Tensor) -> "Window":
        """Of this side, anywhere in the images."""
        height, width = rows.center.shape[2:]
        numbers = rows.uniform(2)
        top, left = ((numbers[:, i] * (n - side + 1)).long() for i, n in ((0, height), (1, width)))
        return cls(side, top, left)

    def coordinates(self, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Rows and columns counted from its corner, and which pixels it covers: (n, h, w)."""
        height, width = like.shape[2:]
        device = like.device
        down = torch.arange(height, device=device).view(1, -1, 1) - self.top.view(-1, 1, 1)
        right = torch.arange(width, device=device).view(1, 1, -1) - self.left.view(-1, 1, 1)
        side = self.side.view(-1, 1, 1)
        inside = (down >= 0) & (down < side) & (right >= 0) & (right < side)
        shape = inside.shape
        return down.expand(shape), right.expand(shape), inside


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
    signs = _signs(rows, down * across * channels).view(n, channels, down, across)
    corner = Window(*(torch.full((1,), v, device=center.device) for v in (side, 0, 0)))
    blank = center.new_zeros(1, 1, side, side)
    one = pyramids(corner, corner.top.bool(), blank, norm)[0]
    pattern = center.new_zeros(center.shape, dtype=torch.float64)
    for i in range(down):
        for j in range(across):
            tile = torch.where(turned[:, i, j].view(-1, 1, 1), one.T, one).unsqueeze(1)
            y, x = top + i * side, left + j * side
            pattern[:, :, y : y + side, x : x + side] = signs[:, :, i, j, None, None] * tile
    if norm == "l2":
        pattern = _scaled(pattern, rows.game.ball.eps)
    return center + pattern


def moved(rows: Rows, x: Tensor, window: Window) -> Tensor:
    """The proposals that follow from these points, inside ball and bounds."""
    channels = x.shape[1]
    if rows.game.ball.norm == "linf":
        inside = window.coordinates(x)[2].unsqueeze(1)
        up = rows.uniform(channels).view(-1, channels, 1, 1) >= 0.5
        return torch.where(inside, torch.where(up, rows.room.high, rows.room.low), x)
    eps, norm = rows.game.ball.eps, rows.game.ball.norm
    delta = x.double() - rows.center.double()
    other = Window.placed(rows, window.side)
    into, source = (w.coordinates(x)[2].unsqueeze(1) for w in (window, other))
    turned = rows.uniform(1).squeeze(1) > 0.5
    signs = _signs(rows, channels).view(-1, channels, 1, 1)
    bump = signs * pyramids(window, turned, x, norm).unsqueeze(1)
    there = torch.where(into, delta, 0)
    bump = bump + there / (_size(there, norm) + _NONE)
    bump = bump / (_size(bump, norm) + _NONE)
    freed = _size(torch.where(into | source, delta, 0), norm)
    whole = _size(delta, norm, whole=True)
    if norm == "l2":
        spare = (eps**2 - whole.square()).clamp_min(0) / channels
        bump = bump * (spare + freed.square()).sqrt()
    else:  # more than there is: the projection onto the ball decides which pixels keep theirs
        bump = bump * ((eps - whole).clamp_min(0) + channels * freed)
    delta = torch.where(into, bump, torch.where(source, 0, delta))
    if norm == "l2":
        delta = _scaled(delta, eps)
    return rows.project(rows.center.double() + delta)


def pyramids(window: Window, turned: Tensor, like: Tensor, norm: str) -> Tensor:
    r"""Two pyramids side by side in each window, of opposite sign and norm 1 together: (n, h, w).

    The upper half of the window holds one, the lower half the other one, or the left and the right
    half if it is turned. At Chebyshev distance r from the middle of its half, a pyramid is as high
    as $\sum_{k=r}^{m} (k+1)^{-q}$ with $m$ half the side, q being 2 in the L2 norm and 4 in the L1
    norm.
    """
    down, right, inside = window.coordinates(like)
    flip = turned.view(-1, 1, 1)
    down, right = torch.where(flip, right, down), torch.where(flip, down, right)
    side = window.side.view(-1, 1, 1)
    upper = side // 2
    first = down < upper
    offset = torch.where(first, 0, upper)
    middle = torch.where(first, upper, side - upper) // 2
    distance = torch.maximum((down - offset - middle).abs(), (right - side // 2).abs())
    terms = torch.arange(1, max(like.shape[2:]) + 2, device=like.device).double()
    sums = torch.cat([terms[:1] * 0, (terms ** (-2 if norm == "l2" else -4)).cumsum(0)])
    height = sums[side // 2 + 1] - sums[torch.where(inside, distance, 0)]
    halves = [torch.where(inside & half, height, 0) for half in (first, ~first)]
    halves = [half / (_size(half, norm) + _NONE) for half in halves]
    pair = halves[0] - halves[1]
    return pair / (_size(pair, norm) + _NONE)


def _signs(rows: Rows, count: int) -> Tensor:
    return torch.where(rows.uniform(count) >= 0.5, 1.0, -1.0).double()


def _scaled(delta: Tensor, eps: float) -> Tensor:
    """Perturbations that use the whole radius."""
    return delta * (eps / (_size(delta, "l2", whole=True) + _NONE))


def _size(values: Tensor, norm: str, *, whole: bool = False) -> Tensor:
    """The norm of each image, or of the whole example."""
    axes = (-3, -2, -1) if whole else (-2, -1)
    if norm == "l2":
        return values.square().sum(axes, keepdim=True).sqrt()
    return values.abs().sum(axes, keepdim=True)
