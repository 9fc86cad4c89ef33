import numpy as np
import pytest
import torch
from tests.audit.deep import chain, examples
from torch import nn
from torch.nn import functional

from wellposed.audit import Subject
from wellposed.audit._sites import record
from wellposed.audit._units import activations, count_units, mode


def planted(dead, width=8):
    """A layer whose first units can never fire, and whose others always do."""
    model = nn.Sequential(nn.Linear(12, width), nn.ReLU(), nn.Linear(width, 3))
    with torch.no_grad():
        model[0].weight.mul_(0.01)
        model[0].bias.fill_(10.0)
        model[0].bias[:dead] = -10.0
    return model


@pytest.mark.parametrize("dead", [0, 3, 8])
def test_planted_dead_units_are_counted_exactly_over_several_batches(dead):
    subject = Subject(planted(dead), examples(101), batch_size=25)
    found, seen = count_units(subject, "train", 101)
    assert seen == 100  # the last batch had one example
    (units,) = found.values()
    assert (units.name, units.function, units.dead) == ("1", "ReLU", dead)
    assert units.rectifies
    assert units.silent.tolist() == [True] * dead + [False] * (8 - dead)
    assert units.mean_blocked(2.0) == pytest.approx((dead / 8,) * 3)


def test_a_unit_that_fires_once_is_not_dead():
    model = nn.Sequential(nn.Linear(12, 1, bias=False), nn.ReLU(), nn.Linear(1, 3))
    x, y = examples(100)["train"]
    with torch.no_grad():
        model[0].weight.zero_()
        model[0].weight[0, 0] = 1
        x[:, 0] = -1.0
        x[77, 0] = 1.0
    found, _ = count_units(Subject(model, {"train": (x, y)}), "train", 100)
    assert found["1"].dead == 0
    mean, low, high = found["1"].mean_blocked(1.96)
    assert mean == pytest.approx(0.99)
    assert low < 0.99 < high


def test_saturation_is_below_one_per_cent_of_the_greatest_derivative():
    """tanh' = 1/cosh^2 is 0.01 at arcosh(10) = 2.993."""
    model = nn.Sequential(nn.Linear(12, 4), nn.Tanh(), nn.Linear(4, 3))
    with torch.no_grad():
        model[0].weight.zero_()
        model[0].bias.copy_(torch.tensor([2.99, 3.0, -3.0, 0.0]))
    found, _ = count_units(Subject(model, examples(20)), "train", 20)
    assert found["1"].silent.tolist() == [False, True, True, False]
    assert not found["1"].rectifies
    assert not found["1"].still.any()


def test_functions_and_channels_are_seen():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.c1, self.c2 = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 5, 3)
            self.drop, self.f1, self.f2 = nn.Dropout(), nn.Linear(20, 6), nn.Linear(6, 2)

        def forward(self, x):
            x = functional.relu(self.c1(x))
            x = functional.max_pool2d(functional.relu(self.c2(x)), 2)
            return self.f2(self.drop(torch.sigmoid(self.f1(x.flatten(1)))))

    torch.manual_seed(0)
    model = Net().eval()
    with torch.no_grad():
        model.c1.bias[0] = model.c2.bias[1] = -100.0
    trace = record(model, torch.randn(9, 1, 8, 8))
    found = {units.name: units for units in activations(trace)}
    assert list(found) == ["relu after c1", "zeros to f1", "sigmoid after f1"]
    assert found["relu after c1"].silent.tolist() == [True, False, False, False]
    assert found["zeros to f1"].silent.tolist() == [False, True, False, False, False]
    assert found["relu after c1"].layer is model.c1


def test_normalization_that_has_seen_nothing_works_by_the_batch():
    x = 3 + torch.randn(40, 6, generator=torch.Generator().manual_seed(0))
    norm = nn.BatchNorm1d(6).eval()
    with mode(norm), torch.no_grad():
        assert float(norm(x).mean().abs()) < 1e-5
    norm.num_batches_tracked.add_(1)
    with mode(norm), torch.no_grad():
        torch.testing.assert_close(norm(x), x / np.sqrt(1 + 1e-5), rtol=1e-5, atol=1e-6)


def test_layers_behind_batch_normalization_are_known():
    trace = record(chain(2, 8, normalize=True).train(), examples(30)["train"][0])
    assert [u.layer is not None for u in activations(trace)] == [True, True]
