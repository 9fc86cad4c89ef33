"""What the tests of attacks attack: a small network on images of digits."""

import torch
from sklearn.datasets import load_digits
from torch import nn

from wellposed.perturb import L1, L2, Linf


def digits():
    """A small network on scikit-learn's digits, and 150 images that it has not seen."""
    torch.manual_seed(0)
    data = load_digits()
    x, y = torch.tensor(data.data / 16).float(), torch.tensor(data.target)
    model = nn.Sequential(nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 10))
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(80):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x[:1200]), y[:1200]).backward()
        optimizer.step()
    model.requires_grad_(False)
    x, y = x[1200:], y[1200:]
    right = model(x).argmax(1) == y
    return model, x[right][:150], y[right][:150]


MODEL, X, Y = digits()
BALLS = {"Linf": Linf(0.08), "L2": L2(0.5), "L1": L1(2.0)}
