from math import sqrt

import pytest
import torch

from wellposed.perturb import Occlusion


@pytest.mark.parametrize("severity", [1, 2, 3, 4, 5])
def test_covers_its_share_of_the_area_by_one_gray_rectangle(severity):
    x = torch.zeros(30, 2, 20, 31)
    covered = Occlusion(severity)(x, (0.0, 3.0)) == 1.5
    side = sqrt(Occlusion.scale[severity - 1])
    assert torch.equal(covered[:, 0], covered[:, 1])
    rows, columns = covered[:, 0].any(2), covered[:, 0].any(1)
    assert (rows.sum(1) == round(side * 20)).all()
    assert (columns.sum(1) == round(side * 31)).all()
    assert torch.equal(covered[:, 0], rows[:, :, None] & columns[:, None, :])
    for line in (rows, columns):  # without a gap
        assert (line.int().diff(dim=1).abs().sum(1) <= 2).all()


def test_places_are_uniform():
    x = torch.zeros(4000, 1, 10, 10)
    first = (Occlusion(5)(x) == 0.5)[:, 0].any(2).int().argmax(1)  # a patch of 5 has 6 places
    counts = first.bincount(minlength=6)
    assert len(counts) == 6
    assert (counts - 4000 / 6).abs().max() < 4 * (4000 / 6) ** 0.5
