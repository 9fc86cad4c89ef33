"""How large the gradient is beside its sampling noise, from gradients of disjoint batches."""

import math
from collections.abc import Hashable
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray

from wellposed.audit._subject import Subject
from wellposed.errors import require

_MEMORY = 512 << 20
_FEWEST = 8  # batches
_DRAWS = 1000


@final
@dataclass(frozen=True, slots=True, eq=False)
class GradientNoise:
    r"""Inner products of the gradients of M disjoint batches of b examples each.

    With $g_i = G + $ noise of covariance $\Sigma / b$ the means over pairs and over squares give
    $\|G\|^2$ and $\operatorname{tr}\Sigma$ without bias.

    Args:
        gram: $g_i^\top g_j$, shape (M, M).
        batch: b.
        part: Of the data.
        other: $\|\bar g\|^2$ of the gradient over all batches at once, by another evaluation.
    """

    gram: NDArray[np.float64]
    batch: int
    part: str
    other: float

    def estimate(self, counts: NDArray[np.float64] | None = None) -> tuple[float, float]:
        r"""($\|G\|^2$, $\operatorname{tr}\Sigma$), each batch counted so often."""
        c = np.ones(len(self.gram)) if counts is None else counts
        pairs = np.outer(c, c)
        np.fill_diagonal(pairs, 0)
        square = float((pairs * self.gram).sum() / pairs.sum())
        mean = float(c @ np.diag(self.gram) / c.sum())
        return square, self.batch * (mean - square)

    def draws(self, generator: np.random.Generator) -> NDArray[np.float64]:
        """Bootstrap draws of both, shape (draws, 2); batches are drawn with replacement."""
        count = len(self.gram)
        drawn = (
            np.bincount(generator.integers(0, count, count), minlength=count).astype(float)
            for _ in range(_DRAWS)
        )
        return np.array([self.estimate(c) for c in drawn if (c > 0).sum() > 1])

    @property
    def verified(self) -> str:
        """What was verified, in words."""
        own = float(self.gram.mean())
        apart = abs(own - self.other) / max(self.other, 1e-300)
        if not math.isfinite(apart):
            return "WRONG: one gradient over all batches is not finite, and those of batches are"
        return (
            "the squared length of the mean gradient, from products of batches and from one "
            f"gradient over all of them, agree to {apart:.0e}"
        )


def gradient_noise(subject: Subject, check: str, *, batches: int, batch: int) -> GradientNoise:
    """Gradients of disjoint batches of the training part, kept for other checks.

    Args:
        subject: The network, its loss and regularizer.
        check: Which check asks.
        batches: At least 8; fewer where memory or data are short.
        batch: Examples per batch.

    Cost: two gradients per example.

    Raises `ArgumentError` if there are no weights, or too few examples.
    """
    params = subject.require_parameters(check)

    def make() -> GradientNoise:
        part, count, each = _division(subject, batches, batch)
        inputs, targets = subject.take(part, count * each)
        require(
            each >= 1,
            f"{check} needs at least {_FEWEST} examples to compare gradients of, and the {part} "
            f"part has {len(inputs)}",
        )
        order = torch.randperm(len(inputs), generator=subject.generator("gradient noise"))
        rows = order[: count * each].to(inputs.device).split(each)
        with subject.quiet():

            def gradient(chosen: torch.Tensor) -> torch.Tensor:
                value = subject.objective(inputs[chosen], targets[chosen])
                grads = torch.autograd.grad(value, params, allow_unused=True)
                pairs = zip(grads, params, strict=True)
                return torch.cat(
                    [(torch.zeros_like(p) if g is None else g).reshape(-1) for g, p in pairs]
                )

            found = torch.stack([gradient(chosen) for chosen in rows])
            pieces = torch.cat(rows).split(4 * each)
            whole = sum(gradient(piece) * (len(piece) / (count * each)) for piece in pieces)
        gram = (found @ found.T).double().cpu().numpy()
        require(
            bool(np.isfinite(gram).all()),
            f"{check} compares gradients, and their squared lengths on the {part} part are not "
            "finite; see the checks weights and signal",
        )
        return GradientNoise(
            gram, each, part, float(torch.as_tensor(whole).double().square().sum())
        )

    return subject.cached(("gradient noise", batches, batch), make)


def shared_noise(subject: Subject, batches: int, batch: int) -> dict[Hashable, int]:
    """Of `gradient_noise`, in gradient evaluations of one example."""
    _, count, each = _division(subject, batches, batch)
    return {("gradient noise", batches, batch): 2 * count * each}


def _division(subject: Subject, batches: int, batch: int) -> tuple[str, int, int]:
    """The part, how many batches, and how many examples in each; 0 where there are too few."""
    part = "train" if "train" in subject.parts else subject.judged
    examples, size = len(subject.parts[part]), sum(p.numel() for p in subject.parameters)
    count = max(_FEWEST, min(batches, _MEMORY // (4 * max(size, 1)), examples))
    return part, count, min(batch, examples // count)
