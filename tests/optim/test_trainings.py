"""Every member in the kinds of training that loops are made of, with gradients of a real model."""

import copy

import pytest
import torch
from tests.optim.members import ONE_EACH, OURS
from tests.optim.tiny import equal, run, switch, weights
from torch import nn

from wellposed import optim

pytestmark = pytest.mark.simulation

STEPS = 12

ours = pytest.mark.parametrize("make", OURS.values(), ids=OURS)
one_each = pytest.mark.parametrize("make", ONE_EACH.values(), ids=ONE_EACH)


def network(dtype=torch.float32):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3)).to(dtype)


def batches(count=STEPS, dtype=torch.float32):
    generator = torch.Generator().manual_seed(1)
    return [
        (
            torch.randn(4, 6, generator=generator).to(dtype),
            torch.randint(3, (4,), generator=generator),
        )
        for _ in range(count)
    ]


def train(model, optimizer, data, forward=None):
    losses = []
    for inputs, labels in data:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy((forward or model)(inputs), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@ours
def test_a_step_that_a_scaler_skips_is_as_if_it_had_not_been(make):
    def scaled(data):
        model = network()
        optimizer = make(model.parameters())
        scaler = torch.amp.GradScaler("cpu", init_scale=256.0, growth_interval=3)
        for inputs, labels in data:
            optimizer.zero_grad()
            scaler.scale(nn.functional.cross_entropy(model(inputs), labels)).backward()
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            scaler.step(optimizer)
            scaler.update()
        return model, optimizer

    data = batches()
    broken = torch.full_like(data[0][0], torch.inf), data[0][1]
    model, optimizer = scaled([*data[:4], broken, *data[4:7], broken, broken, *data[7:]])
    expected, reference = scaled(data)
    assert equal(model.parameters(), expected.parameters())
    if isinstance(optimizer, optim.Anchored):
        assert optimizer.phase == reference.phase


@ours
def test_autocast_and_low_precision_weights_learn(make):
    data = batches(1) * 40
    model = network()

    def forward(inputs):  # a context around several steps would keep the weights of the first
        with torch.autocast("cpu", torch.bfloat16):
            return model(inputs)

    losses = train(model, make(model.parameters()), data, forward)
    assert min(losses[-5:]) < losses[0]
    assert all(p.dtype == torch.float32 for p in model.parameters())
    model = network(torch.bfloat16)
    losses = train(model, make(model.parameters()), batches(1, torch.bfloat16) * 40)
    assert min(losses[-5:]) < losses[0]
    assert all(p.dtype == torch.bfloat16 for p in model.parameters())


@pytest.fixture(scope="module", params=["eager", "aot_eager"])
def compiled(request):
    model = network()
    return model, torch.compile(model, backend=request.param)


@one_each
def test_a_compiled_model(make, compiled):
    model, forward = compiled
    model.load_state_dict(network().state_dict())
    train(model, make(model.parameters()), batches(), forward)
    expected = network()
    train(expected, make(expected.parameters()), batches())
    for p, q in zip(model.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-5, atol=1e-6)


@ours
def test_accumulated_gradients_are_one_step(make):
    whole, parts = network(torch.float64), network(torch.float64)
    one, two = make(whole.parameters()), make(parts.parameters())
    for inputs, labels in batches(dtype=torch.float64):
        one.zero_grad()
        nn.functional.cross_entropy(whole(inputs), labels).backward()
        one.step()
        two.zero_grad()
        for half in (slice(0, 2), slice(2, 4)):
            (nn.functional.cross_entropy(parts(inputs[half]), labels[half]) / 2).backward()
        two.step()
    for p, q in zip(whole.parameters(), parts.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=0, atol=1e-8)


SCHEDULERS = {
    "StepLR": lambda o: optim.StepLR(o, 2),
    "OneCycleLR": lambda o: optim.OneCycleLR(o, 0.1, total_steps=14, cycle_momentum=False),
    "ReduceLROnPlateau": lambda o: optim.ReduceLROnPlateau(o, patience=1),
    "warm restarts": lambda o: optim.CosineAnnealingWarmRestarts(o, 3),
    "in sequence": lambda o: optim.SequentialLR(
        o, [optim.LinearLR(o, 0.1, total_iters=3), optim.ExponentialLR(o, 0.9)], [3]
    ),
}


@one_each
@pytest.mark.parametrize("schedule", SCHEDULERS.values(), ids=SCHEDULERS)
def test_torchs_schedulers_go_on_from_their_state(make, schedule):
    def go(params, optimizer, scheduler, steps):
        for _ in range(steps):
            run(optimizer, params, 1)
            loss = [1.0] if isinstance(scheduler, optim.ReduceLROnPlateau) else []
            scheduler.step(*loss)

    params = weights()
    optimizer = make(params)
    scheduler = schedule(optimizer)
    go(params, optimizer, scheduler, 4)
    twins = [nn.Parameter(p.detach().clone()) for p in params]
    again = make(twins)
    another = schedule(again)
    another.load_state_dict(copy.deepcopy(scheduler.state_dict()))
    again.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    go(params, optimizer, scheduler, 8)
    go(twins, again, another, 8)
    assert equal(params, twins)
    assert optimizer.param_groups[0]["lr"] == again.param_groups[0]["lr"]
    assert not equal(params, weights())
    switch(optimizer, to_anchor=True)
    assert all(torch.isfinite(p).all() for p in params)
