"""One check for each factor of the lectures on invariance."""

from collections.abc import Hashable
from typing import Any

from wellposed.audit._check import Check, forward, forward_over
from wellposed.audit._invariance import invariance
from wellposed.audit._subject import Subject
from wellposed.perturb import factors
from wellposed.runs import Finding


def viewpoint(subject: Subject, *, examples: int | None = 1000) -> Finding:
    """Shift, turn, and magnify or shrink images.

    What is measured and how, see `invariance`.

    Args:
        subject: A classifier of images, whose input range is known.
        examples: At most this many; None for all.

    Cost: 15 forward passes per example, and 2 for the first factor of an audit.
    """
    return invariance(subject, "viewpoint", examples=examples)


def deformation(subject: Subject, *, examples: int | None = 1000) -> Finding:
    """Deform images as if they were on rubber.

    What is measured and how, see `invariance`.

    Args:
        subject: A classifier of images, whose input range is known.
        examples: At most this many; None for all.

    Cost: 5 forward passes per example, and 2 for the first factor of an audit.
    """
    return invariance(subject, "deformation", examples=examples)


def illumination(subject: Subject, *, examples: int | None = 1000) -> Finding:
    """Change brightness, contrast, and where the light comes from.

    What is measured and how, see `invariance`.

    Args:
        subject: A classifier of images, whose input range is known.
        examples: At most this many; None for all.

    Cost: 15 forward passes per example, and 2 for the first factor of an audit.
    """
    return invariance(subject, "illumination", examples=examples)


def occlusion(subject: Subject, *, examples: int | None = 1000) -> Finding:
    """Cover a part of each image.

    What is measured and how, see `invariance`.

    Args:
        subject: A classifier of images, whose input range is known.
        examples: At most this many; None for all.

    Cost: 5 forward passes per example, and 2 for the first factor of an audit.
    """
    return invariance(subject, "occlusion", examples=examples)


def clutter(subject: Subject, *, examples: int | None = 1000) -> Finding:
    """Put fragments of other images behind each object.

    What is measured and how, see `invariance`.

    Args:
        subject: A classifier of images, whose input range is known.
        examples: At most this many; None for all.

    Cost: 5 forward passes per example, and 2 for the first factor of an audit.
    """
    return invariance(subject, "clutter", examples=examples)


def noise(subject: Subject, *, examples: int | None = 1000) -> Finding:
    """Add Gaussian noise, or set pixels to black and white.

    What is measured and how, see `invariance`.

    Args:
        subject: A classifier of images, whose input range is known.
        examples: At most this many; None for all.

    Cost: 10 forward passes per example, and 2 for the first factor of an audit.
    """
    return invariance(subject, "noise", examples=examples)


def blur(subject: Subject, *, examples: int | None = 1000) -> Finding:
    """Blur images as out of focus, or by motion.

    What is measured and how, see `invariance`.

    Args:
        subject: A classifier of images, whose input range is known.
        examples: At most this many; None for all.

    Cost: 10 forward passes per example, and 2 for the first factor of an audit.
    """
    return invariance(subject, "blur", examples=examples)


def compression(subject: Subject, *, examples: int | None = 1000) -> Finding:
    """Compress images by JPEG.

    What is measured and how, see `invariance`.

    Args:
        subject: A classifier of images, whose input range is known.
        examples: At most this many; None for all.

    Cost: 5 forward passes per example, and 2 for the first factor of an audit.
    """
    return invariance(subject, "compression", examples=examples)


def _cost(factor: str) -> Any:
    def cost(subject: Subject, examples: int | None = 1000) -> int:
        n = len(subject.parts[subject.judged])
        n = n if examples is None else min(n, examples)
        return forward(5 * len(factors()[factor]) * n)

    return cost


def _shared(subject: Subject, examples: int | None = 1000) -> dict[Hashable, int]:
    """Predictions on the examples as they are, twice: as given, and from raw values."""
    return {("plain", examples): 2 * forward_over(subject, [subject.judged], examples)}


_RUN = (viewpoint, deformation, illumination, occlusion, clutter, noise, blur, compression)

CHECKS = tuple(
    Check(
        run,
        family="invariance",
        question=question,
        cost=_cost(run.__name__),
        shared=_shared,
        settings={
            "quick": {"examples": 250},
            "standard": {"examples": 1000},
            "deep": {"examples": 10_000},
        },
    )
    for run, question in zip(
        _RUN,
        (
            "Does it still see the object shifted, turned, nearer or farther?",
            "Does it still see the object deformed?",
            "Does it still see the object in other light?",
            "Does it still see the object when a part is covered?",
            "Does it still see the object among others?",
            "Does it still see the object through noise?",
            "Does it still see the object blurred?",
            "Does it still see the object after compression?",
        ),
        strict=True,
    )
)
