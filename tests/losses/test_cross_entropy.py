import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from wellposed.errors import ArgumentError
from wellposed.losses import CrossEntropy


def oracle(outputs, target, smoothing=0.0):
    # With fsum and the largest output taken out first, in Python floats.
    top = max(outputs)
    log_sum = top + math.log(math.fsum(math.exp(f - top) for f in outputs))
    return math.fsum(
        ((1 - smoothing) * (j == target) + smoothing / len(outputs)) * (log_sum - f)
        for j, f in enumerate(outputs)
    )


def test_of_equal_outputs_is_the_logarithm_of_the_number_of_classes():
    found = CrossEntropy()(torch.zeros(3, 7, dtype=torch.float64), torch.tensor([0, 3, 6]))
    torch.testing.assert_close(found, torch.full((3,), math.log(7), dtype=torch.float64))


@given(
    outputs=st.lists(st.floats(-1e4, 1e4, width=32), min_size=2, max_size=6),
    smoothing=st.sampled_from([0.0, 0.05, 0.3, 1.0]),
    data=st.data(),
)
def test_equals_the_definition_at_any_scale(outputs, smoothing, data):
    target = data.draw(st.integers(0, len(outputs) - 1))
    x = torch.tensor([outputs], dtype=torch.float64)
    found = CrossEntropy(smoothing)(x, torch.tensor([target])).item()
    assert found == pytest.approx(oracle(outputs, target, smoothing), rel=1e-12, abs=1e-11)
    single = CrossEntropy(smoothing)(x.float(), torch.tensor([target])).item()
    assert single == pytest.approx(found, rel=1e-5, abs=2e-3)


def test_huge_outputs_have_finite_values_and_gradients():
    outputs = torch.tensor([[1e4, -1e4, 0.0], [3e38, -3e38, 0.0]], requires_grad=True)
    losses = CrossEntropy()(outputs, torch.tensor([1, 0]))
    losses.sum().backward()
    assert losses.tolist() == [2e4, 0.0]
    assert outputs.grad.tolist() == [[1.0, -1.0, 0.0], [0.0, 0.0, 0.0]]


def test_gradient_is_softmax_minus_the_smoothed_target():
    outputs = torch.randn(5, 4, dtype=torch.float64, requires_grad=True)
    targets = torch.tensor([0, 1, 2, 3, 0])
    CrossEntropy(0.2)(outputs, targets).sum().backward()
    smoothed = 0.8 * torch.nn.functional.one_hot(targets, 4) + 0.05
    torch.testing.assert_close(outputs.grad, outputs.detach().softmax(1) - smoothed)


def test_is_least_at_the_smoothed_target_where_it_is_its_entropy():
    share = torch.tensor([0.85, 0.05, 0.05, 0.05], dtype=torch.float64)
    found = CrossEntropy(0.2)(share.log()[None], torch.tensor([0]))
    torch.testing.assert_close(found[0], -(share * share.log()).sum())


@pytest.mark.parametrize("value", [-0.1, 1.5, float("nan")])
def test_smoothing_outside_its_range_is_refused(value):
    with pytest.raises(ArgumentError, match=r"label_smoothing in \[0, 1\], got .*; try 0.1"):
        CrossEntropy(value)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_mean_is_that_of_the_losses(smoothing):
    loss = CrossEntropy(label_smoothing=smoothing)
    outputs = torch.randn(7, 5, dtype=torch.float64)
    targets = torch.arange(7) % 5
    torch.testing.assert_close(loss.mean(outputs, targets), loss(outputs, targets).mean())
    assert loss.mean(outputs.bfloat16(), targets).dtype == torch.float32
