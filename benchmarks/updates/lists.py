"""The parameter lists, and the network of the training step."""

import torch
from torch import Tensor, nn


def lenet() -> nn.Sequential:
    """LeNet-5 with 61,706 weights for 28x28 pictures."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2),
        nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2), nn.Flatten(),
        nn.Linear(400, 120), nn.Tanh(), nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 10),
    )  # fmt: skip


def lenet_shapes() -> list[tuple[int, ...]]:
    return [tuple(p.shape) for p in lenet().parameters()]


def resnet18_shapes() -> list[tuple[int, ...]]:
    """The parameters of the ImageNet ResNet-18, in order."""
    shapes: list[tuple[int, ...]] = [(64, 3, 7, 7), (64,), (64,)]
    width = 64
    for channels in (64, 128, 256, 512):
        for block in range(2):
            shapes += [(channels, width, 3, 3), (channels,), (channels,)]
            shapes += [(channels, channels, 3, 3), (channels,), (channels,)]
            if block == 0 and width != channels:
                shapes += [(channels, width, 1, 1), (channels,), (channels,)]
            width = channels
    return [*shapes, (1000, 512), (1000,)]


def weights(shapes: list[tuple[int, ...]], *, seed: int = 0) -> list[Tensor]:
    """Parameters of these shapes, each with a gradient."""
    generator = torch.Generator().manual_seed(seed)
    params: list[Tensor] = []
    for shape in shapes:
        p = nn.Parameter(torch.randn(shape, generator=generator) * 0.01)
        p.grad = torch.randn(shape, generator=generator) * 1e-3
        params.append(p)
    return params
