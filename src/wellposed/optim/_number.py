"""Numbers where numbers belong: the first thing that is asked of an argument."""

from collections.abc import Callable
from math import inf, isnan
from numbers import Integral, Real
from typing import Any

from torch import Tensor

from wellposed.errors import require


def number(name: str, value: Any, *, least: float = -inf, hint: str) -> float:
    """The value as a float, refused unless it is a finite number of at least `least`.

    Args:
        name: What the caller calls it.
        value: A number, or a tensor that holds a single one; neither a bool nor a text.
        least: The smallest that is allowed.
        hint: What it means and what to try, behind the range.
    """
    single = isinstance(value, Tensor) and value.numel() == 1 and not value.is_complex()
    real = not isinstance(value, bool) and isinstance(value, Real)
    shown = f"{float(value):g}" if real else repr(value)
    range_of = "a number" if least == -inf else f"a number and at least {least:g}"
    require(single or real, f"{name}={shown} was given; it is {range_of}: {hint}")
    found = float(value)
    allowed = "finite" if least == -inf else f"at least {least:g} and finite"
    good = not isnan(found) and least <= found < inf
    require(good and found > -inf, f"{name}={found:g} was given; it is {allowed}: {hint}")
    return found


def count(name: str, value: Any, *, least: int = 1, hint: str) -> None:
    """Refuse what is not a whole number of at least `least`."""
    whole = not isinstance(value, bool) and isinstance(value, Integral) and int(value) >= least
    require(
        whole,
        f"{name}={value!r} was given; it is a whole number, at least {least}, try {hint}",
    )


def maker(base: Any) -> Callable[..., Any]:
    """The base optimizer's factory, refused unless it can be called."""
    require(
        callable(base),
        f"base={base!r} was given; it is a function of parameters and lr that makes an optimizer, "
        "try torch.optim.AdamW",
    )
    return base  # type: ignore[no-any-return]
