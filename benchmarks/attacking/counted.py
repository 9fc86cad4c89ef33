"""A model that counts what it is asked, by whomever."""

from typing import Any

import torch
from torch import Tensor, nn


class Count:
    """Of inputs, not of batches; copies of a model share it.

    Args:
        forwards: How many inputs the model was given, with a gradient or without.
        gradients: For how many of them a gradient was prepared.
    """

    def __init__(self) -> None:
        self.forwards = self.gradients = 0

    def __deepcopy__(self, _memo: Any) -> "Count":
        return self


class Counted(nn.Module):
    """The same model, with a count."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model, self.count = model, Count()

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        self.count.forwards += len(x)
        if torch.is_grad_enabled() and x.requires_grad:
            self.count.gradients += len(x)
        logits: Tensor = self.model(x)
        return logits
