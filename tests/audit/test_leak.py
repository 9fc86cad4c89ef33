import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from wellposed.audit import examine
from wellposed.audit._baseline import ridge
from wellposed.losses import SquaredError
from wellposed.runs import Verdict


@pytest.fixture(scope="module")
def digits():
    """Digits in a train and a test part, shape (n, 1, 8, 8), split by a seed."""
    images, labels = load_digits(return_X_y=True)
    x = torch.tensor(images / 16, dtype=torch.float32).reshape(-1, 1, 8, 8)
    y = torch.tensor(labels)

    def make(seed=0, change=None):
        rows = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
        parts = {"train": rows[:900], "test": rows[900:1700]}
        as_is = change or (lambda inputs, _: inputs)
        return {p: (as_is(x[r].clone(), y[r]), y[r]) for p, r in parts.items()}

    return make


def linear(parts):
    """The best linear classifier of the training part, as a network."""
    inputs, targets = parts["train"]
    found = ridge(inputs.flatten(1).double().numpy(), targets.numpy())
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, found.weights.shape[1]))
    with torch.no_grad():
        net[1].weight.copy_(torch.tensor(found.weights[:-1].T))
        net[1].bias.copy_(torch.tensor(found.weights[-1]))
    return net


def pixel(x, y):
    x[:, 0, 0, 0] = y / 9
    return x


def faint(x, y):
    x[:, 0, 3, 4] += 1e-3 * y / 9
    return x


def one_hot(x, y):
    x.flatten(1)[torch.arange(len(x)), y] = 2.0
    return x


def mostly(x, y):
    told = torch.rand(len(y), generator=torch.Generator().manual_seed(0)) < 0.97
    x[told, 0, 0, 0] = y[told] / 9
    return x


@pytest.mark.parametrize("change", [pixel, one_hot, mostly])
def test_a_pixel_that_holds_the_label_is_found(subject, digits, change):
    parts = digits(0, change)
    finding = examine(subject(linear(parts), data=parts), ["leak"])["leak"]
    assert finding.verdict is Verdict.WARN
    assert finding.interval[0] > 0.8
    assert finding.where.startswith("input feature at (0, ")
    assert finding.verified.endswith("equal")
    assert "must go" in finding.remedy


def test_what_the_network_owes_to_it_is_measured(subject, digits):
    parts = digits(0, pixel)

    class Reads(nn.Module):
        def forward(self, x):
            return -(9 * x[:, 0, 0, :1] - torch.arange(10)).abs()

    finding = examine(subject(Reads(), data=parts), ["leak"])["leak"]
    assert (finding.value, finding.evidence["wrong"]) == (1.0, 0)
    # what is right by chance after shuffling: sum of squared shares, about a tenth
    owed = finding.evidence["shuffled"][0]
    assert owed["feature"] == 0
    assert owed["lost"] == pytest.approx(0.9, abs=0.04)
    assert owed["low"] < owed["lost"] < owed["high"]


def test_a_network_that_hangs_on_one_feature_is_found_though_others_tell_as_much(subject):
    # All 20 features say a little; the network listens to the first alone.
    generator = torch.Generator().manual_seed(0)

    def part(n):
        y = torch.arange(n) % 2
        return y[:, None] + 0.8 * torch.randn(n, 20, generator=generator), y

    class First(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.width = width

        def forward(self, x):
            score = x[:, : self.width].mean(1, keepdim=True)
            return torch.cat([1 - score, score], 1)

    parts = {"train": part(600), "test": part(600)}
    found = [
        examine(subject(First(width), data=parts), ["leak"], "deep")["leak"] for width in (1, 20)
    ]
    assert [f.verdict for f in found] == [Verdict.WARN, Verdict.PASS]
    assert found[0].interval[1] < 0.8


def test_twenty_healthy_seeds_raise_no_alarm(subject, digits):
    highest = 0.0
    for seed in range(20):
        parts = digits(seed)
        finding = examine(subject(linear(parts), data=parts, seed=seed), ["leak"])["leak"]
        assert finding.verdict is Verdict.PASS
        assert finding.verified.endswith("equal")
        highest = max(highest, finding.interval[1])
    assert highest < 0.8


def test_what_it_cannot_run_on_is_said(subject, blobs):
    few = examine(subject(), ["leak"])["leak"]
    assert few.verdict is Verdict.UNKNOWN
    assert "have 4 features, and with fewer than 16" in few.statement
    assert "needs a train part" in examine(subject(data=blobs()), ["leak"])["leak"].statement
    regression = examine(subject(loss=SquaredError()), ["leak"])["leak"]
    assert "leak is about classifiers" in regression.statement


def test_tokens_have_places(subject):
    generator = torch.Generator().manual_seed(0)

    def part(n, leaky):
        x, y = torch.randint(1, 50, (n, 16), generator=generator), torch.arange(n) % 3
        if leaky:
            x[:, 5] = 7 + y
        return x, y

    net = nn.Sequential(nn.Embedding(50, 2), nn.Flatten(), nn.Linear(32, 3))
    found = [
        examine(subject(net, data={"train": part(400, on), "test": part(400, on)}), ["leak"])
        for on in (True, False)
    ]
    assert [f["leak"].verdict for f in found] == [Verdict.WARN, Verdict.PASS]
    assert found[0]["leak"].where == "input feature at (5)"
