"""Values copied, in whatever order and as often as wanted, with zeros between them."""

from dataclasses import dataclass

import torch
from torch import Tensor

from wellposed.certify._operation import Affine, Shape, count
from wellposed.certify._window import Window, channels_first, channels_last


@dataclass(frozen=True, eq=False)
class Copies(Affine):
    """Each value is one of those that enter, or 0: permuting, slicing, padding, repeating.

    Args:
        before: Shape of the value that enters.
        place: Of the value that is copied, in the flattened `before`; their number, which is one
            too large, stands for 0. In the shape of the value.
    """

    before: Shape
    place: Tensor

    def __post_init__(self) -> None:
        most = torch.bincount(self.place.flatten(), minlength=count(self.before) + 1)[:-1]
        object.__setattr__(self, "fan", max(1, int(most.max())))

    def apply(self, *values: Tensor) -> Tensor:
        """The copies."""
        flat = values[0].reshape(len(values[0]), -1)
        known = torch.cat([flat, flat.new_zeros((len(flat), 1))], 1)
        return known.index_select(1, self.place.flatten()).reshape(-1, *self.shape)

    absolute = apply

    def transpose(self, window: Window) -> list[Window]:
        """To each value the sum of the coefficients of its copies."""
        values = channels_first(window.whole(self.shape).values).reshape(len(window.values), -1)
        spread = values.new_zeros((len(values), count(self.before) + 1))
        spread = spread.index_add(1, self.place.flatten(), values)
        return [Window(channels_last(spread[:, :-1].reshape(-1, *self.before)))]
