"""The step size against the edge: closed forms, the planted fault, and its healthy twin."""

import pytest
import torch
from torch import nn

from wellposed.audit import Descent, Subject, examine
from wellposed.losses import SquaredError
from wellposed.runs import Verdict


def found(subject, budget="standard"):
    return examine(subject, ["sharpness"], budget)["sharpness"]


def regression(descent, seed=0):
    """1/2 |w x - y|^2, whose Hessian is the mean of x x'; and its largest eigenvalue."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(80, 6, generator=generator) * torch.tensor([3.0, 1, 1, 1, 0.5, 0.1])
    model = nn.Linear(6, 1, bias=False)
    y = x.sum(1, keepdim=True)
    subject = Subject(model, {"train": (x, y)}, SquaredError(), descent=descent)
    factor = float(SquaredError()(torch.ones(1, 1), torch.zeros(1, 1))) * 2
    return subject, factor * float(torch.linalg.eigvalsh(x.T @ x / 80)[-1])


def test_on_a_quadratic_the_value_is_the_closed_form():
    subject, exact = regression(None)
    finding = found(subject)
    assert finding.value == pytest.approx(exact, rel=1e-5)
    assert finding.interval == pytest.approx((exact, exact), rel=1e-3)
    assert finding.verdict is Verdict.UNKNOWN  # no step size is on record
    assert f"stable for lr up to {2 / exact:.3g}" in finding.statement
    assert "finite differences" in finding.verified


@pytest.mark.parametrize(
    ("factor", "verdict"), [(0.5, "pass"), (0.95, "pass"), (1.3, "warn"), (2.5, "fail")]
)
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_the_step_size_is_judged_by_the_edge(factor, verdict, momentum):
    _, exact = regression(None)
    lr = factor * 2 * (1 + momentum) / exact
    finding = found(regression(Descent("sgd", lr, momentum=momentum))[0])
    assert finding.verdict.value == verdict, finding.statement
    assert bool(finding.remedy) == (verdict in ("warn", "fail"))


def test_gradient_descent_does_what_the_verdict_says():
    _, exact = regression(None)
    for factor, diverges in ((0.95, False), (1.3, True)):
        x, y = regression(None)[0].parts["train"].take(torch.arange(80))
        weight = torch.zeros(1, 6)
        for _ in range(60):
            weight = weight - factor * 2 / exact * (x @ weight.T - y).T @ x / 80
        assert (float(weight.norm()) > 1e3) == diverges


def test_weight_decay_in_the_gradient_counts():
    subject, exact = regression(Descent("sgd", 1e-3, weight_decay=0.5))
    assert found(subject).value == pytest.approx(exact + 0.5, rel=1e-5)


def test_adam_is_judged_by_what_its_preconditioner_shows(subject):
    quiet = found(subject(descent=Descent("adam", 1e-5, betas=(0.9, 0.999), batch_size=20)))
    loud = found(subject(descent=Descent("adam", 1e3, betas=(0.9, 0.999), batch_size=20)))
    assert quiet.verdict is Verdict.PASS
    assert loud.verdict is Verdict.FAIL
    assert "second moments of gradients of 20 examples" in quiet.statement
    assert quiet.value == pytest.approx(loud.value)


def test_a_healthy_network_passes_and_the_planted_step_fails(subject, blobs):
    x, y = blobs(60, 1)
    for seed in range(2):
        model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
        torch.nn.init.normal_(model[0].weight, generator=torch.Generator().manual_seed(seed))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
        for _ in range(100):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
        assert found(subject(model, descent=optimizer)).verdict is Verdict.PASS
        planted = Descent("sgd", 500.0)
        assert found(subject(model, descent=planted)).verdict is Verdict.FAIL


def test_an_unknown_method_is_not_judged(subject):
    finding = found(subject(descent=Descent("lion", 1e-3)), "quick")
    assert finding.verdict is Verdict.UNKNOWN
    assert "no edge that is known" in finding.statement


def test_it_cannot_run_without_weights(subject, net):
    finding = found(subject(net(0).requires_grad_(requires_grad=False)))
    assert finding.verdict is Verdict.UNKNOWN
    assert "no parameters that require a gradient" in finding.statement
