"""Deep networks, healthy and with planted faults, for the checks of signals."""

import torch
from torch import nn


def chain(depth, width=32, activation=nn.ReLU, *, scale=None, normalize=False, inputs=12, seed=0):
    """Linear layers in a row; weights of variance scale/(fan in) without biases, or torch's own."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers, n = [], inputs
        for _ in range(depth):
            layers += [nn.Linear(n, width), activation()]
            if normalize:
                layers.insert(-1, nn.BatchNorm1d(width))
            n = width
        model = nn.Sequential(*layers, nn.Linear(n, 3))
        if scale is not None:
            for layer in model:
                if isinstance(layer, nn.Linear):
                    nn.init.normal_(layer.weight, 0, (scale / layer.in_features) ** 0.5)
                    nn.init.zeros_(layer.bias)
    return model


class Residual(nn.Module):
    """x + branch(x) again and again, with He's weights; with and without normalization."""

    def __init__(self, depth, width=32, *, normalize, seed=0):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.stem, self.head = nn.Linear(12, width), nn.Linear(width, 3)
            self.blocks = nn.ModuleList(
                nn.Sequential(
                    nn.LayerNorm(width) if normalize else nn.Identity(),
                    nn.Linear(width, width),
                    nn.ReLU(),
                    nn.Linear(width, width),
                )
                for _ in range(depth)
            )
            for layer in self.modules():
                if isinstance(layer, nn.Linear):
                    nn.init.kaiming_normal_(layer.weight)
                    nn.init.zeros_(layer.bias)

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = x + block(x)
        return self.head(x)


def examples(n=128, seed=0):
    """Standard normal inputs, shape (n, 12), and three classes."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 12, generator=generator)
    return {"train": (x, torch.randint(3, (n,), generator=generator))}
