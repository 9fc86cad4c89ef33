"""What the values of a Picard iteration's parameter group must be."""

from typing import Any

from wellposed.errors import require
from wellposed.optim._number import count, number

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
            number(key, group[key], least=0, hint=f"try {hint}")
    if group["pde_time"] is not None:
        number("pde_time", group["pde_time"], hint="the time t, try 0.1")
    count("noise_seed", group["noise_seed"], least=0, hint="0")
    count("inner_steps", group["inner_steps"], hint="2")
    steps, mean, normalize = group["inner_steps"], group["mean"], group["normalize"]
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
