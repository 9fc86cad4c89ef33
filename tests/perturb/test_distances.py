import math
from fractions import Fraction

import pytest
import torch

from wellposed.errors import ArgumentError
from wellposed.perturb import L1, L2, Attacked, Linf, accuracy_at, break_distances

BALLS = [Linf(1.0), L2(1.0), L1(1.0)]


def found_at(x, broken):
    zeros = torch.zeros(len(x), dtype=torch.int64)
    return Attacked(x, broken, torch.where(broken, -1.0, 1.0), zeros, zeros)


@pytest.mark.parametrize("ball", BALLS, ids=lambda b: b.norm)
def test_the_distances_are_no_smaller_than_the_real_ones(ball):
    torch.manual_seed(0)
    inputs, x = torch.rand(50, 30), torch.rand(50, 30)
    found = found_at(x, torch.arange(50) % 3 > 0)
    distances = break_distances(found, inputs, ball)
    assert (distances[~found.broken] == math.inf).all()
    for i in found.broken.nonzero().squeeze(1).tolist():
        moves = [
            abs(Fraction(a) - Fraction(b))
            for a, b in zip(x[i].tolist(), inputs[i].tolist(), strict=True)
        ]
        exact = {"linf": max(moves), "l1": sum(moves), "l2": sum(m * m for m in moves)}[ball.norm]
        told = Fraction(float(distances[i]))
        told = told * told if ball.norm == "l2" else told
        assert exact <= told <= exact * (1 + Fraction(1, 10**13))


def test_the_accuracy_falls_at_the_distances():
    distances = torch.tensor([0.0, 0.1, 0.3, 0.3, math.inf], dtype=torch.float64)
    radii = [0.0, 0.05, 0.1, 0.29, 0.3, 7.0, math.inf]
    assert accuracy_at(distances, radii) == [0.8, 0.8, 0.6, 0.6, 0.2, 0.2, 0.2]


def test_refuses_other_inputs_negative_radii_and_nothing():
    found = found_at(torch.zeros(3, 2), torch.ones(3).bool())
    with pytest.raises(ArgumentError, match=r"needs the inputs .* \(3, 2\), got \(2, 2\)"):
        break_distances(found, torch.zeros(2, 2), Linf(0.1))
    with pytest.raises(ArgumentError, match=r"radii of at least 0, got -0\.1"):
        accuracy_at(torch.zeros(2).double(), [0.1, -0.1])
    with pytest.raises(ArgumentError, match="at least one distance"):
        accuracy_at(torch.zeros(0).double(), [0.1])
