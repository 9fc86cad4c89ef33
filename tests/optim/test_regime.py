"""The numbers that say in which regime a relaxation runs."""

from math import inf, isnan, sqrt

import pytest
import torch
from torch import nn

from wellposed.optim import EntropySGD, Relaxation


def after(steps, dtype=torch.float64, *, evaluating=False, gradient=(3.0, 4.0), **arguments):
    """Diagnostics after steps with this gradient from the origin, with step size 0.1."""
    p = nn.Parameter(torch.zeros(2, dtype=dtype))
    optimizer = Relaxation([p], lr=0.1, **{"momentum": 0.0, "inner_steps": 4, **arguments})
    for _ in range(steps):
        p.grad = torch.tensor(gradient, dtype=dtype)
        optimizer.step()
    if evaluating:
        optimizer.eval()
    return optimizer.diagnostics()


@pytest.mark.parametrize("evaluating", [False, True])
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
@pytest.mark.parametrize(("steps", "inner", "outer"), [(3, 3, 0), (4, 0, 1), (7, 3, 1)])
@pytest.mark.parametrize("eta", [1.0, 0.5])
def test_the_anchor_distance_is_that_of_this_cycle_or_the_last(
    steps, inner, outer, eta, dtype, evaluating
):
    found = after(steps, dtype, evaluating=evaluating, outer_lr=eta)
    assert (found["inner_index"], found["outer_index"]) == (inner, outer)
    # Each step moves by 0.1 * |(3, 4)| = 0.5 against the gradient.
    rel = 2e-2 if dtype == torch.bfloat16 else 1e-12
    assert found["anchor_distance"] == pytest.approx(0.5 * (inner or 4), rel=rel)
    assert found["cosine"] == pytest.approx(1.0, rel=1e-3)


@pytest.mark.parametrize("evaluating", [False, True])
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_with_a_mean_it_is_the_distance_of_the_mean(evaluating, dtype):
    # Uniform mean of 1, 2, 3 steps: 2 steps.
    found = after(3, dtype, evaluating=evaluating, mean="uniform")
    rel = 2e-2 if dtype == torch.bfloat16 else 1e-12
    assert found["anchor_distance"] == pytest.approx(1.0, rel=rel)
    found = after(4, dtype, evaluating=evaluating, mean="uniform")
    assert found["anchor_distance"] == pytest.approx(1.25, rel=rel)


def test_the_strength_of_the_pull():
    found = after(5, gamma=2.0, gamma_growth=0.5, momentum=0.5)
    assert found["gamma"] == pytest.approx(3.0)
    assert found["pde_time"] == pytest.approx(1 / 3)
    assert found["kappa"] == pytest.approx(3.0 * 0.1 * 4 / 0.5)


def test_no_pull_is_infinite_time():
    found = after(1)
    assert (found["gamma"], found["pde_time"], found["kappa"]) == (0.0, inf, 0.0)
    plain, wild = after(1, gamma=1.0, momentum=0.0), after(1, gamma=1.0, momentum=1.0)
    assert plain["kappa"] == wild["kappa"]  # momentum of 1 or more has no long run to count


def test_the_cosine_knows_opposite_and_orthogonal_directions():
    p = nn.Parameter(torch.zeros(2))
    optimizer = Relaxation([p], lr=0.1, momentum=0.0)
    p.grad = torch.tensor([1.0, 0.0])
    optimizer.step()
    p.grad = torch.tensor([-1.0, 0.0])
    assert optimizer.diagnostics()["cosine"] == pytest.approx(-1.0)
    p.grad = torch.tensor([0.0, 1.0])
    assert optimizer.diagnostics()["cosine"] == 0.0


def test_the_noise_ratio_is_that_of_the_displacements():
    found = after(1, temperature=0.2)
    expected = sqrt(2 * 0.1 * 0.2) * sqrt(2) / (0.1 * 5.0)
    assert found["noise_ratio"] == pytest.approx(expected)
    assert after(1)["noise_ratio"] == 0.0


def test_without_gradients_or_steps_there_is_no_ratio():
    p = nn.Parameter(torch.zeros(2))
    optimizer = EntropySGD([p])
    assert isnan(optimizer.diagnostics()["cosine"])
    assert isnan(optimizer.diagnostics()["noise_ratio"])
    p.grad = torch.ones(2)
    optimizer.step()
    p.grad = None
    assert isnan(optimizer.diagnostics()["cosine"])
    assert optimizer.diagnostics()["anchor_distance"] > 0


def test_groups_and_idle_parameters_are_summed_right():
    a, b = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))
    optimizer = Relaxation([{"params": [a]}, {"params": [b], "lr": 0.2}], lr=0.1, momentum=0.0)
    a.grad, b.grad = torch.tensor([3.0]), torch.tensor([2.0])
    optimizer.step()
    found = optimizer.diagnostics()
    assert found["anchor_distance"] == pytest.approx(0.5)
    # x - mu = (0.3, 0.4), g = (3, 2)
    assert found["cosine"] == pytest.approx((0.9 + 0.8) / (0.5 * sqrt(13)))
    b.grad = None
    found = optimizer.diagnostics()
    assert found["anchor_distance"] == pytest.approx(0.5)
    assert found["cosine"] == pytest.approx(1.0)


def test_they_are_plain_numbers_and_the_same_each_time():
    first = after(6, temperature=0.1, gamma=1.0, mean=0.25)
    assert first == after(6, temperature=0.1, gamma=1.0, mean=0.25)
    assert all(type(value) in {int, float} for value in first.values())
