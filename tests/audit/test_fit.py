import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from wellposed.audit._fit import batches, fit
from wellposed.errors import ArgumentError
from wellposed.losses import CrossEntropy


def trained(model, inputs, targets, passes=2, lr=0.01, batch_size=20):
    source = torch.Generator().manual_seed(0)
    return fit(
        model, inputs, targets, CrossEntropy(), passes=passes, batch_size=batch_size, lr=lr,
        generator=source,
    )  # fmt: skip


def test_it_is_adam(net, blobs):
    inputs, targets = blobs(60)
    model, twin = net(), net()
    done = trained(model, inputs, targets)
    optimizer, order = torch.optim.Adam(twin.parameters(), 0.01), torch.Generator().manual_seed(0)
    torch.randint(2**31, (), generator=order)
    hits = torch.zeros(2, 60, dtype=bool)
    for number in range(2):
        for rows in torch.randperm(60, generator=order).split(20):
            outputs = twin(inputs[rows])
            hits[number, rows] = outputs.argmax(1) == targets[rows]
            optimizer.zero_grad()
            cross_entropy(outputs, targets[rows]).backward()
            optimizer.step()
    for a, b in zip(model.parameters(), twin.parameters(), strict=True):
        assert torch.equal(a, b)
    assert torch.equal(done.hits, hits)
    assert done.gradients == 120


def test_dropout_repeats_and_the_global_generator_is_left_alone(net, blobs):
    found, before = [], torch.get_rng_state()
    for _ in range(2):
        model = net(0, nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 3))
        before = torch.get_rng_state()
        trained(model, *blobs(60))
        assert torch.equal(torch.get_rng_state(), before)
        assert not model.training
        found.append(model[0].weight.detach().clone())
    assert torch.equal(*found)


def test_no_batch_has_a_single_row():
    assert [len(b) for b in batches(torch.arange(101), 50)] == [50, 51]
    assert [len(b) for b in batches(torch.arange(102), 50)] == [50, 50, 2]
    assert [len(b) for b in batches(torch.arange(1), 50)] == [1]


def test_what_diverges_is_said(net, blobs):
    inputs, targets = blobs(60)
    with pytest.raises(ArgumentError, match="loss of a fresh copy is not finite in pass"):
        trained(net(), inputs * torch.nan, targets)
