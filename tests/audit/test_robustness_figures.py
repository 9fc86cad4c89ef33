from dataclasses import replace

import numpy as np
import torch
from tests.audit.test_bracketed import made
from torch import nn

from wellposed.audit import Subject
from wellposed.audit._raw_space import raw_space
from wellposed.audit._robustness_figures import bracket_curves, counterexample_pictures
from wellposed.stats import clopper_pearson

X = torch.rand(50, 1, 4, 4, generator=torch.Generator().manual_seed(1))


def scene(shape=(1, 4, 4)):
    found = made(shape=shape)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(found.inputs[0].numel(), 10))
    subject = Subject(model, (found.inputs, found.labels), input_range=(0.0, 1.0))
    return subject, raw_space(subject, "robustness", None), found


def test_lines_and_band():
    curves = bracket_curves(made())
    upper, lower = curves.series
    assert (upper.x, upper.y) == ((0.0, 0.05, 0.05), (0.78, 0.78, 0.72))
    assert (lower.x, lower.y) == ((0.0, 0.0, 0.05), (0.78, 0.64, 0.64))
    assert (round(lower.low[-1], 3), round(upper.high[-1], 3)) == (0.492, 0.838)
    assert (lower.low[0], upper.high[0]) == clopper_pearson(39, 50, 0.95)
    assert curves.marks[0].value == 0.78


def test_pictures_are_of_inputs_that_are_right():
    [sheet] = counterexample_pictures(*scene())
    assert len(sheet.rows) == 3  # 11 of the 14 are wrong as they are
    first, second, change = sheet.rows[0]
    assert first.caption == "6"
    assert second.caption.endswith(", 0.05")
    assert change.caption.startswith("change, 0.09")
    assert all(picture.png.startswith(b"\x89PNG") for picture in sheet.rows[0])


def test_vectors_have_no_pictures():
    assert counterexample_pictures(*scene((5,))) == ()


def test_between_two_radii_nothing_is_drawn_that_is_not_known():
    order = torch.arange(50)
    broken, proven = order >= torch.tensor([[35], [20]]), order < torch.tensor([[30], [5]])
    found = replace(made(), radii=(0.1, 0.2), broken=broken, proven=proven, examples=(X, X))
    upper, lower = bracket_curves(found).series
    for eps, at in ((0.05, -1), (0.15, 0)):  # what breaks in a smaller ball, if there is one
        known = found.accuracy if at < 0 else found.upper[at]
        assert np.interp(eps, upper.x, upper.y) == known
        assert np.interp(eps, lower.x, lower.y) == found.lower[at + 1]
