"""Numbers of a finding as text, in words where they have no digits."""

import math


def number_words(value: float, spec: str = ".3g") -> str:
    """A number in digits; "infinite", "minus infinite" or "not a number" where there are none.

    Args:
        value: Any.
        spec: How Python's `format` is to write a finite one.
    """
    if math.isnan(value):
        return "not a number"
    if math.isinf(value):
        return "infinite" if value > 0 else "minus infinite"
    return format(value, spec)


def interval_words(low: float, high: float, spec: str = ".3g") -> str:
    """The ends of an interval: "1, 2", "at least 1", "at most 2", or "no bounds".

    Args:
        low: The lower end; -inf for none, nan for an interval that nobody knows.
        high: The upper end; inf for none.
        spec: How Python's `format` is to write finite ones.
    """
    if math.isnan(low) or math.isnan(high):
        return "unknown"
    if low == high:
        return number_words(low, spec)
    if math.isinf(low):
        return "no bounds" if math.isinf(high) else f"at most {high:{spec}}"
    return f"at least {low:{spec}}" if math.isinf(high) else f"{low:{spec}}, {high:{spec}}"
