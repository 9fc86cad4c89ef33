"""Batch norm in eval mode is a scale and a shift: the network without statistics of the data."""

from typing import final

import torch
from torch import Tensor, nn

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


@final
class ScaleShift(nn.Module):
    r"""What batch norm does in eval mode: $\gamma' x + \beta'$ per channel.

    With $\gamma' = \gamma / \sqrt{v + \varepsilon}$ and $\beta' = \beta - \gamma' m$ for its
    statistics m and v: parameters like any other, which a prior can have.

    Args:
        norm: With running statistics.
    """

    def __init__(self, norm: nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d) -> None:
        super().__init__()
        mean, variance = norm.running_mean, norm.running_var
        scale = (torch.as_tensor(variance) + norm.eps).rsqrt()
        shift = torch.zeros_like(scale)
        if norm.affine:
            scale, shift = scale * norm.weight.detach(), norm.bias.detach().clone()
        self.weight = nn.Parameter(scale)
        self.bias = nn.Parameter(shift - scale * torch.as_tensor(mean))

    def forward(self, inputs: Tensor) -> Tensor:
        """Scaled and shifted, channel by channel."""
        shape = (1, -1) + (1,) * (inputs.dim() - 2)
        found: Tensor = inputs * self.weight.view(shape) + self.bias.view(shape)
        return found


def folded(model: nn.Module) -> nn.Module:
    """The model with every batch norm replaced, in place; the same function in eval mode.

    Args:
        model: A copy.
    """
    if isinstance(model, _NORMS) and model.running_mean is not None:
        return ScaleShift(model)
    made: dict[nn.Module, ScaleShift] = {}
    for parent in list(model.modules()):
        for name, child in list(parent._modules.items()):
            if isinstance(child, _NORMS) and child.running_mean is not None:
                if child not in made:
                    made[child] = ScaleShift(child)
                setattr(parent, name, made[child])
    return model
