"""A scheduler for any key, resumable, beside torch's own."""

import pytest
import torch
from torch import nn

from wellposed.errors import ArgumentError, UnknownNameError
from wellposed.optim import (
    SGD,
    CosineAnnealingLR,
    EntropySGD,
    GroupScheduler,
    LambdaLR,
    Linear,
    RobbinsMonro,
)


def make(**arguments):
    return EntropySGD([nn.Parameter(torch.ones(2))], lr=0.4, gamma=0.5, **arguments)


def test_each_group_keeps_its_own_initial_value():
    optimizer = SGD(
        [{"params": [nn.Parameter(torch.ones(1))], "lr": 1.0},
         {"params": [nn.Parameter(torch.ones(1))], "lr": 0.1}]
    )  # fmt: skip
    scheduler = GroupScheduler(optimizer, Linear(), 4)
    seen = []
    for _ in range(5):
        seen.append(scheduler.get_last_lr())
        optimizer.step()
        scheduler.step()
    assert [a for a, _ in seen] == [1.0, 0.75, 0.5, 0.25, 0.0]
    assert [b for _, b in seen] == pytest.approx([0.1, 0.075, 0.05, 0.025, 0.0])
    assert scheduler.get_last_lr() == [0.0, 0.0]


def test_it_is_a_lambda_lr_on_lr():
    ours, theirs = make(), make()
    schedule = RobbinsMonro(offset=3.0, warmup=0.2)
    first = GroupScheduler(ours, schedule, 30)
    second = LambdaLR(theirs, lambda k: schedule(k, 30))
    for _ in range(30):
        assert ours.param_groups[0]["lr"] == theirs.param_groups[0]["lr"]
        ours.step()
        theirs.step()
        first.step()
        second.step()


def test_schedulers_of_different_keys_do_not_meet():
    optimizer = make()
    gamma = GroupScheduler(optimizer, Linear(), 10, key="gamma")
    outer = GroupScheduler(optimizer, Linear(final=0.5), 10, key="outer_lr")
    lr = CosineAnnealingLR(optimizer, 10)
    for _ in range(5):
        optimizer.step()
        for scheduler in (gamma, outer, lr):
            scheduler.step()
    group = optimizer.param_groups[0]
    assert (group["gamma"], group["outer_lr"], group["lr"]) == pytest.approx((0.25, 0.75, 0.2))


@pytest.mark.parametrize("scheduler_first", [False, True])
def test_it_resumes_bitwise(scheduler_first):
    straight = make()
    reference = GroupScheduler(straight, Linear(warmup=0.1), 17)
    saved = None
    for step in range(12):
        straight.step()
        reference.step()
        if step == 6:
            saved = straight.state_dict(), reference.state_dict()
    optimizer = make()
    scheduler = GroupScheduler(optimizer, Linear(warmup=0.1), 17)
    if scheduler_first:
        scheduler.load_state_dict(saved[1])
    optimizer.load_state_dict(saved[0])
    if not scheduler_first:
        scheduler.load_state_dict(saved[1])
    for _ in range(5):
        optimizer.step()
        scheduler.step()
    assert optimizer.param_groups[0]["lr"] == straight.param_groups[0]["lr"]
    assert scheduler.state_dict() == reference.state_dict()


def test_a_scheduler_made_after_loading_takes_the_saved_initial_value():
    first = make()
    scheduler = GroupScheduler(first, Linear(), 4)
    scheduler.step(2)
    second = make()
    second.load_state_dict(first.state_dict())
    GroupScheduler(second, Linear(), 4).step(2)
    assert second.param_groups[0]["lr"] == 0.2


def test_a_tensor_is_filled_in_place():
    lr = torch.tensor(0.4)
    optimizer = SGD([nn.Parameter(torch.ones(1))], lr=lr)
    scheduler = GroupScheduler(optimizer, Linear(), 4)
    scheduler.step()
    assert optimizer.param_groups[0]["lr"] is lr
    assert lr.item() == pytest.approx(0.3)


def test_a_group_that_comes_later_is_scheduled_too():
    optimizer = make()
    scheduler = GroupScheduler(optimizer, Linear(), 4)
    optimizer.add_param_group({"params": [nn.Parameter(torch.ones(1))], "lr": 1.0})
    scheduler.step(2)
    assert scheduler.get_last_lr() == [0.2, 0.5]


def test_refusals():
    with pytest.raises(UnknownNameError, match="did you mean 'gamma'"):
        GroupScheduler(make(), Linear(), 4, key="gama")
    with pytest.raises(ArgumentError, match="total=0"):
        GroupScheduler(make(), Linear(), 0)
    for key in ("gamma_max", "nesterov", "integrator"):
        with pytest.raises(ArgumentError, match=key):
            GroupScheduler(make(), Linear(), 4, key=key)
