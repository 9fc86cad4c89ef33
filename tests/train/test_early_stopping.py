import copy
import math

import torch
from torch import nn

from wellposed.train._early_stopping import EarlyStopping


def run(values, patience=2):
    model, stopping, best = nn.Linear(1, 1), EarlyStopping(patience), []
    for step, value in enumerate(values, 1):
        nn.init.constant_(model.weight, step)
        best.append(stopping.see(value, step, model))
        if stopping.over:
            break
    return stopping, best


def test_stops_when_patience_runs_out_and_keeps_the_best():
    stopping, best = run([3.0, 2.0, 2.0, 2.5, 1.0])
    assert best == [True, True, False, False]
    assert (stopping.best, stopping.step, stopping.over) == (2.0, 2, True)
    assert stopping.weights["weight"].item() == 2.0


def test_improvement_renews_patience_and_nan_is_none():
    stopping, best = run([3.0, math.nan, 2.0, math.nan, 1.0])
    assert best == [True, False, True, False, True]
    assert not stopping.over
    assert stopping.step == 5


def test_without_patience_it_does_nothing():
    stopping, best = run([3.0, 4.0, 5.0, 6.0], patience=None)
    assert best == [False] * 4
    assert not stopping.over
    assert stopping.weights is None


def test_goes_on_from_its_state():
    first, _ = run([3.0, 2.0, 2.5], patience=3)
    again = EarlyStopping(3)
    again.load_state_dict(copy.deepcopy(first.state_dict()))
    assert torch.equal(again.weights["weight"], first.weights["weight"])
    assert (again.best, again.step, again.waited) == (2.0, 2, 1)
