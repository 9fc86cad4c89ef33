"""What the values of a relaxation's parameter group must be."""

from typing import Any

from wellposed.errors import require

_AT_LEAST_0 = {
    "lr": "the inner step size, try 0.05",
    "gamma": "the strength of the pull to the anchor, try 1e-4",
    "gamma_growth": "the growth of gamma per outer step, try 1e-3",
    "temperature": "that of the injected noise, try 0",
    "momentum": "that of the inner steps, try 0.9",
    "weight_decay": "that of the inner steps, try 5e-4",
}
_LARGEST_OUTER_LR = 1000  # above 2 no quadratic is stable; far above, float32 overflows


def check_group(group: dict[str, Any]) -> None:
    """Refuse values that have no meaning, naming the argument."""
    for key, meaning in _AT_LEAST_0.items():
        if key in group:
            value = float(group[key])
            require(value >= 0, f"{key}={value:g} was given; it is at least 0: {meaning}")
    _check_cycle(group)
    _check_outer(group)
    ceiling = group["gamma_max"]
    require(
        ceiling is None or ceiling > 0,
        f"gamma_max={ceiling} was given; it is positive, or None for no limit",
    )
    require(
        group["integrator"] in {"semi-implicit", "explicit"},
        f"integrator={group['integrator']!r} was given; it is 'semi-implicit', stable for every "
        "gamma, or 'explicit'",
    )
    require(
        not (group.get("nesterov") and group.get("dampening")),
        f"dampening={group.get('dampening')} was given with nesterov=True; Nesterov momentum needs "
        "dampening 0, or try nesterov=False",
    )
    require(
        not (group.get("fused") and group.get("foreach")),
        "fused=True and foreach=True were given; choose one, or leave both None",
    )


def _check_cycle(group: dict[str, Any]) -> None:
    """The number of inner steps and the weights of their mean."""
    steps, mean = group["inner_steps"], group["mean"]
    require(
        isinstance(steps, int) and steps >= 1,
        f"inner_steps={steps} was given; it is a whole number, at least 1, try 20",
    )
    numeric = isinstance(mean, int | float) and not isinstance(mean, bool)
    require(
        mean is None or mean == "uniform" or (numeric and 0 < mean <= 1),
        f"mean={mean!r} was given; it is the weight of the newest point, above 0 and at most 1, or "
        "'uniform', or None for the last point, try 0.25",
    )


def _check_outer(group: dict[str, Any]) -> None:
    """The step from anchor to anchor."""
    lr, momentum = group["outer_lr"], group["outer_momentum"]
    require(
        0 < lr <= _LARGEST_OUTER_LR,
        f"outer_lr={lr} was given; it is above 0, at most {_LARGEST_OUTER_LR}, and 1 goes all the "
        "way to the mean",
    )
    require(
        0 <= momentum < 1,
        f"outer_momentum={momentum} was given; it is at least 0 and below 1, try 0",
    )
