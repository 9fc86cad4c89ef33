import math

import pytest
import torch

from wellposed.data import Batches
from wellposed.errors import RunFolderError
from wellposed.optim import SGD, EntropySGD
from wellposed.train import Plan, Precision
from wellposed.train._training import Scheduler, Training

CPU = torch.device("cpu")


@pytest.fixture
def make(make_problem, dataset):
    def make(optimizer=None, **fields):
        problem = make_problem()
        plan = Plan(**{"epochs": 2, "batch_size": 32} | fields)
        made = (optimizer or (lambda w: SGD(w, lr=0.1)))(problem.model.parameters())
        batches = Batches(dataset.train, plan.batch_size, seed=plan.seed)
        return Training(problem, made, plan, (), CPU, Precision(), batches)

    return make


def test_counts_steps_gradients_and_examples(make):
    training = make(accumulate=2)
    assert (training.steps_per_epoch, training.total_steps) == (2, 4)
    found = [(step.index, training.step) for step in training.descend()]
    assert found == [(1, 1), (2, 2), (3, 3), (4, 4)]
    assert (training.gradients, training.examples) == (6, 192)
    assert list(training.descend()) == []


def test_goes_on_wherever_its_state_is(make):
    whole, parts = make(), make()
    objectives = [step.objective.item() for step in whole.descend()]
    moving = parts.descend()
    first = [next(moving).objective.item() for _ in range(4)]
    again = make()
    with torch.random.fork_rng():
        again.load(parts.state(), "here")
        rest = [step.objective.item() for step in again.descend()]
    # Dropout draws from the caller's generator, which went on in between; shapes must agree.
    assert len(first + rest) == len(objectives) == 6
    assert again.window.read()[:4] == parts.window.read()


def test_lr_and_gradient_norm_are_those_of_the_last_update(make):
    training = make()
    assert training.gradient_norm() == 0.0
    next(training.descend())
    gradients = torch.cat([p.grad.flatten() for p in training.problem.model.parameters()])
    assert training.gradient_norm() == pytest.approx(gradients.norm().item(), rel=1e-5)
    assert training.lr == 0.1


def test_the_gradient_norm_is_that_before_clipping(make):
    free, clipped = make(), make(clip_norm=1e-3)
    for training in (free, clipped):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            next(training.descend())
    assert clipped.gradient_norm() == pytest.approx(free.gradient_norm(), rel=1e-6)


def test_only_relaxations_say_something_about_themselves(make):
    assert make().diagnostics() == {}
    assert "gamma" in make(EntropySGD).diagnostics()


def test_sees_weights_that_are_not_finite(make):
    training = make()
    assert training.is_finite()
    training.problem.model[5].bias.data[2] = math.inf
    assert not training.is_finite()


def test_statistics_come_from_at_most_64_batches_of_the_training_part(make):
    assert len(list(make(batch_size=1).statistics_batches())) == 64
    assert len(list(make().statistics_batches())) == 3


def test_another_seed_is_refused_with_its_name(make):
    state = make().state()
    with pytest.raises(RunFolderError, match=r"here was written with seed=0, but .* seed=1"):
        make(seed=1).load(state, "here")


def test_what_has_the_three_methods_is_a_scheduler():
    optimizer = SGD([torch.zeros(1, requires_grad=True)])
    assert isinstance(torch.optim.lr_scheduler.StepLR(optimizer, 1), Scheduler)
    assert not isinstance(optimizer.param_groups, Scheduler)
