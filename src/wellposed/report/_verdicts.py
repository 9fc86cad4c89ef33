"""A finding in words: its verdict with a shape, its value with an interval, its threshold.

No verdict is told by color alone: each has its word and a shape of its own.
"""

import math

from markupsafe import Markup

from wellposed.report._audit_document import FindingDocument, ThresholdDocument
from wellposed.report._sentences import (
    NARROW,
    SPACE,
    decimals,
    level_name,
    percent,
    percent_interval,
    percent_places,
    plain,
    power_of_ten,
)
from wellposed.runs import Verdict, interval_words, number_words

_SHAPES = {
    Verdict.PASS: '<circle cx="8" cy="8" r="7"/><path d="M4.6 8.3 7 10.7l4.5-5.2"/>',
    Verdict.WARN: '<path class="body" d="M8 1 15.4 14.6H.6Z"/><path d="M8 5.6v4.2M8 11.9v1.2"/>',
    Verdict.FAIL: '<path class="body" d="M5 1h6l4 4v6l-4 4H5l-4-4V5Z"/>'
    '<path d="m5.2 5.2 5.6 5.6m0-5.6-5.6 5.6"/>',
    Verdict.UNKNOWN: '<rect x="1.5" y="1.5" width="13" height="13" rx="2"/>'
    '<path d="M5.9 6.2a2.1 2.1 0 1 1 3 1.9q-.9.4-.9 1.5m0 2v1.1"/>',
}
MEANING = {
    Verdict.FAIL: "wholly beyond its threshold",
    Verdict.WARN: "look at it",
    Verdict.UNKNOWN: "not decided, or not checked",
    Verdict.PASS: "nothing found",
}


def badge(verdict: Verdict) -> Markup:
    """A verdict as a word beside its shape."""
    return Markup(
        '<span class="verdict {0}"><svg viewBox="0 0 16 16" width="16" height="16" '
        'aria-hidden="true">{1}</svg>{0}</span>'
    ).format(verdict.value, Markup(_SHAPES[verdict]))


def measured(
    value: float | None, interval: tuple[float, float] | None, level: float | None, unit: str
) -> str:
    """A value with its unit and its interval, as many digits as the interval leaves meaningful."""
    if value is None:
        return ""
    if unit == "share" and math.isfinite(value):
        text = percent(value, percent_places(interval if _wide(interval) else None))
        return text + _between(percent_interval(interval) if _wide(interval) else "", level)
    ends = "" if interval is None else _ends(interval)
    text = _figure(value, interval) + (f"{SPACE}{unit}" if unit not in {"", "share"} else "")
    return text + _between(ends if _wide(interval) else "", level)


def remedied(finding: FindingDocument) -> str:
    """What the remedy achieved on a copy, or ""."""
    if finding.remedied is None:
        return ""
    before = measured(finding.value, None, None, finding.unit)
    after = measured(finding.remedied, None, None, finding.unit)
    return f"tried on a copy: {before} became {after}" if before else f"on a copy: {after}"


def limit(threshold: ThresholdDocument | None, unit: str) -> str:
    """A threshold and on which side of it the trouble is."""
    if threshold is None:
        return ""
    return f"trouble {threshold.bad} {measured(threshold.value, None, None, unit)}"


def behind(threshold: ThresholdDocument | None) -> str:
    """What stands behind a threshold."""
    if threshold is None:
        return ""
    return ": ".join(filter(None, [threshold.kind, threshold.source]))


def _wide(interval: tuple[float, float] | None) -> bool:
    """Whether an interval is more than a point."""
    return interval is not None and interval[0] != interval[1]


def _ends(interval: tuple[float, float]) -> str:
    low, high = interval
    if math.isnan(low) or math.isnan(high):
        return "not known"
    if math.isinf(low) and math.isinf(high):
        return interval_words(low, high)
    if math.isinf(low):
        return f"at most {_figure(high, interval)}"
    if math.isinf(high):
        return f"at least {_figure(low, interval)}"
    return f"{_figure(low, interval)} to {_figure(high, interval)}"


def _between(ends: str, level: float | None) -> str:
    if not ends:
        return ""
    return f" ({ends}{f' at {level_name(level)}' if level is not None else ''})"


def _figure(value: float, interval: tuple[float, float] | None) -> str:
    """A number with as many digits as its interval leaves meaningful; without one, four."""
    half = (interval[1] - interval[0]) / 2 if interval and _wide(interval) else None
    if not math.isfinite(value):
        return number_words(value)
    if value == 0 and (half is None or half < 1e-5):
        return "0"
    if half is None or not math.isfinite(half) or half <= 0:
        return _shortest(plain(value, 4).replace("-", "\u2212"))
    if half >= 1e-5 and abs(value) < 1e7:
        return f"{value:,.{decimals(half)}f}".replace(",", NARROW).replace("-", "\u2212")
    digits = math.floor(math.log10(abs(value))) - math.floor(math.log10(half)) + 2
    mantissa, power = f"{value:.{min(8, max(1, digits)) - 1}e}".split("e")
    return f"{mantissa}\u00b7{power_of_ten(float(f'1e{power}'))}".replace("-", "\u2212")


def _shortest(text: str) -> str:
    """A number without the zeros that end it."""
    return text.rstrip("0").rstrip(".") if "." in text and "\u00b7" not in text else text
