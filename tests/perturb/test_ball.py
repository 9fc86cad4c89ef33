"""What every ball promises, for each of the three norms."""

import math
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wellposed.errors import ArgumentError
from wellposed.perturb import L1, L2, Linf

KINDS = [Linf, L2, L1]
kinds = pytest.mark.parametrize("kind", KINDS)
types = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])


def drawn(seed, *shape, dtype=torch.float32):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(
        dtype
    )


def norm(kind, moves):
    """The norm of a list of fractions; squared for L2."""
    if kind is Linf:
        return max(abs(m) for m in moves)
    return sum(m * m for m in moves) if kind is L2 else sum(abs(m) for m in moves)


def inside(kind, eps, x, center):
    """Whether x is in the ball as a vector of rational numbers."""
    radius = Fraction(eps) ** 2 if kind is L2 else Fraction(eps)
    rows = zip(x.flatten(1).tolist(), center.flatten(1).tolist(), strict=True)
    return all(
        norm(kind, [Fraction(a) - Fraction(b) for a, b in zip(*row, strict=True)]) <= radius
        for row in rows
    )


@kinds
@types
@pytest.mark.parametrize("eps", [0.0, 1e-7, 8 / 255, 0.1, 0.3, 1.0, 30.0])
def test_what_it_returns_is_inside_as_rational_numbers(kind, dtype, eps):
    center = drawn(1, 6, 3, 5, dtype=dtype)
    center[0], center[1] = 0.0, 1.0
    ball = kind(eps)
    far = center + 40 * (drawn(2, 6, 3, 5, dtype=dtype) - 0.5)
    for x in (far, center + 0.2 * (far - center) / 40, center, -far):
        found = ball.project(x, center)
        assert found.dtype == dtype
        assert inside(kind, eps, found, center)
        assert (ball.distance(found, center) <= eps).all()
        assert found.min() >= 0
        assert found.max() <= 1


@kinds
def test_values_of_very_different_sizes_do_not_leak(kind):
    center = torch.tensor([[1.0, 1e-20, 3e-9, 1e-38, 0.5]] * 3)
    x = torch.tensor([[1e-10, 1.0, 1.0, 0.7, 0.1], [0.9, 2e-20, 1e-9, 0.0, 0.5], [1, 1, 1, 1, 1.0]])
    for eps in (1 - 1e-10, 0.1, 1e-20, 1e-39):
        assert inside(kind, eps, kind(eps).project(x, center), center)


@kinds
@types
def test_bounds_that_the_type_does_not_have_are_rounded_inward(kind, dtype):
    low, high = 0.1, 0.7
    center = torch.full((1, 4), 0.4, dtype=dtype)
    found = kind(5.0).project(center + torch.tensor([[3.0, -3.0, 1e-3, 0]]), center, (low, high))
    assert all(Fraction(low) <= Fraction(v) <= Fraction(high) for v in found[0].tolist())
    assert found[0, 0] == pytest.approx(high, abs=1e-7)
    assert found[0, 1] == pytest.approx(low, abs=1e-7)


@kinds
def test_bounds_may_differ_from_coordinate_to_coordinate(kind):
    low, high = torch.tensor([0.0, -1.0, 0.2]), torch.tensor([1.0, -0.5, 0.3])
    center = torch.tensor([[0.5, -0.7, 0.25], [0.0, -1.0, 0.3]])
    found = kind(9.0).project(center + 5, center, (low, high))
    assert torch.equal(found, high.expand(2, 3))
    assert torch.equal(kind(9.0).project(center - 5, center, (low, high)), low.expand(2, 3))


@kinds
def test_the_projection_is_nearer_than_any_of_many_points_of_the_set(kind):
    generator = torch.Generator().manual_seed(0)
    center = torch.tensor([[0.5, 0.1]], dtype=torch.float64)
    grid = torch.cartesian_prod(*[torch.linspace(0, 1, 401, dtype=torch.float64)] * 2)
    for eps in (0.05, 0.3, 0.6):
        ball = kind(eps)
        members = grid[ball.distance(grid, center.expand_as(grid)) <= eps + 1e-9]
        for _ in range(20):
            x = 3 * torch.rand(1, 2, generator=generator, dtype=torch.float64) - 1
            found = ball.project(x, center)
            nearest = (members - x).norm(dim=1).min()
            assert (found - x).norm() <= nearest + 1e-8
            assert (found - x).norm() >= nearest - 0.0036


@kinds
@settings(max_examples=15)
@given(seed=st.integers(0, 10**6), eps=st.floats(0.001, 20), spread=st.floats(0.01, 100))
def test_the_projection_meets_its_variational_inequality(kind, seed, eps, spread):
    center = drawn(seed, 4, 30, dtype=torch.float64)
    x = center + spread * (drawn(seed + 1, 4, 30, dtype=torch.float64) - 0.5)
    ball = kind(eps)
    found = ball.project(x, center)
    others = ball.random(center, generator=torch.Generator().manual_seed(seed))
    corner = ball.project(center + 1e3 * (x - found), center)
    for member in (others, corner, center):
        product = ((x - found) * (member - found)).sum(1)  # <= 0 exactly at the nearest point
        assert (product <= 1e-9 * (1 + spread)).all()


@kinds
@types
def test_points_inside_and_projections_stay(kind, dtype):
    ball, center = kind(0.4), drawn(3, 20, 12, dtype=dtype)
    x = ball.random(center, generator=torch.Generator().manual_seed(4))
    assert torch.equal(ball.project(x, center), x)
    far = ball.project(center + 5 * (drawn(5, 20, 12, dtype=dtype) - 0.5), center)
    assert torch.equal(ball.project(far, center), far)
    assert torch.equal(ball.project(center, center), center)


@kinds
def test_a_radius_of_zero_gives_the_center_and_an_infinite_one_the_bounds(kind):
    center = drawn(6, 5, 7)
    x = center + 2 * (drawn(7, 5, 7) - 0.5)
    assert torch.equal(kind(0.0).project(x, center), center)
    assert torch.allclose(kind(math.inf).project(x, center), x.clamp(0, 1), atol=1e-7)


@kinds
def test_every_nan_is_the_center(kind):
    center = drawn(8, 2, 3)
    x = torch.tensor([[torch.nan, 0.5, 0.5], [torch.nan] * 3])
    found = kind(0.1).project(x, center)
    assert found[0, 0] == center[0, 0]
    assert torch.equal(found[1], center[1])


@kinds
def test_a_room_serves_many_points(kind):
    ball, center = kind(0.2), 0.9 * drawn(13, 30, 5)
    room = ball.room(center, (0.0, 0.9))
    for seed in (14, 15):
        x = center + drawn(seed, 30, 5) - 0.5
        found = ball.into(x, room)
        assert torch.equal(found, ball.project(x, center, (0.0, 0.9)))
        assert ball.holds(found, room).all()
        outside = (ball.distance(x, center) > 0.2) | (x < 0).any(1) | (x > 0.9).any(1)
        assert torch.equal(ball.holds(x, room), ~outside)
        assert outside.any()


@pytest.mark.parametrize("kind", [L2, L1])
def test_what_is_held_is_inside_as_rational_numbers(kind):
    generator = torch.Generator().manual_seed(16)
    center = 1e-3 + 0.5 * drawn(17, 400, 40, dtype=torch.float64) ** 8  # of many sizes
    move = torch.rand(400, 40, generator=generator, dtype=torch.float64)
    x = center + 0.1 * move / kind(1.0).distance(move, 0 * move).unsqueeze(1)  # on the sphere
    ball = kind(0.1)
    held = ball.holds(x, ball.room(center))
    assert inside(kind, 0.1, x[held], center[held])
    near = ball.distance(x, center) <= 0.1
    assert not inside(kind, 0.1, x[near], center[near])  # the distance alone is no proof


@kinds
@pytest.mark.parametrize("scale", [1.0, 1e-30, 1e-44, 1e30])
def test_no_direction_of_norm_one_gains_more_than_the_steepest(kind, scale):
    gradient = ((drawn(9, 5, 2, 6) - 0.5) * scale).contiguous()
    dual = {Linf: 1, L2: 2, L1: math.inf}[kind]
    direction = kind(1.0).steepest(gradient)
    assert torch.allclose(kind(1.0).distance(direction, direction * 0), torch.ones(5).double())
    gain = (gradient.double() * direction).flatten(1).sum(1)
    best = torch.linalg.vector_norm(gradient.double().flatten(1), dual, dim=1)
    torch.testing.assert_close(gain, best, rtol=1e-5, atol=0)


@kinds
def test_the_steepest_direction_of_nothing_is_nothing(kind):
    gradient = torch.tensor([[0.0, 0.0], [torch.nan, 0.0], [torch.nan, 2.0], [torch.inf, 1.0]])
    direction = kind(1.0).steepest(gradient)
    assert torch.equal(direction[:2], torch.zeros(2, 2))
    assert torch.equal(direction[2], torch.tensor([0.0, 1.0]))
    assert direction[3, 0] == 1


@kinds
def test_random_points_depend_on_the_generator_alone_and_are_inside(kind):
    ball, center = kind(0.7), drawn(10, 50, 4, 4)
    first = ball.random(center, generator=torch.Generator().manual_seed(1))
    assert torch.equal(first, ball.random(center, generator=torch.Generator().manual_seed(1)))
    assert not torch.equal(first, ball.random(center, generator=torch.Generator().manual_seed(2)))
    assert inside(kind, 0.7, first, center)
    assert ball.random(center).shape == center.shape


@kinds
def test_random_points_are_uniform_where_no_bound_is_near(kind):
    d, n = 3, 4000
    center = torch.full((n, d), 0.5, dtype=torch.float64)
    ball = kind(0.4)
    x = ball.random(center, generator=torch.Generator().manual_seed(3))
    shares = (ball.distance(x, center) / 0.4) ** d  # uniform on [0, 1] for a uniform law
    steps = (shares.sort().values - torch.arange(n) / n).abs().max()
    assert steps < 1.63 / math.sqrt(n) + 1 / n  # Kolmogorov, level 0.01
    octants = ((x > 0.5).double() @ torch.tensor([1.0, 2.0, 4.0]).double()).long().bincount()
    assert (octants - n / 8).abs().max() < 4 * math.sqrt(n / 8)
    largest = (x - center).abs().argmax(1).bincount()
    assert (largest - n / 3).abs().max() < 4 * math.sqrt(n / 3)


@kinds
def test_shapes_survive_empty_batches_and_examples_of_one_number(kind):
    ball = kind(0.1)
    empty = torch.empty(0, 3, 2)
    assert ball.project(empty, empty).shape == empty.shape
    assert ball.steepest(empty).shape == empty.shape
    assert ball.random(empty).shape == empty.shape
    assert ball.distance(empty, empty).shape == (0,)
    one = torch.tensor([0.5, 0.95])
    assert torch.allclose(ball.project(one + 3, one), torch.tensor([0.6, 1.0]))
    assert torch.equal(ball.steepest(torch.tensor([-3.0, 0.1])), torch.tensor([-1.0, 1.0]))


@kinds
def test_large_examples_are_inside_and_on_the_sphere(kind):
    center = drawn(11, 2, 3, 150, 150)
    ball = kind({Linf: 8 / 255, L2: 3.0, L1: 12.0}[kind])
    found = ball.project(center + drawn(12, 2, 3, 150, 150) - 0.5, center)
    distance = ball.distance(found, center)
    assert (distance <= ball.eps).all()
    assert (distance >= ball.eps * (1 - 1e-3)).all()


@kinds
@pytest.mark.parametrize("eps", [-0.1, math.nan, 1e-200])
def test_refuses_what_is_no_radius(kind, eps):
    with pytest.raises(ArgumentError, match="needs a radius eps of 0 or at least 1e-100, got"):
        kind(eps)


@kinds
def test_refuses_other_shapes_types_and_infinite_random_points(kind):
    with pytest.raises(ArgumentError, match=r"one shape, got \(2, 3\) and \(2, 4\)"):
        kind(0.1).project(torch.zeros(2, 3), torch.zeros(2, 4))
    with pytest.raises(ArgumentError, match=r"got torch.bfloat16; convert the inputs by .float"):
        kind(0.1).project(torch.zeros(2, 3).bfloat16(), torch.zeros(2, 3).bfloat16())
    with pytest.raises(ArgumentError, match="needs a finite radius"):
        kind(math.inf).random(torch.zeros(2, 3))


@kinds
def test_says_its_norm_its_dual_and_changes_its_radius(kind):
    said = {Linf: ("linf", "l1"), L2: ("l2", "l2"), L1: ("l1", "linf")}
    assert (kind.norm, kind.dual) == said[kind]
    assert kind(0.1).resized(0.2) == kind(0.2)


@pytest.mark.parametrize("kind", [L1, L2, Linf])
def test_centers_outside_the_bounds_are_refused(kind):
    center = torch.tensor([[0.5, 2.0]])
    with pytest.raises(ArgumentError, match="needs a center within the bounds"):
        kind(0.1).project(center, center)
