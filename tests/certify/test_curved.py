import torch

from wellposed.certify._curves import GELU, SiLU

LOW = torch.tensor([-3.0, 0.5, -1.0, 2.0], dtype=torch.float64)
HIGH = torch.tensor([-2.5, 1.0, 2.0, 2.0], dtype=torch.float64)


def test_the_shape_of_the_values_does_not_matter_nor_their_number():
    curve = SiLU((0,), (1,))
    flat = curve.slopes(LOW, HIGH)
    square = curve.slopes(LOW.reshape(2, 2), HIGH.reshape(2, 2))
    many = curve.slopes(LOW.repeat(10_000), HIGH.repeat(10_000))
    for one, two, three in zip(flat, square, many, strict=True):
        assert torch.equal(one, two.flatten())
        assert torch.equal(one, three[-4:])


def test_of_a_convex_stretch_the_chord_is_above_and_a_tangent_below():
    curve = GELU((0,), (1,))
    low, high = LOW[1:2], HIGH[1:2]
    lower, upper = curve.slopes(low, high)
    chord = (curve.apply(high) - curve.apply(low)) / (high - low)
    torch.testing.assert_close(upper, chord)
    torch.testing.assert_close(lower, curve.derivative((low + high) / 2))


def test_lines_are_nearer_than_the_interval():
    curve = SiLU((0,), (1,))
    lines = curve.lines(LOW, HIGH, *curve.slopes(LOW, HIGH))
    middle = (LOW + HIGH) / 2
    gap = (lines.upper - lines.lower) * middle + lines.upper_at - lines.lower_at
    least, most = curve.range(LOW, HIGH)
    assert (gap[:3] < 0.6 * (most - least)[:3]).all()
    assert gap[3] < 1e-10


def test_points_are_no_reason_for_better_bounds():
    assert GELU((0,), (1,)).open(LOW, HIGH).tolist() == [True, True, True, False]
