"""Is the network near a minimum, or near a saddle?"""

from collections.abc import Hashable

import numpy as np

from wellposed.audit._check import Check
from wellposed.audit._gradient_noise import gradient_noise, shared_noise
from wellposed.audit._krylov import LEVEL, ends
from wellposed.audit._spectrum import density_of, shared_density
from wellposed.audit._subject import Subject
from wellposed.runs import Finding, Threshold, Verdict

_MASS = 0.05
_BATCHES, _BATCH = 16, 32


def saddle(
    subject: Subject,
    *,
    examples: int = 512,
    subsets: int = 4,
    steps: int = 30,
    depth: int = 32,
    samples: int = 8,
) -> Finding:
    r"""Ask for negative curvature, where the gradient is as small as its sampling noise.

    Only where the gradient vanishes does negative curvature make a saddle; on the way to a minimum
    it is common. So first $\|\nabla f\|^2$ is estimated without bias from the gradients of disjoint
    batches. Where 0 lies in its interval, the interval of the least eigenvalue and the share of
    negative eigenvalues in $\sum |\lambda|$ decide.

    Args:
        subject: The network, its loss and regularizer.
        examples: In the sample of the training part.
        subsets: As for `sharpness`.
        steps: As for `sharpness`.
        depth: As for `spectrum`.
        samples: As for `spectrum`.

    Cost: the runs of `sharpness` and `spectrum`, shared with them, and two gradients of 512
    examples.

    Raises `ArgumentError` if there are no weights, or no second derivative to be trusted.
    """
    found = ends(subject, "saddle", examples=examples, subsets=subsets, steps=steps)
    still = gradient_noise(subject, "saddle", batches=_BATCHES, batch=_BATCH)
    squares = still.draws(np.random.default_rng(subject.seed))[:, 0]
    slope = (float(np.quantile(squares, 0.025)), float(np.quantile(squares, 0.975)))
    density = density_of(subject, found, depth, samples)
    least, mass = float(found.ritz.values[0]), density.negative_mass
    low, high = found.low
    measured = (
        f"on {found.sample} the least eigenvalue is {least:.3g} [{low:.3g}, {high:.3g}], and "
        f"{100 * mass:.2g} % of the sum of the eigenvalues' sizes is negative"
    )
    verdict, words, remedy = _judged(slope, high, mass)
    return Finding(
        check="saddle",
        verdict=verdict,
        statement=f"{words}; {measured}.",
        value=least,
        interval=(min(low, least), max(high, least)),
        level=LEVEL,
        unit="eigenvalue",
        threshold=Threshold(0.0, "below", "convention", "with more than 5 % negative mass"),
        evidence={
            "negative_mass": mass,
            "negative_values": int((found.ritz.values + found.ritz.residuals < 0).sum()),
            "gradient_squared": still.estimate()[0],
            "gradient_squared_interval": list(slope),
            "examples": found.examples,
            "part": found.part,
            "seed": subject.seed,
        },
        verified=found.verified,
        remedy=remedy,
    )


def _judged(slope: tuple[float, float], high: float, mass: float) -> tuple[Verdict, str, str]:
    """Verdict, the beginning of the sentence, remedy."""
    if slope[0] > 0:
        words = (
            "The gradient is larger than its sampling noise, so this is no critical point and "
            "negative curvature decides nothing yet"
        )
        return Verdict.UNKNOWN, words, "train on, with a smaller lr at the end"
    if high < 0 and mass > _MASS:
        remedy = (
            "noise, momentum or a step along the negative curvature leaves a saddle; weights that "
            "began symmetric or at 0 are a common cause"
        )
        return Verdict.WARN, "Near a saddle: the gradient is within its sampling noise", remedy
    return Verdict.PASS, "No saddle is shown: the gradient is within its sampling noise", ""


def _shared(subject: Subject, **settings: int) -> dict[Hashable, int]:
    return shared_density(subject, **settings) | shared_noise(subject, _BATCHES, _BATCH)


CHECK = Check(
    saddle,
    family="curvature",
    question="Is the network near a minimum, or near a saddle?",
    cost=lambda *_, **__: 0,
    shared=_shared,
    batch=128,
    settings={
        "standard": {"examples": 512, "subsets": 4, "steps": 30, "depth": 32, "samples": 8},
        "deep": {"examples": 2048, "subsets": 8, "steps": 60, "depth": 120, "samples": 40},
    },
)
