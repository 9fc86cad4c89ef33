import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from wellposed.errors import ArgumentError
from wellposed.regularizers import L1, L2, ElasticNet, Point

strengths = st.floats(0, 3)


@pytest.fixture
def model():
    made = nn.Sequential(nn.Conv2d(1, 2, 2), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 3))
    return made.double()


def all_weights(model):
    return np.concatenate([model[0].weight.detach().ravel(), model[3].weight.detach().ravel()])


def test_value_is_that_of_numpy_without_biases_and_scales(model):
    w = all_weights(model)
    assert L1(0.3)(Point(model)).item() == pytest.approx(0.3 * np.abs(w).sum())
    assert L2(0.7)(Point(model)).item() == pytest.approx(0.35 * w @ w)
    both = ElasticNet(0.3, 0.7)(Point(model)).item()
    assert both == pytest.approx(0.3 * np.abs(w).sum() + 0.35 * w @ w)


def test_gradient_of_l2_is_weight_decay_without_biases(model):
    L2(0.7)(Point(model)).backward()
    torch.testing.assert_close(model[3].weight.grad, 0.7 * model[3].weight.detach())
    assert model[3].bias.grad is None


def test_gradient_of_l1_is_the_sign_and_0_at_0():
    model = nn.Linear(3, 1, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[2.0, 0.0, -1.0]]))
    L1(0.5)(Point(model)).backward()
    assert model.weight.grad.tolist() == [[0.5, 0.0, -0.5]]


def test_can_be_differentiated_twice_at_zero_weights():
    w = nn.Parameter(torch.zeros(2, 2, dtype=torch.float64))
    model = nn.ParameterList([w])
    (first,) = torch.autograd.grad(ElasticNet(0.1, 2.0)(Point(model)), w, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), w)
    assert second.tolist() == [[2.0, 2.0], [2.0, 2.0]]


def test_fixed_weights_are_left_out(model):
    model[0].weight.requires_grad_(False)
    assert L1(1.0)(Point(model)).item() == pytest.approx(model[3].weight.abs().sum().item())


def test_a_model_without_weights_has_no_penalty():
    assert L2(1.0)(Point(nn.Tanh())).item() == 0


@given(v=st.floats(-5, 5), step=st.floats(1e-3, 2), l1=strengths, l2=strengths)
def test_prox_satisfies_its_optimality_condition(v, step, l1, l2):
    # p = prox(v)  <=>  (v - p)/step - l2 p  is a subgradient of l1|.| at p.
    w = torch.tensor([[v]], dtype=torch.float64)
    ElasticNet(l1, l2).prox_([w], step)
    p = w.item()
    slope = (v - p) / step - l2 * p
    if p == 0:
        assert abs(slope) <= l1 + 1e-9
    else:
        assert slope == pytest.approx(l1 if p > 0 else -l1, abs=1e-9 / step)


def test_prox_makes_exact_zeros_without_a_sign():
    w = torch.tensor([[0.3, -0.3, 0.1, -0.1, 0.0, 2.0]])
    L1(0.6).prox_([w], 0.5)
    assert w.tolist() == [[0.0, 0.0, 0.0, 0.0, 0.0, pytest.approx(1.7)]]
    assert not torch.signbit(w).any()


@pytest.mark.parametrize("regularizer", [L1(0.2), L2(0.4), ElasticNet(0.2, 0.4), ElasticNet()])
def test_prox_never_increases_distances(regularizer):
    a, b = torch.randn(4, 5), torch.randn(4, 5)
    before = (a - b).norm()
    regularizer.prox_([a], 0.7)
    regularizer.prox_([b], 0.7)
    assert (a - b).norm() <= before + 1e-6


def test_prox_leaves_biases_and_scales_alone():
    bias = torch.ones(3)
    ElasticNet(1.0, 1.0).prox_([bias], 1.0)
    ElasticNet(1.0, 1.0).prox_([], 1.0)
    assert bias.tolist() == [1, 1, 1]


def test_prox_works_on_parameters_that_are_being_trained(model):
    model[3].weight.requires_grad_()
    before = model[3].weight.detach().clone()
    L2(1.0).prox_(list(model.parameters()), 1.0)
    torch.testing.assert_close(model[3].weight.detach(), before / 2)


class CountOps(TorchDispatchMode):
    """Counts the tensor operations dispatched while it is active."""

    total = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.total += 1
        return func(*args, **(kwargs or {}))


def operations(tensors):
    weights = [torch.ones(2, 2) for _ in range(tensors)]
    with CountOps() as count:
        ElasticNet(0.1, 0.1).prox_(weights, 0.1)
    return count.total


def test_prox_costs_no_more_operations_for_more_tensors():
    assert operations(4) == operations(16) > 0


@pytest.mark.parametrize("value", [-1.0, float("inf"), float("nan")])
@pytest.mark.parametrize(
    ("make", "name"),
    [
        (L1, "L1 needs a finite strength"),
        (L2, "L2 needs a finite strength"),
        (lambda v: ElasticNet(l1=v), "ElasticNet needs a finite l1"),
        (lambda v: ElasticNet(l2=v), "ElasticNet needs a finite l2"),
    ],
)
def test_strengths_outside_their_range_are_refused(make, name, value):
    with pytest.raises(ArgumentError, match=f"{name} >= 0, got"):
        make(value)


@pytest.mark.parametrize("step", [0.0, -1.0])
def test_steps_that_are_not_positive_are_refused(step):
    with pytest.raises(ArgumentError, match="prox_ needs step > 0"):
        L1(0.1).prox_([torch.ones(2, 2)], step)


def test_are_values():
    assert ElasticNet(0.1) == ElasticNet(l1=0.1)
    assert {L1(0.1), L1(0.1)} == {L1(0.1)}
