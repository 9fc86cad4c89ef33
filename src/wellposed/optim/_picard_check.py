"""What the values of a Picard iteration's parameter group must be."""

from math import isfinite
from typing import Any

from wellposed.errors import require

_AT_LEAST_0 = {"lr": "0.05", "spread": "0.01", "momentum": "0.9", "weight_decay": "0"}


def check_group(group: dict[str, Any]) -> None:
    """Refuse values that have no meaning, naming the argument."""
    for key, hint in {
        "lr": "0.05",
        "spread": "0.01",
        "momentum": "0.9",
        "weight_decay": "0",
    }.items():
        if key in group:
            value = float(group[key])
            require(value >= 0, f"{key}={value:g} was given; it is at least 0, try {hint}")
    steps, mean, normalize = group["inner_steps"], group["mean"], group["normalize"]
    require(
        isinstance(steps, int) and steps >= 1,
        f"inner_steps={steps} was given; it is a whole number, at least 1, try 2",
    )
    time = 0.0 if group["pde_time"] is None else group["pde_time"]
    require(
        isfinite(time) and isfinite(group["spread"]),
        f"pde_time={group['pde_time']} and spread={group['spread']} were given; both are finite",
    )
    numeric = isinstance(mean, int | float) and not isinstance(mean, bool)
    require(
        mean is None or mean == "uniform" or (numeric and 0 < mean <= 1),
        f"mean={mean!r} was given; it is the weight of the newest gradient, above 0 and at most 1, "
        "or 'uniform', or None for the newest alone",
    )
    require(
        normalize in {None, "norm", "adaptive"},
        f"normalize={normalize!r} was given; it is None, 'norm' or 'adaptive'",
    )
    require(
        group["spread"] == 0 or group["pde_time"] == 0,
        f"spread={group['spread']:g} and pde_time={group['pde_time']} were given; a probe is "
        "displaced by noise or along the gradient, set one of them to 0",
    )
    require(
        not group["antithetic"] or group["spread"] == 0 or steps % 2 == 0,
        f"inner_steps={steps} was given with antithetic=True; pairs need an even number, try "
        f"inner_steps={steps + 1}, or antithetic=False",
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
