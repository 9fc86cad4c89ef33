"""The average against torch's, and its variance against the best there is."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_swa_multi_avg_fn

from wellposed.errors import ArgumentError
from wellposed.optim import GroupScheduler, PolyakRuppert, RobbinsMonro, memory


def network():
    model = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 2))
    generator = torch.Generator().manual_seed(0)
    for p in model.parameters():
        p.data = torch.randn(p.shape, generator=generator)
    return model


def give_gradients(model, step):
    generator = torch.Generator().manual_seed(step)
    for p in model.parameters():
        p.grad = torch.randn(p.shape, generator=generator).to(p.dtype)


@pytest.mark.parametrize("base", [torch.optim.SGD, torch.optim.AdamW])
@pytest.mark.parametrize("start", [0, 6])
def test_the_uniform_average_is_torchs_bitwise(base, start):
    ours, theirs = network(), network()
    optimizer = PolyakRuppert(ours.parameters(), lr=0.1, base=base, start=start)
    reference = base(theirs.parameters(), lr=0.1)
    average = AveragedModel(theirs, multi_avg_fn=get_swa_multi_avg_fn())
    for step in range(25):
        give_gradients(ours, step)
        give_gradients(theirs, step)
        optimizer.step()
        reference.step()
        if step >= start:
            average.update_parameters(theirs)
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(p, q)
    with optimizer.at_anchor():
        for p, q in zip(ours.parameters(), average.module.parameters(), strict=True):
            assert torch.equal(p, q)


def test_before_the_start_one_keeps_the_last_point():
    model = network()
    optimizer = PolyakRuppert(model.parameters(), start=3)
    for step in range(3):
        give_gradients(model, step)
        optimizer.step()
        held = [p.detach().clone() for p in model.parameters()]
        with optimizer.at_anchor():
            assert all(torch.equal(p, h) for p, h in zip(model.parameters(), held, strict=True))
    assert optimizer.phase == (3, 0)


@pytest.mark.parametrize("tail", [1.0, 0.5, 0.2])
def test_the_weights_are_those_of_the_equation(tail):
    # Points 1, 2, 3, ...: steps of -1 along a constant gradient.
    p = nn.Parameter(torch.zeros(1, dtype=torch.float64))
    optimizer = PolyakRuppert([p], lr=1.0, base=torch.optim.SGD, tail=tail)
    count = 40
    for _ in range(count):
        p.grad = torch.full_like(p, -1.0)
        optimizer.step()
    weights = torch.ones(1, dtype=torch.float64)
    for n in range(2, count + 1):
        newest = 1 / (1 + tail * (n - 1))
        weights = torch.cat([weights * (1 - newest), torch.tensor([newest], dtype=torch.float64)])
    assert weights.sum().item() == pytest.approx(1.0, abs=1e-14)
    expected = weights.dot(torch.arange(1.0, count + 1).double()).item()
    optimizer.eval()
    assert p.item() == pytest.approx(expected, rel=1e-13)
    if tail == 0.5:  # weights grow as m
        m = torch.arange(1.0, count + 1).double()
        torch.testing.assert_close(weights, m / m.sum(), rtol=1e-13, atol=0)


@pytest.mark.parametrize(("tail", "inflation"), [(1.0, 1.0), (0.5, 4 / 3), (0.25, 16 / 7)])
def test_the_variance_of_the_average_is_the_stated_one(tail, inflation):
    # Curvatures a from 0.1 to 1 and white noise of variance 1 in the gradient: variance
    # inflation / (a^2 n) each, whatever the step size; that of the last point is h / (a (2 - ha)).
    runs, n = 2000, 2000
    a = torch.tensor([0.1, 0.3, 1.0], dtype=torch.float64)
    p = nn.Parameter(torch.zeros(runs, 3, dtype=torch.float64))
    optimizer = PolyakRuppert([p], lr=0.5, base=partial(torch.optim.SGD), tail=tail)
    generator = torch.Generator().manual_seed(0)
    for _ in range(n):
        noise = torch.randn(runs, 3, generator=generator, dtype=torch.float64)
        p.grad = a * p.detach() + noise
        optimizer.step()
    last = p.detach().square().mean(0)
    optimizer.eval()
    ratio = p.detach().square().mean(0) * a**2 * n / inflation
    # four standard errors of a variance from 2000 runs, and the O(1 / (h a n)) to come
    allowed = 4 * (2 / runs) ** 0.5 + 2 / (0.5 * a * n) / min(tail, 0.5)
    assert ((ratio - 1).abs() < allowed).all()
    torch.testing.assert_close(last, 0.5 / (a * (2 - 0.5 * a)), rtol=0.13, atol=0)


@pytest.mark.simulation
def test_with_robbins_monro_steps_it_forgets_the_step_size():
    # On a loss that is not quadratic, log cosh(x) with noise, constant steps are biased only in
    # second moments; with k^(-3/4) the average has the variance 1 / n of the best estimator.
    runs, n = 4000, 3000
    p = nn.Parameter(torch.full((runs,), 0.5, dtype=torch.float64))
    optimizer = PolyakRuppert([p], lr=1.0, base=partial(torch.optim.SGD), start=n // 10)
    scheduler = GroupScheduler(optimizer, RobbinsMonro(offset=10, power=0.75), n)
    generator = torch.Generator().manual_seed(0)
    for _ in range(n):
        p.grad = p.detach().tanh() + torch.randn(runs, generator=generator, dtype=torch.float64)
        optimizer.step()
        scheduler.step()
    last = p.detach().square().mean().item()
    optimizer.eval()
    found = p.detach().square().mean().item() * (n - n // 10)
    assert found == pytest.approx(1.0, abs=4 * (2 / runs) ** 0.5 + 0.1)
    assert last > 5 * found / n


def test_low_precision_weights_have_a_precise_average():
    model = network().bfloat16()
    optimizer = PolyakRuppert(model.parameters(), lr=0.1)
    visited = []
    for step in range(200):
        give_gradients(model, step)
        optimizer.step()
        visited.append(model[0].weight.detach().float())
    expected = torch.stack(visited).mean(0)
    torch.testing.assert_close(
        optimizer.state[model[0].weight]["anchor"], expected, rtol=1e-5, atol=1e-5
    )
    held = model[0].weight.detach().clone()
    with optimizer.at_anchor():
        assert torch.equal(model[0].weight, expected.bfloat16())
    assert torch.equal(model[0].weight, held)


def test_it_costs_one_copy_of_the_weights():
    model, alone = network(), network()
    optimizer = PolyakRuppert(model.parameters())
    reference = torch.optim.SGD(alone.parameters(), lr=0.05, momentum=0.9)
    for m, o in ((model, optimizer), (alone, reference)):
        give_gradients(m, 0)
        o.step()
    assert memory(optimizer) == 2 * memory(reference)


def test_a_parameter_without_gradient_keeps_being_averaged():
    p = nn.Parameter(torch.zeros(1))
    optimizer = PolyakRuppert([p], lr=1.0, base=torch.optim.SGD)
    p.grad = torch.full((1,), -1.0)
    optimizer.step()
    optimizer.step()
    p.grad = None
    optimizer.step()
    optimizer.step()
    optimizer.eval()
    assert p.item() == (1 + 2 + 2 + 2) / 4


def test_a_step_at_the_average_is_refused():
    model = network()
    optimizer = PolyakRuppert(model.parameters())
    optimizer.eval()
    with pytest.raises(ArgumentError, match="call train"):
        optimizer.step()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"start": -1}, "PolyakRuppert got start=-1; it is a number of steps"),
        ({"tail": 0.0}, "PolyakRuppert got tail=0; it is the part of all points"),
        ({"tail": 1.5}, "PolyakRuppert got tail=1.5"),
    ],
)
def test_it_refuses_what_makes_no_sense(arguments, message):
    with pytest.raises(ArgumentError, match=message):
        PolyakRuppert(network().parameters(), **arguments)
