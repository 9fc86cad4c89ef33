"""The most negative curvature of an objective, against the dense Hessian."""

import pytest
import torch
from torch import nn

from wellposed import data, losses, models, optim, regularizers
from wellposed.problem import Problem
from wellposed.train import Plan, fit
from wellposed.train._curvature import least_curvature


@pytest.fixture(scope="module")
def digits():
    return data.load(data.Digits(), seed=0)


def network(digits):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Flatten(), nn.Linear(64, 3), nn.BatchNorm1d(3), nn.Tanh(), nn.Dropout(0.5),
        nn.Linear(3, 10),
    )  # fmt: skip


def test_it_is_the_least_eigenvalue_of_the_dense_hessian(digits):
    model = network(digits)
    problem = Problem(digits, model, losses.CrossEntropy(), regularizers.L2(1e-3))
    inputs, targets = digits.train.take(torch.arange(100))
    before = {k: v.clone() for k, v in model.state_dict().items()}
    state = torch.get_rng_state()
    found = least_curvature(problem, model, inputs, targets)
    assert torch.equal(torch.get_rng_state(), state)
    assert model.training
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())

    names = [name for name, _ in model.named_parameters()]
    shapes = [p.shape for p in model.parameters()]

    def objective(flat):
        pieces = flat.split([s.numel() for s in shapes])
        values = {n: v.view(s) for n, v, s in zip(names, pieces, shapes, strict=True)}
        outputs = torch.func.functional_call(model, values, (inputs,))
        decayed = sum(v.square().sum() for v in values.values() if v.dim() > 1)
        return nn.functional.cross_entropy(outputs, targets) + 0.5e-3 * decayed

    model.eval()
    flat = torch.cat([p.detach().flatten() for p in model.parameters()])
    dense = torch.linalg.eigvalsh(torch.autograd.functional.hessian(objective, flat))
    assert found == pytest.approx(dense[0].item(), rel=0.1, abs=2e-3)


def test_fit_records_it_and_trains_the_same(digits):
    def run(curvature):
        torch.manual_seed(0)
        model = models.MLP(shape=digits.shape, classes=10)
        problem = Problem(digits, model, losses.CrossEntropy())
        optimizer = optim.HamiltonJacobi(model.parameters(), lr=0.05, inner_steps=7)
        plan = Plan(epochs=2, batch_size=128, curvature=curvature, evaluate_every=5)
        return fit(problem, optimizer, plan), model

    (result, watched), (_, plain) = run(64), run(None)
    values = [r["lambda_min"] for r in result.records if r["event"] == "evaluation"]
    assert len(values) > 2
    assert all(-10 < v < 0 for v in values)
    for p, q in zip(watched.parameters(), plain.parameters(), strict=True):
        assert torch.equal(p, q)


def test_a_frozen_model_has_no_curvature(digits):
    model = network(digits).requires_grad_(False)
    inputs, targets = digits.train.take(torch.arange(10))
    problem = Problem(digits, model, losses.CrossEntropy())
    assert least_curvature(problem, model, inputs, targets) == 0.0
