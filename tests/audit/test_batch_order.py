import pytest
import torch
from torch import nn

from wellposed.audit import examine
from wellposed.runs import Verdict


class Centered(nn.Module):
    """Subtracts the mean of the batch, times a factor."""

    def __init__(self, factor=1.0):
        super().__init__()
        self.factor = factor

    def forward(self, inputs):
        return inputs - self.factor * inputs.mean(0)


class Rolled(nn.Module):
    """Mixes each example with the one before it."""

    def forward(self, inputs):
        return inputs + 0.01 * inputs.roll(1, 0)


class Fixed(nn.Module):
    """Takes batches of an even number only."""

    def forward(self, inputs):
        return inputs.reshape(2, -1, *inputs.shape[1:]).reshape(inputs.shape)


def relative(outputs, targets):
    """A loss per example that depends on the whole batch."""
    losses = nn.functional.cross_entropy(outputs, targets, reduction="none")
    return losses / losses.max()


def by_place(outputs, targets):
    """A loss whose weight is the place in the batch."""
    losses = nn.functional.cross_entropy(outputs, targets, reduction="none")
    return losses * torch.arange(len(losses))


@pytest.fixture
def found(subject, net):
    def run(*layers, **more):
        model = net(0, nn.Linear(4, 6), *layers, nn.Linear(6, 3))
        return examine(subject(model, **more), ["batch-order"])["batch-order"]

    return run


def test_healthy_networks_change_by_rounding_only(healthy):
    for seed in range(2):
        finding = examine(healthy(seed, steps=2), ["batch-order"])["batch-order"]
        assert finding.verdict is Verdict.PASS, finding.statement
        assert finding.value < 1e-13


@pytest.mark.parametrize("factor", [1.0, 1e-9])
def test_a_layer_that_looks_at_the_batch_is_named(found, factor):
    finding = found(nn.Tanh(), Centered(factor))
    assert finding.verdict is Verdict.FAIL
    assert finding.where == "2 (Centered)"
    assert finding.value > finding.threshold.value
    assert finding.evidence["changes"]["another order, in the loss"] < 1e-14


def test_a_mean_does_not_mind_the_order_and_a_neighbour_does(found):
    mean = found(Centered()).evidence["changes"]
    assert mean["another order"] < 1e-14 < mean["other company"]
    rolled = found(Rolled()).evidence["changes"]
    assert rolled["another order"] > 1e-4


def test_batch_statistics_in_eval_mode_are_found_and_running_ones_pass(found):
    assert found(nn.BatchNorm1d(6)).verdict is Verdict.PASS
    finding = found(nn.BatchNorm1d(6, track_running_stats=False))
    assert (finding.verdict, finding.where) == (Verdict.FAIL, "1 (BatchNorm1d)")


@pytest.mark.parametrize(
    ("loss", "change"),
    [(relative, "one alone, in the loss"), (by_place, "another order, in the mean loss")],
    ids=["relative", "by place"],
)
def test_a_loss_that_looks_at_the_batch_is_found(found, loss, change):
    finding = found(nn.Tanh(), loss=loss)
    assert finding.verdict is Verdict.FAIL
    assert finding.evidence["changes"][change] > 1e-3
    assert finding.where == ""
    assert "let the loss of an example depend on its own" in finding.remedy


def test_a_size_of_batch_that_fails_is_a_warning(found):
    finding = found(Fixed())
    assert finding.verdict is Verdict.WARN
    assert "fails with other sizes of it: RuntimeError" in finding.statement


def test_rounding_is_amplified_as_the_network_amplifies(found):
    class Steep(nn.Module):
        def forward(self, inputs):
            return torch.sin(1e8 * inputs)

    tame, steep = found(nn.Tanh()), found(Steep())
    assert steep.threshold.value > 1e4 * tame.threshold.value
    assert steep.verdict is Verdict.PASS


def test_what_it_cannot_run_on_is_said(found, subject, blobs):
    class Noise(nn.Module):
        def forward(self, inputs):
            return inputs + torch.rand_like(inputs)

    noisy = found(Noise())
    assert noisy.verdict is Verdict.UNKNOWN
    assert "the check of determinism says where" in noisy.statement
    few = examine(subject(data=blobs(3)), ["batch-order"])["batch-order"]
    assert "needs at least 4 examples, and the data have 3" in few.statement
