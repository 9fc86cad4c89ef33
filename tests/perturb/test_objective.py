import math

import pytest
import torch
from torch.nn.functional import cross_entropy

from wellposed.errors import ArgumentError
from wellposed.perturb import DLR, CrossEntropy, Margin
from wellposed.perturb._objective import class_logits, is_broken, margin

LOGITS = torch.tensor([[3.0, 1.0, 2.0, -4.0], [0.0, 5.0, -1.0, 4.0]])
LABELS = torch.tensor([0, 3])
TARGETS = torch.tensor([1, 0])


def test_the_margin_is_the_lead_of_the_right_class():
    assert margin(LOGITS, LABELS).tolist() == [1.0, -1.0]
    assert Margin()(LOGITS, LABELS).tolist() == [-1.0, 1.0]
    assert Margin(TARGETS)(LOGITS, LABELS).tolist() == [-2.0, -4.0]


def test_dlr_divides_by_the_spread_of_the_highest_logits():
    assert DLR()(LOGITS, LABELS).tolist() == pytest.approx([-1 / 2, 1 / 5])
    assert DLR(TARGETS)(LOGITS, LABELS).tolist() == pytest.approx([-2 / 4.5, -4 / 5.5])


def test_dlr_does_not_see_the_unit_of_the_logits():
    for objective in (DLR(), DLR(TARGETS)):
        value = objective(LOGITS, LABELS)
        torch.testing.assert_close(objective(1000 * LOGITS + 7, LABELS), value)


def test_dlr_of_equal_logits_is_finite():
    assert DLR()(torch.ones(1, 5), torch.tensor([2])).tolist() == [0.0]
    assert DLR(torch.tensor([1]))(torch.ones(1, 5), torch.tensor([2])).tolist() == [0.0]


def test_dlr_says_how_many_classes_it_needs():
    with pytest.raises(ArgumentError, match="at least 3 classes here, got 2; take Margin"):
        DLR()(torch.zeros(1, 2), torch.tensor([0]))
    with pytest.raises(ArgumentError, match="at least 4 classes here, got 3"):
        DLR(torch.tensor([1]))(torch.zeros(1, 3), torch.tensor([0]))


def test_cross_entropy_is_torchs():
    expected = cross_entropy(LOGITS, LABELS, reduction="none")
    assert torch.equal(CrossEntropy()(LOGITS, LABELS), expected)


@pytest.mark.parametrize(
    ("logits", "broken"),
    [
        ([1.0, 1.0, 0.0], True),  # a tie
        ([1.0, 0.0, 0.0], False),
        ([math.nan, 0.0, 0.0], True),
        ([9.0, math.nan, 0.0], True),
        ([math.inf, math.inf, 0.0], True),
        ([math.inf, 0.0, 0.0], False),
        ([1.0, -math.inf, -math.inf], False),
        ([-math.inf, -math.inf, -math.inf], True),
    ],
)
def test_ties_and_nan_are_broken(logits, broken):
    lead = margin(torch.tensor([logits]), torch.tensor([0]))
    assert is_broken(lead).tolist() == [broken]


def test_large_logits_blind_cross_entropy_and_not_the_margin():
    logits = torch.tensor([[60.0, 0.0, 0.0]], requires_grad=True)
    labels = torch.tensor([0])
    for objective, blind in ((CrossEntropy(), True), (Margin(), False), (DLR(), False)):
        slope = torch.autograd.grad(objective(logits, labels).sum(), logits)[0]
        assert (slope.abs().max() < 1e-20) == blind


@pytest.mark.parametrize("shape", [(3,), (3, 1)])
def test_one_logit_is_two_classes(shape):
    outputs = torch.tensor([2.0, -1.0, 0.0]).view(shape)
    logits = class_logits(outputs, 3)
    assert margin(logits, torch.tensor([1, 1, 1])).tolist() == [2.0, -1.0, 0.0]
    assert margin(logits, torch.tensor([0, 0, 0])).tolist() == [-2.0, 1.0, 0.0]


def test_refuses_what_is_no_tensor():
    with pytest.raises(
        ArgumentError, match="got a dict; wrap the model so that it returns its log"
    ):
        class_logits({"logits": torch.zeros(3, 2)}, 3)


def test_half_precision_becomes_single():
    assert class_logits(torch.zeros(2, 3).bfloat16(), 2).dtype == torch.float32


@pytest.mark.parametrize("shape", [(3, 2, 2), (2, 4), (3, 0)])
def test_refuses_what_are_no_logits(shape):
    with pytest.raises(ArgumentError, match=r"logits of shape \(3, classes\) or one logit"):
        class_logits(torch.zeros(shape), 3)
