from dataclasses import FrozenInstanceError

import pytest
import torch
from torch import nn

from wellposed.errors import ArgumentError
from wellposed.losses import CrossEntropy, SquaredError
from wellposed.problem import Problem
from wellposed.regularizers import L2, Regularizer


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(12, 4, dtype=torch.float64, generator=generator)
    return inputs, torch.randn(12, 2, dtype=torch.float64, generator=generator)


@pytest.fixture
def model():
    return nn.Linear(4, 2, bias=False).double()


def test_ridge_regression_is_stationary_at_its_closed_form(batch, model):
    # min_W  1/(2n) |X W' - Y|^2 + b/2 |W|^2   at   W' = (X'X + n b I)^-1 X'Y.
    x, y = batch
    b = 0.3
    w = torch.linalg.solve(x.T @ x + len(x) * b * torch.eye(4, dtype=x.dtype), x.T @ y).T
    with torch.no_grad():
        model.weight.copy_(w)
    objective = Problem(None, model, SquaredError(), L2(b)).objective(x, y)
    objective.backward()
    assert model.weight.grad.abs().max() < 1e-14
    value = ((x @ w.T - y) ** 2).sum() / (2 * len(x)) + b / 2 * (w**2).sum()
    torch.testing.assert_close(objective.detach(), value)


def test_parts_add_up(batch, model):
    problem = Problem(None, model, SquaredError(), L2(0.5))
    terms = problem.parts(*batch)
    assert torch.equal(terms.outputs, model(batch[0]))
    assert torch.equal(terms.losses, SquaredError()(terms.outputs, batch[1]))
    assert terms.losses.shape == (12,)
    torch.testing.assert_close(terms.penalty, 0.25 * model.weight.square().sum())
    assert torch.equal(terms.objective, terms.losses.mean() + terms.penalty)
    assert torch.equal(terms.objective, problem.objective(*batch))


def test_without_a_regularizer_the_penalty_is_zero(batch, model):
    terms = Problem(None, model, SquaredError()).parts(*batch)
    assert terms.penalty.item() == 0
    assert terms.penalty.shape == ()
    assert torch.equal(terms.objective, terms.losses.mean())


def test_the_regularizer_sees_the_batch(batch, model):
    seen = []

    class Spy(Regularizer):
        def __call__(self, at):
            seen.append(at)
            return torch.zeros(())

    Problem(None, model, SquaredError(), Spy()).objective(*batch)
    (at,) = seen
    assert at.model is model
    assert at.inputs is batch[0]
    assert at.targets is batch[1]


def test_one_gradient_evaluation_runs_the_network_once(batch, model):
    calls = []
    model.register_forward_hook(lambda *_: calls.append(1))
    Problem(None, model, SquaredError(), L2(0.1)).objective(*batch).backward()
    assert len(calls) == 1


def test_takes_torchs_own_losses_if_they_do_not_average(batch):
    inputs, model = batch[0], nn.Linear(4, 3).double()
    targets = torch.arange(12) % 3
    torchs = nn.CrossEntropyLoss(reduction="none")
    one = Problem(None, model, torchs).objective(inputs, targets)
    ours = Problem(None, model, CrossEntropy()).objective(inputs, targets)
    torch.testing.assert_close(one, ours, rtol=1e-14, atol=0)  # another order of the sum


def test_a_loss_that_averages_is_refused(batch, model):
    problem = Problem(None, model, nn.MSELoss())
    with pytest.raises(ArgumentError, match=r"shape \(12,\), but got shape \(\); .*reduction"):
        problem.objective(*batch)


def test_is_a_frozen_value(model):
    problem = Problem(None, model, SquaredError())
    with pytest.raises(FrozenInstanceError):
        problem.loss = CrossEntropy()
