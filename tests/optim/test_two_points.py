"""Second points: where they begin, how they are exchanged, loaded, and kept apart."""

import copy

import pytest
import torch
from torch import nn

from wellposed.optim._two_points import TwoPoints


class Halfway(TwoPoints):
    """Plain gradient descent; x goes half the way to y at each step."""

    def __init__(self, params):
        super().__init__(params, {"lr": 0.5})

    @torch.no_grad()
    def step(self, closure=None):  # noqa: ARG002
        self.check_training()
        for index, group in enumerate(self.param_groups):
            for pair in self.pairs(index, [p for p in group["params"] if p.grad is not None]):
                y = pair.working()
                torch._foreach_add_(y, [p.grad for p in pair.params], alpha=-group["lr"])
                torch._foreach_lerp_(pair.anchors, y, 0.5)
                pair.write()
            group["inner_index"] += 1


def take_steps(optimizer, first, last):
    for step in range(first, last):
        for group in optimizer.param_groups:
            for p in group["params"]:
                generator = torch.Generator().manual_seed(step)
                p.grad = torch.randn(p.shape, generator=generator).to(p.dtype)
        optimizer.step()


def mixed():
    generator = torch.Generator().manual_seed(0)
    values = [torch.randn(3, 4, generator=generator) for _ in range(4)]
    dtypes = (torch.float32, torch.float64, torch.bfloat16, torch.float32)
    return [nn.Parameter(v.to(d)) for v, d in zip(values, dtypes, strict=True)]


def assert_equal(ours, theirs):
    assert all(torch.equal(p, q) for p, q in zip(ours, theirs, strict=True))


def test_the_anchor_begins_where_the_weight_is_and_follows():
    p = nn.Parameter(torch.tensor([4.0]))
    optimizer = Halfway([p])
    optimizer.eval()
    assert p.item() == 4.0
    optimizer.train()
    p.grad = torch.tensor([2.0])
    optimizer.step()
    assert optimizer.phase == (1, 0)
    assert optimizer.diagnostics() == {
        "inner_index": 1, "outer_index": 0, "anchor_distance": 0.5
    }  # fmt: skip
    with optimizer.at_anchor():
        assert p.item() == 3.5
        assert optimizer.diagnostics()["anchor_distance"] == 0.5
    assert p.item() == 3.0


def test_evaluating_changes_nothing():
    ours, theirs = mixed(), mixed()
    one, other = Halfway(ours), Halfway(theirs)
    for step in range(9):
        take_steps(one, step, step + 1)
        take_steps(other, step, step + 1)
        other.eval()
        other.eval()
        other.train()
    assert_equal(ours, theirs)
    for p in ours:
        assert all(torch.equal(v, other.state[theirs[i]][k])
                   for i, q in enumerate(ours) if q is p
                   for k, v in one.state[p].items())  # fmt: skip


def test_low_precision_weights_have_both_points_in_float32():
    p = nn.Parameter(torch.ones(2, dtype=torch.bfloat16))
    optimizer = Halfway([p])
    optimizer.param_groups[0]["lr"] = 1e-3
    p.grad = torch.tensor([1.0, 2.0], dtype=torch.bfloat16)
    for _ in range(10):
        optimizer.step()  # each step alone is below bfloat16's resolution
    point = optimizer.state[p]["point"]
    torch.testing.assert_close(point, torch.tensor([0.99, 0.98]), rtol=0, atol=1e-6)
    assert torch.equal(p, point.bfloat16())
    with torch.no_grad():
        p.copy_(torch.tensor([5.0, p[1].item()]))  # somebody else moves a weight
    p.grad.zero_()
    optimizer.step()
    assert point[0] == 5.0
    assert point[1] == pytest.approx(0.98, abs=1e-6)


def test_other_precisions_cost_one_copy():
    p = nn.Parameter(torch.ones(2))
    optimizer = Halfway([p])
    take_steps(optimizer, 0, 1)
    assert set(optimizer.state[p]) == {"anchor"}


@pytest.mark.parametrize("evaluating", [False, True])
def test_a_state_is_loaded_exactly_and_copied(evaluating):
    ours, theirs = mixed(), mixed()
    one, other = Halfway(ours), Halfway(theirs)
    take_steps(one, 0, 5)
    if evaluating:
        one.eval()
    with torch.no_grad():
        for p, q in zip(ours, theirs, strict=True):
            q.copy_(p)
    other.load_state_dict(one.state_dict())
    one.train()
    other.train()
    take_steps(one, 5, 8)
    take_steps(other, 5, 8)
    assert_equal(ours, theirs)
    low = theirs[2]
    assert other.state[low]["anchor"].dtype == other.state[low]["point"].dtype == torch.float32
    twin = copy.deepcopy(other)
    take_steps(twin, 8, 10)
    take_steps(other, 8, 10)
    assert_equal(theirs, twin.param_groups[0]["params"])


def test_finishing_leaves_the_anchor_for_good():
    for evaluating in (False, True):
        params = mixed()
        optimizer = Halfway(params)
        take_steps(optimizer, 0, 5)
        with optimizer.at_anchor():
            expected = [p.detach().clone() for p in params]
        if evaluating:
            optimizer.eval()
        optimizer.finish_cycle()
        assert optimizer.phase == (0, 1)
        assert_equal(params, expected)
        optimizer.eval()
        assert_equal(params, expected)
        optimizer.train()
        assert_equal(params, expected)
        optimizer.finish_cycle()
        assert optimizer.phase == (0, 1)


def test_parameters_may_come_late_and_pause():
    early, late = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))
    optimizer = Halfway([early, late])
    early.grad = torch.ones(1)
    optimizer.step()
    late.grad, early.grad = torch.ones(1), None
    optimizer.step()
    optimizer.eval()
    assert [early.item(), late.item()] == [-0.25, -0.25]
    optimizer.train()
    assert [early.item(), late.item()] == [-0.5, -0.5]


def test_a_group_that_comes_later_counts_with_the_others():
    p, q = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))
    optimizer = Halfway([p])
    take_steps(optimizer, 0, 3)
    optimizer.add_param_group({"params": [q]})
    assert optimizer.param_groups[1]["inner_index"] == 3


def test_a_state_that_is_laid_out_anew_is_used_from_then_on():
    # As `fuse` does when a training begins.
    p, q = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(2))
    optimizer = Halfway([p, q])
    take_steps(optimizer, 0, 1)
    optimizer.state[q]["anchor"] = optimizer.state[q]["anchor"].clone()
    take_steps(optimizer, 1, 2)
    assert torch.equal(optimizer.state[p]["anchor"], optimizer.state[q]["anchor"])
