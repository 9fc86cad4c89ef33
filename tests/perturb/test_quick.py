import pytest
import torch
from tests.perturb.victim import MODEL, X, Y
from torch import nn

from wellposed.errors import ArgumentError
from wellposed.perturb import PGD, Linf, Margin, Pool
from wellposed.perturb._quick import Quick


class Seen(nn.Module):
    """A convolution, and what comes in is noted."""

    def __init__(self, channels, flatten):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.flatten = nn.Conv2d(channels, 4, 3, padding=1), flatten
        self.last, self.layouts = nn.Linear(4 * 36, 3), []

    def forward(self, x):
        self.layouts.append(x.stride(1) == 1)
        return self.last(self.flatten(self.conv(x).relu()))


def flat(x):
    return x.flatten(1)


def viewed(x):
    return x.view(len(x), -1)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_layout_changes_neither_logits_nor_slopes(channels):
    model = Seen(channels, flat)
    x = torch.rand(5, channels, 6, 6, generator=torch.Generator().manual_seed(1))
    slopes = []
    for call in (model, Quick(model, "float32")):
        given = x.clone().requires_grad_()
        slopes.append((call(given), torch.autograd.grad(call(given).sum(), given)[0]))
    assert model.layouts == [False, False, True, True]
    for plain, quick in zip(*slopes, strict=True):
        torch.testing.assert_close(plain, quick)


def test_a_model_that_refuses_the_layout_is_asked_in_the_usual_one():
    model = Seen(3, viewed)
    quick, x = Quick(model, "float32"), torch.rand(5, 3, 6, 6)
    assert torch.equal(quick(x), model(x))
    assert torch.equal(quick(x), model(x))
    assert model.layouts == [True, False, False, False, False]


def test_a_model_without_convolutions_and_float64_are_left_alone():
    model = nn.Sequential(nn.Flatten(), nn.Linear(36, 3))
    x = torch.rand(5, 1, 6, 6)
    assert torch.equal(Quick(model, "float32")(x), model(x))
    deep = Seen(1, flat).double()
    assert Quick(deep, "bf16")(x.double()).dtype == torch.float64


def test_errors_of_the_model_itself_come_through():
    with pytest.raises(RuntimeError, match="channels"):
        Quick(Seen(1, flat), "float32")(torch.rand(5, 3, 6, 6))


def test_a_rough_search_gives_margins_of_the_model_itself():
    labels, ball = Y[:100], Linf(0.08)
    fine = PGD(steps=20)(MODEL, X[:100], labels, ball)
    rough = PGD(steps=20)(MODEL, X[:100], labels, ball, pool=Pool(precision="bf16"))
    logits = MODEL(rough.examples)
    torch.testing.assert_close(rough.margin, -Margin()(logits, labels), rtol=1e-5, atol=1e-5)
    assert torch.equal(rough.broken, ~(rough.margin > 0))
    assert 0.2 < fine.accuracy < 0.8
    assert abs(rough.accuracy - fine.accuracy) <= 0.02
    assert rough.forwards[~rough.broken].eq(3).all()  # the input, the last point, the kept one
    assert fine.forwards[~fine.broken].eq(2).all()


def test_what_only_the_model_itself_sees_is_broken():
    class Rounded(nn.Module):
        """Class 1 leads from 0.501 on; in bfloat16 its lead is never seen."""

        def forward(self, x):
            lead = 1000 * (0.501 - x)
            product = nn.functional.linear(x, torch.ones(1, 1))
            lead = lead.clamp(min=0.5) if product.dtype == torch.bfloat16 else lead
            return torch.cat([lead, torch.zeros_like(lead)], 1)

    x, labels = torch.full((4, 1), 0.5), torch.zeros(4, dtype=torch.int64)
    found = PGD(steps=3)(Rounded(), x, labels, Linf(0.1), pool=Pool(precision="bf16"))
    assert found.broken.all()
    assert (found.margin <= 0).all()


@pytest.mark.wrong_types
def test_refuses_another_precision():
    with pytest.raises(ArgumentError, match="precision float32 and bf16, got precision='fp8'"):
        Pool(precision="fp8")
