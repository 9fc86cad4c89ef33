"""A Gaussian around the weights, as wide as the loss allows, and its distance from a prior."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

GRID = torch.logspace(-5, 2, 1000, dtype=torch.float64)
"""Standard deviations that a prior may have; chosen before any data were seen."""


@final
@dataclass(frozen=True)
class Posterior:
    r"""Weights $w + s \odot z$ with standard normal z, and the Gaussian prior that is nearest.

    The prior is $N(c, \lambda_g^2)$ for the weights of each group g (a parameter tensor), with
    $\lambda_g$ on a grid of 1,000 values: as a mixture with equal shares of all of them, it costs
    ln 1,000 per group more than the best, and depends on no data.

    Args:
        mean: w, all weights in one vector, shape (n,).
        sd: s, shape (n,).
        complexity: KL(posterior || prior) in nats, with the mixture's price.
        prior_sd: Standard deviation of the prior by group.
    """

    mean: Tensor
    sd: Tensor
    complexity: float
    prior_sd: tuple[float, ...]

    def draws(
        self, model: nn.Module, count: int, generator: torch.Generator
    ) -> Iterator[nn.Module]:
        """The model with `count` draws of the weights, one after the other.

        Args:
            model: A copy: its weights are replaced.
            count: How many.
            generator: Of the noise.
        """
        params = trained(model)
        for _ in range(count):
            noise = torch.randn(len(self.mean), generator=generator, dtype=self.mean.dtype)
            vector_to_parameters(self.mean + self.sd * noise.to(self.mean.device), params)
            yield model


def trained(model: nn.Module) -> list[nn.Parameter]:
    """The parameters that training changes."""
    return [p for p in model.parameters() if p.requires_grad]


def sensitivity(
    model: nn.Module,
    loss: Callable[[Tensor, Tensor], Tensor],
    inputs: Tensor,
    targets: Tensor,
    batch_size: int = 10,
) -> Tensor:
    r"""The diagonal of the Fisher matrix, as batches see it: $B\,\mathrm E\,g_B^2$, shape (n,).

    Args:
        model: In eval mode.
        loss: (outputs, targets) -> losses per example.
        inputs: Shape (n, ...).
        targets: Shape (n, ...).
        batch_size: B; the mean gradient counts B times.
    """
    params = trained(model)
    total = torch.zeros_like(parameters_to_vector(params))
    batches = list(zip(inputs.split(batch_size), targets.split(batch_size), strict=True))
    for x, y in batches:
        found = torch.autograd.grad(loss(model(x), y).mean(), params, allow_unused=True)
        flat = [
            (torch.zeros_like(p) if g is None else g).flatten()
            for p, g in zip(params, found, strict=True)
        ]
        total += len(x) * torch.cat(flat).square()
    return total / len(batches)


def posterior(
    mean: Tensor, center: Tensor, fisher: Tensor, sizes: Sequence[int], n: int, temperature: float
) -> Posterior:
    r"""The Gaussian $s^{-2} = \lambda_g^{-2} + n F / \tau$, with the prior fitted to it in turn.

    The mean stays where training has left it. At $\tau = 1$ this is Laplace's approximation.

    Args:
        mean: w, shape (p,).
        center: c, the mean of the prior, shape (p,).
        fisher: F, shape (p,).
        sizes: Weights per group, in order.
        n: Examples.
        temperature: $\tau$; the larger, the wider.
    """
    away = (mean - center).double().square()
    precision = n / temperature * fisher.double()
    groups = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes)).to(mean.device)
    count = torch.tensor(sizes, dtype=torch.float64, device=mean.device)

    def mean_by_group(values: Tensor) -> Tensor:
        return torch.zeros_like(count).index_add_(0, groups, values) / count

    prior = mean_by_group(away).clamp(float(GRID[0]) ** 2, float(GRID[-1]) ** 2)
    for _ in range(100):
        variance = 1 / (1 / prior[groups] + precision)
        prior = mean_by_group(variance + away).clamp(float(GRID[0]) ** 2, float(GRID[-1]) ** 2)
    grid = GRID.to(mean.device)
    prior = grid[(prior.sqrt().log()[:, None] - grid.log()).abs().argmin(1)] ** 2
    variance = 1 / (1 / prior[groups] + precision)
    ratio = variance / prior[groups]
    kl = 0.5 * (ratio - ratio.log() - 1 + away / prior[groups]).sum()
    complexity = float(kl) + len(sizes) * math.log(len(GRID))
    sd = variance.sqrt().to(mean.dtype)
    return Posterior(mean, sd, complexity, tuple(prior.sqrt().tolist()))
