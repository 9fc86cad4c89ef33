import pytest
import torch
from torch import nn
from torch.nn import functional

from wellposed.certify import certify
from wellposed.errors import ArgumentError
from wellposed.perturb import Linf
from wellposed.regularizers._interval import Interval


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x):
        return x + self.inner(x).relu()


class Views(nn.Module):
    def forward(self, x):
        return functional.leaky_relu(x.reshape(x.shape[0], -1), 0.1).view(x.size(0), -1)


def network():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, stride=2, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        Residual(),
        nn.MaxPool2d(2),
        nn.Tanh(),
        Views(),
        nn.Dropout(0.5),
        nn.Linear(16, 8),
        nn.Sigmoid(),
        nn.Linear(8, 3),
    )
    model(torch.rand(50, 1, 8, 8))  # statistics that are not 0 and 1
    return model.double().eval()


def around(inputs, eps):
    return Interval((inputs - eps).clamp(0, 1), (inputs + eps).clamp(0, 1))


def test_every_output_of_the_interval_is_inside():
    model, inputs = network(), torch.rand(6, 1, 8, 8).double()
    ends = around(inputs, 0.1)
    found = model(ends)
    for share in torch.rand(50, 6, 1, 8, 8).double().round(decimals=1):  # corners among them
        outputs = model(ends.lower + share * (ends.upper - ends.lower))
        assert (found.lower <= outputs + 1e-12).all()
        assert (outputs <= found.upper + 1e-12).all()


def test_of_a_point_it_is_the_output():
    model, inputs = network(), torch.rand(6, 1, 8, 8).double()
    found = model(Interval(inputs, inputs))
    torch.testing.assert_close(found.lower, model(inputs))
    torch.testing.assert_close(found.upper, model(inputs))
    y = torch.arange(6) % 3
    outputs = model(inputs)
    torch.testing.assert_close(found.differences(y), outputs - outputs.gather(1, y[:, None]))


def test_of_a_linear_layer_differences_are_exact():
    torch.manual_seed(0)
    model, inputs, y = nn.Linear(5, 3).double(), torch.rand(4, 5).double(), torch.arange(4) % 3
    found = model(around(inputs, 0.1)).differences(y)
    ends = around(inputs, 0.1)
    rows = model.weight - model.weight[y][:, None]
    best = torch.where(rows > 0, ends.upper[:, None], ends.lower[:, None])
    wanted = (rows * best).sum(2) + model.bias - model.bias[y][:, None]
    torch.testing.assert_close(found, wanted)
    assert torch.equal(found.gather(1, y[:, None]), torch.zeros(4, 1).double())


def test_it_agrees_with_the_certificate():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(36, 8), nn.ReLU(),
        nn.Linear(8, 3),
    ).double()  # fmt: skip
    inputs, y = torch.rand(5, 1, 8, 8).double(), torch.arange(5) % 3
    found = model(around(inputs, 0.02)).differences(y).detach()
    others = functional.one_hot(y, 3) == 0
    margin = -found[others].view(5, 2).amax(1)
    proven = certify(model, inputs, y, Linf(0.02), method="ibp")
    torch.testing.assert_close(margin, proven.margin, rtol=1e-9, atol=1e-9)


def test_derivatives_pass():
    model, inputs, y = network(), torch.rand(2, 1, 8, 8).double(), torch.arange(2)
    weight = model[0].weight

    def value(w):
        return torch.func.functional_call(
            model, {"0.weight": w}, (around(inputs, 0.1),)
        ).differences(y)

    assert torch.autograd.gradcheck(value, weight.detach().clone().requires_grad_())


@pytest.mark.parametrize(
    "module", [nn.Softmax(1), nn.LayerNorm(5), nn.GELU(), nn.BatchNorm1d(5), nn.Dropout(0.1)]
)
def test_what_is_not_known_is_refused_by_name(module):
    with pytest.raises(ArgumentError, match=r"interval bounds do not know \w+"):
        module.train()(Interval(torch.zeros(3, 5), torch.ones(3, 5)))


def test_it_is_no_tensor_where_it_says_nothing():
    with pytest.raises(AttributeError):
        Interval(torch.zeros(1), torch.ones(1)).colour  # noqa: B018


class Normalized(nn.Module):
    """Constants on both sides of an interval."""

    def forward(self, x):
        x = (x - torch.tensor([0.4, 0.5])) / torch.tensor([0.3, -0.2])
        return torch.add(-1.5 * x, torch.ones(2), alpha=-2)


def test_constants_move_and_stretch_both_ends():
    ends = Interval(torch.tensor([[0.1, 0.2]]), torch.tensor([[0.3, 0.9]]))
    found = Normalized()(ends)
    corners = [Normalized()(torch.stack([a, b], 1)) for a in (ends.lower[:, 0], ends.upper[:, 0])
               for b in (ends.lower[:, 1], ends.upper[:, 1])]  # fmt: skip
    torch.testing.assert_close(found.lower, torch.stack(corners).amin(0))
    torch.testing.assert_close(found.upper, torch.stack(corners).amax(0))


def test_what_does_not_increase_is_refused():
    ends = Interval(torch.tensor([[-1.0]]), torch.tensor([[1.0]]))
    with pytest.raises(ArgumentError, match="do not know leaky_relu"):
        functional.leaky_relu(ends, -0.2)
    with pytest.raises(ArgumentError, match="do not know add"):
        torch.add(ends, ends, alpha=-1)
    with pytest.raises(ArgumentError, match="do not know mul"):
        ends * ends
