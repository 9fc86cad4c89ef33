import pytest
import torch
from tests.audit.deep import Residual, chain, examples
from torch import nn

from wellposed.audit import Subject, dead_units, examine
from wellposed.audit._dead_units import silent_bound, zero_gradients
from wellposed.runs import Verdict


def found(model, n=300, seed=0):
    return examine(Subject(model, examples(n, seed)), ["dead-units"], "quick")["dead-units"]


def biased(bias, units=None, activation=nn.ReLU):
    model = chain(3, 32, activation)
    with torch.no_grad():
        for layer in list(model)[:-1]:
            if isinstance(layer, nn.Linear):
                layer.bias[:units] = bias
    return model


def test_a_network_of_dead_relus_fails_and_names_the_weights():
    finding = found(biased(-50.0))
    assert finding.verdict is Verdict.FAIL
    # all but the last layer's bias, which is added behind everything
    assert finding.value == 7
    assert finding.where.startswith("0.weight, 0.bias, 2.weight")
    assert finding.evidence["dead"] == {"1": "32 of 32", "3": "32 of 32", "5": "32 of 32"}
    assert "the weights of the 96 of 96 units" in finding.verified
    assert finding.verified.endswith("autograd: all")
    assert finding.remedy


def test_a_majority_of_dead_units_warns_with_its_interval():
    finding = found(biased(-50.0, 28))
    assert finding.verdict is Verdict.WARN
    assert finding.interval[0] > 0.5
    assert finding.value >= 28 / 32
    assert "units of ReLU" in finding.statement
    assert finding.figures[0].labels == ("1", "3", "5")


def test_a_majority_in_a_narrow_layer_does_not_pass():
    finding = found(biased(-50.0, 18))
    assert finding.verdict is Verdict.UNKNOWN
    assert finding.interval[0] < 0.5 < finding.value


def test_saturated_tanh_warns():
    finding = found(chain(3, 32, nn.Tanh, scale=400.0))
    assert finding.verdict is Verdict.WARN
    assert finding.interval[0] > 0.5
    assert "of the entries of Tanh" in finding.statement
    assert found(biased(20.0, activation=nn.Tanh)).verdict in {Verdict.WARN, Verdict.FAIL}


@pytest.mark.parametrize(
    "make",
    [
        lambda seed: chain(6, 24, scale=2.0, seed=seed),
        lambda seed: chain(6, 24, nn.Tanh, seed=seed),
        lambda seed: chain(6, 24, normalize=True, seed=seed),
        lambda seed: Residual(3, 24, normalize=True, seed=seed),
    ],
    ids=["He", "tanh", "batch", "residual"],
)
def test_healthy_twins_do_not_alarm(make):
    verdicts = [
        dead_units(Subject(make(seed), examples(300, seed)), inputs=300).verdict
        for seed in range(20)
    ]
    assert verdicts == [Verdict.PASS] * 20


def test_the_rule_of_three():
    assert silent_bound(2048) == pytest.approx(3 / 2048, rel=3e-3)
    # the share p that shows nothing in n draws with probability 5 %
    assert (1 - silent_bound(50)) ** 50 == pytest.approx(0.05)


def test_weights_that_are_not_used_or_begin_at_zero_by_design_are_no_fault():
    model = nn.Sequential(nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 3))
    model.register_parameter("spare", nn.Parameter(torch.ones(3)))
    assert zero_gradients(Subject(model, examples(40)), "train", 40) == []

    class ReZero(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.branch, self.head = nn.Linear(12, 8), nn.Linear(8, 8), nn.Linear(8, 3)
            self.relu, self.alpha = nn.ReLU(), nn.Parameter(torch.zeros(1))

        def forward(self, x):
            x = self.stem(x)
            return self.head(x + self.alpha * self.relu(self.branch(x)))

    torch.manual_seed(0)
    finding = found(ReZero())
    assert finding.verdict is Verdict.PASS
    assert finding.evidence["gradients of 0"] == ["branch.weight", "branch.bias"]


def test_a_network_without_activations_says_so():
    finding = found(nn.Sequential(nn.Linear(12, 5), nn.Linear(5, 3)))
    assert finding.verdict is Verdict.UNKNOWN
    assert "ReLU or tanh" in finding.statement
