"""Every curved activation against itself on fine grids, and against autograd."""

import math

import pytest
import torch
from tests.certify.test_activation import grid, intervals

from wellposed.certify._arithmetic import EXACT, SINGLE
from wellposed.certify._curves import (
    ELU,
    GELU,
    GELUTanh,
    HardSwish,
    Mish,
    SiLU,
    Softplus,
    Square,
)

KINDS = {
    "gelu": (GELU((0,), (1,)), torch.nn.GELU()),
    "gelu-tanh": (GELUTanh((0,), (1,)), torch.nn.GELU("tanh")),
    "silu": (SiLU((0,), (1,)), torch.nn.SiLU()),
    "softplus": (Softplus((0,), (1,)), torch.nn.Softplus()),
    "softplus-steep": (Softplus((0,), (1,), 3.0, 15.0), torch.nn.Softplus(3.0, 15.0)),
    "mish": (Mish((0,), (1,)), torch.nn.Mish()),
    "hardswish": (HardSwish((0,), (1,)), torch.nn.Hardswish()),
    "elu": (ELU((0,), (1,)), torch.nn.ELU()),
    "selu": (ELU((0,), (1,), 1.6732632423543772, 1.0507009873554805), torch.nn.SELU()),
    "celu": (ELU((0,), (1,), 2.0, 1.0, 0.5), torch.nn.CELU(2.0)),
    "square": (Square((0,), (1,)), torch.square),
}


@pytest.fixture(params=KINDS)
def pair(request):
    return KINDS[request.param]


@pytest.fixture
def curve(pair):
    return pair[0]


def test_the_function_lies_between_the_lines(curve):
    low, high = intervals()
    lines = curve.lines(low, high, *curve.slopes(low, high))
    z = grid(low, high).clamp(low, high)
    value, slack = curve.apply(z), 1e-15 * (1 + z.abs())
    assert (lines.lower * z + lines.lower_at <= value + slack).all()
    assert (lines.upper * z + lines.upper_at >= value - slack).all()


def test_any_slope_gives_sound_lines(curve):
    low, high = intervals()
    generator = torch.Generator().manual_seed(1)
    slopes = 3 * torch.rand((2, len(low)), generator=generator, dtype=torch.float64) - 1
    lines = curve.lines(low, high, slopes[0], slopes[1])
    z = grid(low, high).clamp(low, high)
    value, slack = curve.apply(z), 2e-15 * (1 + z.abs())
    assert (lines.lower * z + lines.lower_at <= value + slack).all()
    assert (lines.upper * z + lines.upper_at >= value - slack).all()


def test_lines_touch_the_function_within_what_the_grid_cannot_know(curve):
    low, high = intervals()
    lines = curve.lines(low, high, *curve.slopes(low, high))
    z = grid(low, high)
    value = curve.apply(z)
    wide = (high - low) * 2e-2 + 1e-9
    if isinstance(curve, Square):
        wide = wide + 2 * ((high - low) / 16).square() / 8
    assert ((value - lines.lower * z - lines.lower_at).amin(0) <= wide).all()
    assert ((lines.upper * z + lines.upper_at - value).amin(0) <= wide).all()


def test_the_range_holds_all_values_and_is_reached(curve):
    low, high = intervals()
    least, most = curve.range(low, high)
    value = curve.apply(grid(low, high).clamp(low, high))
    slack = 1e-15 * (1 + value.abs())
    assert (value >= least - slack).all()
    assert (value <= most + slack).all()
    near = 1e-4 * (high - low).square().clamp(max=1e4) + 1e-12
    assert (value.amin(0) <= least + near).all()
    assert (value.amax(0) >= most - 1e-12 * (1 + most.abs())).all()


def test_the_second_derivative_stays_below_its_bound(curve):
    z = torch.linspace(-30, 30, 600_001, dtype=torch.float64)
    if isinstance(curve, HardSwish):
        z = z[(z.abs() - 3).abs() > 1e-9]
    z.requires_grad_()
    [first] = torch.autograd.grad(curve.apply(z).sum(), z, create_graph=True)
    torch.testing.assert_close(curve.derivative(z.detach()), first.detach(), rtol=1e-9, atol=1e-9)
    if isinstance(curve, HardSwish):  # autograd has no second derivative of it
        second = torch.where(z.abs() < 3, 1 / 3, 0.0).double()
    else:
        [second] = torch.autograd.grad(first.sum(), z)
    below = curve.curvature(z.detach().abs())
    assert (second.abs() <= below + 1e-13).all()
    assert (below.diff()[len(z) // 2 :] <= 1e-15).all()  # of a piece, the nearest point counts


def test_it_falls_up_to_the_dip_and_rises_from_there(curve):
    z = torch.linspace(-30, 30, 100_001, dtype=torch.float64)
    change = curve.apply(z).diff()
    rising = z[:-1] >= curve.dip
    slack = 1e-14 * (1 + z[:-1].abs())  # of rounding, which errors hold
    assert (change >= -slack)[rising].all()
    assert (change <= slack)[z[1:] <= curve.dip].all()
    if math.isfinite(curve.dip):
        at = curve.derivative(torch.tensor(curve.dip, dtype=torch.float64))
        assert abs(float(at)) < 1e-12


def test_the_contraction_is_the_steepest_slope(curve):
    z = torch.linspace(-12, 12, 100_001, dtype=torch.float64)
    steepest = (curve.apply(z).diff() / z.diff()).abs().max().item()
    assert steepest <= curve.contraction * (1 + 1e-10)
    assert isinstance(curve, Square) or steepest >= curve.contraction * 0.99


def test_the_program_stays_well_within_its_error(pair):
    curve, module = pair
    z = torch.linspace(-25, 25, 200_001, dtype=torch.float64).float()
    off = (module(z).double() - curve.apply(z.double())).abs()
    error = curve.error(z.double().abs(), SINGLE)
    assert (4 * off <= error).all() or isinstance(curve, (Softplus, Square))
    assert (off <= error).all()
    step = 0.0 if not isinstance(curve, Softplus) else math.exp(-curve.threshold)
    assert (curve.error(z.double().abs(), EXACT) <= 1e-10 + step).all()


@pytest.mark.parametrize(
    ("curve", "module"),
    [
        (Softplus((0,), (1,), 0.001), torch.nn.Softplus(0.001)),
        (ELU((0,), (1,), 1e4), torch.nn.ELU(1e4)),
        (ELU((0,), (1,), 1e3, 1.0, 1e-3), torch.nn.CELU(1e3)),
    ],
    ids=["softplus", "elu", "celu"],
)
def test_large_terms_of_a_formula_have_large_errors(curve, module):
    z = torch.linspace(-6, 6, 100_001)
    off = (module(z).double() - curve.apply(z.double())).abs()
    assert (4 * off <= curve.error(z.double().abs(), SINGLE)).all()
