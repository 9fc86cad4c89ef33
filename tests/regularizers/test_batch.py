import copy

import pytest
import torch
from tests.regularizers.members import MEMBERS
from torch import nn

from wellposed.errors import ArgumentError
from wellposed.losses import CrossEntropy
from wellposed.problem import Problem
from wellposed.recipe import registry
from wellposed.regularizers import L2, BatchRegularizer, Point

every = pytest.mark.parametrize("term", MEMBERS.values(), ids=MEMBERS)


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    return torch.rand(12, 1, 4, 4, generator=generator), torch.arange(12) % 3


def network(*, norm=True, dropout=False):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return nn.Sequential(
            nn.Flatten(),
            nn.Linear(16, 8),
            nn.BatchNorm1d(8) if norm else nn.Identity(),
            nn.Tanh(),
            nn.Dropout(0.3) if dropout else nn.Identity(),
            nn.Linear(8, 3),
        )


def gradients(value, model):
    return torch.autograd.grad(value, tuple(model.parameters()))


def test_every_one_that_is_exported_is_tested_here():
    exported = {m for m in registry("regularizer").values() if issubclass(m, BatchRegularizer)}
    assert {type(term) for term in MEMBERS.values()} == exported


@every
def test_r_leaves_the_network_as_it_was(term, batch):
    model = network(dropout=True)
    model[2].eval()  # a mode of its own
    before = copy.deepcopy(model.state_dict())
    modes = [m.training for m in model.modules()]
    term.penalty(model, *batch)
    assert all(torch.equal(model.state_dict()[k], v) for k, v in before.items())
    assert [m.training for m in model.modules()] == modes
    assert all(p.grad is None for p in model.parameters())
    assert model[2].track_running_stats


@every
def test_the_objective_shows_batch_norm_one_batch(term, batch):
    model = network()
    term.objective(model, *batch)
    assert model[2].num_batches_tracked == 1
    assert all(p.grad is None for p in model.parameters())


@every
def test_the_objective_is_mean_loss_plus_r(term, batch):
    # Twice the same draws: in eval mode they are fixed.
    model = network(norm=False).double().eval()
    inputs, targets = batch[0].double(), batch[1]
    whole = term.objective(model, inputs, targets)
    sum_ = CrossEntropy().mean(model(inputs), targets) + term.penalty(model, inputs, targets)
    torch.testing.assert_close(whole, sum_, rtol=1e-12, atol=1e-12)
    for a, b in zip(gradients(whole, model), gradients(sum_, model), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)


@every
def test_gradients_are_counted(term, batch):
    # Each pass that is differentiated adds one; R can differentiate twice in one pass.
    model, seen = network(norm=False), []
    model.register_forward_hook(lambda _, __, outputs: seen.append(torch.is_tensor(outputs)))
    term.objective(model, *batch)
    assert term.gradients >= len(seen)
    assert (L2(0.1) + term).gradients == term.gradients
    assert (term + term).gradients == 2 * term.gradients - 1


@every
def test_in_eval_mode_it_is_a_function_of_the_weights(term, batch):
    model = network().eval()
    state = torch.get_rng_state()
    assert torch.equal(term.penalty(model, *batch), term.penalty(model, *batch))
    assert torch.equal(torch.get_rng_state(), state)


@every
def test_without_derivatives_it_is_a_value_without_graph(term, batch):
    model = network().eval()
    with torch.no_grad():
        found, whole = term.penalty(model, *batch), term.objective(model, *batch)
    assert not found.requires_grad
    assert not whole.requires_grad
    torch.testing.assert_close(found, term.penalty(model, *batch).detach())


@every
def test_in_bfloat16_all_weights_get_a_gradient_that_means_something(term, batch):
    model = network().eval()
    exact = gradients(term.objective(model, *batch), model)
    with torch.autocast("cpu", torch.bfloat16):
        value = term.objective(model, batch[0].bfloat16(), batch[1])
    value.backward()
    for a, b in zip(exact, model.parameters(), strict=True):
        assert b.grad.abs().sum() > 0
        assert torch.cosine_similarity(a.flatten(), b.grad.flatten(), 0) > 0.7


@every
def test_a_problem_takes_the_whole_objective_and_adds_the_other_terms(term, batch):
    model = network().eval()
    problem = Problem(None, model, CrossEntropy(), L2(0.1) + term)
    parts = problem.parts(*batch)
    alone = Problem(None, model, CrossEntropy(), term).parts(*batch)
    torch.testing.assert_close(parts.objective, alone.objective + L2(0.1)(Point(model)))
    torch.testing.assert_close(parts.penalty, alone.penalty + L2(0.1)(Point(model)))
    assert parts.outputs.shape == (12, 3)


@every
def test_the_loss_of_the_objective_is_the_one_used(term, batch):
    model = network().eval()
    smooth = CrossEntropy(label_smoothing=0.2)
    whole = term.objective(model, *batch, smooth)
    alone = smooth(model(batch[0]), batch[1]).mean() + term.penalty(model, *batch, smooth)
    torch.testing.assert_close(whole, alone, rtol=1e-5, atol=1e-6)


@pytest.mark.wrong_types
@every
def test_what_is_no_batch_is_refused(term, batch):
    model = network()
    with pytest.raises(ArgumentError, match="looks at the batch, and this point has none"):
        term(Point(model))
    with pytest.raises(ArgumentError, match=r"differentiates by the inputs, .* torch.int64"):
        term.penalty(model, batch[0].long(), batch[1])
    with pytest.raises(ArgumentError, match="one value per example"):
        term.objective(model, *batch, nn.CrossEntropyLoss())


class Overwriting(nn.Module):
    """Standardizes what it is given in its own place."""

    def __init__(self):
        super().__init__()
        self.dense = nn.Linear(5, 3)

    def forward(self, x):
        return self.dense(x.sub_(0.3).div_(0.5).flatten(1))


class Careful(Overwriting):
    """The same network, which leaves it as it is."""

    def forward(self, x):
        return self.dense(((x - 0.3) / 0.5).flatten(1))


@pytest.mark.parametrize("name", MEMBERS)
def test_a_network_that_writes_into_its_input_is_the_same_network(name):
    term = MEMBERS[name]
    if name == "intervals":
        pytest.skip("intervals are not written into")
    found = []
    for kind in (Overwriting, Careful):
        torch.manual_seed(0)
        model, targets = kind().double().eval(), torch.arange(6) % 3
        inputs = torch.rand(6, 5).double()
        before = inputs.clone()
        found.append((term.objective(model, inputs, targets), term.penalty(model, inputs, targets)))
        assert torch.equal(inputs, before)
    torch.testing.assert_close(*found)
