"""Figures of sizes along the layers of a network."""

import math
from itertools import pairwise

import numpy as np

from wellposed.audit._cause import predicted
from wellposed.audit._chain import Propagation
from wellposed.audit._drift import LEVEL, Drift
from wellposed.runs import Curves, Listing, Series

_ROWS = 40
_CHAINS = 2


def size_figures(found: Propagation, drifts: list[Drift]) -> tuple[Curves | Listing, ...]:
    """Gradients and activations by layer, with their predictions; and the layers in a table."""
    figures: list[Curves | Listing] = []
    for backward, heading, label in (
        (True, "Gradients by layer", "norm of the gradient per example"),
        (False, "Activations by layer", "root mean square of what the layer gives"),
    ):
        shown = sorted((d for d in drifts if d.backward is backward), key=lambda d: -len(d.sites))[
            :_CHAINS
        ]
        series = tuple(s for d in shown for s in _series(found, d, several=len(shown) > 1))
        note = f"Root mean square over the examples, with intervals at {100 * LEVEL:g} %."
        if series:
            figures.append(Curves(heading, "layer", label, series, log_y=True, note=note))
    if drifts:
        longest = max((d for d in drifts), key=lambda d: (len(d.sites), d.backward))
        figures.append(_table(found, longest))
    return tuple(figures)


def _series(found: Propagation, drift: Drift, *, several: bool) -> list[Series]:
    """What was measured, what theory says, and the same for the loss."""
    x = tuple(float(k + 1) for k in range(len(drift.sites)))
    tag = f" ({drift.chain.kind})" if several else ""
    sizes, low, high = drift.trend.sizes, drift.trend.low, drift.trend.high
    name = "random combination of outputs" if drift.backward else "measured"
    lines = [Series(name + tag, x, _positive(sizes), _positive(low), _positive(high))]
    if any(t is not None for t in drift.predictions):
        line = predicted(drift.predictions, sizes, backward=drift.backward)
        lines.append(Series("mean-field theory" + tag, x, _positive(line), faint=True))
    if drift.backward and found.loss is not None:
        loss = np.sqrt(found.loss[list(drift.sites)].mean(1))
        scale = sizes[-1] / loss[-1] if loss[-1] > 0 else math.nan
        lines.append(Series("loss, scaled to the last" + tag, x, _positive(loss * scale)))
    return lines


def _positive(values: np.ndarray) -> tuple[float, ...]:
    """Numbers for a logarithmic axis, with gaps where there is nothing to draw."""
    return tuple(float(v) if 0 < v < math.inf else math.nan for v in values)


def _table(found: Propagation, drift: Drift) -> Listing:
    """The layers of a chain: sizes, factors to the next, and what theory says."""
    sites = drift.sites[:_ROWS]
    backward = np.sqrt(found.backward.mean(1))
    forward = np.sqrt(found.forward.mean(1))
    names = dict(zip(pairwise(drift.chain.sites), drift.chain.between, strict=True))
    rows = []
    for k, n in enumerate(sites):
        above = drift.sites[k + 1] if k + 1 < len(drift.sites) else None
        theory = drift.predictions[k] if above is not None else None
        known = above is not None and backward[above] > 0
        factor = f"{backward[n] / backward[above]:.3g}" if known else ""
        said = f"{math.sqrt(theory.chi):.3g}" if theory is not None else ""
        then = names.get((n, above), ("", None))[0] if above is not None else ""
        rows.append((found.site(n).name, then, f"{forward[n]:.3g}", f"{backward[n]:.3g}", factor,
                     said))  # fmt: skip
    return Listing(
        "Layer by layer",
        ("layer", "then", "activation", "gradient", "gradient / next", "theory"),
        tuple(rows),
        right=2,
        note="Root mean squares; gradients of a random combination of the outputs.",
    )
