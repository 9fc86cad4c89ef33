import math

import pytest
import torch
from torch import nn

from wellposed.audit import examine
from wellposed.runs import Verdict


class Spare(nn.Module):
    """Has a head that it uses in train mode, or never."""

    def __init__(self, when):
        super().__init__()
        self.used, self.spare, self.when = nn.Linear(4, 3), nn.Linear(4, 3), when

    def forward(self, inputs):
        found = self.used(inputs)
        return found + self.spare(inputs) if self.when == "train" and self.training else found


class CutOff(nn.Module):
    """Multiplies by a weight that no gradient reaches."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(4))

    def forward(self, inputs):
        return inputs * self.scale.data


@pytest.fixture
def found(subject):
    def run(model=None, **more):
        return examine(subject(model, **more), ["coverage"])["coverage"]

    return run


def test_healthy_networks_pass(healthy):
    for seed in range(2):
        finding = examine(healthy(seed), ["coverage"])["coverage"]
        assert (finding.verdict, finding.value) == (Verdict.PASS, 0.0), finding.statement


def test_an_unused_parameter_is_named_and_counted(found):
    finding = found(Spare("never"))
    assert (finding.verdict, finding.value) == (Verdict.WARN, 15.0)
    assert "The objective does not use spare.weight, spare.bias" in finding.statement
    assert finding.where == "spare.weight, spare.bias"
    assert finding.figures[0].rows[0] == ("spare.weight", "unused", "12")


def test_a_head_that_only_train_mode_uses_is_none(found):
    assert found(Spare("train")).verdict is Verdict.PASS


def test_a_weight_cut_off_is_told_from_an_unused_one(found, net):
    finding = found(net(0, CutOff(), nn.Linear(4, 3)))
    assert finding.verdict is Verdict.WARN
    assert "The objective depends on 0.scale, and no gradient reaches it" in finding.statement
    assert "detach" in finding.remedy


def test_a_dead_layer_has_a_gradient_of_zero(found, net):
    model = net(0, nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))
    with torch.no_grad():
        model[0].bias.fill_(-100)
    finding = found(model)
    assert finding.verdict is Verdict.FAIL  # then the outputs are all the same
    assert finding.statement == "The outputs are the same for all inputs."
    partly = net(0, nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))
    with torch.no_grad():
        partly[2].weight.zero_()
        partly[2].weight[0, 0] = 1
        partly[0].bias[0] = 10
    assert found(partly).verdict is Verdict.PASS


def test_a_gradient_of_zero_is_named(found, net):
    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.dead, self.live = nn.Linear(4, 3), nn.Linear(4, 3)

        def forward(self, inputs):
            return self.live(inputs) + (self.dead(inputs) - 100).relu()

    finding = found(Both())
    assert finding.verdict is Verdict.WARN
    assert "The gradient is 0 in all of dead.weight, dead.bias" in finding.statement


def test_outputs_that_ignore_the_inputs_fail(found, net):
    class Ignores(nn.Module):
        def forward(self, inputs):
            return inputs * 0

    finding = found(net(0, Ignores(), nn.Linear(4, 3)))
    assert finding.verdict is Verdict.FAIL
    assert finding.evidence["spread_of_outputs"] == 0


def test_a_gradient_that_is_not_finite_fails(found, net):
    class Root(nn.Module):
        def forward(self, inputs):
            return (inputs * 0).sqrt() + inputs

    finding = found(net(0, nn.Linear(4, 6), Root(), nn.Linear(6, 3)))
    assert finding.verdict is Verdict.FAIL
    assert finding.statement == "The gradient is not finite in 0.weight, 0.bias."


def test_frozen_weights_are_counted_and_not_missed(found, net):
    model = net()
    model[0].requires_grad_(False)
    finding = found(model)
    assert finding.verdict is Verdict.PASS
    assert (finding.evidence["frozen"], finding.evidence["trainable"]) == (40, 27)


def test_with_the_first_weights_what_never_moved_is_seen(found, net):
    model = net()
    initial = {n: v.clone() for n, v in model.state_dict().items()}
    with torch.no_grad():
        model[0].weight.add_(0.1)
        model[0].bias.add_(0.1)
    model[0].weight.requires_grad_(False)
    finding = found(model, initial=initial)
    assert finding.verdict is Verdict.WARN
    assert finding.evidence["never moved"] == ["2.weight", "2.bias"]
    assert finding.evidence["frozen, and moved"] == ["0.weight"]


def test_the_first_loss_is_that_of_equal_probabilities_or_a_warning(found, net):
    model = net()
    for scale, verdict in ((1.0, Verdict.PASS), (30.0, Verdict.WARN)):
        initial = {n: scale * v - 0.01 for n, v in model.state_dict().items()}
        finding = found(model, initial=initial)
        assert finding.verdict is verdict, finding.statement
        value, low, high = finding.evidence["first_loss"]
        assert low < value < high
    assert f"well above ln 3 = {math.log(3):.3g}" in finding.statement


def test_what_it_cannot_run_on_is_said(found, net, blobs):
    frozen = found(net().requires_grad_(False))
    assert frozen.verdict is Verdict.UNKNOWN
    assert "coverage differentiates by the weights" in frozen.statement
    assert "the data have one" in found(data=blobs(1)).statement
