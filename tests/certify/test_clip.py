import pytest
import torch
from tests.certify.test_activation import grid, intervals

from wellposed.certify._arithmetic import SINGLE
from wellposed.certify._clip import Clip

KINDS = {"relu6": Clip((0,), (1,), 0.0, 6.0), "hardtanh": Clip((0,), (1,), -0.7, 0.4)}


@pytest.fixture(params=KINDS)
def clip(request):
    return KINDS[request.param]


def test_the_function_lies_between_the_lines_and_touches_them(clip):
    low, high = intervals()
    lines = clip.lines(low, high, *clip.slopes(low, high))
    z = grid(low, high).clamp(low, high)
    value, slack = clip.apply(z), 1e-15 * (1 + z.abs())
    above, below = lines.upper * z + lines.upper_at, lines.lower * z + lines.lower_at
    assert (below <= value + slack).all()
    assert (above >= value - slack).all()
    wide = (high - low) * 1e-2 + 1e-9
    assert ((value - below).amin(0) <= wide).all()
    assert ((above - value).amin(0) <= wide).all()


def test_lines_are_exact_where_no_end_lies_inside():
    low = torch.tensor([1.0, -3.0, 7.0], dtype=torch.float64)
    high = torch.tensor([5.0, -1.0, 9.0], dtype=torch.float64)
    clip = KINDS["relu6"]
    lines = clip.lines(low, high, *clip.slopes(low, high))
    assert lines.lower.tolist() == lines.upper.tolist() == [1.0, 0.0, 0.0]
    assert lines.lower_at.tolist() == lines.upper_at.tolist() == [0.0, 0.0, 6.0]
    assert not clip.open(low, high).any()


def test_lines_are_those_of_relu_where_only_the_lower_end_lies_inside():
    low, high = torch.tensor([-1.0]).double(), torch.tensor([3.0]).double()
    clip = KINDS["relu6"]
    lines = clip.lines(low, high, *clip.slopes(low, high))
    assert (lines.lower.item(), lines.upper.item(), lines.upper_at.item()) == (1.0, 0.75, 0.75)
    assert clip.open(low, high).all()


def test_the_program_stays_within_its_error(clip):
    z = torch.linspace(-8, 8, 5001)
    program = torch.nn.Hardtanh(clip.least, clip.most)(z).double()
    off = (program - clip.apply(z.double())).abs()
    assert (off <= clip.error(z.double().abs(), SINGLE)).all()
