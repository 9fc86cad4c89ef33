"""In which regime a relaxation ran, in words, from the numbers that it logged about itself."""

import math
from bisect import bisect_right
from statistics import median

from wellposed.report._curves import Curve, History
from wellposed.report._sentences import plain

_HARDLY, _FULLY = 0.1, 1.0  # kappa: the pull acts within a cycle, or decides it
_FAINT, _STRONG = 0.1, 1.0  # noise ratio: the noise counts, or leads


def regime_sentences(history: History) -> list[str]:
    """What kappa, noise, anchor and time say; nothing about what no optimizer reported.

    Thresholds are stated with the numbers. Values that moved are told as their range, with the
    median where a verdict needs one number.

    Args:
        history: The log of a run. The most negative curvature, `lambda_min`, counts wherever a
            record has it, beside the optimizer's own numbers or among them.
    """
    sentences = [
        _pull(_finite(history, "kappa"), _finite(history, "gamma")),
        _noise(_finite(history, "noise_ratio")),
        _anchor(_finite(history, "anchor_distance"), _finite(history, "cosine")),
        _caustic(history),
    ]
    return [sentence for sentence in sentences if sentence]


def _pull(kappa: list[float], gamma: list[float]) -> str:
    """Whether the method averages, or follows the relaxed loss."""
    if not kappa:
        return ""
    if max(kappa) == 0 or (gamma and max(gamma) == 0):
        return "kappa 0: nothing pulls to the anchor; this is averaging, not a proximal method."
    said = f"kappa {_range(kappa)}"
    if max(kappa) < _HARDLY:
        return f"{said}: the pull has hardly acted; this is averaging, not a proximal method."
    if median(kappa) < _FULLY:
        return (
            f"{said}: the pull has acted without deciding where a cycle ends; this is between "
            "averaging (below 0.1) and a proximal method (above 1)."
        )
    return f"{said}: the pull decides where a cycle ends; the anchor follows the relaxed loss."


def _noise(ratio: list[float]) -> str:
    """What the injected noise is beside the gradient."""
    if not ratio:
        return ""
    if max(ratio) == 0:
        return "No noise is injected: that of the minibatches is the only temperature."
    middle = median(ratio)
    said = f"Injected noise is {plain(middle, 2)} of the step that the gradient makes"
    if middle < _FAINT:
        return f"{said}: too little to count; that of the minibatches is there in any case."
    if middle < _STRONG:
        return f"{said}: both count."
    return f"{said}: the noise leads."


def _anchor(distance: list[float], cosine: list[float]) -> str:
    """How far a cycle goes, and where."""
    if not distance:
        return ""
    said = f"The mean of a cycle is {_range(distance)} away from its anchor"
    if not cosine:
        return f"{said}."
    middle = median(cosine)
    where = (
        "that is where SGD would have moved it"
        if middle >= 0.9
        else "that is not where the last minibatch alone points"
    )
    return f"{said}; the cosine of that way with the gradient is {plain(middle, 2)}: {where}."


def _caustic(history: History) -> str:
    """Whether the time of the relaxation is below the inverse of the most negative curvature."""
    curvature = history.curves.get("lambda_min", history.curves.get("optimizer lambda_min"))
    if curvature is None or not curvature.finite:
        return ""
    least = min(curvature.finite)
    if least >= 0:
        return (
            f"lambda_min {plain(least)}: no negative curvature was found, so relaxing for any time "
            "keeps the loss smooth."
        )
    time = history.curves.get("optimizer pde_time")
    limit = f"1/|lambda_min| = {plain(-1 / least)}"
    if time is None or not time.finite:
        return f"A relaxed loss stays smooth for times below {limit}."
    broken, of, worst = _crossings(curvature, time)
    if broken == 0:
        return (
            f"t = {_range(time.finite)} is below {limit} wherever lambda_min was measured: the "
            "relaxed loss is smooth there."
        )
    where = "wherever lambda_min was measured" if broken == of else f"at {broken} of {of} records"
    said = (
        f"t < 1/|lambda_min| fails {where}: t = {plain(worst[0])} against "
        f"{plain(worst[1])}; beyond it, the relaxed loss has kinks, and its minimizer jumps"
    )
    kappa = _finite(history, "kappa")
    if kappa and max(kappa) < _HARDLY:
        return f"{said}. With this kappa, no cycle has come so far."
    return f"{said}. Try a larger gamma."


def _crossings(curvature: Curve, time: Curve) -> tuple[int, int, tuple[float, float]]:
    """How many records of lambda_min break the bound, of how many, and the worst (t, limit)."""
    known = [(x, t) for x, t in zip(time.x, time.y, strict=True) if math.isfinite(t)]
    places = [x for x, _ in known]
    pairs = []
    for x, value in zip(curvature.x, curvature.y, strict=True):
        if math.isfinite(value):
            t = known[max(0, bisect_right(places, x) - 1)][1]
            pairs.append((t, -1 / value if value < 0 else math.inf))
    broken = [(t, limit) for t, limit in pairs if t >= limit]
    worst = max(broken, key=lambda pair: pair[0] / pair[1], default=(0.0, math.inf))
    return len(broken), len(pairs), worst


def _finite(history: History, name: str) -> list[float]:
    """The finite values of a number that the optimizer told."""
    curve = history.curves.get(f"optimizer {name}")
    return curve.finite if curve is not None else []


def _range(values: list[float]) -> str:
    """One value, or from where to where they went: "0.02", "0.02 to 0.3"."""
    low, high = plain(min(values), 2), plain(max(values), 2)
    return low if low == high else f"{low} to {high}"
