import numpy as np
import pytest
import torch
from torch import nn

from wellposed.audit import Subject
from wellposed.audit._neighbours import nearest, unit_rows
from wellposed.audit._scan import scan


def test_is_what_all_correlations_say():
    generator = torch.Generator().manual_seed(0)
    x, q = (torch.rand(n, 1, 9, 9, generator=generator) for n in (300, 40))
    x[7] = q[3]
    data = {"train": (x, torch.zeros(300)), "test": (q, torch.zeros(40))}
    model = nn.Sequential(nn.Flatten(), nn.Linear(81, 1))
    known = Subject(model, data, nn.MSELoss(reduction="none"))
    train, test = scan(known, "train"), scan(known, "test")
    found = nearest(known, unit_rows(q), list(test.digests), train)
    right = np.corrcoef(q.flatten(1).numpy(), x.flatten(1).numpy())[:40, 40:]
    right[3, 7] = -2  # equal ones are left out
    assert found.correlation == pytest.approx(right.max(1), abs=1e-5)
    assert (found.place == right.argmax(1)).all()


def test_brightness_and_contrast_cancel_and_large_pictures_are_reduced():
    x = torch.rand(2, 3, 100, 80)
    rows = unit_rows(torch.cat([x, 3 * x + 7]))
    assert rows.shape == (4, 3 * 32 * 32)
    assert (rows[:2] * rows[2:]).sum(1) == pytest.approx(torch.ones(2), abs=1e-5)


def test_constant_and_broken_inputs_are_near_nothing():
    x = torch.full((3, 70), 2.0)
    x[1], x[2, 0] = torch.rand(70), float("nan")
    rows = unit_rows(x)
    assert rows[0].abs().sum() == 0
    assert rows.isfinite().all()
