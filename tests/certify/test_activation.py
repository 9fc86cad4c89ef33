import math

import pytest
import torch

from wellposed.certify._activation import LeakyReLU, Sigmoid, Tanh
from wellposed.certify._arithmetic import EXACT, SINGLE

KINDS = {
    "relu": LeakyReLU((0,), (1,)),
    "leaky": LeakyReLU((0,), (1,), 0.2),
    "identity": LeakyReLU((0,), (1,), 1.0),
    "tanh": Tanh((0,), (1,)),
    "sigmoid": Sigmoid((0,), (1,)),
}


@pytest.fixture(params=KINDS)
def activation(request):
    return KINDS[request.param]


def intervals():
    generator = torch.Generator().manual_seed(0)
    middle = 3 * torch.randn(400, generator=generator, dtype=torch.float64)
    half = 10 ** (4 * torch.rand(400, generator=generator, dtype=torch.float64) - 3)
    special = torch.tensor(
        [[0, 0], [-1, 0], [0, 1], [-1, 1], [2, 2], [-30, 30], [-400, 1], [-1e-9, 1e-9], [20, 21]],
        dtype=torch.float64,
    )
    return (
        torch.cat([middle - half, special[:, 0]]),
        torch.cat([middle + half, special[:, 1]]),
    )


def grid(low, high):
    return low + torch.linspace(0, 1, 2001, dtype=torch.float64)[:, None] * (high - low)


def test_the_function_lies_between_the_lines(activation):
    low, high = intervals()
    lines = activation.lines(low, high, *activation.slopes(low, high))
    z = grid(low, high).clamp(low, high)
    value = activation.apply(z)
    slack = 1e-15 * (1 + z.abs())  # of this comparison
    assert (lines.lower * z + lines.lower_at <= value + slack).all()
    assert (lines.upper * z + lines.upper_at >= value - slack).all()


def test_any_slope_gives_sound_lines(activation):
    low, high = intervals()
    generator = torch.Generator().manual_seed(1)
    slopes = 3 * torch.rand((2, len(low)), generator=generator, dtype=torch.float64) - 1
    lines = activation.lines(low, high, slopes[0], slopes[1])
    z = grid(low, high).clamp(low, high)
    value = activation.apply(z)
    slack = 2e-15 * (1 + z.abs())
    assert (lines.lower * z + lines.lower_at <= value + slack).all()
    assert (lines.upper * z + lines.upper_at >= value - slack).all()


def test_lines_touch_the_function(activation):
    low, high = intervals()
    lines = activation.lines(low, high, *activation.slopes(low, high))
    z = grid(low, high)
    value = activation.apply(z)
    wide = (high - low) * 1e-2 + 1e-9
    assert ((value - lines.lower * z - lines.lower_at).amin(0) <= wide).all()
    assert ((lines.upper * z + lines.upper_at - value).amin(0) <= wide).all()


def test_lines_are_exact_where_a_relu_is_decided():
    low = torch.tensor([1.0, -3.0], dtype=torch.float64)
    high = torch.tensor([2.0, -1.0], dtype=torch.float64)
    for slope in (0.0, 0.2):
        activation = LeakyReLU((0,), (1,), slope)
        lines = activation.lines(low, high, *activation.slopes(low, high))
        assert lines.lower.tolist() == lines.upper.tolist() == [1.0, slope]
        assert lines.lower_at.tolist() == lines.upper_at.tolist() == [0.0, 0.0]


def test_the_relu_of_an_undecided_sign_has_the_lines_of_the_paper():
    low = torch.tensor([-1.0, -3.0], dtype=torch.float64)
    high = torch.tensor([3.0, 1.0], dtype=torch.float64)
    activation = LeakyReLU((0,), (1,))
    lines = activation.lines(low, high, *activation.slopes(low, high))
    assert lines.lower.tolist() == [1.0, 0.0]  # the smaller triangle
    assert lines.upper.tolist() == [0.75, 0.25]
    assert lines.upper_at.tolist() == [0.75, 0.75]


def test_a_tangent_from_an_end_touches_an_s_shaped_function():
    # for tanh from -1 the tangent point d solves tanh(d) - tanh(-1) = (1 - tanh(d)^2)(d + 1)
    activation = KINDS["tanh"]
    low = torch.tensor([-1.0], dtype=torch.float64)
    high = torch.tensor([4.0], dtype=torch.float64)
    _, upper = activation.slopes(low, high)
    d = math.atanh(math.sqrt(1 - upper.item()))
    assert math.tanh(d) + math.tanh(1) == pytest.approx(upper.item() * (d + 1), abs=1e-9)


def test_open_where_better_bounds_would_help():
    low = torch.tensor([-1.0, 0.0, 1.0, -2.0], dtype=torch.float64)
    high = torch.tensor([1.0, 1.0, 1.0, -1.0], dtype=torch.float64)
    assert KINDS["relu"].open(low, high).tolist() == [True, False, False, False]
    assert KINDS["tanh"].open(low, high).tolist() == [True, True, False, True]


def test_contractions_are_the_steepest_slopes(activation):
    z = torch.linspace(-5, 5, 10001, dtype=torch.float64)
    value = activation.apply(z)
    steepest = ((value[1:] - value[:-1]) / (z[1:] - z[:-1])).max().item()
    assert steepest <= activation.contraction * (1 + 1e-12)
    assert steepest >= activation.contraction * (1 - 1e-5)


def test_the_program_stays_within_its_error(activation):
    z = torch.linspace(-20, 20, 50001, dtype=torch.float64).float()
    exact = activation.apply(z.double())
    error = activation.error(z.double().abs(), SINGLE)
    module = {
        "LeakyReLU": torch.nn.LeakyReLU(getattr(activation, "slope", 0.0)),
        "Tanh": torch.nn.Tanh(), "Sigmoid": torch.nn.Sigmoid(),
    }[type(activation).__name__]  # fmt: skip
    assert ((module(z).double() - exact).abs() <= error).all()
    assert (activation.error(z.double().abs(), EXACT) < 1e-11).all()
