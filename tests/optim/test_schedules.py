"""Schedules against torch's, against their conditions, and against their ends."""

from itertools import pairwise
from math import inf

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from wellposed.errors import ArgumentError
from wellposed.optim import Constant, Cosine, Linear, Milestones, RobbinsMonro, Schedule, Triangle

ALL = [
    Constant(), Cosine(), Cosine(final=0.1), Linear(), Linear(final=0.2), Triangle(),
    Milestones(), Milestones(at=(0.3,), factor=0.5), RobbinsMonro(), RobbinsMonro(power=0.6),
]  # fmt: skip


def torchs(make, total):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=1.0)
    scheduler = make(optimizer)
    values = []
    for _ in range(total + 1):
        values.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return values


def test_cosine_is_torchs():
    expected = torchs(lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 40, 0.1), 40)
    assert [Cosine(final=0.1)(k, 40) for k in range(41)] == pytest.approx(expected)


def test_linear_is_torchs():
    expected = torchs(lambda o: torch.optim.lr_scheduler.LinearLR(o, 1.0, 0.2, 40), 40)
    assert [Linear(final=0.2)(k, 40) for k in range(41)] == pytest.approx(expected)


def test_milestones_are_torchs():
    expected = torchs(lambda o: torch.optim.lr_scheduler.MultiStepLR(o, [10, 30], 0.5), 40)
    found = [Milestones(at=(0.25, 0.75), factor=0.5)(k, 40) for k in range(41)]
    assert found == pytest.approx(expected)


def test_robbins_monro_is_its_formula():
    a, offset, power = 3.0, 50.0, 0.7
    schedule = RobbinsMonro(offset=offset, power=power)
    for k in (0, 1, 10, 999):
        assert a / offset**power * schedule(k, 1000) == pytest.approx(a / (k + offset) ** power)


def test_triangle_peaks_where_it_says():
    values = [Triangle(warmup=0.25)(k, 100) for k in range(101)]
    assert max(range(101), key=values.__getitem__) == 25
    assert values[25] == 1.0
    assert values[100] == 0.0


@pytest.mark.parametrize("schedule", ALL, ids=repr)
def test_the_shape_starts_at_one_and_lasts_beyond_the_end(schedule):
    assert schedule.shape(0, 50) == 1
    assert schedule(60, 50) == schedule(50, 50)


@pytest.mark.simulation
@pytest.mark.parametrize("schedule", ALL, ids=repr)
@given(total=st.integers(1, 300), warmup=st.floats(0, 0.9))
def test_factors_rise_once_then_never_again_and_stay_within_0_and_1(schedule, total, warmup):
    fields = {**vars(schedule), "warmup": warmup}
    values = [type(schedule)(**fields)(k, total) for k in range(total + 1)]
    top = values.index(max(values))
    assert all(0 <= v <= 1 for v in values)
    assert values[0] > 0 or total == 1
    assert all(a <= b for a, b in pairwise(values[: top + 1]))
    assert all(a >= b - 1e-15 for a, b in pairwise(values[top:]))
    assert abs(top - warmup * total) <= 1


def test_the_warm_up_is_a_straight_line_to_one():
    found = [Constant(warmup=0.04)(k, 100) for k in range(6)]
    assert found == pytest.approx([1 / 5, 2 / 5, 3 / 5, 4 / 5, 1, 1])


@pytest.mark.parametrize(("power", "fine"), [(0.5, False), (0.51, True), (1.0, True), (1.1, False)])
def test_robbins_monro_asks_for_its_conditions(power, fine):
    if fine:
        assert RobbinsMonro(power=power)(0, 1) == 1
    else:
        with pytest.raises(ArgumentError, match="their squares"):
            RobbinsMonro(power=power)


@pytest.mark.parametrize(("cls", "fields", "said"), [
    (Cosine, {"warmup": 1.0}, "warmup=1"),
    (Linear, {"warmup": -0.1}, "warmup=-0.1"),
    (Cosine, {"final": -0.1}, "final=-0.1"),
    (Milestones, {"at": (0.5, 0.5)}, "rising"),
    (Milestones, {"at": (0.0,)}, "rising"),
    (Milestones, {"at": (1.0,)}, "rising"),
    (Milestones, {"factor": 0.0}, "factor=0"),
    (RobbinsMonro, {"offset": 0.0}, "offset=0"),
    (RobbinsMonro, {"power": inf}, "power=inf"),
], ids=str)  # fmt: skip
def test_fields_out_of_range_are_refused(cls, fields, said):
    with pytest.raises(ArgumentError, match=said):
        cls(**fields)


def test_steps_out_of_range_are_refused():
    with pytest.raises(ArgumentError, match="total=0"):
        Constant()(0, 0)
    with pytest.raises(ArgumentError, match="step=-1"):
        Constant()(-1, 5)


def test_schedules_are_values():
    assert Cosine(warmup=0.1) == Cosine(0.1)
    assert hash(Milestones(at=(0.5,))) == hash(Milestones(at=(0.5,)))
    assert isinstance(Triangle(), Schedule)
