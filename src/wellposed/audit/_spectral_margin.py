"""How large are the margins in units of what the layers can do?"""

import math

import numpy as np
import torch

from wellposed.audit._check import Check, forward
from wellposed.audit._few import few
from wellposed.audit._margins import distributions, margin
from wellposed.audit._stretch import Stretch, stretch
from wellposed.audit._subject import Subject
from wellposed.errors import require
from wellposed.problem import eval_mode
from wellposed.runs import Finding, Listing, Threshold, Verdict, interval_words, number_words
from wellposed.stats import quantile_interval

LEVEL = 0.95
FOLLOWED = 8


def spectral_margin(subject: Subject, *, examples: int = 10_000) -> Finding:
    r"""Normalize the margins by the spectral norms of the layers, as the bound of Bartlett does.

    $$\tilde m(x) = \frac{m(x) \sqrt n}{R_A \|X\|_\mathrm{rms}}, \qquad R_A = \prod_i \rho_i s_i
    \Big(\sum_i (b_i / s_i)^{2/3}\Big)^{3/2}$$

    with $s_i$ the norm of layer i as the operator that it is, $\rho_i$ the Lipschitz constants
    of what is between, $b_i = \|A_i^\top - M_i^\top\|_{2,1}$ the change of its rows since
    the initial weights (or the rows themselves, where those are not known), n the number of
    training examples, and $\|X\|_\mathrm{rms}$ the root mean square norm of an input. Where the
    network is a chain of layers with known factors, $m(x) / (\sqrt 2 \prod_i \rho_i s_i)$ is a
    radius within which no input is classified otherwise.

    This is context and no verdict: measures of capacity order networks unreliably, and the bound
    is far above 1 for every network in use. It warns only where the median margin is negative.

    Args:
        subject: A classifier with a train part.
        examples: At most this many of each part.

    Cost: one forward pass per example, and about 100 of each layer with weights for one example.

    Raises `ArgumentError` if the subject is no classifier, there is no train part, or no layer
    has a known norm.

    References:
        Bartlett, Foster and Telgarsky, Spectrally-normalized margin bounds for neural networks,
        2017, arXiv:1706.08498; Dziugaite et al., In search of robust measures of generalization,
        2020, arXiv:2010.11924; Tsuzuku, Sato and Sugiyama, Lipschitz-margin training, 2018,
        arXiv:1802.04034 (the radius).
    """
    subject.require_classes("spectral-margin")
    trained_on = len(subject.require_part("train", "spectral-margin"))
    apart = subject.judged
    inputs, _ = subject.take("train", FOLLOWED)
    with eval_mode(subject.model):
        found = stretch(subject.model, inputs, subject.initial, seed=subject.seed)
    require(
        any(link.kernel is not None for link in found.links),
        "spectral-margin needs dense or convolutional layers as modules, and the forward pass "
        "calls none",
    )
    parts = dict.fromkeys(("train", apart))
    raw = {p: margin(*subject.outputs(p, examples)).numpy() for p in parts}
    size = _size(subject, examples)
    capacity = found.complexity if found.complexity is not None else found.product
    scale = capacity * size / math.sqrt(trained_on)
    require(
        0 < scale < math.inf and bool(np.isfinite(raw[apart]).all()),
        f"spectral-margin divides margins by the norm of the layers, which is "
        f"{number_words(capacity)}"
        + ("" if bool(np.isfinite(raw[apart]).all()) else ", and margins are not finite")
        + "; see the checks of weights and signals",
    )
    scaled = {p: v / scale for p, v in raw.items()}
    value = float(np.median(scaled[apart]))
    interval = quantile_interval(scaled[apart], 0.5, LEVEL)
    radius = float(np.median(raw[apart])) / (math.sqrt(2) * found.product)
    threshold = Threshold(
        0, "below", "convention", "measures of capacity are context, no verdict (arXiv:2010.11924)"
    )
    verdict = Verdict.WARN if interval[1] < 0 else Verdict.PASS
    if found.broken:
        verdict = Verdict.UNKNOWN
    return Finding(
        check="spectral-margin",
        verdict=verdict,
        statement=f"The layers can stretch a difference of inputs "
        f"{number_words(found.product)} times in all; the median margin on {apart} is {value:.2g} "
        f"[{interval_words(*interval, '.2g')}] in units of the bound{_said(found, radius)}.",
        value=value,
        interval=interval,
        level=LEVEL,
        unit="normalized margin",
        threshold=threshold,
        where="; ".join((*found.gaps, *(f"no norm known: {u}" for u in found.unknown))[:8]),
        evidence={
            "product_of_norms": found.product,
            "complexity": found.complexity,
            "radius": radius if found.bounds else None,
            "rms_of_inputs": size,
            "examples": {p: len(v) for p, v in raw.items()} | {"trained_on": trained_on},
            "medians": {p: float(np.median(v)) for p, v in scaled.items()},
            "reference": "initial weights" if subject.initial is not None else "0",
            "seed": subject.seed,
        },
        verified=_verified(subject, found, apart, examples),
        remedy="most examples are classified wrongly: margins say nothing before the error falls"
        if verdict is Verdict.WARN
        else "",
        figures=(
            distributions(scaled, "normalized margin", "Margins in units of the layers' norms"),
            _listing(found),
        ),
    )


def _said(found: Stretch, radius: float) -> str:
    """What the product is worth."""
    if found.bounds:
        side = f"; half of the inputs keep their class within a distance of {radius:.2g}"
        return side if radius > 0 else ""
    lost = []
    if found.unknown:
        lost.append(f"{len(found.unknown)} layers have no known norm")
    if found.gaps:
        lost.append(f"{len(found.gaps)} places are no chain of layers")
    return f", which bounds nothing here: {' and '.join(lost)}"


def _verified(subject: Subject, found: Stretch, part: str, examples: int) -> str:
    """Factors against real examples: layer by layer, and the product against the whole network."""
    if found.broken:
        return f"WRONG: two examples are stretched by more than the factor of {found.broken[0]}"
    known = sum(link.factor is not None for link in found.links)
    said = f"no two of {FOLLOWED} examples are stretched beyond the factor of any of {known} layers"
    if not found.bounds:
        return said
    n = few(subject, part, min(examples, 500))
    inputs, _ = subject.take(part, n)
    with torch.no_grad(), eval_mode(subject.model):
        outputs = torch.cat([subject.model(x) for x in inputs.split(subject.batch_size)])
    before, after = (t.flatten(1).double().cpu().diff(dim=0).norm(dim=1) for t in (inputs, outputs))
    over = int((after > found.product * before * (1 + 1e-2) + 1e-4).sum())
    return f"{said}, nor {over or 'any'} of {len(before)} pairs beyond the product"


def _size(subject: Subject, examples: int) -> float:
    """The root mean square norm of a training input."""
    squares = [x.flatten(1).double().square().sum(1) for x, _ in subject.batches("train", examples)]
    return float(torch.cat(squares).mean().sqrt())


def _listing(found: Stretch) -> Listing:
    rows = tuple(
        (
            link.name,
            "unknown" if link.factor is None else f"{link.factor:.4g}",
            "" if link.kernel is None else f"{link.kernel:.4g}",
            "" if link.rows is None else f"{link.rows:.4g}",
            f"{link.seen:.3g}",
        )
        for link in found.links
    )
    return Listing(
        "What the layers can do to a difference of inputs",
        ("layer", "at most", "kernel as a matrix", "rows", "seen"),
        rows[:60],
    )


def _cost(subject: Subject, examples: int = 10_000) -> int:
    parts = {"train", subject.judged} & set(subject.parts)
    weighted = sum(p.dim() > 1 for p in subject.model.parameters())
    return forward(sum(min(len(subject.parts[p]), examples) for p in parts)) + 40 * weighted + 170


CHECK = Check(
    spectral_margin,
    family="generalization",
    question="How large are its margins in units of what its layers can do?",
    cost=_cost,
    settings={
        "quick": {"examples": 1000},
        "standard": {},
        "deep": {"examples": 100_000},
    },
)
