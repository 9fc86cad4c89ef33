"""Batch-norm statistics at the weights one evaluates."""

import copy

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import update_bn

from wellposed.errors import ArgumentError
from wellposed.optim import EntropySGD, anchor_statistics, recompute_batch_norm


def network(dropout=0.0):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(dropout), nn.Linear(6, 3),
        nn.BatchNorm1d(3, momentum=0.3),
    )  # fmt: skip


def batches(count=5):
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(8, 4, generator=generator) for _ in range(count)]


def buffers(model):
    return {name: b.clone() for name, b in model.named_buffers()}


def equal(first, second):
    return all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("with_targets", [False, True])
def test_without_dropout_it_is_update_bn(with_targets):
    ours, theirs = network(), network()
    data = [(x, torch.zeros(8)) for x in batches()] if with_targets else batches()
    recompute_batch_norm(ours, data)
    update_bn(data, theirs)
    assert equal(buffers(ours), buffers(theirs))


def test_the_first_layer_has_the_mean_of_the_batch_statistics():
    model = network()
    recompute_batch_norm(model, batches())
    values = torch.stack([model[0](x) for x in batches()])
    torch.testing.assert_close(model[1].running_mean, values.mean((0, 1)))
    torch.testing.assert_close(model[1].running_var, values.var(1).mean(0))


def test_dropout_stays_off_and_modes_and_momenta_come_back():
    model = network(dropout=0.9)
    model[1].eval()  # a frozen layer
    modes = [m.training for m in model.modules()]
    recompute_batch_norm(model, batches())
    assert [m.training for m in model.modules()] == modes
    assert (model[1].momentum, model[5].momentum) == (0.1, 0.3)
    without = network(dropout=0.0)
    recompute_batch_norm(without, batches())
    assert equal(buffers(model), buffers(without))


def test_no_gradients_are_recorded():
    model = network()
    recompute_batch_norm(model, batches())
    assert all(p.grad is None for p in model.parameters())
    assert not model[1].running_mean.requires_grad


def test_a_failing_batch_leaves_the_modes_right():
    model = network().eval()
    with pytest.raises(RuntimeError):
        recompute_batch_norm(model, [torch.zeros(2, 5)])
    assert not model.training
    assert not model[1].training
    assert model[1].momentum == 0.1


def test_no_batch_is_refused_before_anything_is_lost():
    model = network()
    model(torch.randn(8, 4))
    before = buffers(model)
    with pytest.raises(ArgumentError, match="at least one batch"):
        recompute_batch_norm(model, [])
    assert equal(buffers(model), before)
    with pytest.raises(ArgumentError, match="at least one batch"), anchor_statistics(model, []):
        pass
    assert equal(buffers(model), before)


def test_a_model_without_batch_norm_draws_no_batch():
    drawn = iter(batches())
    recompute_batch_norm(nn.Linear(2, 2), drawn)
    recompute_batch_norm(nn.BatchNorm1d(2, track_running_stats=False), drawn)
    assert len(list(drawn)) == 5


def test_within_the_context_the_statistics_are_those_of_the_batches_then_the_old_ones():
    model = network()
    model(torch.randn(8, 4))
    before = buffers(model)
    expected = copy.deepcopy(model)
    recompute_batch_norm(expected, batches())
    with anchor_statistics(model, batches()):
        assert equal(buffers(model), buffers(expected))
    assert equal(buffers(model), before)
    with pytest.raises(ZeroDivisionError), anchor_statistics(model, batches()):
        _ = 1 / 0
    assert equal(buffers(model), before)


def test_evaluation_at_the_anchor_leaves_no_trace_in_training():
    def train(evaluate):
        model = network(dropout=0.3)
        optimizer = EntropySGD(model.parameters(), inner_steps=4, gamma=1.0)
        for step in range(11):
            torch.manual_seed(step)
            optimizer.zero_grad()
            model(torch.randn(8, 4)).square().mean().backward()
            optimizer.step()
            if evaluate and step % 3 == 1:
                with optimizer.at_anchor(), anchor_statistics(model, batches()):
                    model.eval()
                    model(torch.ones(1, 4))
                    model.train()
        return model

    watched, alone = train(evaluate=True), train(evaluate=False)
    assert equal(watched.state_dict(), alone.state_dict())
