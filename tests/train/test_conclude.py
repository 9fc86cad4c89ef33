import pytest
import torch

from wellposed.data import Batches
from wellposed.optim import SGD, EntropySGD, recompute_batch_norm
from wellposed.train import Plan, Precision
from wellposed.train._conclude import conclude
from wellposed.train._training import Training


@pytest.fixture
def trained(make_problem, dataset):
    """A function that trains for some steps."""

    def trained(optimizer, steps=5, **fields):
        problem = make_problem()
        plan = Plan(batch_size=16, **fields)
        made = optimizer(problem.model.parameters())
        batches = Batches(dataset.train, 16)
        training = Training(problem, made, plan, (), torch.device("cpu"), Precision(), batches)
        moving = training.descend()
        for _ in range(steps):
            next(moving)
        return training

    return trained


def test_an_open_cycle_is_closed_and_statistics_are_those_of_the_anchor(trained):
    training = trained(lambda w: EntropySGD(w, lr=0.1, inner_steps=4, mean=None), steps=6)
    inner = training.problem.model[0].weight.detach().clone()
    result = conclude(training, None, [], {})
    assert (result.weights, result.step) == ("anchor", 6)
    assert training.optimizer.phase == (0, 2)
    assert torch.equal(result.model[0].weight, inner)  # without a mean the last point is the anchor
    found = result.model[1].running_mean.clone()
    recompute_batch_norm(result.model, training.statistics_batches())
    assert torch.equal(found, result.model[1].running_mean)


def test_the_average_replaces_the_last_weights(trained):
    training = trained(lambda w: SGD(w, lr=0.1), ema=0.5)
    average = training.average.module[0].weight.clone()
    result = conclude(training, None, [{"event": "x"}], {})
    assert result.weights == "ema"
    assert torch.equal(result.model[0].weight, average)
    assert result.records == ({"event": "x"},)


def test_the_best_weights_replace_the_last(trained):
    training = trained(lambda w: SGD(w, lr=0.1), patience=1)
    training.stopping.see(1.0, training.step, training.problem.model)
    best = training.problem.model[0].weight.detach().clone()
    moving = training.descend()
    next(moving)
    result = conclude(training, None, [], {})
    assert result.step == 5
    assert torch.equal(result.model[0].weight, best)


def test_cost_counts_gradients_examples_and_bytes(trained):
    plain = conclude(trained(lambda w: SGD(w, lr=0.1, momentum=0.9)), None, [], {}).cost
    weights = plain["weights_bytes"]
    assert plain["gradient_evaluations"] == 5
    assert plain["examples"] == 80
    assert plain["optimizer_bytes"] == weights
    averaged = conclude(trained(lambda w: SGD(w, lr=0.1, momentum=0.9), ema=0.5), None, [], {}).cost
    assert averaged["optimizer_bytes"] == 2 * weights
    assert conclude(trained(lambda w: SGD(w, lr=0.1)), None, [], {}).cost["optimizer_bytes"] == 0
