import pytest
import torch
from torch import nn

from wellposed.audit import examine
from wellposed.runs import Verdict


class Draws(nn.Module):
    """Adds noise in eval mode too, from the global generator or one of its own."""

    def __init__(self, *, own=False, size=0.1):
        super().__init__()
        self.source = torch.Generator().manual_seed(1) if own else None
        self.size = size

    def forward(self, inputs):
        return inputs + self.size * torch.randn(inputs.shape, generator=self.source)


class Counts(nn.Module):
    """Changes with every call."""

    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, inputs):
        self.calls += 1
        return inputs * (1 + self.calls)


class Outside(nn.Module):
    """Takes numbers from a place that no generator knows."""

    calls = 0

    def __init__(self, size=0.1, *, train=False):
        super().__init__()
        self.size, self.train_only = size, train

    def forward(self, inputs):
        Outside.calls += 1
        active = self.training or not self.train_only
        return inputs * (1 + self.size * Outside.calls) if active else inputs


class Backward(torch.autograd.Function):
    """The identity, with a gradient that changes with every call."""

    calls = 0

    @staticmethod
    def forward(ctx, inputs):  # noqa: ARG004
        return inputs.clone()

    @staticmethod
    def backward(ctx, gradient):  # noqa: ARG004
        Backward.calls += 1
        return gradient * Backward.calls


class Gradient(nn.Module):
    """Draws in the backward pass only."""

    def forward(self, inputs):
        return Backward.apply(inputs)


@pytest.fixture
def found(subject, net):
    def run(*layers, budget="standard"):
        model = net(0, nn.Linear(4, 6), *layers, nn.Linear(6, 3))
        return examine(subject(model), ["determinism"], budget)["determinism"]

    return run


def test_healthy_networks_repeat_bit_by_bit(healthy):
    for seed in range(2):
        finding = examine(healthy(seed, steps=2), ["determinism"])["determinism"]
        assert (finding.verdict, finding.value) == (Verdict.PASS, 0.0), finding.statement
        assert finding.evidence["train_mode"] == "repeats from the same state"


def test_dropout_repeats_from_the_same_state(found):
    assert found(nn.Dropout(0.5)).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("layer", "cause"),
    [
        (Draws(), "it draws from the global generator"),
        (Draws(own=True), "it keeps a generator or another state of its own"),
        (Counts(), "it keeps a generator or another state of its own"),
        (Outside(), "its arithmetic does not repeat"),
    ],
    ids=["global", "own", "state", "outside"],
)
def test_the_first_module_that_differs_is_named_with_its_cause(found, layer, cause):
    finding = found(nn.Tanh(), layer)
    assert finding.verdict is Verdict.FAIL
    assert finding.where == f"2 ({type(layer).__name__})"
    assert cause in finding.statement
    assert finding.value > 1e-3
    assert finding.figures[0].rows[0][0] == finding.where


def test_a_difference_of_the_size_of_rounding_warns(found):
    finding = found(Draws(size=1e-6))
    assert finding.verdict is Verdict.WARN
    assert 0 < finding.value <= finding.threshold.value


def test_train_mode_alone_warns(found):
    finding = found(Outside(train=True))
    assert finding.verdict is Verdict.WARN
    assert "in train mode they do not: from the same state" in finding.statement
    assert "1 (Outside)" in finding.statement
    assert finding.value == 0


def test_a_gradient_that_varies_is_named(found):
    finding = found(Gradient())
    assert finding.verdict is Verdict.FAIL
    assert finding.where == "the gradient of 0.bias"


def test_nan_outputs_repeat_too(found):
    class Nan(nn.Module):
        def forward(self, inputs):
            return inputs * float("nan")

    assert found(Nan()).verdict is Verdict.PASS


def test_train_mode_that_fails_is_said(subject, net):
    model = net(0, nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Linear(6, 3)).eval()
    made = subject(model, data=(torch.randn(1, 4), torch.zeros(1, dtype=torch.int64)))
    finding = examine(made, ["determinism"])["determinism"]
    assert finding.verdict is Verdict.WARN
    assert "it fails there: ValueError" in finding.statement


def test_torch_s_own_list_of_operations_is_asked_and_its_switch_put_back(found):
    before = torch.are_deterministic_algorithms_enabled()
    finding = found(Draws())
    assert "torch knows of no operation" in finding.evidence["deterministic_algorithms"]
    assert torch.are_deterministic_algorithms_enabled() is before


def test_a_model_without_weights_is_examined(subject):
    finding = examine(subject(Draws(), classes=()), ["determinism"])["determinism"]
    assert finding.where == "the network (Draws)"


def test_sparse_gradients_are_compared(subject):
    class Words(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.Embedding(20, 3, sparse=True)

        def forward(self, inputs):
            return self.table(inputs).sum(1)

    x = torch.arange(40).reshape(10, 4) % 20
    made = subject(Words(), data={"train": (x, torch.arange(10) % 3)})
    found = examine(made, ["determinism", "coverage"])
    assert found["determinism"].verdict is Verdict.PASS
    assert found["coverage"].verdict is Verdict.PASS
