"""The members of `wellposed.optim` that take a gradient per step, each with its bandwidth model.

A model says which passes over the weights a step needs, on average over a cycle, if each of them is
one of torch's kernels: `kernels.STREAMS` tells how many arrays of n floats a pass reads and writes.
SGD with Nesterov momentum takes one pass of 5, and a ratio to it is what a model predicts.
"""

from typing import Any

from torch import Tensor

from updates.entrant import Entrant
from wellposed import optim
from wellposed.optim import SGD, AdamW

NESTEROV = {"lr": 1e-4, "momentum": 0.9, "nesterov": True}
BASELINE = "SGD, fused"

Passes = dict[str, float]


def every(cycle: int, **counts: float) -> Passes:
    """Passes of which there are so many in a cycle of so many gradients, per gradient."""
    return {name: count / cycle for name, count in counts.items()}


def plus(*models: Passes) -> Passes:
    """All these passes."""
    total: Passes = {}
    for model in models:
        for name, count in model.items():
            total[name] = total.get(name, 0.0) + count
    return total


# What the passes are for. L = 20 where nothing else is said.
STEP: Passes = {"sgd": 1.0}
ADAMW_STEP: Passes = {"adamw": 1.0}
PULL: Passes = {"blend": 1.0}  # y += s (x - y)
MEAN: Passes = {"blend": 1.0}  # mu += a (y - mu)
ANCHOR = every(20, copy=1)  # x = y
RESTART = every(20, copy=2)  # mu = x when a cycle begins, y = mu when it ends
NOISE: Passes = {"normal": 1.0, "add": 1.0}  # xi drawn, y += xi
HEAVY_BALL = every(20, add=3, scale=1, copy=1)  # v = m v + (x - y), y = x - eta v
NESTEROV_OUTSIDE = every(20, add=4, scale=2)  # d = x - y, v = m v + d, y = x - eta (d + m v)
COUPLE = every(20, copy=1 / 3, add=2 / 3, scale=1 / 3, blend=1)  # mean of 3, each drawn to it
PROBE = every(2, copy=2, add=1, sgd=1)  # x = y, y -= t p; y = x, a step of the base


def groups(params: list[Tensor], replicas: int) -> list[dict[str, Any]]:
    """The parameters as groups, one for each replica."""
    size = len(params) // replicas
    parts = [params[i * size : (i + 1) * size] for i in range(replicas)]
    return [{"params": part, "replica": a} for a, part in enumerate(parts)]


def fused_adamw(params: Any, lr: float) -> AdamW:
    return AdamW(params, lr=lr, fused=True)


TORCH: dict[str, Entrant] = {
    BASELINE: Entrant(lambda p: SGD(p, fused=True, **NESTEROV), STEP),
    "SGD, foreach": Entrant(lambda p: SGD(p, foreach=True, **NESTEROV)),
    "SGD, torch's default": Entrant(lambda p: SGD(p, **NESTEROV)),
    "AdamW, fused": Entrant(lambda p: AdamW(p, lr=1e-4, fused=True)),
}

MEMBERS: dict[str, Entrant] = {
    "Lookahead, k=5": Entrant(
        lambda p: optim.Lookahead(p, inner_steps=5, **NESTEROV),
        plus(STEP, every(5, copy=1, blend=1)), "Lookahead",
    ),
    "SlowMo": Entrant(
        lambda p: optim.SlowMo(p, inner_steps=20, **NESTEROV), plus(STEP, ANCHOR, HEAVY_BALL),
    ),
    "DiLoCo, AdamW": Entrant(
        lambda p: optim.DiLoCo(p, lr=1e-4, inner_steps=20, base=fused_adamw),
        plus(ADAMW_STEP, ANCHOR, NESTEROV_OUTSIDE),
    ),
    "Relaxation, gamma=0": Entrant(
        lambda p: optim.Relaxation(p, inner_steps=20, **NESTEROV), plus(STEP, ANCHOR),
    ),
    "HamiltonJacobi": Entrant(
        lambda p: optim.HamiltonJacobi(p, inner_steps=20, **NESTEROV), plus(STEP, PULL, ANCHOR),
    ),
    "EntropySGD": Entrant(
        lambda p: optim.EntropySGD(p, inner_steps=20, **NESTEROV),
        plus(STEP, PULL, MEAN, ANCHOR, RESTART),
    ),
    "EntropySGD, no mean": Entrant(
        lambda p: optim.EntropySGD(p, inner_steps=20, mean=None, **NESTEROV),
        plus(STEP, PULL, ANCHOR),
    ),
    "EntropySGD, noise": Entrant(
        lambda p: optim.EntropySGD(p, inner_steps=20, temperature=1e-8, **NESTEROV),
        plus(STEP, PULL, MEAN, ANCHOR, RESTART, NOISE),
    ),
    "EntropySGD, AdamW inside": Entrant(
        lambda p: optim.EntropySGD(p, lr=1e-4, inner_steps=20, base=fused_adamw),
        plus(ADAMW_STEP, PULL, MEAN, ANCHOR, RESTART),
    ),
    "LasryLions, B=5": Entrant(
        lambda p: optim.LasryLions(p, inner_steps=20, block=5, **NESTEROV),
        plus(STEP, PULL, ANCHOR, RESTART, every(5, blend=2, copy=1), every(20, blend=1)),
    ),
    "ElasticSGD, 3 replicas": Entrant(
        lambda p: optim.ElasticSGD(groups(p, 3), inner_steps=20, **NESTEROV),
        plus(STEP, ANCHOR, COUPLE), gradients=3, replicas=3,
    ),
    "Parle, 3 replicas": Entrant(
        lambda p: optim.Parle(groups(p, 3), inner_steps=20, **NESTEROV),
        plus(STEP, PULL, MEAN, ANCHOR, RESTART, COUPLE), gradients=3, replicas=3,
    ),
    "SAM": Entrant(lambda p: optim.SAM(p, **NESTEROV), plus(PROBE, every(2, norm=1)), "SAM"),
    "SAM, same batch": Entrant(
        lambda p: optim.SAM(p, same_batch=True, **NESTEROV), plus(PROBE, every(2, norm=1)),
        "SAM", gradients=2, closure=True,
    ),
    "ASAM": Entrant(  # x p where y was, its norm, times x again
        lambda p: optim.ASAM(p, **NESTEROV),
        plus(PROBE, every(2, copy=1, product=2, norm=1, scale=1)), "ASAM",
    ),
    "Extragradient": Entrant(lambda p: optim.Extragradient(p, **NESTEROV), PROBE),
    "BackwardEuler, L=5": Entrant(  # five gradients into the mean, four probes
        lambda p: optim.BackwardEuler(p, inner_steps=5, **NESTEROV),
        every(5, copy=1 + 3 + 1, blend=5, add=4, sgd=1),
    ),
    "Heat, one pair": Entrant(  # anchor, probe, its mirror image; a mean of two
        lambda p: optim.Heat(p, inner_steps=2, **NESTEROV),
        every(2, copy=1 + 1 + 1, normal=1, add=2, scale=1, blend=2, sgd=1), "heat",
    ),
    "GradientNoise": Entrant(
        lambda p: optim.GradientNoise(p, **NESTEROV), plus(STEP, NOISE),
    ),
    "LaplacianSmoothing": Entrant(  # into a buffer; sigma = 1: five stencils down to rounding
        lambda p: optim.LaplacianSmoothing(p, **NESTEROV),
        plus(STEP, {"copy": 1.0, "stencil": 5.0, "scale": 1.0}), "Laplacian smoothing",
    ),
    "AcceleratedSGD": Entrant(  # two interpolations, and the gradient added to both points
        lambda p: optim.AcceleratedSGD(p, lr=1e-4), {"blend": 2.0, "add": 2.0},
    ),
    "PolyakRuppert": Entrant(
        lambda p: optim.PolyakRuppert(p, **NESTEROV), plus(STEP, MEAN), "averaging",
    ),
}  # fmt: skip
