"""A network whose objective is an exact quadratic of its weights."""

import torch
from torch import nn

EIGENVALUES = torch.logspace(0, 2, 12, dtype=torch.float64)


class Bowl(nn.Module):
    """The outputs are w - x, so that a weighted sum of squares is an exact quadratic of w."""

    def __init__(self, weights):
        super().__init__()
        self.w = nn.Parameter(weights)

    def forward(self, inputs):
        return (self.w - inputs.view(-1, *self.w.shape)).flatten(1)


def quadratic(outputs, targets):
    return 0.5 * (outputs.square() * EIGENVALUES).sum(1)
