"""Every member on whatever parameters a model has: frozen, tied, complex, single numbers, none."""

import copy

import pytest
import torch
from tests.optim.members import OURS
from tests.optim.tiny import copies, equal, run, slope, switch, weights
from torch import nn

from wellposed import optim
from wellposed.optim._two_level import TwoLevel

ours = pytest.mark.parametrize("make", OURS.values(), ids=OURS)
STEPS = 17  # three cycles of 5 steps, and two more

# Their arithmetic mixes entries, parameters or groups, or they draw normal numbers.
MIXING = {"LaplacianSmoothing", "SAM", "ASAM", "GradientNoise", "Heat"}
APART = {
    name: make
    for name, make in OURS.items()
    if make.func.__name__ not in MIXING
    and make(weights()).param_groups[0].get("temperature", 0) == 0
}
apart = pytest.mark.parametrize("make", APART.values(), ids=APART)


def at_anchor(optimizer, params):
    switch(optimizer, to_anchor=True)
    found = copies(params)
    switch(optimizer, to_anchor=False)
    return found


def end_cycle(optimizer, params):
    while isinstance(optimizer, TwoLevel) and optimizer.phase[0] > 0:
        run(optimizer, params, 1)


@ours
def test_frozen_after_a_while_they_rest(make):
    params = frozen, moving = weights()
    optimizer = make(params)
    run(optimizer, params, 7)
    frozen.requires_grad_(False)
    run(optimizer, params, 1)
    end_cycle(optimizer, params)
    rest = frozen.detach().clone()
    anchor = at_anchor(optimizer, params)[0]
    for _ in range(7):
        run(optimizer, params, 1)
        assert torch.equal(frozen, rest)
        if not isinstance(optimizer, optim.PolyakRuppert):  # an average with a point that rests
            assert torch.equal(at_anchor(optimizer, params)[0], anchor)
    assert not torch.equal(moving, weights()[1])
    frozen.requires_grad_(True)
    run(optimizer, params, 12)
    assert not torch.equal(frozen, rest)


@ours
def test_unfrozen_later_they_join(make):
    frozen, moving = weights()
    frozen.requires_grad_(False)
    optimizer = make([frozen, moving])
    start = frozen.detach().clone()
    run(optimizer, [frozen, moving], 7)
    assert torch.equal(frozen, start)
    frozen.requires_grad_(True)
    run(optimizer, [frozen, moving], 12)
    assert not torch.equal(frozen, start)
    assert torch.isfinite(frozen).all()


@ours
def test_single_numbers_and_nothing_at_all(make):
    params = weights(shapes=((), (0,), (2, 0, 3), (1,), (3,)))
    optimizer = make(params)
    start = copies(params)
    for _ in range(STEPS):
        run(optimizer, params, 1)
        switch(optimizer, to_anchor=True)
        switch(optimizer, to_anchor=False)
    assert all(torch.isfinite(p).all() for p in params)
    assert not torch.equal(params[0], start[0])
    assert [p.shape for p in params] == [p.shape for p in start]


@ours
def test_groups_without_parameters(make):
    alone, beside = weights(), weights()
    plain = make([{"params": []}, {"params": alone}])
    others = make([{"params": []}, {"params": beside}, {"params": []}])
    for _ in range(STEPS):
        run(plain, alone, 1)
        run(others, beside, 1)
        assert equal(alone, beside)
    if isinstance(others, optim.Anchored):
        others.diagnostics()
        others.finish_cycle()
    assert not equal(alone, weights())


@apart
def test_groups_are_as_if_each_were_alone(make):
    together, alone = weights(), weights()
    own = {"lr": 0.02}
    if "weight_decay" in make(weights()).defaults:
        own["weight_decay"] = 0.1
    one = make([{"params": together[:1]}, {"params": together[1:], **own}])
    two = make(alone[:1]), make([{"params": alone[1:], **own}])
    for _ in range(STEPS):
        run(one, together, 1)
        for optimizer, p in zip(two, alone, strict=True):
            run(optimizer, [p], 1)
        assert equal(together, alone)


@ours
def test_a_group_that_comes_late(make):
    params = weights()
    optimizer = make(params[:1])
    run(optimizer, params[:1], 3)
    optimizer.add_param_group({"params": params[1:], "lr": 0.02})
    run(optimizer, params, STEPS)
    twins = copies(params)
    again = make([{"params": twins[:1]}, {"params": twins[1:]}])
    again.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    run(optimizer, params, 7)
    run(again, twins, 7)
    assert equal(params, twins)
    assert not torch.equal(params[1], weights()[1])


# One knows neighbours, the other no complex numbers.
PAIRS = {
    name: make
    for name, make in OURS.items()
    if make.func not in {optim.LaplacianSmoothing, optim.ProximalSGD}
}


@pytest.mark.parametrize("make", PAIRS.values(), ids=PAIRS)
def test_complex_numbers_are_pairs_of_real_ones(make):
    pairs = weights(torch.float64, ((3, 2, 2), (4, 2), (2,)))
    params = [nn.Parameter(torch.view_as_complex(p.detach().clone())) for p in pairs]
    one, two = make(params), make(pairs)
    for _ in range(STEPS):
        for p in params:
            p.grad = torch.view_as_complex(slope(torch.view_as_real(p)))
        grads = [p.grad.clone() for p in params]
        one.step()
        assert equal([p.grad for p in params], grads)
        run(two, pairs, 1)
        for p, q in zip(at_anchor(one, params), at_anchor(two, pairs), strict=True):
            torch.testing.assert_close(torch.view_as_real(p), q, rtol=1e-12, atol=1e-12)


@ours
@pytest.mark.parametrize("at", [0, 2, 5])
def test_brought_into_channels_last_while_training(make, at):
    shapes = ((4, 3, 3, 3), (4,))
    straight, moved = weights(torch.float64, shapes), weights(torch.float64, shapes)
    model = nn.ParameterList(moved)
    one, two = make(straight), make(moved)
    run(one, straight, at)
    run(two, moved, at)
    model.to(memory_format=torch.channels_last)
    assert moved[0].stride() != straight[0].stride()
    run(one, straight, STEPS)
    for _ in range(STEPS):
        run(two, moved, 1)
        switch(two, to_anchor=True)
        switch(two, to_anchor=False)
    for p, q in zip(straight, moved, strict=True):
        torch.testing.assert_close(p, q, rtol=1e-12, atol=1e-12)


@ours
def test_tied_parameters_stay_tied(make):
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.encode, self.decode = nn.Linear(4, 4), nn.Linear(4, 4)
            self.decode.weight = self.encode.weight

    model = Tied()
    optimizer = make(model.parameters())
    params = list(model.parameters())
    assert len(params) == 3
    for _ in range(STEPS):
        run(optimizer, params, 1)
        switch(optimizer, to_anchor=True)
        assert model.decode.weight is model.encode.weight
        switch(optimizer, to_anchor=False)
