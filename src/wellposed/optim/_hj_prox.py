"""The proximal operator of a function of which only values are known."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf, log
from typing import ClassVar, final

import torch
from torch import Tensor

from wellposed.errors import require
from wellposed.optim._noise import counter_seed

_DOUBLINGS = 40
"""Of delta, before giving up: by then the samples spread a million times as wide."""


@final
@dataclass(frozen=True, slots=True)
class HJProx:
    r"""What `hj_prox` found.

    Args:
        prox: Estimate of $\operatorname{prox}_{tf}(x)$, shape (d,).
        envelope: Estimate of $u^\delta(x, t)$, near $\min_y f(y) + \|x - y\|^2 / 2t$.
        gradient: $(x - \text{prox}) / t$, that of the envelope, shape (d,).
        ess: Effective sample size $1 / \sum w_i^2$, between 1 and the number of samples.
        standard_error: Of `prox`, from its samples, as a Euclidean norm; without the bias that
            $\delta$ causes.
        delta: The smoothing $\delta$ that was reached; larger than was asked for where the samples
            could not resolve that one.
        evaluations: Values of f that were computed.
    """

    citation: ClassVar[str] = """\
@article{osher2023hamilton,
  author  = {Osher, Stanley and Heaton, Howard and Wu Fung, Samy},
  title   = {A {Hamilton--Jacobi}-Based Proximal Operator},
  journal = {Proceedings of the National Academy of Sciences},
  volume  = {120},
  number  = {14},
  year    = {2023},
  note    = {arXiv:2211.12997}
}"""

    prox: Tensor
    envelope: float
    gradient: Tensor
    ess: float
    standard_error: float
    delta: float
    evaluations: int


def hj_prox(  # noqa: PLR0913 - one argument per symbol of the equation
    f: Callable[[Tensor], Tensor],
    x: Tensor,
    t: float,
    *,
    delta: float = 0.1,
    samples: int = 1000,
    min_ess: float = 50.0,
    adapt: bool = True,
    noise_seed: int = 0,
) -> HJProx:
    r"""The proximal operator of f from its values alone, with a check that they suffice.

    $$\operatorname{prox}_{tf}(x) \approx \frac{\mathbb E\, y\, e^{-f(y)/\delta}}
    {\mathbb E\, e^{-f(y)/\delta}}, \qquad
    u^\delta = -\delta \log \mathbb E\, e^{-f(y)/\delta}, \qquad y \sim N(x, \delta t I)$$

    This is the viscous Hamilton-Jacobi equation with $\beta = 1/\delta$, by Cole-Hopf; as
    $\delta \to 0$ it becomes the Moreau envelope, where f is $\rho$-weakly convex and
    $t < 1/\rho$. For small $\delta$ or many dimensions almost all weight falls on one sample, and
    the plain average is wrong without any sign of it. Here $\delta$ is doubled until the effective
    sample size is `min_ess`, then halved again, with the samples drawn around the last estimate
    and weighted for that, as long as the effective sample size holds. (Rescaling f and t by
    $\alpha$, as the paper does on overflow, is the same as $\delta/\alpha$.)

    It is for tens of dimensions: where f has curvature $\lambda$ the effective share is at best
    $(\sqrt{1 + 2 t\lambda} / (1 + t\lambda))^d$, which for $t\lambda = 1$ and $d = 100$ is
    $6 \cdot 10^{-7}$; this is refused, not answered. A minimum that no sample came near cannot be
    noticed.

    Cost: `samples` values of f per $\delta$ tried, in one call each; no gradients.
    Memory: two arrays of samples times d.

    Args:
        f: Takes points of shape (samples, d) and returns their values, of shape (samples,); inf
            where it is not defined.
        x: Where, of shape (d,).
        t: Time, $t > 0$.
        delta: Smoothing $\delta > 0$, in units of f.
        samples: N, per $\delta$ tried.
        min_ess: Effective samples that are enough; at least 1, below `samples`.
        adapt: Whether $\delta$ may be changed; otherwise too few effective samples are an error.
        noise_seed: Determines all samples; torch's global generator is left alone.

    Returns:
        Prox, envelope, gradient, and how far they can be trusted.

    Raises `ArgumentError` if a value is out of range, f returns what it should not, or there are
    too few effective samples for every $\delta$.

    References:
        Osher, Heaton and Wu Fung, A Hamilton-Jacobi-based proximal operator, 2023,
        arXiv:2211.12997; the adaptation is ours.
    """
    _check(x, t, delta, samples, min_ess)
    evaluations = 0

    def estimate(delta: float, centre: Tensor) -> HJProx:
        nonlocal evaluations
        generator = torch.Generator(x.device).manual_seed(counter_seed(noise_seed, evaluations))
        evaluations += samples
        return _estimate(f, x, t, delta, centre, samples, evaluations, generator)

    found = estimate(delta, x)
    now = delta
    for _ in range(_DOUBLINGS if adapt else 0):
        if found.ess >= min_ess:
            break
        now *= 2
        found = estimate(now, x)
    require(
        found.ess >= min_ess,
        f"hj_prox has {found.ess:.1f} effective of {samples} samples in {len(x)} dimensions, "
        f"below min_ess={min_ess:g}, with every delta from {delta:g} to {now:g}; try more samples, "
        "a smaller t, or fewer dimensions"
        if adapt
        else f"hj_prox has {found.ess:.1f} effective of {samples} samples, below "
        f"min_ess={min_ess:g}, with delta={delta:g}; try adapt=True, a larger delta, or more "
        "samples",
    )
    while found.delta > delta:
        finer = estimate(max(delta, found.delta / 2), found.prox)
        if finer.ess < min_ess:
            break
        found = finer
    return replace(found, evaluations=evaluations)


def _estimate(  # noqa: PLR0913 - one argument per symbol of the equation
    f: Callable[[Tensor], Tensor],
    x: Tensor,
    t: float,
    delta: float,
    centre: Tensor,
    samples: int,
    evaluations: int,
    generator: torch.Generator,
) -> HJProx:
    """The weighted average over samples around a centre, each corrected for not being around x."""
    offsets = torch.randn(samples, len(x), generator=generator, dtype=x.dtype, device=x.device)
    offsets *= (delta * t) ** 0.5
    y = centre + offsets
    exponent = -_values(f, y) / delta
    if centre is not x:
        exponent = exponent + (offsets.square().sum(1) - (y - x).square().sum(1)) / (2 * t * delta)
    total = torch.logsumexp(exponent, 0)
    require(
        float(total) < inf,
        f"f returned -inf at one of {samples} points; a proximal point exists only where f is "
        "bounded from below",
    )
    weights = (exponent - total).exp()  # nan where f is inf at all samples: none is effective
    prox = weights @ y
    spread = weights.square() @ (y - prox).square().sum(1)
    return HJProx(
        prox=prox,
        envelope=-delta * (float(total) - log(samples)),
        gradient=(x - prox) / t,
        ess=1 / float(weights.square().sum()) if float(total) > -inf else 0.0,
        standard_error=float(spread) ** 0.5,
        delta=delta,
        evaluations=evaluations,
    )


def _values(f: Callable[[Tensor], Tensor], y: Tensor) -> Tensor:
    """F at the samples, refused unless it is one number each."""
    with torch.no_grad():
        values = f(y)
    require(
        isinstance(values, Tensor) and values.shape == y.shape[:1],
        f"f returned {tuple(values.shape) if isinstance(values, Tensor) else values!r}; for points "
        f"of shape {tuple(y.shape)} it returns a tensor of shape ({len(y)},), one value each",
    )
    undefined = int(values.isnan().sum())
    require(
        undefined == 0,
        f"f returned nan at {undefined} of {len(y)} points; return inf where it is not defined",
    )
    return values


def _check(x: Tensor, t: float, delta: float, samples: int, min_ess: float) -> None:
    """Refuse what is out of range."""
    require(
        x.dim() == 1 and len(x) > 0 and x.is_floating_point(),
        f"hj_prox got x of shape {tuple(x.shape)} in {x.dtype}; it is one point of shape (d,) in "
        "floating point, try x.flatten()",
    )
    require(0 < t < inf, f"hj_prox got t={t:g}; time is positive and finite")
    require(0 < delta < inf, f"hj_prox got delta={delta:g}; it is positive, try 0.1")
    require(samples >= 2, f"hj_prox got samples={samples}; it is at least 2, try 1000")
    require(
        1 <= min_ess < samples,
        f"hj_prox got min_ess={min_ess:g} with samples={samples}; it is at least 1 and below the "
        "number of samples, try a twentieth of it",
    )
