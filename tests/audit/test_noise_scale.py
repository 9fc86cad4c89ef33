"""The noise scale where it is known, and the batch size beside it."""

import pytest
import torch
from torch import nn

from wellposed.audit import Descent, Subject, examine
from wellposed.runs import Verdict


def known(seed=0, mean=1.0, descent=None, n=1100):
    """Gradients are the inputs: normal with this mean in 10 coordinates, so B = 1 / mean^2."""
    generator = torch.Generator().manual_seed(seed)
    x = mean + torch.randn(n, 10, generator=generator)
    return Subject(nn.Linear(10, 1, bias=False), {"train": (x, torch.zeros(n))},
                   lambda outputs, _: outputs[:, 0], descent=descent)  # fmt: skip


def found(subject, budget="standard"):
    return examine(subject, ["noise-scale"], budget)["noise-scale"]


def test_the_interval_holds_the_known_value():
    held = 0
    for seed in range(20):
        low, high = found(known(seed, mean=0.5), "quick").interval
        held += low <= 4.0 <= high
    assert held >= 16


def test_a_batch_far_beyond_it_warns_and_a_moderate_one_passes():
    big = found(known(descent=Descent("sgd", 0.1, batch_size=1000)))
    assert big.verdict is Verdict.WARN
    assert big.remedy.startswith("batches of ")
    assert "([train] batch_size) train as well per step" in big.remedy
    for seed in range(3):
        assert found(known(seed, descent=Descent("sgd", 0.1, batch_size=4))).verdict is Verdict.PASS


def test_without_a_batch_size_it_informs():
    finding = found(known())
    assert finding.verdict is Verdict.UNKNOWN
    assert "no batch size is on record" in finding.statement
    assert finding.remedy.startswith("audit a run's folder")
    assert finding.verified


def test_where_the_gradient_vanishes_the_interval_is_open():
    finding = found(known(mean=0.0, descent=Descent("sgd", 0.1, batch_size=8)))
    assert finding.interval[1] == float("inf")
    assert finding.verdict is Verdict.PASS
    assert "[at least 400] examples" in finding.statement


@pytest.mark.parametrize(
    ("left", "said"),
    [
        (0.0, "cannot be told from 0."),
        (0.3, "cannot be told from 0; its noise scale is at least "),
    ],
)
def test_a_mean_gradient_of_0_has_no_noise_scale_in_numbers(left, said):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1024, 10, generator=generator)
    data = {"train": (x - (1 - left) * x.mean(0), torch.zeros(1024))}
    descent = Descent("sgd", 0.1, batch_size=8)
    model = nn.Linear(10, 1, bias=False)
    finding = found(Subject(model, data, lambda outputs, _: outputs[:, 0], descent=descent))
    assert finding.value == float("inf")
    assert finding.statement.startswith(f"The mean gradient on the train part {said}")
    assert ("a gradient of 8 makes at most " in finding.statement) == bool(left)


def test_gradients_that_are_not_finite_have_no_noise_scale():
    subject = known(descent=Descent("sgd", 0.1, batch_size=8))
    subject.loss = lambda outputs, _: outputs[:, 0] * 1e30
    finding = found(subject)
    assert finding.verdict is Verdict.UNKNOWN
    assert "their squared lengths on the train part are not finite" in finding.statement


def test_it_needs_weights(subject, net):
    finding = found(subject(net(0).requires_grad_(requires_grad=False)))
    assert finding.verdict is Verdict.UNKNOWN
    assert "no parameters" in finding.statement
