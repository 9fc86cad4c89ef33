import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from wellposed.audit._sites import batch_statistics, between, power, record


class Functional(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second, self.third = nn.Linear(5, 6), nn.Linear(6, 6), nn.Linear(6, 3)

    def forward(self, x):
        x = functional.gelu(self.first(x))
        x = self.second(x)
        return self.third(x / (1 + x.abs()))


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = nn.Linear(4, 4)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        for _ in range(3):
            x = self.relu(self.cell(x))
        return x


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(9, 4)
        self.lstm = nn.LSTM(4, 5, batch_first=True)
        self.head = nn.Linear(5, 2)

    def forward(self, x):
        return self.head(self.lstm(self.embed(x))[0][:, -1])


def inputs(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_records_every_call_in_order_with_its_kind():
    model = nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(inplace=True), nn.MaxPool2d(2),
        nn.Flatten(), nn.Dropout(), nn.Linear(27, 2),
    ).eval()  # fmt: skip
    x = inputs(7, 1, 8, 8)
    trace = record(model, x)
    assert [s.kind for s in trace.sites] == ["Conv", "norm", "activation", "", "", "", "Linear"]
    assert [s.name for s in trace.sites] == list("0123456")
    assert torch.equal(trace.outputs, model(x))
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_gradients_are_those_of_autograd_and_each_call_has_its_own():
    model, x = Tied(), inputs(6, 4)
    trace = record(model, x)
    assert [s.name for s in trace.sites if s.kind == "Linear"] == [
        "cell", "cell (call 2)", "cell (call 3)"
    ]  # fmt: skip
    gives, given = trace.gradients(trace.outputs.square().sum())
    weight = torch.autograd.grad(model(x).square().sum(), model.cell.weight)[0]
    parts = [
        g.T @ s.given.detach()
        for s, g in zip(trace.sites, gives, strict=True)
        if s.kind == "Linear"
    ]
    torch.testing.assert_close(sum(parts), weight)
    for site, out, into in zip(trace.sites, gives, given, strict=True):
        if site.kind == "Linear":
            torch.testing.assert_close(into, out @ model.cell.weight)


def test_a_gradient_at_an_input_is_what_this_call_alone_sends_down():
    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.branch = nn.Linear(3, 3, bias=False)

        def forward(self, x):
            return x + self.branch(x)

    model, x = Residual(), inputs(4, 3)
    trace = record(model, x)
    _, given = trace.gradients(trace.outputs.sum())
    torch.testing.assert_close(given[0], torch.ones(4, 3) @ model.branch.weight)


@pytest.mark.parametrize("inplace", [False, True])
def test_follows_modules_from_layer_to_layer(inplace):
    model = nn.Sequential(
        nn.Linear(4, 6), nn.ReLU(inplace), nn.Dropout(), nn.Flatten(), nn.Linear(6, 5),
        nn.LayerNorm(5), nn.Linear(5, 5), nn.Linear(5, 2),
    ).eval()  # fmt: skip
    trace = record(model, inputs(8, 4))
    name, phi = between(trace, 0, 4)
    assert name == "ReLU"
    assert torch.equal(phi(torch.tensor([-1.0, 2.0])), torch.tensor([0.0, 2.0]))
    assert between(trace, 4, 6) == ("5", None)
    assert between(trace, 6, 7)[0] == "nothing"


def test_recognizes_functions_by_their_values_and_says_what_was_not_seen():
    trace = record(Functional(), inputs(8, 5))
    assert between(trace, 0, 1)[0] == "gelu"
    assert between(trace, 1, 2) == ("functions that were not seen", None)


def test_integers_tuples_and_frozen_weights():
    model = Recurrent().requires_grad_(False).eval()
    trace = record(model, torch.randint(0, 9, (5, 7), generator=torch.Generator().manual_seed(0)))
    assert [s.kind for s in trace.sites] == ["", "LSTM", "Linear"]
    gives, _ = trace.gradients(trace.outputs.sum())
    assert all(g is not None for g in gives)


def test_a_module_of_the_users_own_that_calls_no_other_is_seen():
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.eye(3))

        def forward(self, x):
            return x @ self.w

    sites = record(Own(), inputs(4, 3)).sites
    assert [(s.name, s.kind) for s in sites] == [("Own", "Own")]
    attention = nn.MultiheadAttention(4, 2, batch_first=True)
    sites = record(nn.TransformerEncoderLayer(4, 2, 8, batch_first=True).eval(), inputs(2, 3, 4))
    assert "self_attn" in [s.name for s in sites.sites]
    assert type(attention).__name__ in [s.kind for s in sites.sites]


def test_batch_statistics_leave_the_averages_alone():
    model = nn.BatchNorm1d(3).eval()
    x = 5 + 2 * inputs(50, 3)
    with batch_statistics(model):
        y = model(x)
    assert float(y.detach().mean().abs()) < 1e-5
    assert not model.training
    assert model.track_running_stats
    assert torch.equal(model.running_mean, torch.zeros(3))
    assert int(model.num_batches_tracked) == 0


def test_powers_per_example():
    x = inputs(4, 3, 2)
    np.testing.assert_allclose(power(x, 4), x.square().sum((1, 2)).numpy(), rtol=1e-6)
    np.testing.assert_allclose(power(x.transpose(0, 1), 4), power(x, 4), rtol=1e-6)
    np.testing.assert_allclose(power(x.reshape(8, 3), 4), power(x, 4), rtol=1e-6)
    np.testing.assert_allclose(power(x, 5), np.full(5, float(x.square().sum()) / 5), rtol=1e-6)
    assert power(torch.full((2, 1), 1e-30), 2) == pytest.approx([1e-60, 1e-60])
