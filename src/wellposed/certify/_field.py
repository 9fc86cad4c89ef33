"""Numbers for every place of a layer, picked where a window looks."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from wellposed.certify._window import Window, channels_last


@final
@dataclass(frozen=True, eq=False)
class Field:
    """Several numbers for each value of a layer and each example.

    Args:
        values: Each of shape (examples, *layer), images with channels last.
        flat: Of images: the same, stacked as (numbers, examples, places + 1, channels), 0 at the
            last place, which stands for all beyond the border.
    """

    values: tuple[Tensor, ...]
    flat: Tensor | None

    def at(self, window: Window, images: Tensor | int) -> list[Tensor]:
        """The numbers beside each coefficient of a window.

        Args:
            window: Its rows belong to the examples `images`.
            images: One for each row, or one for all.
        """
        if window.corner is None:
            if isinstance(images, int):
                return [value[images : images + 1] for value in self.values]
            return [value[images] for value in self.values]
        assert self.flat is not None
        _, height, width, _ = self.values[0].shape
        places = window.places(height, width)
        if isinstance(images, int):
            chosen, index = self.flat[:, images], places.flatten()
        else:
            chosen = self.flat.flatten(1, 2)
            step = height * width + 1
            index = (places + step * images[:, None, None]).flatten()
        shape = window.values.shape
        return [part.index_select(0, index).reshape(shape) for part in chosen]


def as_field(values: list[Tensor]) -> Field:
    """A field of numbers of shape (examples, *layer), channels first."""
    last = tuple(channels_last(value).contiguous() for value in values)
    flat = None
    if last[0].dim() == 4:
        stacked = torch.stack(last).flatten(2, 3)
        flat = torch.cat([stacked, torch.zeros_like(stacked[:, :, :1])], 2)
    return Field(last, flat)
