"""The base sees other gradients, the model keeps its own."""

import pytest
import torch
from torch import nn

from wellposed.errors import ArgumentError
from wellposed.optim._transformed import Transformed


class Doubled(Transformed):
    """Twice the gradient, contiguous and in double precision."""

    def __init__(self, params, base=None, lr=0.5):
        sgd = {"momentum": 0.9, "weight_decay": 0.0, "nesterov": True}
        super().__init__(params, base, lr, sgd=sgd, own={"factor": 2.0})
        self.seen = []

    def is_active(self, group):
        return group["factor"] != 1

    def transform(self, index, group, params, grads):
        self.seen.append((index, len(params), params[0].dtype))
        return [group["factor"] * g.double().contiguous() for g in grads]


def base(params, lr):
    return torch.optim.SGD(params, lr=lr)


def test_the_base_steps_with_the_transformed_gradients():
    p, idle = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    p.grad = torch.tensor([1.0, -0.25])
    kept = p.grad
    Doubled([p, idle], base).step()
    assert p.tolist() == [0.0, 1.25]
    assert p.grad is kept
    assert kept.tolist() == [1.0, -0.25]
    assert idle.grad is None
    assert idle.tolist() == [1.0, 1.0]


def test_groups_and_dtypes_are_transformed_each_by_itself():
    params = [nn.Parameter(torch.ones(2, dtype=dtype)) for dtype in (torch.float32, torch.bfloat16)]
    other, plain = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(3))
    groups = [{"params": params}, {"params": [other], "factor": 3.0},
              {"params": [plain], "factor": 1.0}]  # fmt: skip
    optimizer = Doubled(groups, base)
    for p in (*params, other, plain):
        p.grad = torch.full_like(p, 0.5)
    optimizer.step()
    assert optimizer.seen == [(0, 1, torch.float32), (0, 1, torch.bfloat16), (1, 1, torch.float32)]
    assert [p[0].item() for p in (*params, other, plain)] == [0.5, 0.5, 0.25, 0.75]
    assert params[1].dtype == torch.bfloat16


@pytest.mark.parametrize("fused", [False, True])
def test_the_base_meets_gradients_in_the_layout_of_their_weights(fused):
    # Fused kernels walk through memory, so a contiguous gradient of a channels_last weight
    # would be added in the wrong order.
    value = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    p = nn.Parameter(value.to(memory_format=torch.channels_last))
    p.grad = value.sign().to(memory_format=torch.channels_last)

    def fused_or_not(params, lr):
        return torch.optim.SGD(params, lr=lr, momentum=0.5, fused=fused, foreach=False)

    Doubled([p], fused_or_not).step()
    assert torch.equal(p, value - value.sign())


def test_gradients_come_back_when_the_base_fails():
    p = nn.Parameter(torch.ones(2))

    class Failing(torch.optim.SGD):
        def step(self, closure=None):  # noqa: ARG002
            raise RuntimeError("no step")

    optimizer = Doubled([p], lambda params, lr: Failing(params, lr=lr))
    p.grad = kept = torch.ones(2)
    with pytest.raises(RuntimeError, match="no step"):
        optimizer.step()
    assert p.grad is kept


def test_sparse_gradients_are_refused():
    embedding = nn.Embedding(4, 2, sparse=True)
    optimizer = Doubled(embedding.parameters(), base)
    embedding(torch.tensor([1])).sum().backward()
    with pytest.raises(ArgumentError, match=r"Doubled got a sparse gradient.*sparse=False"):
        optimizer.step()


def test_other_kinds_of_tensors_are_refused():
    class Shard(torch.Tensor):
        pass

    p = torch.ones(2).as_subclass(Shard).requires_grad_()
    p.grad = torch.ones(2)
    with pytest.raises(ArgumentError, match="parameters that are Shards; it works on whole plain"):
        Doubled([p], base).step()
