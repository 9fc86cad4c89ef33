from dataclasses import dataclass
from functools import cache

import pytest
import torch
from torch import nn

from wellposed.certify import trace

torch.set_num_threads(1)


@dataclass(frozen=True)
class Ball:
    eps: float
    norm: str = "linf"


class Mixed(nn.Module):
    """Every operation that has bounds, in a small network with a residual and a concatenation."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.4, 0.5]).view(1, 2, 1, 1))
        self.std = torch.tensor([0.5, 0.6]).view(2, 1, 1)
        self.first = nn.Conv2d(2, 4, 3, padding=1, stride=2)
        self.norm = nn.BatchNorm2d(4)
        self.second = nn.Conv2d(4, 4, 3, padding=2, dilation=2, groups=2)
        self.rectify = nn.ReLU(inplace=True)
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        self.average = nn.AvgPool2d(2, stride=1, padding=1)
        self.small = nn.AdaptiveAvgPool2d(1)
        self.dense = nn.Linear(8, 6)
        self.drop = nn.Dropout()
        self.line = nn.Conv1d(1, 2, 3)
        self.last = nn.Linear(8, 3)

    def forward(self, x):
        x = self.rectify(self.norm(self.first((x - self.mean) / self.std)))
        x += self.second(x)
        x = self.average(self.pool(x))
        x = self.small(torch.cat([x, -x], 1)).flatten(1)
        x = nn.functional.leaky_relu(torch.tanh(self.drop(self.dense(x))), 0.1)
        x = self.line(x.unsqueeze(1)).sigmoid().reshape(len(x), -1)
        return 2 * self.last(x) + 1


def network(kind):
    if kind == "mixed":
        return Mixed()
    if kind == "dense":
        return nn.Sequential(
            nn.Flatten(), nn.Linear(72, 12), nn.ReLU(), nn.Linear(12, 9), nn.ReLU(), nn.Linear(9, 3)
        )
    if kind == "conv":
        return nn.Sequential(
            nn.Conv2d(2, 5, 3, padding=1), nn.ReLU(), nn.Conv2d(5, 6, 3, stride=2), nn.ReLU(),
            nn.Conv2d(6, 4, 2), nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(4, 3),
        )  # fmt: skip
    assert kind == "smooth"
    return nn.Sequential(
        nn.Flatten(), nn.Linear(72, 8), nn.Tanh(), nn.Linear(8, 8), nn.Sigmoid(), nn.Linear(8, 3)
    )


KINDS = ("mixed", "dense", "conv", "smooth")


@pytest.fixture
def ball():
    return Ball


def made(kind, seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = network(kind)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 2)
        return model.eval()


@pytest.fixture
def make():
    """Networks on inputs of shape (2, 6, 6), by kind, with three classes."""
    return made


@pytest.fixture(scope="session")
def traced():
    """The same networks, read once for all tests."""

    @cache
    def read(kind):
        return trace(made(kind), (2, 6, 6))

    return read


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def points():
    """Random inputs of a region: corners, edges, inside."""

    def drawn(region, count, seed=0):
        generator = torch.Generator().manual_seed(seed)
        low, high = region.low, region.high
        shape = (count, *low.shape)
        share = torch.rand(shape, generator=generator, dtype=torch.float64)
        corners = torch.rand((count,) + (1,) * low.dim(), generator=generator) < 0.5
        share = torch.where(corners, share.round(), share)
        points = low + share * (high - low)
        if region.norm == "linf":
            return points
        shift = (points - region.center).flatten(2)
        size = shift.norm(p=2 if region.norm == "l2" else 1, dim=2, keepdim=True)
        shift = shift * (region.eps / size.clamp(min=region.eps))
        return region.center + shift.reshape(shape)

    return drawn
