"""Random numbers that depend on who asks and when, and on nobody else who asks."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

_GOLDEN = -7046029254386353131  # 2^64 over the golden ratio, as a signed number
_FIRST, _SECOND = -4658895280553007687, -7723592293110705685


def hashed_uniform(keys: Sequence[int | Tensor], count: int) -> Float[Tensor, "n count"]:
    """Numbers that are uniform over [0, 1), a function of the keys alone, in float64.

    A generator would give an example other numbers in another batch, and its state would have to
    be saved. Here example 7 in its third step gets the same ones wherever it is.

    Args:
        keys: Integers, or int64 tensors of shape (n,), at least one of them a tensor: seed,
            example, step ...
        count: How many numbers per row.

    References:
        Steele, Lea and Flood, Fast splittable pseudorandom number generators, 2014: the mixing
        function of SplitMix64.
    """
    state = torch.zeros_like(next(key for key in keys if isinstance(key, Tensor)))
    for key in keys:
        state = _mixed(state + key + _GOLDEN)
    places = torch.arange(1, count + 1, device=state.device) * _GOLDEN
    bits = _mixed(_mixed(state.unsqueeze(1) + places))
    return _shifted(bits, 11).double() * 2.0**-53


def _mixed(z: Tensor) -> Tensor:
    """A bijection of 64 bits in which each bit of the input moves half of those of the output."""
    z = (z ^ _shifted(z, 30)) * _FIRST
    z = (z ^ _shifted(z, 27)) * _SECOND
    return z ^ _shifted(z, 31)


def _shifted(z: Tensor, by: int) -> Tensor:
    """Shift to the right that brings in zeros, as for numbers without a sign."""
    return (z >> by) & ((1 << (64 - by)) - 1)
