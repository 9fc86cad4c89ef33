"""Is the step size inside the stability limit of the optimizer?"""

from collections.abc import Hashable

import torch
from torch import Tensor

from wellposed.audit._check import Check
from wellposed.audit._edge import Edge, edge
from wellposed.audit._krylov import LEVEL, Ends, ends, shared
from wellposed.audit._subject import Subject
from wellposed.runs import Bars, Finding, Mark, Threshold, Verdict

_GRADIENTS = 8  # batches for Adam's second moments
_EPS = 1e-8


def sharpness(
    subject: Subject, *, examples: int = 512, subsets: int = 4, steps: int = 30
) -> Finding:
    r"""Compare $\lambda_{\max}$ of the Hessian of the training loss with the optimizer's edge.

    On a quadratic, gradient descent contracts iff $\eta\lambda_{\max} < 2$; momentum and Adam have
    edges of their own. Full-batch training drifts to the edge and hovers there; beyond twice the
    edge it diverges. For Adam the curvature is that of $P^{-1/2} H P^{-1/2}$, $P = \sqrt v$, with v
    the mean square of a few batches' gradients at these weights.

    Args:
        subject: The network; `descent` is the step to be judged.
        examples: In the sample of the training part.
        subsets: That it is divided into.
        steps: Products with the Hessian of the sample.

    Cost: see `ends`; with Adam the gradients of eight batches more.

    Raises `ArgumentError` if there are no weights, or no second derivative to be trusted.

    References:
        Cohen et al., Gradient descent on neural networks typically occurs at the edge of stability,
        2021, arXiv:2103.00065. Lewkowycz et al., The large learning rate phase of deep learning:
        the catapult mechanism, 2020, arXiv:2003.02218.
    """
    limit = None if subject.descent is None else edge(subject.descent)
    scale, note = None, ""
    if limit is not None and limit.preconditioned:
        scale, batch = _preconditioner(subject)
        note = f", seen through the second moments of gradients of {batch} examples"
    found = ends(subject, "sharpness", examples=examples, subsets=subsets, steps=steps, scale=scale)
    decay = _coupled_decay(subject)
    value = float(found.ritz.values[-1]) + decay
    interval = (found.high[0] + decay, found.high[1] + decay)
    shown = f"{value:.4g} [{interval[0]:.4g}, {interval[1]:.4g}]"
    measured = f"The sharpest curvature of the loss on {found.sample} is {shown}{note}"
    verdict, threshold, conclusion, remedy = _judged(subject, limit, interval)
    return Finding(
        check="sharpness",
        verdict=verdict,
        statement=f"{measured}; {conclusion}.",
        value=value,
        interval=interval,
        level=LEVEL,
        unit="1/lr",
        threshold=threshold,
        evidence={
            "examples": found.examples,
            "part": found.part,
            "subsets": [round(float(v), 6) for v in found.values[:, 1]],
            "largest": [float(v) for v in found.ritz.values[::-1][:5]],
            "residuals": [float(v) for v in found.ritz.residuals[::-1][:5]],
            "products": found.ritz.products,
            "mode": found.curved.mode,
            "seed": subject.seed,
        },
        verified=found.verified,
        remedy=remedy,
        figures=(_figure(found, limit, decay),),
    )


def _judged(
    subject: Subject, limit: Edge | None, interval: tuple[float, float]
) -> tuple[Verdict, Threshold | None, str, str]:
    """Verdict, threshold, the end of the sentence, remedy."""
    low, high = interval
    if limit is None or subject.descent is None:
        least = f"{2 / high:.3g}" if high > 0 else "any"
        said = f"gradient descent is stable for lr up to {least}, but no step size is on record"
        return (
            Verdict.UNKNOWN,
            None,
            f"{said} to compare with",
            "say it: --lr, or descent=Descent(...)",
        )
    lr = subject.descent.lr
    source = f"{limit.formula}, the edge of stability of {limit.method}"
    threshold = Threshold(limit.limit, "above", "theorem", source)
    twice = Threshold(2 * limit.limit, "above", "literature", f"twice {source} (2003.02218)")
    compared = f"the edge for lr {lr:g} is {limit.formula} = {limit.limit:.4g} ({limit.method})"
    stable = lr * limit.limit / low if low > 0 else lr
    remedy = (
        f"try [optimizer] lr = {stable / 2:.1g}, a warm-up ([[schedule]] warmup), or a method that "
        'seeks flat minima such as SAM ([optimizer] name = "sam")'
    )
    if not limit.exact:
        said = f"{subject.descent.name} has no edge that is known here; {compared}"
        return Verdict.UNKNOWN, threshold, said, ""
    if low > twice.value:
        said = f"{compared}, and beyond twice of it training diverges"
        return Verdict.FAIL, twice, said, remedy
    verdict = threshold.judge(interval, worst=Verdict.WARN)
    if verdict is Verdict.WARN:
        return verdict, threshold, f"{compared}, so a full-batch step is unstable", remedy
    if verdict is Verdict.PASS:
        return verdict, threshold, compared, ""
    said = f"{compared}, which lies inside the interval: training is at the edge of stability"
    return verdict, threshold, said, "spend more (--budget deep) to narrow the interval"


def _coupled_decay(subject: Subject) -> float:
    """What weight decay adds to every eigenvalue, if it is part of the gradient."""
    descent = subject.descent
    if descent is None or descent.betas is not None or "rmsprop" in descent.name.lower():
        return 0.0
    return descent.weight_decay


def _preconditioner(subject: Subject) -> tuple[Tensor, int]:
    """(v^(1/2) + eps)^(-1/2), from gradients of batches as in training; and their size."""
    params = subject.require_parameters("sharpness")
    part = "train" if "train" in subject.parts else subject.judged
    whole = len(subject.parts[part])
    given = subject.descent.batch_size if subject.descent is not None else None
    size = min(whole, subject.batch_size if given is None else given or 2048)
    inputs, targets = subject.take(part, _GRADIENTS * size)
    generator = torch.Generator().manual_seed(subject.seed)
    order = torch.randperm(len(inputs), generator=generator).to(inputs.device)
    square = torch.zeros(sum(p.numel() for p in params), device=inputs.device)
    batches = [rows for rows in order.split(size) if len(rows) == size]
    with subject.quiet():
        for rows in batches:
            value = subject.objective(inputs[rows], targets[rows])
            grads = torch.autograd.grad(value, params, allow_unused=True)
            flat = [
                (torch.zeros_like(p) if g is None else g).reshape(-1)
                for g, p in zip(grads, params, strict=True)
            ]
            square += torch.cat(flat).square() / len(batches)
    return (square.sqrt() + _EPS).rsqrt(), size


def _figure(found: Ends, limit: Edge | None, decay: float) -> Bars:
    count = min(5, found.ritz.products)
    top = [float(v) + decay for v in found.ritz.values[::-1][:count]]
    reach = [float(v) for v in found.ritz.residuals[::-1][:count]]
    marks = () if limit is None else (Mark("y", limit.limit, limit.formula),)
    return Bars(
        "Largest eigenvalues of the Hessian",
        tuple(str(k + 1) for k in range(count)),
        tuple(top),
        tuple(v - r for v, r in zip(top, reach, strict=True)),
        tuple(v + r for v, r in zip(top, reach, strict=True)),
        y_label="eigenvalue",
        marks=marks,
        note=f"On {found.sample}; whiskers: residuals.",
    )


def _scaled(subject: Subject) -> bool:
    return subject.descent is not None and edge(subject.descent).preconditioned


def _cost(subject: Subject, **_: int) -> int:
    if subject.descent is None or not _scaled(subject):
        return 0
    return _GRADIENTS * (subject.descent.batch_size or subject.batch_size)


def _shared(subject: Subject, examples: int, subsets: int, steps: int) -> dict[Hashable, int]:
    scaled = _scaled(subject)
    return shared(subject, examples=examples, subsets=subsets, steps=steps, scaled=scaled)


CHECK = Check(
    sharpness,
    family="curvature",
    question="Is the step size inside the stability limit?",
    cost=_cost,
    shared=_shared,
    batch=128,
    settings={
        "quick": {"examples": 128, "subsets": 3, "steps": 12},
        "standard": {"examples": 512, "subsets": 4, "steps": 30},
        "deep": {"examples": 2048, "subsets": 8, "steps": 60},
    },
)
