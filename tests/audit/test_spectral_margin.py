import copy
import math

import pytest
import torch
from torch import nn

from wellposed.audit import Subject, examine
from wellposed.audit._margins import margin
from wellposed.audit._stretch import stretch
from wellposed.losses import SquaredError
from wellposed.runs import Verdict


def fitted(model, inputs, targets, steps=200):
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(inputs), targets).backward()
        optimizer.step()
    optimizer.zero_grad()
    return model


@pytest.fixture
def found(subject):
    def run(model, data, **more):
        made = subject(model, data=data, **more)
        return examine(made, ["spectral-margin"])["spectral-margin"]

    return run


def test_the_numbers_are_those_of_the_formula(found, net, blobs):
    parts = {"train": blobs(60), "test": blobs(90, 1)}
    model = fitted(net(), *parts["train"])
    finding = found(model, parts)
    chain = stretch(model, parts["train"][0][:8])
    size = parts["train"][0].square().sum(1).mean().sqrt().item()
    with torch.no_grad():
        m = margin(model(parts["test"][0]), parts["test"][1]).numpy()
    scale = chain.complexity * size / math.sqrt(60)
    assert finding.value == pytest.approx(sum(sorted(m / scale)[44:46]) / 2, rel=1e-5)
    assert finding.evidence["product_of_norms"] == pytest.approx(chain.product)
    assert finding.verdict is Verdict.PASS
    assert finding.interval[0] <= finding.value <= finding.interval[1]
    assert finding.verified.endswith("nor any of 89 pairs beyond the product")


def test_nothing_within_the_radius_is_classified_otherwise(net, blobs):
    inputs, targets = blobs(200)
    model = fitted(net(), inputs, targets)
    product = stretch(model, inputs[:8]).product
    with torch.no_grad():
        m = margin(model(inputs), targets)
        radius = (m.clamp(min=0) / (math.sqrt(2) * product)).float()
        away = nn.functional.normalize(torch.randn(200, 4))
        right = model(inputs + 0.999 * radius[:, None] * away).argmax(1) == targets
    assert right[m > 0].all()
    # a linear network turns just there: the bound is tight
    linear = nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        linear.weight.copy_(torch.eye(2))
    x = torch.tensor([[3.0, 1.0]])
    reach = 2 / math.sqrt(2)
    step = torch.tensor([[-1.0, 1.0]]) / math.sqrt(2)
    assert linear(x + 0.999 * reach * step).argmax() == 0
    assert linear(x + 1.001 * reach * step).argmax() == 1


def test_random_labels_leave_smaller_normalized_margins(found, net, blobs):
    inputs, targets = blobs(40)
    random = torch.randint(3, (40,), generator=torch.Generator().manual_seed(0))
    medians = []
    for labels in (targets, random):
        model = fitted(net(0, nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, 3)), inputs, labels, 600)
        data = {"train": (inputs, labels), "test": blobs(60, 1)}
        medians.append(found(model, data).evidence["medians"]["train"])
    assert 0 < medians[1] < medians[0] / 2


def test_a_network_without_skill_warns_and_twenty_healthy_seeds_do_not(found, net, blobs):
    for seed in range(20):
        parts = {"train": blobs(90, seed), "test": blobs(90, 100 + seed)}
        model = fitted(net(seed), *parts["train"], steps=40)
        assert found(model, parts).verdict is Verdict.PASS
    with torch.no_grad():
        model[2].weight.neg_()
        model[2].bias.neg_()
    assert found(model, parts).verdict is Verdict.WARN


def test_what_is_no_chain_is_said_and_bounds_nothing(found, net, blobs):
    model = net(0, nn.Linear(4, 6), nn.LayerNorm(6), nn.Linear(6, 3))
    finding = found(model, {"train": blobs(60), "test": blobs(60, 1)})
    assert "bounds nothing here: 1 layers have no known norm" in finding.statement
    assert finding.where == "no norm known: 1 (LayerNorm)"
    assert finding.evidence["radius"] is None


def test_initial_weights_are_the_reference(found, net, blobs):
    parts = {"train": blobs(60), "test": blobs(60, 1)}
    start = {k: v.clone() for k, v in net(3).state_dict().items()}
    model = fitted(net(3), *parts["train"], steps=20)
    near, far = found(model, parts, initial=start), found(model, parts)
    assert near.evidence["reference"] == "initial weights"
    assert near.evidence["complexity"] < far.evidence["complexity"]


def test_what_it_cannot_run_on_is_said(found, subject, blobs):
    regression = examine(subject(loss=SquaredError()), ["spectral-margin"])["spectral-margin"]
    assert "is about classifiers" in regression.statement
    parts = {"train": blobs(), "test": blobs()}
    assert "needs a train part" in found(None, {"test": blobs()}).statement
    none = found(nn.Sequential(nn.Tanh()), parts, classes=("a", "b", "c"))
    assert "the forward pass calls none" in none.statement


def test_a_parametrized_layer_keeps_its_weights(blobs):
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    model = copy.deepcopy(plain)
    for layer in (model[0], model[2]):
        nn.utils.parametrizations.weight_norm(layer)
    data = {"train": blobs(60, 1), "test": blobs(30, 2)}
    found = examine(Subject(model, data), ["spectral-margin"])["spectral-margin"]
    right = examine(Subject(plain, data), ["spectral-margin"])["spectral-margin"]
    assert found.verdict is not Verdict.UNKNOWN
    assert found.evidence["product_of_norms"] == pytest.approx(right.evidence["product_of_norms"])
