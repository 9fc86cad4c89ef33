"""The mean of replicas: entered and left without a trace."""

import pytest
import torch
from torch import nn

from wellposed.errors import ArgumentError
from wellposed.optim import Parle, average_buffers


def three(dtype=torch.float32, steps=7):
    """Three replicas, somewhere within a cycle."""
    params = [nn.Parameter(torch.full((3,), float(a), dtype=dtype)) for a in range(3)]
    groups = [{"params": [p], "replica": a} for a, p in enumerate(params)]
    optimizer = Parle(groups, inner_steps=5, rho=0.1)
    for step in range(steps):
        for a, p in enumerate(params):
            p.grad = torch.full((3,), float(a + step), dtype=dtype)
        optimizer.step()
    return params, optimizer


@pytest.mark.parametrize("steps", [0, 5, 7])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("evaluating", [False, True])
def test_within_all_hold_the_mean_and_afterwards_what_they_held(steps, dtype, evaluating):
    params, optimizer = three(dtype, steps)
    if evaluating:
        optimizer.eval()
    before = [p.detach().clone() for p in params]
    with optimizer.at_anchor():
        mean = torch.stack([p.detach().float() for p in params]).mean(0).to(dtype)
    with optimizer.at_consensus():
        for p in params:
            torch.testing.assert_close(p.detach(), mean)
            assert torch.equal(p, params[0])
    assert all(torch.equal(p, b) for p, b in zip(params, before, strict=True))


def test_what_happens_within_is_undone_if_it_fails():
    params, optimizer = three()
    before = [p.detach().clone() for p in params]
    with pytest.raises(ZeroDivisionError), optimizer.at_consensus():
        _ = 1 / 0
    assert all(torch.equal(p, b) for p, b in zip(params, before, strict=True))


def test_it_leaves_no_trace_in_training():
    straight, optimizer = three()
    disturbed, other = three()
    with other.at_consensus():
        pass
    assert other.disagreement() > 0
    for step in range(8):
        for p, q in zip(straight, disturbed, strict=True):
            p.grad, q.grad = torch.full((3,), float(step)), torch.full((3,), float(step))
        optimizer.step()
        other.step()
    assert all(torch.equal(p, q) for p, q in zip(straight, disturbed, strict=True))


def test_disagreement_is_the_distance_to_the_mean():
    optimizer = three(steps=0)[1]
    assert optimizer.disagreement() == pytest.approx((3 * (1 + 0 + 1) / 3) ** 0.5)


def test_buffers_are_averaged_and_counters_are_not():
    models = [nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)) for _ in range(2)]
    for a, model in enumerate(models):
        model(torch.full((4, 3), float(a)) + torch.arange(4.0)[:, None])
        model(torch.zeros(4, 3)) if a else None
    expected = (models[0][1].running_var + models[1][1].running_var) / 2
    weights = models[0][0].weight.detach().clone()
    average_buffers(*models)
    for model in models:
        torch.testing.assert_close(model[1].running_var, expected)
    assert [model[1].num_batches_tracked.item() for model in models] == [1, 2]
    assert torch.equal(models[0][0].weight, weights)


def test_models_without_buffers_have_nothing_to_average():
    average_buffers(nn.Linear(2, 2))


@pytest.mark.parametrize("models", [[], [nn.BatchNorm1d(2), nn.BatchNorm1d(3)]])
def test_models_that_do_not_match_are_refused(models):
    with pytest.raises(ArgumentError, match=r"got \d models.*replicas of one model"):
        average_buffers(*models)
