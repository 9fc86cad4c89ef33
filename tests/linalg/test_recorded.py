"""Recorded linear maps against the functions they are recordings of."""

import pytest
import torch
from torch.func import grad, jvp

from wellposed.linalg._recorded import Recording


def product(vectors, point, data):
    """The Hessian of sum(tanh(x w)^3 + b) along v, and a zero that is added."""
    (x,) = data

    def function(p):
        w, b = p
        return (torch.tanh(x @ w) ** 3).sum() + b.square().sum() + (0 * x).sum()

    return jvp(grad(function), (tuple(point),), (tuple(vectors),))[1]


def inputs(seed, rows=5):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(rows, 3, dtype=torch.float64, generator=generator)
    w = torch.randn(3, dtype=torch.float64, generator=generator)
    return [x], [w, torch.ones(2, dtype=torch.float64)]


def vectors(point):
    return [torch.full_like(p, 0.3) for p in point]


def test_a_recording_serves_other_data_other_points_and_every_vector():
    data, point = inputs(0)
    recording = Recording(product, vectors(point), point, data)
    for seed in (0, 1):
        data, point = inputs(seed)
        recorded = recording.at(point, data)
        for k in range(3):
            v = [torch.full_like(p, k - 0.5) for p in point]
            found, expected = recorded(v), product(v, point, data)
            for one, other in zip(found, expected, strict=True):
                torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-14)


def test_point_and_vector_of_the_same_values_are_told_apart():
    data, point = inputs(2)
    recorded = Recording(product, vectors(point), point, data).at(point, data)
    doubled = [2 * p for p in point]
    for one, other in zip(recorded(doubled), recorded(point), strict=True):
        torch.testing.assert_close(one, 2 * other)


def test_what_does_not_depend_on_the_vector_is_computed_once():
    data, point = inputs(0, rows=100)
    recorded = Recording(product, vectors(point), point, data).at(point, data)
    code = recorded._module.code
    assert "tanh.default" not in code
    assert "add" not in code.split("return")[0] or "zeros" not in code
    assert 8 * 100 <= recorded.bytes <= 20 * 8 * 300


def test_operations_in_place_do_not_change_what_is_kept():
    def inplace(vectors, point, data):
        def function(p):
            h = data[0] * p[0]
            h.mul_(2).sin_()
            return (h * h).sum()

        return jvp(grad(function), (tuple(point),), (tuple(vectors),))[1]

    w, x = torch.linspace(0.1, 1, 4, dtype=torch.float64), torch.ones(4, dtype=torch.float64)
    recorded = Recording(inplace, [torch.ones_like(w)], [w], [x]).at([w], [x])
    v = torch.ones_like(w)
    first, second = recorded([v])[0], recorded([v])[0]
    assert torch.equal(first, second)
    torch.testing.assert_close(first, 8 * torch.cos(4 * w))
    assert torch.equal(x, torch.ones_like(x))


def test_zeros_of_the_shape_of_a_vector_are_not_added():
    def zigzag(vectors, point, data):
        (x,) = data

        def function(p):
            return torch.relu(x @ p[0]).square().sum()

        return list(jvp(grad(function), ([point[0]],), ([vectors[0]],))[1])

    data, point = inputs(0)
    recorded = Recording(zigzag, vectors(point[:1]), point[:1], data).at(point[:1], data)
    names = [str(node.target) for node in recorded._module.graph.nodes]
    assert not [name for name in names if "zeros" in name]
    v = [torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)]
    torch.testing.assert_close(recorded(v)[0], zigzag(v, point[:1], data)[0])


def test_a_function_that_looks_at_numbers_is_recorded_for_each_batch():
    def forked(vectors, point, data):
        (x,) = data

        def function(p):
            h = x @ p[0]
            return (torch.tanh(h) if bool(x.sum() > 0) else h**3).square().sum()

        return list(jvp(grad(function), ([point[0]],), ([vectors[0]],))[1])

    data, point = inputs(0)
    recording = Recording(forked, vectors(point[:1]), point[:1], data)
    v = [torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)]
    for sign in (1, -1):
        other = [sign * data[0].abs()]
        found = recording.at(point[:1], other)(v)[0]
        torch.testing.assert_close(found, forked(v, point[:1], other)[0])


def test_zeros_that_were_left_out_are_looked_for_again():
    def masked(vectors, point, data):
        x, mask = data

        def function(p):
            return (torch.tanh(x @ p[0]).sum() + (mask * p[0]).square().sum()).square()

        return list(jvp(grad(function), ([point[0]],), ([vectors[0]],))[1])

    [x], point = inputs(0)
    zeros, v = torch.zeros(3, dtype=torch.float64), [torch.ones(3, dtype=torch.float64)]
    recording = Recording(masked, vectors(point[:1]), point[:1], [x, zeros])
    for mask in (zeros, zeros + 2):
        found = recording.at(point[:1], [x, mask])(v)[0]
        torch.testing.assert_close(found, masked(v, point[:1], [x, mask])[0])


def test_a_function_that_looks_at_its_vector_is_refused():
    def looking(vectors, point, data):
        return [vectors[0] * point[0] * (2 if float(vectors[0].sum()) > 0 else 1)]

    data, point = inputs(0)
    with pytest.raises(RuntimeError, match="cannot be recorded"):
        Recording(looking, vectors(point[:1]), point[:1], data)
