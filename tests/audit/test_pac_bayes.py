import math

import pytest
import torch
from torch import nn

from wellposed.audit import examine, pac_bayes
from wellposed.audit._pac_bayes import DELTA_BOUND, Certificate
from wellposed.audit._posterior import posterior
from wellposed.audit._subject import weights_digest
from wellposed.losses import SquaredError
from wellposed.runs import Verdict
from wellposed.stats import clopper_pearson
from wellposed.stats import pac_bayes as bound_of


def part(n, seed, flip=0.05):
    """Two classes by the sign of a sum, some labels wrong."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 4, generator=generator)
    y = (x.sum(1) > 0) ^ (torch.rand(n, generator=generator) < flip)
    return x, y.long()


def fitted(net, inputs, targets, seed=0, steps=60):
    model = net(seed, nn.Linear(4, 2))
    start = {k: v.clone() for k, v in model.state_dict().items()}
    optimizer = torch.optim.Adam(model.parameters(), 0.05)
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(inputs), targets).backward()
        optimizer.step()
    optimizer.zero_grad()
    return model, start


@pytest.fixture
def found(subject, net):
    def run(parts, model=None, pairs=400, **more):
        if model is None:
            model, more["initial"] = fitted(net, *parts["train"])
        made = subject(model, data=parts, **more)
        return examine(made, [lambda subject: pac_bayes(subject, pairs=pairs)]).findings[0]

    return run


def test_the_certificate_is_far_below_guessing_and_holds(found):
    finding = found({"train": part(2000, 0), "test": part(1000, 1)})
    bound = finding.evidence["bound"]
    assert finding.verdict is Verdict.PASS
    assert 0.05 < finding.value < bound < 0.2
    assert finding.evidence["error_of_guessing"] > 0.45
    assert finding.threshold.value == bound
    assert finding.threshold.kind == "theorem"
    assert "in at most" in finding.statement
    assert "held out, 1,000 examples certify" in finding.statement
    assert finding.evidence["held_out_limit"] < bound
    assert "off by" in finding.verified


def test_the_bound_is_that_of_the_theorem():
    noise = posterior(torch.ones(4), torch.zeros(4), torch.ones(4), [4], 500, 1.0)
    made = Certificate(noise, torch.zeros(4), (4,), 500, 20, 400)
    assert made.seen == clopper_pearson(20, 400, 0.98)[1]
    assert made.bound == bound_of(made.seen, noise.complexity, 500, DELTA_BOUND)


def test_the_bound_holds_on_thirty_draws_of_the_data(subject, net, found):
    for seed in range(30):
        train = part(80, seed, flip=0.15)
        model, start = fitted(net, *train, seed, steps=20)
        finding = found({"train": train, "test": part(1000, 100 + seed, flip=0.15)}, model,
                        initial=start, pairs=300)  # fmt: skip
        assert finding.verdict is not Verdict.FAIL
        assert finding.interval[0] < finding.evidence["bound"]


def test_parts_that_are_not_drawn_alike_are_found(found):
    inputs, targets = part(1000, 1)
    finding = found({"train": part(2000, 0), "test": (inputs, 1 - targets)})
    assert finding.verdict is Verdict.FAIL
    assert finding.interval[0] > finding.threshold.value
    assert "not drawn alike" in finding.remedy


def test_a_bound_above_guessing_is_unknown_and_not_passed(found, net):
    train = part(30, 0)
    model = net(0, nn.Linear(4, 40), nn.Tanh(), nn.Linear(40, 2))
    optimizer = torch.optim.Adam(model.parameters(), 0.05)
    for _ in range(100):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(train[0]), train[1]).backward()
        optimizer.step()
    optimizer.zero_grad()
    finding = found({"train": train, "test": part(200, 1)}, model)
    assert finding.verdict is Verdict.UNKNOWN
    assert "no more than guessing" in finding.statement
    assert "Clopper and Pearson" in finding.remedy


def test_initial_weights_make_it_sharper(found, net):
    train = part(400, 0)
    model, start = fitted(net, *train, steps=10)
    parts = {"train": train, "test": part(200, 1)}
    known, unknown = (found(parts, model, initial=i) for i in (start, None))
    assert known.evidence["prior_center"] == "the initial weights"
    assert unknown.evidence["prior_center"] == "0"
    assert known.evidence["bound"] < unknown.evidence["bound"]


def test_the_training_part_alone_is_enough(found):
    finding = found({"train": part(1000, 0)})
    assert finding.verdict is Verdict.PASS
    assert "held out" not in finding.statement
    assert finding.evidence["held_out_limit"] is None


def test_nothing_of_the_network_changes(found, net):
    train = part(200, 0)
    model, start = fitted(net, *train)
    before = weights_digest(model.state_dict())
    finding = found({"train": train, "test": part(100, 1)}, model, initial=start)
    assert math.isfinite(finding.evidence["bound"])
    assert weights_digest(model.state_dict()) == before
    assert all(p.grad is None for p in model.parameters())


def test_what_it_cannot_run_on_is_said(found, subject, net, blobs):
    regression = examine(subject(loss=SquaredError()), ["pac-bayes"])["pac-bayes"]
    assert "pac-bayes is about classifiers" in regression.statement
    alone = examine(subject(data=blobs()), ["pac-bayes"])["pac-bayes"]
    assert "pac-bayes needs a train part" in alone.statement
    normed = net(0, nn.Unflatten(1, (2, 2)), nn.InstanceNorm1d(2, track_running_stats=True))
    normed = normed.append(nn.Flatten()).append(nn.Linear(4, 3))
    finding = examine(subject(normed), ["pac-bayes"])["pac-bayes"]
    assert "statistics of 1 layers (1) have none" in finding.statement


def test_batch_norm_has_a_prior_as_well(found, net):
    train = part(1500, 0)
    model = net(0, nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    start = {k: v.clone() for k, v in model.state_dict().items()}
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    for _ in range(100):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(train[0]), train[1]).backward()
        optimizer.step()
    optimizer.zero_grad()
    model.eval()
    before = weights_digest(model.state_dict())
    finding = found({"train": train, "test": part(500, 1)}, model, initial=start)
    assert finding.verdict is Verdict.PASS
    assert len(finding.evidence["prior_sd"]) == 6
    assert finding.evidence["bound"] < 0.35
    assert weights_digest(model.state_dict()) == before
