r"""Upper bounds of the Euclidean norm of affine operations, rounding included.

Power iteration comes from below, so that it proves nothing. Squaring comes from above: for any
matrix $\|A\| \le \|G_t\|_F^{1/2^{t + 1}}$ with $G_0 = A A^*$, $G_{t + 1} = G_t G_t^*$.

References:
    Delattre, Barthélemy, Araujo and Allauzen, Efficient bound of Lipschitz constant for
    convolutional layers by Gram iteration, 2023, arXiv:2305.16173; Sedghi, Gupta and Long, The
    singular values of convolutional layers, 2019, arXiv:1805.10408 (circular convolutions).
"""

import math

import torch
from torch import Tensor

from wellposed.certify._arithmetic import DOUBLE
from wellposed.certify._convolution import Convolution
from wellposed.certify._copies import Copies
from wellposed.certify._mapping import Mapping
from wellposed.certify._operation import Affine, Concatenation, Dense, Reshape, Scale
from wellposed.errors import require

_COARSE, _FINE = 2, 10  # squarings of all matrices, and of those that may be the largest
_FOLLOWED = 32  # of these


def norm_bound(operation: Affine) -> float:
    """At least the largest factor by which an operation stretches a difference of two inputs.

    Of a convolution it is the norm as an operator on images of any content and this size, within
    what the border adds: a stride is taken apart into phases, and each is a part of a circular
    convolution on a grid that no kernel reaches around, which is diagonal under Fourier.

    Args:
        operation: Not a sum of several values, whose norm depends on how they depend on each
            other.

    Raises `ArgumentError` for such a sum.
    """
    if isinstance(operation, (Reshape, Concatenation)):
        return 1.0
    if isinstance(operation, Scale):
        return float(operation.factor.abs().max())
    if isinstance(operation, Dense):
        return matrix_bound(operation.weight[None])
    if isinstance(operation, Copies):
        return math.sqrt(operation.fan)
    if isinstance(operation, Mapping):
        return operation.stretch()
    known = isinstance(operation, Convolution)
    require(known, f"a {type(operation).__name__} of several values has no norm of its own")
    assert isinstance(operation, Convolution)
    return _convolution(operation)


def matrix_bound(matrices: Tensor) -> float:
    """An upper bound of the largest spectral norm of some matrices, real or complex.

    Args:
        matrices: Shape (count, rows, columns), of float64 or complex128.

    Within 0.4 % of the norm for up to 1,000 rows or columns, mostly much closer.
    """
    if matrices.shape[1] > matrices.shape[2]:
        matrices = matrices.mH
    coarse = _squared(matrices, _COARSE)
    order = coarse.argsort(descending=True)
    first, rest = order[:_FOLLOWED], order[_FOLLOWED:]
    fine = _squared(matrices[first], _FINE).minimum(coarse[first])
    return float(torch.cat([fine, coarse[rest]]).max())


def _squared(matrices: Tensor, squarings: int) -> Tensor:
    """The bound of each matrix.

    Every product is scaled to Frobenius norm 1, so that rounding changes it by no more than gamma
    in that norm, which is added before the root is taken.
    """
    gamma = DOUBLE.gamma(8 * (matrices.shape[2] + matrices.shape[1] + 8))
    scales = [_size(matrices)]
    matrices = matrices / scales[0].clamp(min=1e-300)[:, None, None]
    for _ in range(squarings + 1):
        matrices = matrices @ matrices.mH
        scales.append(_size(matrices))
        matrices = matrices / scales[-1].clamp(min=1e-300)[:, None, None]
    bound = torch.full_like(scales[0], 1 + gamma)
    for scale in reversed(scales[1:]):
        bound = (scale * bound + gamma).sqrt() * (1 + gamma)
    return scales[0] * bound * (1 + gamma)


def _size(matrices: Tensor) -> Tensor:
    size: Tensor = torch.linalg.vector_norm(matrices, dim=(1, 2))
    return size


def _convolution(operation: Convolution) -> float:
    taps = [
        _taps(*axis)
        for axis in zip(
            operation.weight.shape[2:], operation.before[1:], operation.stride,
            operation.padding, operation.dilation, strict=True,
        )
    ]  # fmt: skip
    out, into, high, wide = operation.weight.shape
    groups, (sy, sx) = operation.groups, operation.stride
    weight = operation.weight.reshape(groups, out // groups, into, high, wide)
    # (frequency, tap) of each axis, for one phase after the other
    found = weight.new_zeros((len(taps[0][0]), len(taps[1][0]), sy, sx, *weight.shape[:3]))
    found = found.to(torch.complex128)
    for y, rows in enumerate(taps[0]):
        for x, columns in enumerate(taps[1]):
            found[:, :, y, x] = torch.einsum(
                "fk,gl,noikl->fgnoi", rows, columns, weight.to(torch.complex128)
            )
    symbols = found.permute(0, 1, 4, 5, 2, 3, 6).reshape(-1, out // groups, sy * sx * into)
    # Rounding of the symbols: each is a sum of at most as many terms as the kernel has places.
    error = DOUBLE.gamma(8 * (high * wide + 8)) * weight.abs().sum((3, 4))
    slack = float(torch.linalg.vector_norm(error, dim=(1, 2)).max())
    return (matrix_bound(symbols) + slack) * (1 + 1e-14)


def _taps(kernel: int, length: int, stride: int, padding: int, dilation: int) -> list[Tensor]:
    """Of each phase of a stride, the Fourier factors of the places of a kernel along one axis.

    The place t = dilation k meets phase t mod stride at the shift t // stride. The grid is as long
    as what padding and phases can make of the input, and the largest shift.
    """
    places = dilation * torch.arange(kernel)
    shifts, phases = places // stride, places % stride
    first = -((stride - 1 - padding) // stride)
    last = (length - 1 + padding) // stride
    grid = last - first + 1 + int(shifts.max())
    turns = (torch.arange(grid)[:, None] * shifts) % grid
    factors = torch.polar(torch.ones(()).double(), 2 * math.pi * turns.double() / grid)
    return [torch.where(phases == phase, factors, 0) for phase in range(stride)]
