import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import Ridge
from torch import nn

from wellposed.audit import Subject, examine
from wellposed.audit._baseline import STRENGTHS, ridge
from wellposed.losses import SquaredError
from wellposed.runs import Verdict
from wellposed.stats import tango


def rings(n, seed):
    """Two classes by the radius, which no linear function tells apart."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 2, generator=generator)
    return x, (x.square().sum(1) > 1.4).long()


class Radius(nn.Module):
    """Right but for examples whose first coordinate is above a limit."""

    def __init__(self, limit=9.0):
        super().__init__()
        self.limit = limit

    def forward(self, x):
        score = (x.square().sum(1) - 1.4) * torch.where(x[:, 0] > self.limit, -1, 1)
        return torch.stack([-score, score], 1)


def table(n=60, width=5, seed=0):
    generator = np.random.default_rng(seed)
    x = generator.standard_normal((n, width))
    return x, (x[:, 0] + 0.5 * generator.standard_normal(n) > 0).astype(int) + (x[:, 1] > 1)


@pytest.mark.parametrize("width", [5, 200])
def test_the_regression_is_that_of_sklearn(width):
    x, y = table(width=width)
    ours = ridge(x, y)
    theirs = Ridge(alpha=ours.alpha).fit(x, np.eye(3)[y])
    np.testing.assert_allclose(ours.weights[:-1], theirs.coef_.T, atol=1e-9)
    np.testing.assert_allclose(ours.weights[-1], theirs.intercept_, atol=1e-9)
    assert ours.residual < 1e-9


@pytest.mark.parametrize("width", [5, 80])
def test_its_penalty_has_the_fewest_errors_with_one_left_out(width):
    x, y = table(n=40, width=width)
    scale = ((x - x.mean(0)) ** 2).sum() / width
    errors = []
    for strength in STRENGTHS:
        wrong = 0
        for i in range(len(x)):
            rest = np.arange(len(x)) != i
            fit = Ridge(alpha=strength * scale).fit(x[rest], np.eye(3)[y[rest]])
            wrong += fit.predict(x[i : i + 1]).argmax() != y[i]
        errors.append(wrong)
    ours = ridge(x, y)
    assert ours.left_out == pytest.approx(min(errors) / len(x))
    assert ours.alpha == pytest.approx(STRENGTHS[int(np.argmin(errors))] * scale)


def test_a_network_that_is_right_where_no_linear_function_is_passes(subject):
    parts = {"train": rings(300, 0), "test": rings(400, 1)}
    finding = examine(subject(Radius(), data=parts), ["baseline"])["baseline"]
    assert finding.verdict is Verdict.PASS
    assert finding.evidence["wrong"]["network"] == 0
    wrong = finding.evidence["wrong"]["ridge regression"]
    assert wrong > 100
    assert finding.interval == pytest.approx(tango(0, wrong, 400))
    assert "0.00 %, ridge regression from 300 training examples" in finding.statement
    assert "X'Y" in finding.verified


def test_a_network_that_is_worse_is_found_on_20_seeds_and_a_good_one_never(subject, net, blobs):
    for seed in range(20):
        parts = {"train": blobs(90, seed), "test": blobs(300, 100 + seed)}
        random = examine(subject(net(seed), data=parts), ["baseline"])["baseline"]
        assert random.verdict is Verdict.WARN
        assert random.interval[0] > 0
        parts = {"train": rings(100, seed), "test": rings(200, 100 + seed)}
        good = examine(subject(Radius(1.0), data=parts), ["baseline"])["baseline"]
        assert good.verdict is Verdict.PASS


def test_the_same_classifier_is_not_told_apart(subject):
    x, y = load_digits(return_X_y=True)
    x, y = torch.tensor(x).float() / 16, torch.tensor(y)
    parts = {"train": (x[:500], y[:500]), "test": (x[500:900], y[500:900])}
    found = ridge(x[:500].double().numpy(), y[:500].numpy())
    net = nn.Linear(64, 10)
    with torch.no_grad():
        net.weight.copy_(torch.tensor(found.weights[:-1].T))
        net.bias.copy_(torch.tensor(found.weights[-1]))
    finding = examine(subject(net, data=parts), ["baseline"])["baseline"]
    assert finding.verdict is Verdict.UNKNOWN
    assert finding.value == 0
    assert finding.evidence["left_out_error"] < 0.12


def test_tokens_are_counted(subject):
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(300) % 2
    x = torch.randint(0, 20, (300, 12), generator=generator)
    x[y == 1, 3:6] = 19
    net = nn.Sequential(nn.Embedding(20, 2), nn.Flatten(), nn.Linear(24, 2))
    parts = {"train": (x[:150], y[:150]), "test": (x[150:], y[150:])}
    finding = examine(subject(net, data=parts), ["baseline"])["baseline"]
    assert finding.evidence["wrong"]["ridge regression"] <= 3
    assert finding.verdict is Verdict.WARN


def test_what_it_cannot_run_on_is_said(subject, blobs):
    alone = examine(subject(data=blobs()), ["baseline"])["baseline"]
    assert "baseline needs a train part" in alone.statement
    regression = examine(subject(loss=SquaredError()), ["baseline"])["baseline"]
    assert "baseline is about classifiers" in regression.statement


def test_labels_that_do_not_belong_to_their_inputs_are_suspected(blobs):
    x, y = blobs(600, 1)
    u, v = blobs(300, 2)
    network = nn.Linear(4, 3)
    with torch.no_grad():
        network.weight.copy_(torch.eye(3, 4))
        network.bias.zero_()

    def remedy(labels):
        data = {"train": (x, y), "test": (u, labels)}
        return examine(Subject(network, data), ["baseline"])["baseline"].remedy

    assert "belong together" in remedy(v[torch.randperm(300)])
    assert "belong together" not in remedy(v)
    assert "belong together" not in remedy(torch.where(torch.arange(300) < 60, (v + 1) % 3, v))
