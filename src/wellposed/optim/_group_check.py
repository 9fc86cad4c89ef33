"""What the values of a relaxation's parameter group must be."""

from math import inf
from typing import Any

from wellposed.errors import require
from wellposed.optim._number import count, number

_AT_LEAST_0 = {
    "lr": "the inner step size, try 0.05",
    "gamma": "the strength of the pull to the anchor, try 1e-4",
    "gamma_growth": "the growth of gamma per outer step, try 1e-3",
    "rho": "the strength of the pull to the mean of the replicas, try 0.5",
    "rho_growth": "the growth of rho per outer step, try 0",
    "temperature": "that of the injected noise, try 0",
    "momentum": "that of the inner steps, try 0.9",
    "weight_decay": "that of the inner steps, try 5e-4",
}
_LARGEST_OUTER_LR = 1000  # above 2 no quadratic is stable; far above, float32 overflows


def check_group(group: dict[str, Any]) -> None:
    """Refuse values that have no meaning, naming the argument."""
    for key, meaning in _AT_LEAST_0.items():
        if key in group and not (key == "rho" and group[key] == inf):  # the mean itself
            number(key, group[key], least=0, hint=meaning)
    count("noise_seed", group["noise_seed"], least=0, hint="0")
    _check_cycle(group)
    _check_reverse(group)
    _check_outer(group)
    _check_coupling(group)
    for key in ("gamma_max", "rho_max"):
        require(
            group[key] is None or group[key] > 0,
            f"{key}={group[key]} was given; it is positive, or None for no limit",
        )
    require(
        group["integrator"] in {"semi-implicit", "explicit"},
        f"integrator={group['integrator']!r} was given; it is 'semi-implicit', stable for every "
        "gamma and rho, or 'explicit'",
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
    count("inner_steps", steps, hint="20")
    numeric = isinstance(mean, int | float) and not isinstance(mean, bool)
    require(
        mean is None or mean == "uniform" or (numeric and 0 < mean <= 1),
        f"mean={mean!r} was given; it is the weight of the newest point, above 0 and at most 1, or "
        "'uniform', or None for the last point, try 0.25",
    )


def _check_coupling(group: dict[str, Any]) -> None:
    """The replica, and its pull to the others."""
    replica = group["replica"]
    require(
        isinstance(replica, int) and not isinstance(replica, bool) and replica >= 0,
        f"replica={replica!r} was given; it is a whole number, the same for all groups of one "
        "replica, try 0, 1, ...",
    )
    require(
        float(group["rho"]) < inf or group["integrator"] != "explicit",
        "rho=inf was given with integrator='explicit', which would diverge; try "
        "integrator='semi-implicit', in which rho=inf is the mean itself",
    )


def _check_reverse(group: dict[str, Any]) -> None:
    """The sup-convolution after the inf-convolution."""
    reverse, block, weight = group["reverse"], group["block"], group["mean"]
    require(
        0 <= reverse < 1,
        f"reverse={reverse} was given; it is s/t, at least 0 and below 1, try 0.5",
    )
    if reverse == 0:
        return
    require(
        isinstance(weight, float) and 0 < weight < 1,
        f"mean={weight!r} was given with reverse={reverse:g}; there it is the damping of z, "
        "between 0 and 1, try 0.5",
    )
    require(
        isinstance(block, int) and block >= 1 and group["inner_steps"] % block == 0,
        f"block={block} was given; it is a divisor of inner_steps={group['inner_steps']}",
    )
    require(
        group["integrator"] == "semi-implicit",
        f"integrator={group['integrator']!r} was given with reverse={reverse:g}; the pull to z is "
        "'semi-implicit'",
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
