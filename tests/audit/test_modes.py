import pytest
import torch
from torch import nn

from wellposed.audit import examine
from wellposed.runs import Verdict


@pytest.fixture
def found():
    return lambda subject: examine(subject, ["modes"])["modes"]


@pytest.fixture
def normalized(net, blobs, subject):
    """A network with batch normalization whose running statistics fit the data."""

    def make(seed=0, batches=60, momentum=0.1, **more):
        model = net(
            seed, nn.Linear(4, 6), nn.BatchNorm1d(6, momentum=momentum), nn.Tanh(), nn.Linear(6, 3)
        )
        data = {"train": blobs(512, seed), "test": blobs(90, seed + 100)}
        with torch.no_grad():
            for _ in range(batches):
                model(data["train"][0][torch.randperm(512)[:64]])
        return subject(model, data=data, **more)

    return make


def test_healthy_networks_pass(found, healthy):
    for seed in range(2):
        finding = found(healthy(seed))
        assert finding.verdict is Verdict.PASS, finding.statement
        assert finding.interval[0] <= finding.value <= finding.interval[1]


def test_running_statistics_that_fit_pass_over_seeds(found, normalized):
    for seed in range(20):
        finding = found(normalized(seed))
        assert finding.verdict is Verdict.PASS, finding.statement
        assert "equal" in finding.verified


def test_without_such_layers_both_modes_are_the_same_bit_by_bit(found, subject):
    finding = found(subject())
    assert (finding.verdict, finding.value, finding.interval) == (Verdict.PASS, 0.0, (0.0, 0.0))
    assert "no running statistics" in finding.verified


def test_stale_statistics_are_found_and_the_layer_named(found, normalized):
    made = normalized()
    with torch.no_grad():
        made.model[0].bias.add_(5)  # what the statistics do not know of
    finding = found(made)
    assert (finding.verdict, finding.where) == (Verdict.WARN, "1")
    assert "the running statistics of 1 are stale: the mean is off by" in finding.statement
    assert finding.evidence["normalizations"][0]["mean_off"] > 1
    assert finding.figures[0].values[0] > 1


def test_a_stretched_scale_is_stale_too(found, normalized):
    made = normalized()
    made.model[1].running_var *= 9
    finding = found(made)
    assert finding.verdict is Verdict.WARN
    assert "by a factor 3" in finding.statement
    assert finding.evidence["normalizations"][0]["mean_off"] < 0.5


@pytest.mark.parametrize(
    ("batches", "momentum", "said"),
    [
        (0, 0.1, "of 1 batch normalizations were never updated, first 1"),
        (60, 0.0, "of 1 batch normalizations were never updated, first 1"),
        (10, 0.1, "the running statistics of 1 are 35 % their initial values"),
        (100, 0.001, "are 90 % their initial values"),
    ],
    ids=["never", "momentum 0", "too few", "too slow"],
)
def test_statistics_that_were_not_updated_are_found(found, normalized, batches, momentum, said):
    finding = found(normalized(0, batches, momentum))
    assert finding.verdict is Verdict.WARN
    assert said in finding.statement
    assert "momentum=None" in finding.remedy


def test_a_plain_average_is_known(found, normalized):
    assert found(normalized(0, 10, None)).verdict is Verdict.PASS


def test_dropout_left_on_is_found_and_dropout_passes(found, subject, net):
    class LeftOn(nn.Module):
        def forward(self, inputs):
            return nn.functional.dropout(inputs, 0.5)

    for layer, verdict in ((nn.Dropout(0.5), Verdict.PASS), (LeftOn(), Verdict.WARN)):
        finding = found(subject(net(0, nn.Linear(4, 16), layer, nn.Linear(16, 3))))
        assert finding.verdict is verdict, finding.statement
    assert finding.where == "1 (LeftOn)"
    assert "1 (LeftOn) still draws in eval mode" in finding.statement


def test_a_loss_far_above_that_in_train_mode_is_a_warning_and_never_a_failure(found, subject, net):
    class Forgets(nn.Module):
        def forward(self, inputs):
            return inputs if self.training else 20 * inputs.flip(1)

    finding = found(subject(net(0, nn.Linear(4, 6), Forgets(), nn.Linear(6, 3))))
    assert finding.verdict is Verdict.WARN
    assert "far above" in finding.statement
    assert finding.threshold.kind == "convention"


def test_the_modes_in_which_modules_are_found_are_told(found, subject, net):
    model = net().train()
    model[0].eval()
    assert found(subject(model)).evidence["found_in_train_mode"] == "3 of 4 modules"


def test_what_it_cannot_run_on_is_said(found, subject, blobs):
    finding = found(subject(data=blobs(3)))
    assert finding.verdict is Verdict.UNKNOWN
    assert "two batches of at least 2 examples, and test has 3" in finding.statement


class Overflows(nn.Module):
    """Leaves float32, in some mode, for inputs that begin with a number above a threshold."""

    def __init__(self, threshold, training):
        super().__init__()
        self.threshold, self.modes = threshold, training

    def forward(self, x):
        over = x[:, :1] > self.threshold if self.training in self.modes else torch.zeros(1) > 0
        return torch.where(over, torch.inf, x)


def test_losses_that_are_not_finite_are_counted(found, net, subject):
    only_eval = net(0, Overflows(-99, [False]), nn.Linear(4, 3))
    finding = found(subject(only_eval))
    assert finding.verdict is Verdict.WARN
    assert finding.value is finding.interval is None
    assert "not finite on 8 of 8 batches in eval mode, and on 0 of 8" in finding.statement
    both = net(0, Overflows(5, [False, True]), nn.Linear(4, 3))
    finding = found(subject(both))
    assert finding.verdict is Verdict.UNKNOWN
    assert finding.statement.count("of 8 batches") == 2
