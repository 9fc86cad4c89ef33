"""What every optimizer without gradients must do."""

import copy
import inspect
import json
import pickle
from functools import partial

import pytest
import torch
from torch import nn

from wellposed import optim
from wellposed.errors import ArgumentError
from wellposed.optim._zeroth_order import ZerothOrder

MAKES = {
    "KieferWolfowitz": partial(optim.KieferWolfowitz, lr=0.2),
    "SPSA": partial(optim.SPSA, lr=0.02),
    "SPSA, averaged": partial(optim.SPSA, lr=0.02, directions=3),
    "SPSA, gaussian": partial(optim.SPSA, lr=0.02, distribution="gaussian"),
    "MeZO": partial(optim.MeZO, lr=0.02, weight_decay=1e-3),
}
every = pytest.mark.parametrize("make", MAKES.values(), ids=MAKES)


def weights(dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    return [
        nn.Parameter(torch.randn(shape, generator=generator).to(dtype))
        for shape in ((3, 2), (4,), ())
    ]


def bowl(params, calls=None):
    def closure():
        if calls is not None:
            calls.append(1)
        return sum(p.float().square().sum() for p in params)

    return closure


def test_none_is_missing_here():
    found = {
        name
        for name, value in vars(optim).items()
        if isinstance(value, type) and issubclass(value, ZerothOrder)
    }
    assert found == {name.partition(",")[0] for name in MAKES}


@pytest.mark.simulation
@every
def test_it_descends_counts_its_evaluations_and_returns_their_mean(make):
    params, calls = weights(), []
    optimizer = make(params)
    before = bowl(params)().item()
    first = optimizer.step(bowl(params, calls))
    assert first == pytest.approx(before, rel=0.05)
    assert optimizer.evaluations == len(calls) >= 2
    for _ in range(300):
        last = optimizer.step(bowl(params, calls))
    assert last < 0.3 * first
    assert optimizer.evaluations == len(calls)
    assert all(p.grad is None for p in params)


@every
def test_a_run_resumes_bitwise_through_json(make):
    straight = weights()
    optimizer = make(straight)
    for step in range(9):
        if step == 4:
            resumed = [nn.Parameter(p.detach().clone()) for p in straight]
            after = make(resumed)
            after.load_state_dict(json.loads(json.dumps(optimizer.state_dict())))
        optimizer.step(bowl(straight))
    for _ in range(4, 9):
        after.step(bowl(resumed))
    assert all(torch.equal(a, b) for a, b in zip(straight, resumed, strict=True))
    assert after.evaluations == optimizer.evaluations


@every
@pytest.mark.parametrize("through", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))])
def test_a_copy_goes_on_alike(make, through):
    params = weights()
    optimizer = make(params)
    optimizer.step(bowl(params))
    twin = through(optimizer)
    others = twin.param_groups[0]["params"]
    optimizer.step(bowl(params))
    twin.step(bowl(others))
    assert all(torch.equal(a, b) for a, b in zip(params, others, strict=True))


@every
def test_all_evaluations_of_a_step_see_the_same_random_numbers(make):
    # So a dropout mask cancels in the difference; afterwards the generator has moved on once.
    params, seen = weights(), []

    def closure():
        seen.append(torch.rand(2).tolist())
        return bowl(params)() + 100 * seen[-1][0]

    torch.manual_seed(5)
    expected = [torch.rand(2).tolist(), torch.rand(2).tolist()]
    torch.manual_seed(5)
    optimizer = make(params)
    optimizer.step(closure)
    half = len(seen)
    optimizer.step(closure)
    assert seen == half * [expected[0]] + half * [expected[1]]
    quiet = weights()
    twin = make(quiet)
    for _ in range(2):
        twin.step(bowl(quiet))
    for a, b in zip(params, quiet, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=5e-3)  # 100 rounds in float32


@every
def test_the_global_random_generator_is_left_alone(make):
    params = weights()
    optimizer = make(params)
    state = torch.get_rng_state()
    optimizer.step(bowl(params))
    assert torch.equal(torch.get_rng_state(), state)


@every
@pytest.mark.parametrize("at", [1, 2])
def test_a_closure_that_fails_leaves_the_weights_bitwise_as_they_were(make, at):
    params = weights(torch.bfloat16)
    kept = [p.detach().clone() for p in params]
    optimizer = make(params)
    calls = []

    def closure():
        calls.append(1)
        if len(calls) == at:
            raise KeyboardInterrupt
        return bowl(params)()

    with pytest.raises(KeyboardInterrupt):
        optimizer.step(closure)
    assert all(torch.equal(a, b) for a, b in zip(params, kept, strict=True))
    assert optimizer.evaluations == 0


@every
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_a_step_of_length_0_leaves_every_bit(make, dtype):
    params = weights(dtype)
    kept = [p.detach().clone() for p in params]
    optimizer = make(params, lr=0.0, radius=0.037)
    for _ in range(5):
        optimizer.step(bowl(params))
    assert all(torch.equal(a, b) for a, b in zip(params, kept, strict=True))


@pytest.mark.parametrize("make", [optim.SPSA, partial(optim.SPSA, directions=2), optim.MeZO])
def test_parameters_of_one_shape_get_different_directions_in_one_group_or_two(make):
    one, two = ([nn.Parameter(torch.zeros(9)) for _ in range(2)] for _ in range(2))
    make(one).step(lambda: sum(p.sum() for p in one))
    make([{"params": [p]} for p in two]).step(lambda: sum(p.sum() for p in two))
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
    assert not torch.equal(one[0], one[1])


@every
def test_evaluations_build_no_graph(make):
    params, losses = weights(), []

    def closure():
        losses.append(bowl(params)())
        return losses[-1]

    make(params).step(closure)
    assert not any(loss.requires_grad for loss in losses)


@every
def test_groups_keep_their_own_step_size_and_radius(make):
    still, moving = weights()[:2]
    before = still.detach().clone()
    optimizer = make([{"params": [still], "lr": 0.0}, {"params": [moving], "radius": 0.3}])
    for _ in range(3):
        optimizer.step(bowl([still, moving]))
    assert torch.equal(still, before)
    assert not torch.equal(moving, weights()[1])
    optimizer.add_param_group({"params": [nn.Parameter(torch.ones(2))]})
    assert optimizer.param_groups[2]["iteration"] == 3
    assert optimizer.param_groups[2]["evaluations"] == optimizer.evaluations


@every
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_every_precision_is_taken(make, dtype):
    params = weights(dtype)
    optimizer = make(params, radius=0.1)
    for _ in range(3):
        optimizer.step(bowl(params))
    assert all(p.dtype == dtype and torch.isfinite(p).all() for p in params)


@every
def test_torchs_schedulers_act_on_lr(make):
    params = weights()
    optimizer = make(params)
    scheduler = optim.CosineAnnealingLR(optimizer, T_max=1)
    optimizer.step(bowl(params))
    scheduler.step()
    frozen = [p.detach().clone() for p in params]
    optimizer.step(bowl(params))
    assert all(torch.equal(a, b) for a, b in zip(params, frozen, strict=True))


@every
def test_a_state_of_another_optimizer_is_completed(make):
    params = weights()
    optimizer = make(params)
    optimizer.load_state_dict(optim.SGD(params, lr=0.5).state_dict())
    assert optimizer.param_groups[0]["lr"] == 0.5
    optimizer.step(bowl(params))
    assert optimizer.evaluations >= 2


def with_gradients(params):
    loss = bowl(params)()
    loss.backward()
    return loss


@every
@pytest.mark.parametrize(
    ("closure", "message"),
    [
        (None, "without a closure.*try step"),
        (with_gradients, "computes gradients.*leave out backward"),
        (lambda _: None, "returned NoneType.*single number"),
        (lambda _: torch.ones(3), r"returned shape \(3,\).*single number"),
    ],
)
def test_a_wrong_closure_is_one_sentence(make, closure, message):
    params = weights()
    kept = [p.detach().clone() for p in params]
    with pytest.raises(ArgumentError, match=message) as caught:
        make(params).step(None if closure is None else lambda: closure(params))
    assert "\n" not in str(caught.value)
    assert all(torch.equal(a, b) for a, b in zip(params, kept, strict=True))


def test_another_runtime_error_of_the_closure_is_not_hidden():
    def closure():
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes do not match"):
        optim.SPSA(weights()).step(closure)


@every
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"lr": -1.0}, "lr=-1"),
        ({"radius": 0.0}, "radius=0"),
        ({"radius": float("nan")}, "radius=nan"),
    ],
)
def test_values_out_of_range_are_refused(make, arguments, message):
    with pytest.raises(ArgumentError, match=message):
        make(weights(), **arguments)


@every
def test_complex_weights_are_refused(make):
    with pytest.raises(ArgumentError, match=r"complex64.*real numbers only"):
        make([nn.Parameter(torch.ones(2, dtype=torch.complex64))])


@pytest.mark.parametrize("cls", [optim.KieferWolfowitz, optim.SPSA, optim.MeZO])
def test_arguments_and_sources_are_documented(cls):
    documented = inspect.getdoc(cls)
    for name in inspect.signature(cls).parameters:
        assert f"{name}:" in documented
    assert cls.citation.startswith("@")


def test_inside_a_relaxation_it_is_refused():
    with pytest.raises(ArgumentError, match=r"SPSA.*one gradient per step"):
        optim.Lookahead(weights(), base=optim.SPSA)
