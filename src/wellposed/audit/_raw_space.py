"""Examples in raw units, and a network that takes them: where a radius means something."""

from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor, nn

from wellposed.audit._subject import Subject
from wellposed.errors import ArgumentError, require
from wellposed.problem import eval_mode

_ROUNDING = 1e-5  # of the range: what undoing a standardization may leave over
_SLACK = 0.1  # of the range: further outside, inputs are none of that range
_MOVED = 0.01  # of the predictions: what rounding may change


@final
class FromRaw(nn.Module):
    """A network with its standardization in front.

    Args:
        model: Takes standardized inputs.
        standardization: With `apply(raw)`; None for none.
    """

    def __init__(self, model: nn.Module, standardization: Any) -> None:
        super().__init__()
        self.model, self.standardization = model, standardization

    def forward(self, raw: Tensor) -> Tensor:
        """The outputs for raw inputs."""
        given = raw if self.standardization is None else self.standardization.apply(raw)
        outputs: Tensor = self.model(given)
        return outputs


@final
@dataclass(frozen=True, eq=False)
class RawSpace:
    """What is attacked.

    Args:
        model: From raw inputs to logits.
        inputs: Raw, shape (n, ...), within the bounds.
        labels: Shape (n,).
        bounds: Least and greatest raw value, widened to what was found.
        part: Of the data.
        moved: Predictions that differ from those of the inputs as the network takes them.
    """

    model: nn.Module
    inputs: Tensor
    labels: Tensor
    bounds: tuple[float, float]
    part: str
    moved: int


def raw_space(subject: Subject, check: str, examples: int | None) -> RawSpace:
    """Examples of the judged part in raw units, and the network as a function of them.

    Args:
        subject: A classifier of real numbers, whose input range is known.
        check: Who asks.
        examples: At most this many; None for all.

    Cost: two forward passes per example.

    Raises `ArgumentError` if inputs are no real numbers of a known range, the subject is no
    classifier, or undoing the standardization and applying it again changes predictions.
    """
    subject.require_classes(check)
    part = subject.judged
    inputs, labels = subject.take(part, examples)
    require(
        inputs.is_floating_point(),
        f"{check} changes inputs by little, and these are {inputs.dtype}, which have no small "
        "changes; leave it out for tokens, or give numbers",
    )
    known = subject.input_range
    if known is None:
        raise ArgumentError(
            f"{check} changes raw inputs within their range, which is not known here; give "
            "Subject(input_range=(least, greatest))"
        )
    raw = inputs if subject.standardization is None else subject.standardization.undo(inputs)
    require(bool(raw.isfinite().all()), f"{check} needs finite inputs, and some are not")
    low, high = known
    width = high - low
    least, most = float(raw.min()), float(raw.max())
    require(
        low - _SLACK * width <= least and most <= high + _SLACK * width,
        f"{check} found raw inputs from {least:g} to {most:g}, outside their range [{low:g}, "
        f"{high:g}]; give the range, or the standardization that the inputs went through",
    )
    if least < low - _ROUNDING * width or most > high + _ROUNDING * width:
        low, high = min(low, least), max(high, most)
    raw = raw.clamp(low, high)
    model = FromRaw(subject.model, subject.standardization)
    outputs, _ = subject.outputs(part, examples)
    with torch.no_grad(), eval_mode(subject.model):
        again = torch.cat([model(batch).float().cpu() for batch in raw.split(subject.batch_size)])
    moved = int((again.argmax(1) != outputs.argmax(1)).sum())
    require(
        moved <= _MOVED * len(labels),
        f"{check} would judge another network: undoing the standardization and applying it again "
        f"changes {moved} of {len(labels)} predictions; give the standardization that belongs to "
        "the model, or find what is random in it in eval mode",
    )
    return RawSpace(model, raw, labels.long(), (low, high), part, moved)
