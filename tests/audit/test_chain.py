import numpy as np
import pytest
import torch
from tests.audit.deep import chain, examples
from torch import nn

from wellposed.audit import Subject
from wellposed.audit._chain import propagate, width
from wellposed.errors import ArgumentError


def of(model, **kwargs):
    subject = Subject(model, examples(32))
    return propagate(subject, model, "train", 32, **kwargs)


def test_layers_of_one_kind_make_a_chain_whatever_stands_between():
    model = nn.Sequential(
        nn.Unflatten(1, (3, 4)), nn.Conv1d(3, 4, 3, padding=1), nn.BatchNorm1d(4), nn.ReLU(),
        nn.Conv1d(4, 4, 3, padding=1), nn.BatchNorm1d(4), nn.ReLU(),
        nn.Conv1d(4, 4, 3, padding=1), nn.Flatten(), nn.Linear(16, 8), nn.Linear(8, 8),
        nn.Linear(8, 3),
    )  # fmt: skip
    convolutions, linear = of(model).chains
    assert (convolutions.kind, convolutions.sites) == ("Conv", (1, 4, 7))
    assert (linear.kind, linear.sites) == ("Linear", (9, 10, 11))
    assert convolutions.normalized
    assert not linear.normalized
    assert not linear.shared
    assert [name for name, _ in linear.between] == ["nothing", "nothing"]


def test_few_layers_of_each_kind_are_one_chain():
    model = nn.Sequential(
        nn.Unflatten(1, (3, 4)), nn.Conv1d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3)
    )
    (everything,) = of(model).chains
    assert (everything.kind, everything.sites) == ("weight", (1, 4))


def test_powers_of_a_linear_network_are_those_of_its_matrices():
    model = chain(3, 8, nn.Identity)
    found = of(model)
    x = examples(32)["train"][0]
    linear = [s for s in model if isinstance(s, nn.Linear)]
    h = x
    for number, layer in zip(found.chains[0].sites, linear, strict=True):
        h = layer(h)
        expected = h.detach().square().mean(1).numpy()
        np.testing.assert_allclose(found.forward[number], expected, rtol=1e-5)
    last, previous = found.chains[0].sites[-1], found.chains[0].sites[-2]
    g = found.gives[last] @ linear[-1].weight
    np.testing.assert_allclose(
        found.backward[previous], g.detach().square().sum(1).numpy(), rtol=1e-5
    )


def test_the_loss_is_that_of_the_subject():
    model = chain(2, 8)
    found = of(model)
    x, y = examples(32)["train"]
    outputs = model(x)
    loss = nn.functional.cross_entropy(outputs, y, reduction="sum")
    g = torch.autograd.grad(loss, outputs)[0]
    np.testing.assert_allclose(found.loss[-1], g.square().sum(1).numpy(), rtol=1e-4)
    assert of(model, loss=False).loss is None


def test_width_is_of_channels_and_features():
    sites = of(chain(2, 7)).trace.sites
    assert [width(s) for s in sites if s.weighs] == [7, 7, 3]


def test_refuses_networks_without_depth_and_without_a_gradient():
    with pytest.raises(ArgumentError, match=r"one layer has no depth"):
        of(nn.Linear(12, 3))

    class Detached(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(12, 3)

        def forward(self, x):
            return self.layer(x).detach()

    with pytest.raises(ArgumentError, match=r"no gradient flows"):
        of(Detached())
