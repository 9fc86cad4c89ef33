from collections import namedtuple

import pytest
import torch
from torch import nn

from wellposed.audit._trace import kept_copy, swapped, tensors_in, traced

Pair = namedtuple("Pair", "left right")


@pytest.fixture
def nest():
    a, b, c, d = (torch.full((1,), float(i)) for i in range(4))
    return {"x": [a, (b, 3)], "y": Pair(c, None), "z": d}


def test_tensors_come_in_their_order_and_go_back_there(nest):
    assert [int(t) for t in tensors_in(nest)] == [0, 1, 2, 3]
    back = swapped(nest, [t + 10 for t in tensors_in(nest)])
    assert [int(t) for t in tensors_in(back)] == [10, 11, 12, 13]
    assert isinstance(back["y"], Pair)
    assert back["x"][1][1] == 3
    assert back["y"].right is None


def test_a_copy_keeps_its_values(nest):
    kept = kept_copy(nest)
    nest["z"].add_(5)
    assert int(kept["z"]) == 3


def test_calls_are_seen_from_the_inside_out_and_hooks_are_gone(net):
    model = net(0, nn.Linear(4, 4), nn.ReLU(inplace=True), nn.Linear(4, 3))
    inputs = torch.randn(2, 4)
    with traced(model, inputs=True) as calls:
        output = model(inputs)
    assert [call.name for call in calls] == ["0", "1", "2", ""]
    assert calls[-1].place == "the network (Sequential)"
    assert calls[1].place == "1 (ReLU)"
    assert torch.equal(calls[0].args[0], inputs)
    assert (calls[1].args[0] < 0).any()  # as it was before the module wrote into it
    assert torch.equal(calls[1].output, calls[2].args[0])
    assert torch.equal(calls[-1].output, output)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_a_module_that_is_called_twice_and_one_with_keywords(net):
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.MultiheadAttention(4, 2, batch_first=True)

        def forward(self, x):
            x = self.inner(query=x, key=x, value=x)[0]
            return self.inner(query=x, key=x, value=x)[0]

    model = Twice()
    with traced(model, inputs=True) as calls:
        model(torch.randn(2, 3, 4))
    assert [call.name for call in calls] == ["inner", "inner", ""]
    assert set(calls[0].kwargs) == {"query", "key", "value"}
    assert torch.equal(calls[1].kwargs["query"], calls[0].output[0])


def test_hooks_go_although_the_block_fails(net):
    model = net()
    with pytest.raises(RuntimeError), traced(model):
        model(torch.randn(2, 7))
    assert not any(m._forward_hooks for m in model.modules())
