"""Bytes of an optimizer's state."""

import pytest
import torch
from torch import nn

from wellposed.optim import SGD, AdamW, EntropySGD, Lookahead, memory


@pytest.mark.parametrize(("cls", "arguments", "copies"), [
    (SGD, {"lr": 0.1}, 0),
    (SGD, {"lr": 0.1, "momentum": 0.9}, 1),
    (AdamW, {}, 2),
    (Lookahead, {}, 2),
    (EntropySGD, {}, 3),
    (EntropySGD, {"outer_momentum": 0.5}, 4),
], ids=str)  # fmt: skip
def test_it_counts_copies_of_the_weights(cls, arguments, copies):
    p = nn.Parameter(torch.ones(1000))
    optimizer = cls([p], **arguments)
    assert memory(optimizer) == 0
    p.grad = torch.ones(1000)
    optimizer.step()
    steps = 4 if isinstance(optimizer, AdamW) else 0  # its count, one float
    assert memory(optimizer) == copies * 4000 + steps


def test_low_precision_slots_are_float32():
    p = nn.Parameter(torch.ones(1000, dtype=torch.bfloat16))
    optimizer = EntropySGD([p])
    p.grad = torch.ones_like(p)
    optimizer.step()
    assert memory(optimizer) == 1000 * (2 + 4 + 4 + 2)  # momentum, anchor, mean, point


def test_nested_and_shared_tensors():
    optimizer = SGD([nn.Parameter(torch.ones(1))], 0.1)
    shared = torch.zeros(10)
    optimizer.state["elsewhere"] = {"a": [shared, shared[:5]], "b": (torch.zeros(2),), "c": "text"}
    assert memory(optimizer) == 40 + 8
