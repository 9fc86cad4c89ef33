"""The lower envelope of parabolas, in one pass over a line."""

import numpy as np


def lower_envelope(values: np.ndarray, curvature: float) -> np.ndarray:
    r"""Indices of the minimizers $\arg\min_j f_j + c\, (i - j)^2$ for every i of a line.

    Parabolas are added from left to right; each new one drops those before it that it covers, so
    that every parabola is added once and dropped at most once.

    Args:
        values: $f_j$, shape (n,).
        curvature: $c > 0$.

    Cost: O(n).

    References:
        Felzenszwalb and Huttenlocher, Distance transforms of sampled functions, 2012.
    """
    least = max(curvature, 1e-280 * float(np.ptp(values))) or 1.0  # so that no height overflows
    heights = ((values - values.min()) / least).tolist()
    roots, starts = [0], [-np.inf]  # the parabolas of the envelope, and where each takes over
    for j in range(1, len(heights)):
        start = _crossing(heights, roots[-1], j)
        while start <= starts[-1]:
            roots.pop()
            starts.pop()
            start = _crossing(heights, roots[-1], j)
        roots.append(j)
        starts.append(start)
    owners = np.searchsorted(starts, np.arange(len(heights)), side="left") - 1
    return np.asarray(roots)[owners]


def _crossing(heights: list[float], i: int, j: int) -> float:
    """Where the parabola with its vertex at j begins to be below the one at i < j."""
    return 0.5 * ((heights[j] - heights[i]) / (j - i) + i + j)
