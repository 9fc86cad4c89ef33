"""The optimizers of ours that go where `torch.optim.SGD` goes: one gradient per step.

A line here is a member in the contract suite, in other libraries' loops, in every kind of training
and around torch's optimizer inputs. Cycles are short, so that a few steps see several ends.
"""

from functools import partial

import torch

from wellposed import optim


def soft_threshold(tensors, step):
    within = torch._foreach_clamp_min(tensors, -0.01 * step)
    torch._foreach_clamp_max_(within, 0.01 * step)
    torch._foreach_sub_(tensors, within)


OURS = {
    "ProximalSGD": partial(optim.ProximalSGD, lr=0.05, prox_=soft_threshold),
    "Relaxation": partial(optim.Relaxation, inner_steps=5, gamma=0.3),
    "EntropySGD": partial(optim.EntropySGD, inner_steps=5),
    "EntropySGD, noise": partial(optim.EntropySGD, inner_steps=5, temperature=1e-4),
    "EntropySGD, outer momentum": partial(
        optim.EntropySGD, inner_steps=5, outer_momentum=0.5, outer_lr=0.5, reset_momentum=True
    ),
    "EntropySGD, uniform": partial(optim.EntropySGD, inner_steps=5, mean="uniform"),
    "EntropySGD, explicit": partial(
        optim.EntropySGD, inner_steps=5, gamma=0.5, integrator="explicit"
    ),
    "EntropySGD, AdamW": partial(optim.EntropySGD, inner_steps=5, base=torch.optim.AdamW),
    "EntropySGD, paper": partial(optim.EntropySGD, preset="paper-mnist"),
    "Lookahead": partial(optim.Lookahead, inner_steps=5),
    "Parle": partial(optim.Parle, inner_steps=5),
    "Parle, paper": partial(optim.Parle, preset="paper-cifar", inner_steps=5),
    "ElasticSGD": partial(optim.ElasticSGD, inner_steps=5),
    "ElasticSGD, every step": partial(optim.ElasticSGD, inner_steps=1),
    "DiLoCo": partial(optim.DiLoCo, inner_steps=5, base=torch.optim.AdamW),
    "SlowMo": partial(optim.SlowMo, inner_steps=5),
    "LaplacianSmoothing": partial(optim.LaplacianSmoothing),
    "LaplacianSmoothing, AdamW": partial(
        optim.LaplacianSmoothing, lr=0.01, order=2, base=torch.optim.AdamW
    ),
    "PolyakRuppert": partial(optim.PolyakRuppert),
    "PolyakRuppert, tail": partial(optim.PolyakRuppert, tail=0.3),
    "PolyakRuppert, AdamW": partial(optim.PolyakRuppert, lr=0.01, base=torch.optim.AdamW),
    "AcceleratedSGD": partial(optim.AcceleratedSGD),
    "AcceleratedSGD, strongly convex": partial(
        optim.AcceleratedSGD, lr=0.01, strong_convexity=0.5, weight_decay=0.1
    ),
    "GradientNoise": partial(optim.GradientNoise),
    "GradientNoise, AdamW": partial(optim.GradientNoise, lr=0.01, base=torch.optim.AdamW),
    "LasryLions": partial(optim.LasryLions, inner_steps=6, block=3),
    "HamiltonJacobi": partial(optim.HamiltonJacobi, inner_steps=5, gamma=1.0),
    "HamiltonJacobi, preset": partial(optim.HamiltonJacobi, preset="hj", outer_lr=0.5),
    "Picard": partial(optim.Picard, lr=0.05, inner_steps=3, pde_time=0.1, mean=0.5),
    "Picard, AdamW": partial(optim.Picard, base=torch.optim.AdamW, inner_steps=3, pde_time=0.1),
    "BackwardEuler": partial(optim.BackwardEuler, inner_steps=3),
    "BackwardEuler, Adam": partial(
        optim.BackwardEuler, lr=0.05, inner_steps=3, base=torch.optim.Adam
    ),
    "Heat": partial(optim.Heat),
    "Heat, AdamW": partial(optim.Heat, base=torch.optim.AdamW, inner_steps=4, spread=0.1),
    "Heat, no pairs": partial(optim.Heat, inner_steps=3, antithetic=False, spread=0.1),
    "SAM": partial(optim.SAM),
    "SAM, AdamW": partial(optim.SAM, base=torch.optim.AdamW),
    "ASAM": partial(optim.ASAM),
    "Extragradient": partial(optim.Extragradient),
    "Extragradient, AdamW": partial(optim.Extragradient, base=torch.optim.AdamW),
}

ONE_EACH = {
    name: make
    for i, (name, make) in enumerate(OURS.items())
    if all(make.func is not other.func for other in list(OURS.values())[:i])
}
"""The first line of each class, for what takes long."""
