import math

import torch
from tests.audit.deep import chain, examples
from torch import nn

from wellposed.audit import Subject
from wellposed.audit._chain import propagate
from wellposed.audit._drift import LOST, MUCH, TOO_MUCH, VERY_MUCH, drifts_of
from wellposed.runs import Verdict


def of(model):
    subject = Subject(model, examples(64))
    return drifts_of(propagate(subject, model, "train", 64), subject)


def test_one_of_gradients_and_one_of_activations_per_chain():
    gradients, activations = of(chain(6, scale=2.0))
    assert gradients.backward
    assert not activations.backward
    assert [d.verdict for d in (gradients, activations)] == [Verdict.PASS] * 2
    assert gradients.interval[0] <= gradients.total <= gradients.interval[1]
    assert len(gradients.predictions) == 6


def test_activations_only_warn_and_gradients_fail():
    gradients, activations = of(chain(12, 64, scale=30.0))
    assert (gradients.verdict, gradients.threshold) == (Verdict.FAIL, TOO_MUCH)
    assert activations.verdict is Verdict.WARN
    assert activations.threshold.value == activations.trend.band > MUCH.value


def test_normalized_layers_adapt_and_are_allowed_more():
    gradients, _ = of(chain(30, 16, normalize=True))
    assert gradients.total > 100  # 1.21 per layer
    assert gradients.verdict is not Verdict.FAIL
    assert gradients.threshold in {VERY_MUCH, MUCH}


def test_chance_in_narrow_layers_is_no_trend():
    narrow = [of(chain(12, 6, scale=2.0 * 1.6))[0] for _ in range(1)]
    assert all(d.total <= d.trend.band or d.verdict is not Verdict.PASS for d in narrow)
    assert narrow[0].verdict is Verdict.PASS


def test_gradients_of_exactly_zero_fail_whatever_the_rest():
    model = chain(6, activation=nn.Tanh, scale=1.0)
    with torch.no_grad():
        model[2].bias.fill_(40.0)  # tanh rounds to 1 there, and its derivative to 0
    gradients, _ = of(model)
    assert gradients.lost == 2
    assert gradients.total == math.inf
    assert (gradients.verdict, gradients.threshold) == (Verdict.FAIL, LOST)
    assert gradients.predictions == [None] * (len(gradients.sites) - 1)


def test_branches_that_begin_at_zero_are_left_out():
    class Branches(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.head = nn.Linear(12, 12), nn.Linear(12, 3)
            self.inner = nn.ModuleList(nn.Linear(12, 12) for _ in range(4))
            self.outer = nn.ModuleList(nn.Linear(12, 12) for _ in range(4))
            for layer in self.outer:
                nn.init.zeros_(layer.weight)

        def forward(self, x):
            x = self.stem(x)
            for a, b in zip(self.inner, self.outer, strict=True):
                x = x + b(torch.relu(a(x)))
            return self.head(x)

    torch.manual_seed(0)
    gradients, _ = of(Branches())
    assert gradients.verdict is Verdict.PASS
    assert len(gradients.sites) == 6
    assert gradients.lost == 0
