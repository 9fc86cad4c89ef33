"""One pass over a part of the data: what several checks of the data want to know of each input."""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wellposed.audit._subject import Subject

LARGEST = 100_000_000
"""Numbers that are read of a part; larger inputs get fewer examples, but at least 200."""
_BLOCK = 4_000_000


@final
@dataclass(frozen=True)
class Scan:
    """Each input in a few numbers.

    Args:
        rows: Row numbers in the part, ascending.
        labels: Targets, whatever they are, on the CPU.
        digests: 16 bytes per input: equal for inputs that are equal bit by bit.
        broken: Entries that are not finite, per input.
        low: Least finite entry per input.
        high: Greatest finite entry per input.
        means: Mean per input and channel, shape (n, channels); the rest is as for these.
        squares: Mean of the squares per input and channel.
        of: How many examples the part has.
    """

    rows: Tensor
    labels: Tensor
    digests: tuple[bytes, ...]
    broken: NDArray[np.int64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    means: NDArray[np.float64]
    squares: NDArray[np.float64]
    of: int

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def spread(self) -> NDArray[np.float64]:
        """Standard deviation within each input, over all channels."""
        mean = self.means.mean(1)
        return np.asarray(np.sqrt(np.maximum(self.squares.mean(1) - mean**2, 0)), dtype=np.float64)


def scan(subject: Subject, part: str, examples: int | None = None) -> Scan:
    """Read at most that many examples of a part once, and remember the result in the subject.

    Channels are the first axis of inputs of three axes or more (pictures), the features of inputs
    of one axis, and one for all others and for integers.

    Args:
        subject: Whose data.
        part: Which.
        examples: At most this many; None for as many as 100 million numbers hold.
    """
    size = len(subject.parts[part])
    few = max(200, LARGEST // max(1, subject.parts[part].take(torch.arange(1))[0].numel()))
    wanted = min(size, few, size if examples is None else examples)
    return subject.cached(("scan", part, wanted), lambda: _scan(subject, part, wanted))


def blocks(subject: Subject, part: str, rows: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """These rows of a part on the CPU, a few megabytes at a time."""
    one = max(1, subject.parts[part].take(rows[:1])[0].numel())
    for some in rows.split(max(1, _BLOCK // one)):
        inputs, targets = subject.parts[part].take(some)
        yield inputs.cpu(), targets.cpu()


def _scan(subject: Subject, part: str, wanted: int) -> Scan:
    rows = subject.rows(part, wanted)
    digests: list[bytes] = []
    labels, numbers = [], []
    for inputs, targets in blocks(subject, part, rows):
        labels.append(targets)
        digests += _digests(inputs)
        numbers.append(_numbers(inputs))
    columns = [np.concatenate(column) for column in zip(*numbers, strict=True)]
    broken, low, high, means, squares = columns
    return Scan(
        rows, torch.cat(labels), tuple(digests), broken, low, high, means, squares,
        len(subject.parts[part]),
    )  # fmt: skip


def _digests(inputs: Tensor) -> list[bytes]:
    if inputs.is_floating_point():
        inputs = inputs + 0.0  # -0.0 and 0.0 are the same input
    raw = inputs.contiguous().reshape(len(inputs), -1).view(torch.uint8).numpy()
    return [blake2b(row, digest_size=16).digest() for row in raw]


def _numbers(inputs: Tensor) -> tuple[NDArray[np.int64] | NDArray[np.float64], ...]:
    """What `Scan` holds of each input, from `broken` to `squares`."""
    x = inputs if inputs.is_floating_point() else inputs.float()
    finite = x.isfinite().flatten(1)
    flat = x.flatten(1)
    broken = (~finite).sum(1)
    if int(broken.sum()):
        low = flat.where(finite, torch.inf).amin(1)
        high = flat.where(finite, -torch.inf).amax(1)
        x = torch.where(x.isfinite(), x, 0.0)
    else:
        low, high = flat.amin(1), flat.amax(1)
    if x.dim() >= 4:
        by = x.flatten(2)
    elif x.dim() == 2 and inputs.is_floating_point():
        by = x[:, :, None]
    else:
        by = x.flatten(1)[:, None, :]
    means = by.mean(2, dtype=torch.float64)
    squares = by.square().mean(2, dtype=torch.float64)
    found = (broken, low.double(), high.double(), means, squares)
    return tuple(value.numpy() for value in found)
