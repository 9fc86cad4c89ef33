"""Running statistics of batch normalization, beside those of batches."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


@final
@dataclass(frozen=True)
class Watched:
    """A normalization, and the mean and variance of its input in each batch.

    Args:
        name: Of the module.
        module: With running statistics.
        mean: What it normalizes by in eval mode, in float64, before any batch was seen.
        variance: Likewise.
        means: Per batch and channel.
        variances: Per batch and channel, unbiased as running ones are.
    """

    name: str
    module: _BatchNorm
    mean: Tensor
    variance: Tensor
    means: list[Tensor] = field(default_factory=list)
    variances: list[Tensor] = field(default_factory=list)

    @property
    def remaining(self) -> float:
        """The share of their initial values that running statistics still hold; nan if unknown."""
        count, momentum = self.module.num_batches_tracked, self.module.momentum
        if momentum == 0:
            return 1.0
        if count is None:
            return math.nan
        seen = int(count)
        if momentum is None:
            return 1.0 if seen == 0 else 0.0
        return float((1 - momentum) ** seen)

    @property
    def shift(self) -> tuple[float, float]:
        """How far the mean is off, in standard deviations of the input, and what chance explains.

        Both are root mean squares over the channels.
        """
        means, variances = torch.stack(self.means), torch.stack(self.variances)
        scale = variances.mean(0) + self.module.eps
        off = ((self.mean - means.mean(0)).square() / scale).mean().sqrt()
        between = (means.var(0) / scale).mean() if len(means) > 1 else torch.zeros(())
        return float(off), math.sqrt(float(between) * self._weight)

    @property
    def stretch(self) -> tuple[float, float]:
        """How far the logarithm of the standard deviation is off, and what chance explains."""
        variances = torch.stack(self.variances) + self.module.eps
        off = (((self.variance + self.module.eps) / variances.mean(0)).log() / 2).square().mean()
        logs = variances.log() / 2
        between = logs.var(0).mean() if len(logs) > 1 else torch.zeros(())
        return float(off.sqrt()), math.sqrt(float(between) * self._weight)

    @property
    def _weight(self) -> float:
        """Variance of the running average less the batches' mean, in units of one batch's."""
        momentum = self.module.momentum
        kept = 0.0 if momentum is None else momentum / (2 - momentum)
        return kept + 1 / max(len(self.means), 1)


@contextmanager
def watched(model: nn.Module) -> Iterator[list[Watched]]:
    """Watch what every batch normalization with running statistics sees in train mode.

    It yields them in the order in which the model holds them; hooks are gone after the block.
    """
    found, handles = [], []
    for name, module in model.named_modules():
        if not isinstance(module, _BatchNorm) or module.running_mean is None:
            continue
        assert module.running_var is not None  # both are kept, or none
        kept = Watched(
            name, module, module.running_mean.double().clone(), module.running_var.double().clone()
        )
        found.append(kept)

        def see(module: nn.Module, args: Any, kept: Watched = kept) -> None:
            x = args[0].detach().double()
            if module.training and x.numel() > x.shape[1]:
                flat = x.transpose(0, 1).reshape(x.shape[1], -1)
                kept.means.append(flat.mean(1))
                kept.variances.append(flat.var(1))

        handles.append(module.register_forward_pre_hook(see))
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()
