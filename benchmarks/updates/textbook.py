"""SAM as a textbook writes it: two calls per step, tensor by tensor.

Written from the equations of Foret et al., arXiv:2010.01412, and Kwon et al., arXiv:2102.11600, in
the form in which most people use it (first step, second gradient, second step).
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD, Optimizer


class TextbookSAM(Optimizer):
    """Climb to x + rho g / |g|, take the gradient there, go back, step."""

    def __init__(self, params: list[Tensor], *, rho: float, adaptive: bool, **sgd: Any) -> None:
        super().__init__(params, {"rho": rho, "adaptive": adaptive, **sgd})
        self.base = SGD(self.param_groups, **sgd)

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor]) -> None:
        """The gradient at x is there; the closure computes the one at the probe."""
        norms = [
            (p.abs() * p.grad if group["adaptive"] else p.grad).norm()
            for group in self.param_groups
            for p in group["params"]
        ]
        norm = torch.stack(norms).norm()
        for group in self.param_groups:
            for p in group["params"]:
                self.state[p]["x"] = p.clone()
                direction = p.square() * p.grad if group["adaptive"] else p.grad
                p.add_(direction * (group["rho"] / (norm + 1e-12)))
        with torch.enable_grad():
            closure()
        for group in self.param_groups:
            for p in group["params"]:
                p.copy_(self.state[p]["x"])
        self.base.step()
