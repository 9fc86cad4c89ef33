import pytest
import torch
from torch import nn

from wellposed.audit import examine
from wellposed.runs import Verdict


@pytest.fixture
def found(subject):
    return lambda model: examine(subject(model), ["weights"])["weights"]


@pytest.mark.parametrize("seed", range(5))
def test_a_network_as_made_passes(found, net, seed):
    finding = found(net(seed))
    assert finding.verdict is Verdict.PASS
    assert "All 67 weights" in finding.statement
    assert finding.evidence == {"tensors": 4, "entries": 67}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_entries_that_are_not_finite_are_counted_and_named(found, net, value):
    model = net()
    with torch.no_grad():
        model[0].weight[2, :3] = value
        model[2].bias[0] = value
    finding = found(model)
    assert finding.verdict is Verdict.FAIL
    assert (finding.value, finding.where) == (4.0, "0.weight, 2.bias")
    assert finding.figures[0].rows == (("0.weight", "32", "3"), ("2.bias", "3", "1"))
    assert "just where its count says so" in finding.verified


def test_statistics_count_and_the_mask_of_attention_does_not(found, net):
    model = net(0, nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 3))
    model.register_buffer("mask", torch.full((2, 2), float("-inf")))
    model.register_buffer("empty", torch.zeros(2, 2))
    assert found(model).verdict is Verdict.PASS
    model[1].running_var[1] = float("inf")
    assert found(model).where == "1.running_var"
    model[1].running_var[1] = 1.0
    model.mask[0, 0] = float("nan")
    assert found(model).where == "mask"


def test_a_weight_that_is_all_zero_is_warned_of_and_a_bias_is_not(found, net):
    model = net()
    nn.init.zeros_(model[0].bias)
    assert found(model).verdict is Verdict.PASS
    nn.init.zeros_(model[0].weight)
    finding = found(model)
    assert (finding.verdict, finding.where) == (Verdict.WARN, "0.weight")


def test_sums_that_overflow_are_said_and_no_failure(found, net):
    model = net(0, nn.Linear(4, 3).double())
    with torch.no_grad():
        model[0].weight.fill_(1.7e308)
    model[0].register_forward_pre_hook(lambda _, args: (args[0].double(),))
    finding = found(model)
    assert finding.verdict is Verdict.PASS
    assert "overflow" in finding.verified


def test_without_weights_there_is_nothing_to_pass(subject):
    finding = examine(subject(nn.Identity(), classes=()), ["weights"])["weights"]
    assert finding.verdict is Verdict.UNKNOWN
    assert "no weights and no statistics" in finding.statement
