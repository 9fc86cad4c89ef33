"""Where the fused kernels are switched on, they compute what the plain ones compute."""

import pytest
import torch
from torch import nn

from wellposed.optim import SGD, Adagrad, Adam, AdamW, EntropySGD, RMSprop, fuse

KINDS = {
    "momentum": lambda ps: SGD(ps, lr=0.1, momentum=0.9, weight_decay=0.01),
    "adamw": lambda ps: AdamW(ps, lr=0.1),
    "amsgrad": lambda ps: Adam(ps, lr=0.1, amsgrad=True),
    "adagrad": lambda ps: Adagrad(ps, lr=0.1),  # its state is there before the first step
}


def step(optimizer, seed):
    generator = torch.Generator().manual_seed(seed)
    for group in optimizer.param_groups:
        for p in group["params"]:
            p.grad = torch.empty_like(p).copy_(torch.randn(p.shape, generator=generator))
    optimizer.step()


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("before", [0, 2])
def test_a_state_made_before_the_layout_changed_is_laid_out_anew(kind, before):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 5, 1), nn.Conv2d(1, 4, 3))
    twin = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 5, 1), nn.Conv2d(1, 4, 3))
    twin.load_state_dict(model.state_dict())
    ours, plain = kind(model.parameters()), kind(twin.parameters())
    plain.param_groups[0]["foreach"] = False
    for seed in range(before):
        step(ours, seed)
        step(plain, seed)
    model.to(memory_format=torch.channels_last)
    fuse(ours)
    assert ours.param_groups[0]["fused"] is True
    for seed in range(before, before + 3):
        step(ours, seed)
        step(plain, seed)
    for p, q in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(p, q)


def test_slices_are_left_to_the_plain_kernels_group_by_group():
    gaps, whole = nn.Parameter(torch.randn(4, 6, 2)[:, :, 0]), nn.Parameter(torch.randn(3))
    optimizer = SGD([{"params": [gaps]}, {"params": [whole]}], lr=0.1)
    fuse(optimizer)
    assert [group["fused"] for group in optimizer.param_groups] == [None, True]
    expected = gaps.detach() - 0.1 * torch.ones(4, 6)
    gaps.grad = torch.ones(4, 6)
    optimizer.step()
    torch.testing.assert_close(gaps.detach(), expected)


@pytest.mark.parametrize("optimizer", [
    lambda ps: SGD(ps, lr=0.1, fused=False),
    lambda ps: SGD(ps, lr=0.1, foreach=True),
    lambda ps: EntropySGD(ps, lr=0.1),
    lambda ps: RMSprop(ps, lr=0.1),
], ids=["fused", "foreach", "relaxation", "none"])  # fmt: skip
def test_what_was_chosen_or_cannot_be_fused_stays(optimizer):
    made = optimizer([nn.Parameter(torch.ones(3))])
    before = dict(made.param_groups[0])
    fuse(made)
    assert made.param_groups[0] == before
    step(made, 0)
