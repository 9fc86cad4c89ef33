"""Recorded linear maps against the functions they are recordings of."""

import pytest
import torch
from torch.func import grad, jvp

from wellposed.linalg._recorded import Recording, alike


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


def curved(function):
    """The product with the Hessian of a function of one weight and the data."""

    def product(vectors, point, data):
        slope = grad(lambda w: function(w, *data))
        return [jvp(slope, (point[0],), (vectors[0],))[1]]

    return product


def steady(size, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(size, dtype=torch.float64, generator=generator)


def test_a_bias_counts_where_a_convolution_sees_zeros():
    def function(w, x):
        kernel, bias = w.split([4, 2])
        return torch.tanh(torch.conv1d(x, kernel.view(2, 1, 2), bias)).square().sum()

    product, w, v = curved(function), steady(6), steady(6, 1)
    zeros = torch.zeros(3, 1, 5, dtype=torch.float64)
    recorded = Recording(product, [steady(6, 2)], [w], [zeros]).here
    expected = product([v], [w], [zeros])[0]
    assert float(expected[4:].abs().min()) > 0.01
    torch.testing.assert_close(recorded([v])[0], expected)


def test_zeros_times_what_is_not_finite_are_not_left_out():
    product = curved(lambda w, x: (x * w.sqrt()).sum())
    w, x = torch.tensor([0.0, 1.0], dtype=torch.float64), torch.zeros(2, dtype=torch.float64)
    found = Recording(product, [steady(2)], [w], [x]).here([steady(2, 1)])[0]
    assert torch.equal(found.isnan(), torch.tensor([True, False]))


def test_data_that_were_one_object_may_be_two_later():
    product = curved(lambda w, x, y: (torch.tanh(x * w) * y).sum())
    w, x, y, v = (steady(4, seed) for seed in range(4))
    recording = Recording(product, [v], [w], [x, x])
    torch.testing.assert_close(recording.at([w], [x, y])([v])[0], product([v], [w], [x, y])[0])


def test_what_is_not_there_is_scaled():
    # An operation on torch's tensors of zeros that have no storage ends the process in a mode.
    product = curved(
        lambda w, x: torch.addmm(x, x, torch.tanh(w).view(3, 3), beta=0.5).square().sum()
    )
    w, v, x = steady(9), steady(9, 1), steady(9, 2).view(3, 3)
    recorded = Recording(product, [steady(9, 3)], [w], [x]).here
    torch.testing.assert_close(recorded([v])[0], product([v], [w], [x])[0])


def test_only_data_in_the_same_order_in_memory_are_alike():
    x = steady(6).view(2, 3)
    assert alike([x]) == alike([x + 1]) != alike([x.t().contiguous().t()])
