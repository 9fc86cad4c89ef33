"""Inputs as small pictures, for the figures of findings."""

import torch
from torch import Tensor

from wellposed.audit._subject import Subject
from wellposed.data import is_picture, png

_LARGEST = 128


def pictures_of(subject: Subject, inputs: Tensor) -> list[bytes]:
    """One PNG per input, in the units of the raw inputs; [] where inputs are no pictures.

    Black and white are the recorded range of raw inputs, or the least and greatest value of these
    inputs where none is recorded. What is not finite is drawn black.

    Args:
        subject: Knows the standardization and the range.
        inputs: Shape (n, ...), as the model takes them.
    """
    floats = inputs.is_floating_point() and len(inputs) > 0
    if not floats or not is_picture(tuple(inputs.shape[1:])):
        return []
    raw = inputs.detach().float().cpu()
    if subject.standardization is not None:
        raw = subject.standardization.undo(raw)
    finite = raw[raw.isfinite()]
    ends = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    low, high = subject.input_range or ends
    raw = torch.where(raw.isfinite(), raw, low)
    return [png(picture, low, high, _LARGEST) for picture in raw]
