"""What does the Hessian's spectrum look like: its trace, its density, its dimension?"""

from collections.abc import Hashable

import numpy as np

from wellposed.audit._check import Check
from wellposed.audit._krylov import LEVEL, Ends, ends, shared
from wellposed.audit._subject import Subject
from wellposed.linalg import Spectrum
from wellposed.linalg import spectrum as measure
from wellposed.runs import Curves, Finding, Series, Verdict


def spectrum(
    subject: Subject,
    *,
    examples: int = 512,
    subsets: int = 4,
    steps: int = 30,
    depth: int = 32,
    samples: int = 8,
) -> Finding:
    r"""Measure the trace and the spectral density of the Hessian of the training loss.

    There is nothing to judge: these numbers describe, and compare runs of the same network. The
    trace is exact on the Krylov space of `sharpness` and sampled beside it, with random vectors of
    their own for each subset. Its interval is for the examples of the sample.

    Args:
        subject: The network, its loss and regularizer.
        examples: In the sample of the training part.
        subsets: As for `sharpness`.
        steps: As for `sharpness`.
        depth: Products with the random vector of the density.
        samples: Of the trace, one product each, at least 2.

    Cost: the run of `sharpness`, shared with it, and depth + samples products.

    Raises `ArgumentError` if there are no weights, or no second derivative to be trusted.
    """
    found = ends(subject, "spectrum", examples=examples, subsets=subsets, steps=steps)
    density = density_of(subject, found, depth, samples)
    low, high = density.trace.interval(LEVEL)
    dimension = density.effective_dimension()
    return Finding(
        check="spectrum",
        verdict=Verdict.PASS,
        statement=f"On {found.sample} the Hessian's trace is {density.trace.value:.4g} [{low:.4g}, "
        f"{high:.4g}], it acts in about {dimension:.3g} of {found.curved.n:,} dimensions, and "
        f"{100 * density.negative_mass:.2g} % of its eigenvalues' sizes are negative.",
        value=density.trace.value,
        interval=(low, high),
        level=LEVEL,
        unit="trace",
        evidence={
            "effective_dimension": dimension,
            "negative_mass": density.negative_mass,
            "frobenius_squared": density.square,
            "examples": found.examples,
            "part": found.part,
            "products": density.products,
            "seed": subject.seed,
        },
        verified=found.verified,
        figures=(_figure(found, density),),
    )


def density_of(subject: Subject, found: Ends, depth: int, samples: int) -> Spectrum:
    """The density beside a Krylov space, kept for other checks."""

    def make() -> Spectrum:
        with subject.quiet():
            return measure(
                found.product,
                found.ritz,
                depth=depth,
                extra=samples,
                parts=found.curved.parts,
                seed=subject.seed,
            )

    return subject.cached(("density", id(found), depth, samples), make)


def _figure(found: Ends, density: Spectrum) -> Curves:
    """Eigenvalues larger than x, and smaller than -x: steps that are straight on two logs."""
    lines = []
    for sign, name in ((1.0, "larger than x"), (-1.0, "smaller than -x")):
        sizes = sign * density.nodes
        chosen = sizes > 1e-6 * float(np.abs(density.nodes).max())
        order = np.argsort(-sizes[chosen])
        x, y = sizes[chosen][order], np.cumsum(density.counts[chosen][order])
        if len(x):
            lines.append(Series(name, tuple(map(float, x)), tuple(map(float, y))))
    return Curves(
        "Spectrum of the Hessian",
        "x",
        "number of eigenvalues",
        tuple(lines),
        log_x=True,
        log_y=True,
        note=f"On {found.sample}; estimated by {density.products} products beside a Krylov space "
        f"of {found.ritz.products}.",
    )


def shared_density(
    subject: Subject, *, examples: int, subsets: int, steps: int, depth: int, samples: int
) -> dict[Hashable, int]:
    """Of `density_of` and the Krylov space it stands on, in gradient evaluations of one example."""
    part = "train" if "train" in subject.parts else subject.judged
    key = ("density", examples, subsets, steps, depth, samples)
    products = {key: 2 * min(examples, len(subject.parts[part])) * (depth + samples)}
    return products | shared(subject, examples=examples, subsets=subsets, steps=steps)


CHECK = Check(
    spectrum,
    family="curvature",
    question="In how many directions does the loss curve, and how much?",
    cost=lambda *_, **__: 0,
    shared=shared_density,
    batch=128,
    settings={
        "standard": {"examples": 512, "subsets": 4, "steps": 30, "depth": 32, "samples": 8},
        "deep": {"examples": 2048, "subsets": 8, "steps": 60, "depth": 120, "samples": 40},
    },
)
