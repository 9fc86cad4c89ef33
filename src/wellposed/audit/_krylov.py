"""One Krylov run on the Hessian of the training loss, shared by all checks of curvature."""

import math
from collections.abc import Hashable
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import t as student
from torch import Tensor, nn

from wellposed.audit._subject import Subject
from wellposed.errors import ArgumentError, require
from wellposed.linalg import Curvature, Operator, Penalty, Ritz, curvature, lanczos
from wellposed.regularizers import Point

LEVEL = 0.95
FAILURE = 0.01  # of the Krylov bounds
_BASIS = 512 << 20  # bytes for a basis
_MEMORY = 512 << 20  # bytes for recordings
_SUBSET_STEPS = 15


@final
@dataclass(frozen=True, slots=True, eq=False)
class Ends:
    r"""Both ends of the spectrum of the Hessian of the mean loss over a part of the data.

    Args:
        part: Which part.
        examples: Of it, in the sample.
        everything: Whether the sample is the whole part.
        product: v -> Av on the sample; the Hessian, or the Hessian as a preconditioner shows it.
        ritz: Of the sample.
        low: Interval for the least eigenvalue on the whole part.
        high: Interval for the largest.
        values: (least, largest) of each of the disjoint subsets.
        curved: The products, with what was verified.
    """

    part: str
    examples: int
    everything: bool
    product: Operator
    ritz: Ritz
    low: tuple[float, float]
    high: tuple[float, float]
    values: NDArray[np.float64]
    curved: Curvature

    @property
    def verified(self) -> str:
        """What was verified, in words."""
        symmetric = f"; symmetric to {self.ritz.asymmetry:.0e}"
        return f"the product ({self.curved.mode}) {self.curved.agreement}{symmetric}"

    @property
    def sample(self) -> str:
        """The examples, in words."""
        whole = "all" if self.everything else "a sample of"
        return f"{whole} {self.examples:,} {self.part} examples"


def ends(
    subject: Subject,
    check: str,
    *,
    examples: int,
    subsets: int,
    steps: int,
    scale: Tensor | None = None,
) -> Ends:
    r"""Lanczos' iteration on the sample and on disjoint subsets of it, kept for other checks.

    The upper end of the interval for $\lambda_1$ on the whole part is the bound for random starts,
    which fails with probability 0.01, plus what the subsets' values vary by; that the largest
    eigenvalue of a mean over fewer examples is larger on average errs on the safe side. Its lower
    end comes from Rayleigh quotients of each subset's top vector with the Hessians of the others,
    which on average are at most $\lambda_1$. Where the sample is the whole part, the value itself
    is the lower end, and nothing is added to the bound.

    Args:
        subject: The network, its loss and regularizer.
        check: Which check asks.
        examples: In the sample, at most.
        subsets: That it is divided into, at least 2.
        steps: Products with the Hessian of the sample.
        scale: s, for the matrix diag(s) H diag(s); None for H.

    Cost: steps + 15 + 2 (subsets - 1) products with the sample's Hessian, of two gradients each.

    Raises `ArgumentError` if there are no weights, or no second derivative to be trusted.
    """
    key = ("krylov", examples, subsets, steps, scale is not None)
    return subject.cached(key, lambda: _ends(subject, check, examples, subsets, steps, scale))


def shared(
    subject: Subject, *, examples: int, subsets: int, steps: int, scaled: bool = False, **_: int
) -> dict[Hashable, int]:
    """Of `ends`, in gradient evaluations of one example."""
    part = subject.parts["train" if "train" in subject.parts else subject.judged]
    used, products = min(examples, len(part)), steps + 5
    if used < len(part):
        products += min(steps, _SUBSET_STEPS) + 2 * (subsets - 1)
    return {("krylov", examples, subsets, steps, scaled): 2 * used * products}


def hessian_of(subject: Subject, check: str, examples: int, subsets: int) -> tuple[Curvature, str]:
    """Products with the Hessian of a sample in as many batches of equal size, and its part."""
    subject.require_parameters(check)

    def make() -> tuple[Curvature, str]:
        part = "train" if "train" in subject.parts else subject.judged
        inputs, targets = subject.take(part, examples)
        generator = torch.Generator().manual_seed(subject.seed)
        order = torch.randperm(len(inputs), generator=generator).to(inputs.device)
        size = max(1, len(inputs) // subsets)
        batches = [
            (inputs[rows], targets[rows])
            for rows in (order[k * size : (k + 1) * size] for k in range(subsets))
        ]
        rest = order[subsets * size :]
        if len(rest) and len(inputs) == len(subject.parts[part]):
            batches.append((inputs[rest], targets[rest]))
        with subject.quiet():
            made = curvature(
                subject.model,
                subject.losses,
                batches,
                penalty=_penalty(subject),
                memory=_MEMORY,
                seed=subject.seed,
            )
        return made, part

    return subject.cached(("hessian", examples, subsets), make)


def _penalty(subject: Subject) -> Penalty | None:
    regularizer = subject.regularizer
    if regularizer is None:
        return None

    def penalty(model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        return regularizer(Point(model, inputs, targets, subject.loss))

    return penalty


def _ends(
    subject: Subject, check: str, examples: int, subsets: int, steps: int, scale: Tensor | None
) -> Ends:
    curved, part = hessian_of(subject, check, examples, subsets)
    everything = curved.examples == len(subject.parts[part])
    steps = max(2, min(steps, _BASIS // (4 * curved.n)))
    with subject.quiet():
        whole = _scaled(curved, scale)
        ritz = lanczos(whole, curved.probe, steps=steps)
        _require_symmetry(ritz, check)
        floor, ceiling = ritz.floor(FAILURE), ritz.ceiling(FAILURE)
        if everything:
            low, high = (floor, float(ritz.values[0])), (float(ritz.values[-1]), ceiling)
            values = np.empty((0, 2))
        else:
            values, others = _subsets(curved, subsets, steps, scale)
            spread, (low_end, high_end) = _reach(values).tolist(), _reach(others).tolist()
            low = (floor - spread[0], float(others[:, 0].mean()) + low_end)
            high = (float(others[:, 1].mean()) - high_end, ceiling + spread[1])
    return Ends(part, curved.examples, everything, whole, ritz, low, high, values, curved)


def _subsets(
    curved: Curvature, count: int, steps: int, scale: Tensor | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(least, largest) of every subset, and the mean quotients of the others' vectors with it."""
    parts = [_scaled(curved.on_batch(k), scale) for k in range(count)]
    values, vectors = np.empty((count, 2)), []
    for k, part in enumerate(parts):
        found = lanczos(
            part,
            curved.probe,
            steps=min(steps, _SUBSET_STEPS),
            largest=1,
            smallest=1,
            tolerance=0.02,
        )
        values[k] = found.values[[0, -1]]
        vectors.append(found.vectors([0, found.products - 1]))
    others = np.zeros((count, 2))
    for k, part in enumerate(parts):
        for j in range(count):
            if j != k:
                for end in (0, 1):
                    v = vectors[j][end]
                    others[k, end] += float(v.double() @ part(v).double()) / (count - 1)
    return values, others


def _reach(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Half widths of Student's intervals for the means of the columns.

    At 0.96, so that with the failure of the Krylov bound 0.95 remains.
    """
    count = len(values)
    quantile = float(student.ppf(0.98, count - 1))
    found: NDArray[np.float64] = quantile * values.std(axis=0, ddof=1) / math.sqrt(count)
    return found


def _scaled(product: Operator, scale: Tensor | None) -> Operator:
    if scale is None:
        return product
    return lambda vector: scale * product(scale * vector)


def _require_symmetry(ritz: Ritz, check: str) -> None:
    require(
        bool(np.isfinite(ritz.values).all()),
        f"{check} found curvature that is not finite; the loss has no second derivative here",
    )
    if ritz.asymmetry > 0.01:
        raise ArgumentError(
            f"{check} found a Hessian that is not symmetric: <u, Hv> and <v, Hu> differ by "
            f"{ritz.asymmetry:.2g} of its largest eigenvalue; a layer has a wrong second derivative"
        )
