"""VarPro against scipy, finite differences and the joint problem."""

import copy
import inspect

import numpy as np
import pytest
import torch
from scipy.optimize import least_squares
from torch import nn
from torch.nn import functional

from wellposed.errors import ArgumentError
from wellposed.optim import GaussNewton, VarPro


class Exponentials(nn.Module):
    """y = a exp(-p t) + b exp(-q t) + c, with p and q hidden."""

    def __init__(self, rates):
        super().__init__()
        self.rates = nn.Parameter(torch.tensor(rates, dtype=torch.float64))
        self.output = nn.Linear(2, 1).double()

    def features(self, times):
        return torch.exp(-times.unsqueeze(1) * self.rates)


def curve():
    times = torch.linspace(0, 5, 60, dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    noise = 0.01 * torch.randn(60, dtype=torch.float64, generator=generator)
    return times, 3 * torch.exp(-0.7 * times) - 2 * torch.exp(-3 * times) + 1 + noise


def test_separable_least_squares_end_where_scipys_joint_fit_does():
    times, data = curve()
    model = Exponentials([0.2, 6.0])
    optimizer = VarPro(
        model.parameters(), model.output, "squared error", tikhonov=0.0, iterations=50
    )
    optimizer.step(lambda: (model.features(times), data.unsqueeze(1)))

    def residuals(z):
        return z[0] * np.exp(-z[1] * times.numpy()) + z[2] * np.exp(-z[3] * times.numpy()) + (
            z[4] - data.numpy()
        )  # fmt: skip

    theirs = least_squares(residuals, [1.0, 0.2, 1.0, 6.0, 0.0], xtol=1e-14, ftol=1e-14, gtol=1e-14)
    ours = torch.cat([model.output.weight[0], model.rates, model.output.bias]).detach().numpy()
    np.testing.assert_allclose(ours, theirs.x[[0, 2, 1, 3, 4]], rtol=1e-5)
    assert optimizer.effort.gradients < theirs.nfev  # elimination makes it an easier problem


class Net(nn.Module):
    def __init__(self, *, bias=True):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.hidden = nn.Sequential(nn.Linear(2, 5), nn.Tanh()).double()
            self.output = nn.Linear(5, 3, bias=bias).double()


def sample():
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(40, 2, dtype=torch.float64, generator=generator)
    return inputs, (inputs[:, 0] > 0).long() + (inputs[:, 1] > 0.3).long()


LOSSES = ["squared error", "cross-entropy"]


def mean_loss(outputs, labels, loss):
    if loss == "cross-entropy":
        return functional.cross_entropy(outputs, labels)
    return (outputs - functional.one_hot(labels, 3)).square().sum() / (2 * len(labels))


def gradient_of(model, loss, **own):
    """The gradient that a step is built on, and the reduced objective."""
    optimizer = VarPro(model.parameters(), model.output, loss, tikhonov=0.01, **own)
    inputs, labels = sample()
    weights = list(model.hidden.parameters())
    found = optimizer._quadratic(lambda: (model.hidden(inputs), labels), weights)
    return found.gradient, found.loss


def differences(model, loss, step=1e-5):
    """Central differences of the reduced objective, W solved anew at each point."""
    found = []
    for w in model.hidden.parameters():
        for i in range(w.numel()):
            values = []
            for sign in (1, -1):
                moved = copy.deepcopy(model)
                at = dict(zip(model.hidden.parameters(), moved.hidden.parameters(), strict=True))
                with torch.no_grad():
                    at[w].view(-1)[i] += sign * step
                values.append(gradient_of(moved, loss, tolerance=1e-12)[1].item())
            found.append((values[0] - values[1]) / (2 * step))
    return torch.tensor(found, dtype=torch.float64)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_the_gradient_is_that_of_the_reduced_objective_where_w_is_solved(loss, decay):
    expected = differences(Net(), loss)
    if decay:
        weights = list(Net().hidden.parameters())
        expected += decay * torch.cat([w.detach().reshape(-1) for w in weights])
    found, _ = gradient_of(Net(), loss, weight_decay=decay, tolerance=1e-12)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_gradient_is_wrong_by_the_order_of_the_residual_where_w_is_not_solved(loss):
    # d/dtheta at fixed W misses (dW/dtheta)' grad_W: linear in the residual |grad_W|.
    model = Net()
    inputs, labels = sample()
    right, _ = gradient_of(model, loss, tolerance=1e-12)  # the model now holds the best W
    best = copy.deepcopy(model.output.state_dict())
    ratios = []
    for size in (1e-2, 1e-3, 1e-4):
        model.output.load_state_dict(best)
        with torch.no_grad():
            model.output.weight[0] += size
        objective = mean_loss(model.output(model.hidden(inputs)), labels, loss)
        objective = objective + 0.005 * sum(w.square().sum() for w in model.output.parameters())
        every = [*model.hidden.parameters(), *model.output.parameters()]
        grads = torch.autograd.grad(objective, every)
        found = torch.cat([g.reshape(-1) for g in grads[:2]])
        residual = torch.cat([g.reshape(-1) for g in grads[2:]]).norm()
        ratios.append((found - right).norm().item() / residual.item())
    assert ratios[1] == pytest.approx(ratios[2], rel=0.05)
    assert 0.01 < ratios[2] < 10


@pytest.mark.parametrize("tolerance", [1e-2, 1e-4, 1e-6])
def test_the_tolerance_bounds_the_error_of_the_gradient(tolerance):
    right, _ = gradient_of(Net(), "cross-entropy", tolerance=1e-12)
    found, _ = gradient_of(Net(), "cross-entropy", tolerance=tolerance)
    assert float((found - right).norm()) <= 10 * tolerance


@pytest.mark.parametrize("loss", LOSSES)
def test_it_goes_lower_than_gauss_newton_in_as_many_gradients(loss):
    inputs, labels = sample()
    ours, theirs = Net(), Net()
    reduced = VarPro(ours.parameters(), ours.output, loss, tikhonov=0.01)
    joint = GaussNewton(theirs.parameters(), damping=0.01)

    def closure():
        outputs = theirs.output(theirs.hidden(inputs))
        penalty = 0.005 * sum(w.square().sum() for w in theirs.output.parameters())
        return mean_loss(outputs, labels, loss) + penalty, outputs

    for _ in range(8):
        found = reduced.step(lambda: (ours.hidden(inputs), labels))
        other = joint.step(closure)
    assert found < other
    # the loss it reports is the joint objective at the weights that it leaves
    outputs = ours.output(ours.hidden(inputs))
    penalty = 0.005 * sum(w.square().sum() for w in ours.output.parameters())
    value = (mean_loss(outputs, labels, loss) + penalty).item()
    assert reduced.step(lambda: (ours.hidden(inputs), labels)).item() == pytest.approx(
        value, rel=1e-9
    )


@pytest.mark.parametrize("bias", [True, False])
def test_the_output_layer_is_the_best_one_after_a_step(bias):
    inputs, labels = sample()
    model = Net(bias=bias)
    optimizer = VarPro(model.parameters(), model.output, tikhonov=0.01, tolerance=1e-10)
    optimizer.step(lambda: (model.hidden(inputs), labels))
    assert optimizer.outcome == "accepted"
    outputs = model.output(model.hidden(inputs).detach())
    penalty = 0.005 * sum(w.square().sum() for w in model.output.parameters())
    grads = torch.autograd.grad(
        functional.cross_entropy(outputs, labels) + penalty, list(model.output.parameters())
    )
    assert max(float(g.norm()) for g in grads) < 1e-9


@pytest.mark.simulation
def test_in_float32_the_layer_is_as_good_as_float32_allows():
    inputs, labels = sample()
    model = Net().float()
    optimizer = VarPro(model.parameters(), model.output, tikhonov=0.01, iterations=40)
    optimizer.step(lambda: (model.hidden(inputs.float()), labels))
    outputs = model.output(model.hidden(inputs.float()).detach())
    penalty = 0.005 * sum(w.square().sum() for w in model.output.parameters())
    grads = torch.autograd.grad(
        functional.cross_entropy(outputs, labels) + penalty, list(model.output.parameters())
    )
    assert max(float(g.norm()) for g in grads) < 1e-5
    assert model.output.weight.dtype == torch.float32


def test_a_frozen_output_layer_is_set_all_the_same():
    inputs, labels = sample()
    model = Net()
    model.output.requires_grad_(requires_grad=False)
    before = model.output.weight.clone()
    VarPro(model.parameters(), model.output).step(lambda: (model.hidden(inputs), labels))
    assert not torch.equal(model.output.weight, before)


def test_the_output_layer_goes_back_with_the_rest():
    inputs, labels = sample()
    model = Net()
    optimizer = VarPro(model.parameters(), model.output, lr=0.0)
    kept = copy.deepcopy(model)
    optimizer.step(lambda: (model.hidden(inputs), labels))
    pairs = zip(model.parameters(), kept.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_features_without_a_graph_are_told_so():
    inputs, labels = sample()
    model = Net()
    with pytest.raises(ArgumentError, match=r"features without a graph.*detach\(\)"):
        VarPro(model.parameters(), model.output).step(
            lambda: (model.hidden(inputs).detach(), labels)
        )


def test_dependent_features_at_a_trial_point_are_stepped_back_from():
    # At rate 0 the feature is the constant, so that the layer is not determined there.
    model = nn.Module()
    model.rate = nn.Parameter(torch.tensor([1.0], dtype=torch.float64))
    model.output = nn.Linear(1, 1).double()
    times = torch.linspace(0, 1, 9, dtype=torch.float64)
    optimizer = VarPro([model.rate], model.output, "squared error", tikhonov=0.0)

    def closure():
        features = torch.exp(-times.unsqueeze(1) * model.rate)
        if model.rate.item() != 1.0 and optimizer.effort.losses == 1:
            features = features * 0 + 1
        return features, torch.exp(-2 * times).unsqueeze(1)

    optimizer.step(closure)
    assert optimizer.outcome == "accepted"
    assert optimizer.effort.losses == 2


def test_features_that_are_not_finite_at_a_trial_point_are_stepped_back_from():
    inputs, labels = sample()
    model = Net()
    optimizer = VarPro(model.parameters(), model.output)
    optimizer.step(
        lambda: (model.hidden(inputs) * (torch.nan if optimizer.effort.losses == 1 else 1), labels)
    )
    assert optimizer.outcome == "accepted"
    assert optimizer.effort.losses == 2
    assert all(bool(w.isfinite().all()) for w in model.parameters())


WRONG = [
    ({"loss": "hinge"}, "loss='hinge'"),
    ({"tikhonov": 0.0}, "tikhonov=0.*cross-entropy"),
    ({"tikhonov": -1.0, "loss": "squared error"}, "tikhonov=-1"),
    ({"weight_decay": -1.0}, "weight_decay=-1"),
    ({"tolerance": 0.0}, "tolerance=0"),
    ({"lr": -1.0}, "lr=-1"),
    ({"output": nn.Linear(1000, 10)}, "10010 weights.*4096"),
    ({"output": nn.Linear(5, 3)}, "several kinds.*float32.*float64"),
]


@pytest.mark.parametrize(("arguments", "sentence"), WRONG, ids=[s for _, s in WRONG])
def test_a_wrong_argument_is_refused(arguments, sentence):
    model = Net()
    with pytest.raises(ArgumentError, match=sentence):
        VarPro(model.hidden.parameters(), **({"output": model.output} | arguments))


def test_an_output_layer_that_is_not_linear_is_refused():
    unchecked = inspect.unwrap(VarPro.__init__)  # where types are checked, that check comes first
    with pytest.raises(ArgumentError, match=r"type Conv2d.*nn\.Linear"):
        unchecked(VarPro.__new__(VarPro), Net().hidden.parameters(), nn.Conv2d(1, 1, 1))
