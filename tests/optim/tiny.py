"""Small trainings that the suites over all members share."""

import torch
from torch import nn

from wellposed.optim import Anchored


def weights(dtype=torch.float32, shapes=((3, 2), (4,))):
    """Parameters, the same for the same shapes."""
    generator = torch.Generator().manual_seed(0)
    return [nn.Parameter(torch.randn(s, generator=generator).to(dtype)) for s in shapes]


def slope(p):
    """The gradient, entry by entry, of a loss whose curvature is from -0.5 to 2.5."""
    return 0.75 * (2 * p.detach()).sin() + p.detach() - 1


def run(optimizer, params, steps):
    for _ in range(steps):
        for p in params:
            p.grad = slope(p) if p.requires_grad else None
        optimizer.step()


def equal(ones, others):
    return all(torch.equal(a, b) for a, b in zip(ones, others, strict=True))


def copies(params):
    return [nn.Parameter(p.detach().clone()) for p in params]


def switch(optimizer, *, to_anchor):
    """What loops do around an evaluation, if the optimizer has anything of the kind."""
    if isinstance(optimizer, Anchored):
        optimizer.eval() if to_anchor else optimizer.train()
