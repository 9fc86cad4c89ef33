"""SVRG against its definition, SGD, and the rate that it states."""

import copy
from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.nn import functional

from wellposed.errors import ArgumentError
from wellposed.optim import SGD, SVRG


def ridge(count=40):
    """A strongly convex sum over examples: its function, and its minimizer."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(count, 5, dtype=torch.float64, generator=generator)
    y = x.sum(1) + torch.randn(count, dtype=torch.float64, generator=generator)
    matrix = x.T @ x / count + 0.1 * torch.eye(5, dtype=torch.float64)

    def loss(w, rows):
        return (x[rows] @ w - y[rows]).square().mean() / 2 + 0.05 * w.square().sum()

    return loss, torch.linalg.solve(matrix, x.T @ y / count)


def weight():
    return nn.Parameter(torch.zeros(5, dtype=torch.float64))


def closure_for(optimizer, w, loss, rows):
    def closure():
        optimizer.zero_grad()
        value = loss(w, rows)
        value.backward()
        return value

    return closure


EVERY = torch.arange(40)


def gradient(w, loss, rows):
    (g,) = torch.autograd.grad(loss(w, rows), [w])
    return g


def test_at_the_snapshot_every_step_is_that_of_the_full_gradient():
    loss, _ = ridge()
    for batch in EVERY.split(8):
        w = weight()
        optimizer = SVRG([w], lr=0.1)
        optimizer.snapshot(closure_for(optimizer, w, loss, EVERY))
        expected = torch.add(w.detach(), gradient(w, loss, EVERY), alpha=-0.1)
        optimizer.step(closure_for(optimizer, w, loss, batch))
        torch.testing.assert_close(w.detach(), expected, rtol=0, atol=0)


@pytest.mark.parametrize("coefficient", [1.0, 0.6, 0.0])
def test_away_from_it_the_mean_over_all_batches_is_the_full_gradient(coefficient):
    loss, _ = ridge()
    steps, plain = [], []
    for batch in EVERY.split(8):
        w = weight()
        optimizer = SVRG([w], lr=1.0, coefficient=coefficient)
        optimizer.snapshot(closure_for(optimizer, w, loss, EVERY))
        with torch.no_grad():
            w += 0.1
        before = w.detach().clone()
        plain.append(gradient(w, loss, batch))
        optimizer.step(closure_for(optimizer, w, loss, batch))
        steps.append(before - w.detach())
    expected = gradient(nn.Parameter(before), loss, EVERY)
    torch.testing.assert_close(torch.stack(steps).mean(0), expected, rtol=1e-12, atol=1e-14)
    if coefficient == 1:  # ... and it varies less than the gradients of the batches
        assert float(torch.stack(steps).var(0).sum()) < 0.1 * float(torch.stack(plain).var(0).sum())


def run(make, epochs, lr=0.05):
    """Distances to the minimizer after each epoch over single examples, in a fixed random order."""
    loss, best = ridge()
    w = weight()
    optimizer = make([w], lr=lr)
    generator = torch.Generator().manual_seed(1)
    found = []
    for _ in range(epochs):
        if isinstance(optimizer, SVRG):
            optimizer.snapshot(closure_for(optimizer, w, loss, EVERY))
        for i in torch.randint(0, 40, (80,), generator=generator):
            optimizer.step(closure_for(optimizer, w, loss, i.reshape(1)))
        found.append(float((w.detach() - best).norm()))
    return found


@pytest.mark.simulation
def test_it_converges_linearly_where_sgd_stalls():
    ours, theirs = run(SVRG, 14), run(SGD, 14)
    assert max(b / a for a, b in pairwise(ours)) < 0.5  # by a factor of about 0.3 per epoch
    assert ours[-1] < 1e-6
    assert min(theirs) > 0.1


def test_without_the_correction_it_is_bitwise_sgd():
    loss, _ = ridge()
    one, other = weight(), weight()
    ours, theirs = SVRG([one], lr=0.05, coefficient=0.0), SGD([other], lr=0.05)
    ours.snapshot(closure_for(ours, one, loss, EVERY))
    for batch in EVERY.split(8):
        ours.step(closure_for(ours, one, loss, batch))
        theirs.step(closure_for(theirs, other, loss, batch))
        assert torch.equal(one, other)


def test_a_snapshot_in_parts_is_that_of_the_whole():
    loss, _ = ridge()
    one, other = weight(), weight()
    whole, parts = SVRG([one]), SVRG([other])
    whole.snapshot(closure_for(whole, one, loss, EVERY))

    def closure():
        parts.zero_grad()
        total = 0.0
        for batch in EVERY.split(16):  # 16, 16, 8: weighted by their sizes
            value = loss(other, batch) * (len(batch) / 40)
            value.backward()
            total = total + value.detach()
        return total

    parts.snapshot(closure)
    torch.testing.assert_close(
        whole.state[one]["full_gradient"], parts.state[other]["full_gradient"], rtol=1e-12, atol=0
    )


def test_cost_is_counted_as_stated_and_the_last_gradient_is_that_of_the_weights():
    loss, _ = ridge()
    w, calls = weight(), []
    optimizer = SVRG([w])
    optimizer.snapshot(closure_for(optimizer, w, loss, EVERY))
    for _ in range(3):
        before = w.detach().clone()
        inner = closure_for(optimizer, w, loss, EVERY[:8])
        found = optimizer.step(lambda inner=inner: calls.append(1) or inner())
    assert (len(calls), optimizer.effort.gradients, optimizer.snapshots) == (6, 6, 1)
    moved = nn.Parameter(before)
    torch.testing.assert_close(w.grad, gradient(moved, loss, EVERY[:8]), rtol=0, atol=0)
    assert found.item() == loss(moved, EVERY[:8]).item()


def test_without_a_snapshot_it_says_what_to_call():
    loss, _ = ridge()
    w = weight()
    optimizer = SVRG([w])
    with pytest.raises(ArgumentError, match=r"no snapshot.*optimizer\.snapshot\(closure\) first"):
        optimizer.step(closure_for(optimizer, w, loss, EVERY[:8]))


def network(*layers):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(5, 4), *layers, nn.Linear(4, 2))


def take(model, optimizer):
    inputs = torch.randn(16, 5, generator=torch.Generator().manual_seed(2))

    def closure():
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(inputs), torch.arange(16) % 2)
        loss.backward()
        return loss

    optimizer.snapshot(closure)
    optimizer.step(closure)


@pytest.mark.parametrize(
    "layer", [nn.BatchNorm1d(4), nn.Dropout(0.5), nn.AlphaDropout(0.1)], ids=lambda m: str(m)[:8]
)
def test_what_breaks_the_premise_is_refused_in_training_mode_only(layer):
    model = network(copy.deepcopy(layer))
    optimizer = SVRG(model.parameters(), model=model)
    with pytest.raises(ArgumentError, match=rf"{type(layer).__name__} \(1\) in training mode"):
        take(model, optimizer)
    model.eval()
    take(model, optimizer)
    assert optimizer.effort.gradients == 2
    model.train()
    with pytest.raises(ArgumentError, match="in training mode"):
        optimizer.step(lambda: None)


def test_dropout_of_rate_0_is_none():
    model = network(nn.Dropout(0.0))
    take(model, SVRG(model.parameters(), model=model))


def test_a_model_that_is_not_shown_is_found_out_if_it_draws_random_numbers():
    model = network(nn.Dropout(0.5))
    kept = copy.deepcopy(model)
    with (
        torch.random.fork_rng(),
        pytest.raises(ArgumentError, match=r"same weights.*dropout"),
    ):
        take(model, SVRG(model.parameters()))
    pairs = zip(model.parameters(), kept.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_a_step_that_leaves_the_numbers_is_not_taken():
    w = nn.Parameter(torch.tensor([1.0]))
    optimizer = SVRG([w], lr=1e38)

    def closure():
        optimizer.zero_grad()
        loss = 50 * w.square().sum()
        loss.backward()
        return loss

    optimizer.snapshot(closure)
    with pytest.raises(ArgumentError, match=r"lr=1e\+38 leaves the numbers.*smaller lr"):
        optimizer.step(closure)
    assert w.item() == 1.0


WRONG = [
    ({"lr": -1.0}, "lr=-1"),
    ({"coefficient": 1.5}, "coefficient=1.5"),
]


@pytest.mark.parametrize(("arguments", "sentence"), WRONG, ids=[s for _, s in WRONG])
def test_a_wrong_argument_is_refused(arguments, sentence):
    with pytest.raises(ArgumentError, match=sentence):
        SVRG([weight()], **arguments)


def test_a_closure_without_backward_is_told_so():
    w = weight()
    with pytest.raises(ArgumentError, match=r"left no gradient.*calls backward\(\)"):
        SVRG([w]).snapshot(lambda: w.square().sum())
