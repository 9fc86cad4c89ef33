"""Adding a number to each weight in place, so that it can be taken away without a trace."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

_SMALL = 4096
"""Up to so many weights are copied: finding out which of them to keep costs more than they do."""

_BITS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


@final
@dataclass(frozen=True, slots=True)
class Residue:
    """What rounding took from some weights: those that subtraction alone would not bring back.

    Args:
        values: Their values before.
        places: Their numbers in the flattened tensor, in int32; None: `values` are all of them.
    """

    values: Tensor
    places: Tensor | None

    @property
    def nbytes(self) -> int:
        """Bytes kept."""
        return self.values.nbytes + (0 if self.places is None else self.places.nbytes)


def shift_(weights: Tensor, shift: Tensor) -> Residue:
    """Add the shift in place; what is returned undoes it bit by bit, whatever the weights are.

    `weights - shift` afterwards is a single correctly rounded operation, so its result is known
    now: where it has not the bits of the old weight (the sum had a larger exponent, overflowed, or
    swallowed a weight much smaller than its shift), that weight is kept. No rule for the shift
    could do without: near zero floating-point numbers lie so much denser than around the shift
    that many of them must land on one (in float32 about 2^30 on 2^24).

    Args:
        weights: Of any shape and layout.
        shift: Of the same shape and dtype.
    """
    before = weights.clone()
    weights.add_(shift)
    if weights.numel() <= _SMALL:
        return Residue(before.flatten(), None)
    bits = _BITS[weights.element_size()]
    lost = (weights - shift).view(bits).ne(before.view(bits))
    count = int(lost.sum())
    flat = before.flatten()
    if count * (4 + weights.element_size()) >= flat.nbytes or flat.numel() > 2**31 - 1:
        return Residue(flat, None)
    places = lost.flatten().nonzero().squeeze(1)
    return Residue(flat[places], places.int())


def unshift_(weights: Tensor, shift: Tensor, residue: Residue) -> None:
    """Undo `shift_` with the same shift; the weights have their old bits again."""
    if residue.places is None:
        weights.copy_(residue.values.view(weights.shape))
        return
    weights.sub_(shift)
    places = residue.places.long()
    where = (places,) if weights.dim() == 1 else torch.unravel_index(places, weights.shape)
    weights.index_put_(where, residue.values)
