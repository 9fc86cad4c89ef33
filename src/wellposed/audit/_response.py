"""What a network says of the same examples under a perturbation, severity by severity."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import final

import torch
from torch import Tensor

from wellposed.audit._subject import Subject
from wellposed.errors import ArgumentError, require
from wellposed.perturb import Perturbation
from wellposed.problem import eval_mode

SEVERITIES = (1, 2, 3, 4, 5)
_SLACK = 0.1  # of the range: further than this outside, inputs are none of that range
_MOVED = 0.01  # of the predictions: what rounding may change where nothing was perturbed


@final
@dataclass(frozen=True)
class Plain:
    """Examples as they are.

    Args:
        part: Of the data they are from.
        targets: Their classes, shape (n,).
        predictions: What the network says of them, shape (n,); -1 where an output is not finite.
        input_range: Least and greatest raw value, widened to what was found.
        moved: Predictions that differ once inputs went to raw units and back.
        batches: In how many batches the examples are changed, each with a seed of its own.
        first: Examples in the first of them.
    """

    part: str
    targets: Tensor
    predictions: Tensor
    input_range: tuple[float, float]
    moved: int
    batches: int
    first: int


@final
@dataclass(frozen=True)
class Response:
    """What the network says under one perturbation.

    Args:
        kind: Which.
        predictions: For severities 1 to 5, shape (n,) each.
        sha256: For severities 1 to 5: the fingerprint of what was applied, over all batches.
    """

    kind: type[Perturbation]
    predictions: tuple[Tensor, ...]
    sha256: tuple[str, ...]


def plain(subject: Subject, check: str, examples: int | None) -> Plain:
    """Examples of the judged part, in the model's eyes and in raw units.

    Cost: two forward passes per example, once for all factors.

    Raises `ArgumentError` if inputs are no raw images of a known range, once their standardization
    is undone, or the model sees something else in them than before.
    """
    part = subject.judged
    key = ("plain", part, examples)
    return subject.cached(key, lambda: _plain(subject, check, part, examples))


def _plain(subject: Subject, check: str, part: str, examples: int | None) -> Plain:
    known = subject.input_range
    if known is None:
        raise ArgumentError(
            f"{check} changes raw images within their range, which is not known here; give "
            "Subject(input_range=(least, greatest))"
        )
    seen, lows, highs = [], [], []
    for raw in batches(subject, check, part, examples):
        seen.append(predicted(subject, raw))
        lows.append(float(raw.min()))
        highs.append(float(raw.max()))
    low, high = min(lows), max(highs)
    slack = _SLACK * (known[1] - known[0])
    require(
        known[0] - slack <= low and high <= known[1] + slack,
        f"{check} found raw inputs from {low:g} to {high:g}, outside their range "
        f"[{known[0]:g}, {known[1]:g}]; give the range, or the standardization that the inputs "
        "went through",
    )
    outputs, targets = subject.outputs(part, examples)
    predictions = _guess(outputs)
    moved = int((torch.cat(seen) != predictions).sum())
    require(
        moved <= _MOVED * len(targets),
        f"{check} would compare unlike things: undoing the standardization and applying it again "
        f"alone changes {moved} of {len(targets)} predictions; give the standardization that "
        "belongs to the model, or find what is random in it in eval mode",
    )
    widened = min(low, known[0]), max(high, known[1])
    return Plain(part, targets, predictions, widened, moved, len(seen), len(seen[0]))


def respond(
    subject: Subject, check: str, kinds: Sequence[type[Perturbation]], examples: int | None
) -> tuple[tuple[Response, ...], tuple[str, ...]]:
    """The responses to those perturbations that these images allow, and why not to the others.

    Cost: five forward passes per example and perturbation.
    """
    base = plain(subject, check, examples)
    refused = []
    able = []
    first = next(batches(subject, check, base.part, examples))[:8]
    for kind in kinds:
        try:
            kind(5)(first, base.input_range)
            able.append(kind)
        except ArgumentError as error:
            refused.append(str(error))
    guesses: dict[tuple[type[Perturbation], int], list[Tensor]] = {}
    prints: dict[tuple[type[Perturbation], int], list[str]] = {}
    for number, raw in enumerate(batches(subject, check, base.part, examples)):
        for kind in able:
            for severity in SEVERITIES:
                applied = kind(severity, seed=seed_of(subject, number))
                changed = applied(raw, base.input_range)
                guesses.setdefault((kind, severity), []).append(predicted(subject, changed))
                prints.setdefault((kind, severity), []).append(applied.sha256)
    return tuple(
        Response(
            kind,
            tuple(torch.cat(guesses[kind, severity]) for severity in SEVERITIES),
            tuple(_digest(prints[kind, severity]) for severity in SEVERITIES),
        )
        for kind in able
    ), tuple(refused)


def batches(subject: Subject, check: str, part: str, examples: int | None) -> Iterator[Tensor]:
    """Raw images of a part, in batches of about the subject's batch size, none of them single.

    Raises `ArgumentError` if inputs are no images of real numbers.
    """
    rows = subject.rows(part, examples)
    count = -(-len(rows) // max(subject.batch_size, 8))
    for chunk in rows.tensor_split(count):
        inputs, _ = subject.parts[part].take(chunk)
        require(
            inputs.dim() == 4 and inputs.is_floating_point(),
            f"{check} changes images, real numbers of shape (batch, channels, height, width), and "
            f"the inputs are {inputs.dtype} of shape {tuple(inputs.shape)}; leave it out for these",
        )
        inputs = inputs.to(subject.device)
        yield inputs if subject.standardization is None else subject.standardization.undo(inputs)


def predicted(subject: Subject, raw: Tensor) -> Tensor:
    """The classes that the network sees in raw images, shape (batch,), on the CPU."""
    inputs = raw if subject.standardization is None else subject.standardization.apply(raw)
    with torch.no_grad(), eval_mode(subject.model):
        return _guess(subject.model(inputs).float().cpu())


def seed_of(subject: Subject, batch: int) -> int:
    """The seed of the perturbations of a batch."""
    return int.from_bytes(sha256(f"{subject.seed} batch {batch}".encode()).digest()[:4])


def views(
    subject: Subject, check: str, kind: type[Perturbation], examples: int | None, rows: Tensor
) -> list[Tensor]:
    """Some raw images of the first batch, at severities 0 to 5, as the network saw them.

    Args:
        subject: The network.
        check: Who asks.
        kind: Which perturbation.
        examples: As for `respond`.
        rows: Which images of the first batch.
    """
    base = plain(subject, check, examples)
    raw = next(batches(subject, check, base.part, examples))
    seed = seed_of(subject, 0)
    return [kind(s, seed=seed)(raw, base.input_range)[rows] for s in (0, *SEVERITIES)]


def _guess(outputs: Tensor) -> Tensor:
    guess: Tensor = outputs.argmax(1)
    return guess.masked_fill(~outputs.isfinite().all(1), -1)


def _digest(prints: list[str]) -> str:
    return prints[0] if len(prints) == 1 else sha256(" ".join(prints).encode()).hexdigest()
