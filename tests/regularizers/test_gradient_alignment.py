import pytest
import torch
from torch import nn
from torch.nn import functional

from wellposed.errors import ArgumentError
from wellposed.regularizers import GradientAlignment
from wellposed.regularizers._gradient_alignment import _cosine


def test_two_classes_and_a_linear_map_are_always_aligned():
    # All gradients are multiples of w_0 - w_1, and of the same sign within the ball.
    torch.manual_seed(0)
    model = nn.Linear(5, 2).double()
    inputs, targets = torch.rand(6, 5).double(), torch.arange(6) % 2
    found = GradientAlignment(1.0, 0.3).penalty(model, inputs, targets)
    assert abs(found.item()) < 1e-14


def test_it_is_one_minus_the_cosine_at_the_drawn_points():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 16), nn.Tanh(), nn.Linear(16, 3)).double().eval()
    inputs, targets = torch.rand(6, 5).double(), torch.arange(6) % 3
    term = GradientAlignment(0.4, 0.2)
    seen = []
    handle = model.register_forward_pre_hook(lambda _, args: seen.append(args[0].detach()))
    found = term.penalty(model, inputs, targets)
    handle.remove()
    clean, moved = seen
    assert torch.equal(clean, inputs)
    assert (moved - inputs).abs().max() <= 0.2
    assert moved.min() >= 0
    assert moved.max() <= 1

    def gradient(x, y):
        return torch.func.grad(lambda x: functional.cross_entropy(model(x), y))(x)

    here, there = (torch.func.vmap(gradient)(x, targets) for x in (clean, moved))
    wanted = 0.4 * (1 - functional.cosine_similarity(here, there)).mean()
    torch.testing.assert_close(found, wanted)


def test_angles_of_tiny_gradients_are_angles():
    a, b = torch.tensor([[3e-38, 0.0]] * 2), torch.tensor([[1e-38, 1e-38], [0.0, 0.0]])
    torch.testing.assert_close(_cosine(a, b), torch.tensor([0.5**0.5, 1.0]))


def test_what_is_outside_its_range_is_refused():
    with pytest.raises(ArgumentError, match="radius eps > 0"):
        GradientAlignment(1.0, 0.0)
    with pytest.raises(ArgumentError, match="weight >= 0"):
        GradientAlignment(-1.0, 0.1)


def test_inputs_outside_the_bounds_are_refused_and_rounding_is_not():
    model = nn.Linear(5, 2)
    inputs, targets = torch.rand(6, 5), torch.arange(6) % 2
    with pytest.raises(ArgumentError, match="moves inputs within bounds"):
        GradientAlignment(1.0, 0.1).penalty(model, inputs - 2, targets)
    inputs[0, 0] = 1 + 1e-6
    for norm in ("linf", "l2", "l1"):
        assert GradientAlignment(1.0, 0.1, norm).penalty(model, inputs, targets).isfinite()
