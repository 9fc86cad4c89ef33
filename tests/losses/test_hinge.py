import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from wellposed.errors import ArgumentError
from wellposed.losses import Hinge

# The table of the lecture: scores of a picture of a cat, a car and a frog for these classes.
SCORES = [[3.2, 5.1, -1.7], [1.3, 4.9, 2.0], [2.2, 2.5, -3.1]]


def test_gives_the_table_of_the_lecture():
    losses = Hinge()(torch.tensor(SCORES), torch.tensor([0, 1, 2]))
    torch.testing.assert_close(losses, torch.tensor([2.9, 0.0, 12.9]))
    assert round(losses.mean().item(), 2) == 5.27


@given(
    scores=st.lists(st.integers(-20, 20), min_size=2, max_size=6),
    margin=st.sampled_from([0.5, 1.0, 3.0]),
    data=st.data(),
)
def test_equals_the_definition(scores, margin, data):
    y = data.draw(st.integers(0, len(scores) - 1))
    found = Hinge(margin)(torch.tensor([scores], dtype=torch.float64), torch.tensor([y]))
    assert found.item() == sum(
        max(0, margin + f - scores[y]) for j, f in enumerate(scores) if j != y
    )


def test_is_torchs_multi_margin_loss_times_the_number_of_classes():
    outputs, targets = torch.randn(8, 5, dtype=torch.float64), torch.arange(8) % 5
    torchs = torch.nn.MultiMarginLoss(reduction="none", margin=0.7)(outputs, targets)
    torch.testing.assert_close(Hinge(0.7)(outputs, targets), 5 * torchs)


def test_gradient_counts_the_classes_inside_the_margin():
    outputs = torch.tensor(SCORES, requires_grad=True)
    Hinge()(outputs, torch.tensor([0, 1, 2])).sum().backward()
    assert outputs.grad.tolist() == [[-1, 1, 0], [0, 0, 0], [1, 1, -2]]


def test_can_be_differentiated_twice():
    weights = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    targets = torch.tensor([0, 1, 3])
    assert torch.autograd.gradgradcheck(lambda w: Hinge()(w**2, targets).sum(), weights)


@pytest.mark.parametrize("margin", [0.0, -1.0])
def test_margin_that_is_not_positive_is_refused(margin):
    with pytest.raises(ArgumentError, match="Hinge needs margin > 0, got"):
        Hinge(margin)
