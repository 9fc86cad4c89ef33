"""What an invariance looks like: curves over severity, and the same examples at each."""

from collections.abc import Sequence

import torch
from torch import Tensor

from wellposed.audit._response import SEVERITIES, Plain, Response
from wellposed.audit._subject import Subject
from wellposed.data import is_picture, png
from wellposed.runs import Curves, Mark, Picture, Pictures, Series
from wellposed.stats import wilson

_PICTURED = 3
_LARGEST = 128


def accuracy_curves(base: Plain, responses: Sequence[Response], level: float) -> Curves:
    """Accuracy over severity, one line per perturbation."""
    return Curves(
        "Accuracy by severity",
        "severity",
        "accuracy",
        tuple(_series(r, base.predictions, base.targets, level) for r in responses),
        marks=(Mark("y", _most_frequent(base.targets), "most frequent class"),),
        percent=True,
        note=f"{len(base.targets)} {base.part} examples, the same at every severity; Wilson "
        f"intervals at {100 * level:g} %.",
    )


def consistency_curves(base: Plain, responses: Sequence[Response], level: float) -> Curves:
    """The share of predictions that stay, over severity."""
    return Curves(
        "Predictions that stay",
        "severity",
        "share unchanged",
        tuple(_series(r, base.predictions, base.predictions, level) for r in responses),
        percent=True,
        note=f"Right or wrong, compared with severity 0; Wilson intervals at {100 * level:g} %.",
    )


def pictures(
    subject: Subject, base: Plain, response: Response, rows: Tensor, images: Sequence[Tensor]
) -> tuple[Pictures, ...]:
    """The same few examples at every severity; none where inputs cannot be shown.

    Args:
        subject: The network.
        base: The examples as they are.
        response: What the network says of them.
        rows: Which of them are shown.
        images: They themselves, raw, at severities 0 to 5.
    """
    if not is_picture(tuple(images[0].shape[1:])):
        return ()
    guesses = (base.predictions, *response.predictions)
    cells = tuple(
        tuple(
            Picture(
                png(image[at], *base.input_range, largest=_LARGEST),
                _caption(subject, severity, int(guess[row]), int(base.targets[row])),
            )
            for severity, (image, guess) in enumerate(zip(images, guesses, strict=True))
        )
        for at, row in enumerate(rows.tolist())
    )
    kind = response.kind
    scale = ", ".join(f"{value:g}" for value in kind.scale)
    what = kind.parameter[:1].upper() + kind.parameter[1:]
    note = f"{what}: {scale}. Below each, what the network says."
    return (Pictures(f"{kind.__name__} at severities 0 to 5", cells, note=note),)


def _caption(subject: Subject, severity: int, guess: int, target: int) -> str:
    name = subject.classes[guess] if 0 <= guess < len(subject.classes) else str(guess)
    return f"{severity}: {name}" + ("" if guess == target else " (wrong)")


def pictured(base: Plain, first: int) -> Tensor:
    """Which of the first examples to show: of different classes, rightly seen if there are such."""
    targets = base.targets[:first]
    right = base.predictions[:first] == targets
    order = torch.argsort(~right, stable=True)
    seen: list[int] = []
    rows: list[int] = []
    for row in order.tolist():
        if int(targets[row]) not in seen:
            seen.append(int(targets[row]))
            rows.append(row)
    return torch.tensor(rows[:_PICTURED])


def _series(response: Response, start: Tensor, wanted: Tensor, level: float) -> Series:
    n = len(wanted)
    counts = [int((guess == wanted).sum()) for guess in (start, *response.predictions)]
    ends = [wilson(k, n, level) for k in counts]
    return Series(
        response.kind.__name__,
        tuple(float(s) for s in (0, *SEVERITIES)),
        tuple(k / n for k in counts),
        tuple(low for low, _ in ends),
        tuple(high for _, high in ends),
    )


def _most_frequent(targets: Tensor) -> float:
    return int(targets.unique(return_counts=True)[1].max()) / len(targets)
