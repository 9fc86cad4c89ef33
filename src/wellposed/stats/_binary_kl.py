"""The relative entropy of two coins, and its inverse: what a PAC-Bayes bound is read from."""

import math

from scipy.optimize import brentq
from scipy.special import rel_entr

from wellposed.errors import require


def binary_kl(q: float, p: float) -> float:
    r"""The relative entropy of a coin with chance q to one with chance p.

    $$\mathrm{kl}(q \,\|\, p) = q \ln \frac{q}{p} + (1 - q) \ln \frac{1 - q}{1 - p}$$

    Args:
        q: In [0, 1].
        p: In [0, 1]; infinity where p excludes what q allows.

    Raises `ArgumentError` outside these ranges.
    """
    for name, value in (("q", q), ("p", p)):
        require(0 <= value <= 1, f"a chance is between 0 and 1, got {name}={value:g}")
    return float(rel_entr(q, p) + rel_entr(1 - q, 1 - p))


def binary_kl_upper(q: float, bound: float) -> float:
    r"""The largest p with $\mathrm{kl}(q \,\|\, p) \le$ bound.

    Args:
        q: An observed share, in [0, 1].
        bound: At least 0.

    Returns a number in [q, 1], never below the exact one by more than rounding, and raises
    `ArgumentError` outside these ranges.
    """
    require(0 <= q <= 1, f"a share is between 0 and 1, got q={q:g}")
    require(bound >= 0, f"a relative entropy is at least 0, got bound={bound:g}")
    top = math.nextafter(1.0, 0.0)
    if q >= top or binary_kl(q, top) <= bound:
        return 1.0
    if bound == 0:
        return q
    return float(brentq(lambda p: binary_kl(q, p) - bound, q, top, xtol=1e-15, rtol=1e-14))


def pac_bayes(error: float, complexity: float, n: int, delta: float = 0.05) -> float:
    r"""An upper limit for the expected error of a random classifier: McAllester's, by Maurer.

    With probability at least $1 - \delta$ over n independent examples, for all posteriors Q
    at once, whatever they were made from,

    $$\mathrm{kl}(\hat e(Q) \,\|\, e(Q)) \le \frac{\mathrm{KL}(Q \,\|\, P) + \ln (2 \sqrt n /
    \delta)}{n}$$

    provided that the prior P was chosen without these examples.

    Args:
        error: $\hat e(Q)$, the expected error of Q on the n examples, in [0, 1].
        complexity: KL(Q || P) in nats, at least 0.
        n: Examples, at least 1.
        delta: Probability that the limit is wrong, in (0, 1).

    Raises `ArgumentError` outside these ranges.

    References:
        Maurer, A note on the PAC Bayesian theorem, 2004, arXiv:cs/0411099; Langford and Seeger,
        Bounds for averaging classifiers, 2001.
    """
    require(n >= 1, f"a bound needs at least one example, got n={n}")
    require(complexity >= 0, f"a relative entropy is at least 0, got complexity={complexity:g}")
    require(0 < delta < 1, f"a probability is between 0 and 1, got delta={delta:g}; try 0.05")
    return binary_kl_upper(error, (complexity + math.log(2 * math.sqrt(n) / delta)) / n)
