"""Lookahead against its two-line definition."""

import pytest
import torch
from torch import nn

from wellposed.errors import ArgumentError
from wellposed.optim import Lookahead


def reference(make, k, alpha, steps):
    """Slow weights, fast weights, as in the paper's algorithm 1."""
    fast = nn.Parameter(torch.linspace(-1, 1, 7))
    slow = fast.detach().clone()
    optimizer = make([fast])
    generator = torch.Generator().manual_seed(0)
    for step in range(steps):
        fast.grad = torch.randn(7, generator=generator)
        optimizer.step()
        if step % k == k - 1:
            slow.lerp_(fast.detach(), alpha)
            with torch.no_grad():
                fast.copy_(slow)
    return fast


@pytest.mark.parametrize("base", [None, torch.optim.AdamW])
@pytest.mark.parametrize(("k", "alpha"), [(5, 0.5), (3, 0.5), (1, 0.5), (4, 1.0)])
def test_it_is_bitwise_the_definition(base, k, alpha):
    theirs = reference(
        (lambda p: torch.optim.SGD(p, 0.05, 0.9, nesterov=True, fused=True))
        if base is None else (lambda p: base(p, lr=0.05)),
        k, alpha, 60,
    )  # fmt: skip
    ours = reference(
        lambda p: Lookahead(p, lr=0.05, inner_steps=k, outer_lr=alpha, base=base), 10**9, 0.0, 60
    )
    assert torch.equal(ours, theirs)


@pytest.mark.parametrize("alpha", [0.3, 0.8])
def test_other_fractions_agree_to_rounding(alpha):
    theirs = reference(
        lambda p: torch.optim.SGD(p, 0.05, 0.9, nesterov=True, fused=True), 5, alpha, 60
    )
    ours = reference(lambda p: Lookahead(p, lr=0.05, outer_lr=alpha), 10**9, 0.0, 60)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


def test_it_keeps_one_copy_beside_the_base():
    p = nn.Parameter(torch.ones(3))
    optimizer = Lookahead([p], momentum=0.0)
    p.grad = torch.ones(3)
    optimizer.step()
    assert set(optimizer.state[p]) == {"anchor"}


def test_it_refuses_what_makes_no_sense():
    with pytest.raises(ArgumentError, match="outer_lr"):
        Lookahead([nn.Parameter(torch.ones(1))], outer_lr=0.0)


def test_the_papers_settings_by_name():
    p = nn.Parameter(torch.ones(1))
    named, plain = Lookahead([p], preset="lookahead"), Lookahead([p])
    assert named.param_groups[0] == plain.param_groups[0]
    assert Lookahead([p], preset="lookahead", inner_steps=7).param_groups[0]["inner_steps"] == 7
