import copy
import math
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.optim import SGD

from wellposed.errors import ArgumentError
from wellposed.perturb import L1, L2, Linf
from wellposed.regularizers import AdversarialTraining, Adversary, ElasticNet, InputGradient
from wellposed.train import Plan, fit
from wellposed.train._watchdog import Watchdog, robust_error


def watch(errors):
    model, dog = nn.Linear(1, 1), Watchdog()
    for step, error in enumerate(errors, 1):
        nn.init.constant_(model.weight, step)
        dog.see(error, step, model)
    return dog


def test_a_collapse_is_noticed_and_the_weights_before_it_are_kept():
    dog = watch([0.6, 0.4, 0.35, 0.5, 0.9])
    assert dog.barked
    assert (dog.best, dog.step) == (0.35, 3)
    assert dog.weights["weight"].item() == 3


def test_a_slow_or_small_loss_is_no_collapse():
    assert not watch([0.6, 0.4, 0.5, 0.59]).barked
    assert not watch([0.9, 0.8, 0.7]).barked
    assert watch([0.3, math.nan]).barked
    assert watch([0.3, 0.6, 0.3]).barked  # what barked once has


def test_it_goes_on_from_its_state():
    dog, other = watch([0.5, 0.4]), Watchdog()
    other.load_state_dict(copy.deepcopy(dog.state_dict()))
    other.see(0.7, 3, nn.Linear(1, 1))
    assert (other.step, other.barked) == (2, True)


def linear():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 2))
    inputs = torch.rand(300, 1, 4, 4)
    with torch.no_grad():
        model[1].bias -= model(inputs).mean(0)
    return model, inputs, model[1].weight.detach()


@pytest.mark.parametrize(
    ("ball", "order"), [(Linf(0.1), 1), (L2(0.3), 2), (L1(0.8), math.inf)], ids=str
)
def test_of_a_linear_classifier_it_is_a_close_lower_bound(ball, order):
    # Wrong under the adversary is a margin of at most eps |w_0 - w_1|_q; no bounds are near.
    model, inputs, w = linear()
    outputs = model(inputs).detach()
    targets = outputs.argmax(1)
    margin = (outputs[:, 0] - outputs[:, 1]).abs()
    gained = ball.eps * torch.linalg.vector_norm(w[0] - w[1], order)
    exact = (margin <= gained).float().mean().item()
    adversary = Adversary(ball, (-math.inf, math.inf), step=1.0)
    assert 0.05 < exact < 0.95
    found = robust_error(model, inputs, targets, adversary)
    assert exact - 0.03 < found < exact + 1e-6


def test_what_is_wrong_anyway_is_wrong_and_nothing_is_touched():
    model, inputs, _ = linear()
    model.insert(1, nn.BatchNorm1d(16))
    before, state = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    targets = 1 - model.eval()(inputs).argmax(1)
    model.train()
    assert robust_error(model, inputs, targets, Adversary(Linf(1e-6), step=1.0)) == 1.0
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert model.training


def run(problem, epochs=3, lr=0.05, **plan):
    optimizer = SGD(problem.model.parameters(), lr=lr, momentum=0.9)
    return fit(problem, optimizer, Plan(epochs=epochs, batch_size=16, seed=0, **plan))


def test_the_log_has_the_robust_error_and_training_goes_on_as_without(make_problem, dataset):
    term = ElasticNet(l2=1e-4) + AdversarialTraining(0.05)
    watched = run(make_problem(regularizer=term))
    found = [r for r in watched.records if r["event"] == "evaluation"]
    assert len(found) == 3
    assert all(r["error"] <= r["robust_error"] <= 1 for r in found)
    assert not any(r["collapsed"] for r in found)

    blind = make_problem(regularizer=term)
    blind = replace(blind, data=replace(dataset, validation=None))
    other = run(blind)
    for a, b in zip(watched.model.parameters(), other.model.parameters(), strict=True):
        assert torch.equal(a, b)


def test_without_an_adversary_nothing_is_attacked(make_problem):
    result = run(make_problem(regularizer=InputGradient(1e-3)))
    assert all("robust_error" not in r for r in result.records)


def test_a_collapsed_training_stops_with_the_last_good_weights(make_problem, monkeypatch):
    errors = iter([0.5, 0.4, 0.95, 0.1])
    seen = []

    def measured(model, *_, **__):
        seen.append(copy.deepcopy(model.state_dict()))
        return next(errors)

    monkeypatch.setattr("wellposed.train._training.robust_error", measured)
    result = run(make_problem(regularizer=AdversarialTraining(0.05)), epochs=9)
    assert result.step == 12
    assert [r["collapsed"] for r in result.records if r["event"] == "evaluation"] == [
        False,
        False,
        True,
    ]
    for name, value in result.model.state_dict().items():
        assert torch.equal(value, seen[1][name])


def test_the_best_robust_error_can_decide_which_weights_are_kept(make_problem, monkeypatch):
    errors = iter([0.5, 0.4, 0.45, 0.42])
    monkeypatch.setattr("wellposed.train._training.robust_error", lambda *_, **__: next(errors))
    problem = make_problem(regularizer=AdversarialTraining(0.05))
    result = run(problem, epochs=9, monitor="robust_error", patience=2)
    assert result.step == 12


def test_to_monitor_robustness_needs_an_adversary(make_problem):
    with pytest.raises(ArgumentError, match=r"needs an adversary, .* AdversarialTraining"):
        run(make_problem(), monitor="robust_error")


class Overwriting(nn.Module):
    """Standardizes what it is given in its own place."""

    def __init__(self):
        super().__init__()
        self.dense = nn.Linear(5, 3)

    def forward(self, x):
        return self.dense(x.sub_(0.3).div_(0.5))


def test_a_network_that_writes_into_its_input_is_watched():
    torch.manual_seed(0)
    model, inputs, targets = Overwriting(), torch.rand(40, 5), torch.arange(40) % 3
    before = inputs.clone()
    adversary = AdversarialTraining(0.1).adversary
    first = robust_error(model, inputs, targets, adversary)
    assert torch.equal(inputs, before)
    assert first == robust_error(model, inputs, targets, adversary)
