"""Steps under a gradient scaler: unscaled, or counted and left out."""

import pytest
import torch
from torch import nn

from wellposed.optim import Relaxation
from wellposed.optim._scaled import skips


class Counting(Relaxation):
    """A relaxation that a scaler treats as one with replicas in other processes."""

    _step_supports_amp_scaling = True


def train(optimizer, p, gradients):
    """Steps under a scaler, with these gradients of the loss before scaling."""
    scaler = torch.amp.GradScaler("cpu", init_scale=64.0)
    for g in gradients:
        scaler.scale(torch.ones(1))
        p.grad = torch.full((2,), g) * scaler.get_scale()
        scaler.step(optimizer)
        scaler.update()
    return p.detach().clone()


def test_a_skipped_step_counts_and_moves_nothing():
    gradients = [1.0, float("inf"), 2.0, 3.0]
    p, q = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    ours = Counting([p], inner_steps=3, outer_lr=0.5)
    usual = Relaxation([q], inner_steps=3, outer_lr=0.5)
    assert train(ours, p, gradients[:2]).tolist() == train(usual, q, gradients[:2]).tolist()
    assert (ours.phase, usual.phase) == ((2, 0), (1, 0))
    train(ours, p, gradients[2:])
    assert ours.phase == (1, 1)


def test_gradients_are_unscaled_as_the_scaler_would():
    p, q = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    gradients = [1.0, -2.0, 0.3]
    ours = train(Counting([p], inner_steps=2), p, gradients)
    assert torch.equal(ours, train(Relaxation([q], inner_steps=2), q, gradients))


def test_gradients_unscaled_by_hand_stay_as_they_are():
    p = nn.Parameter(torch.zeros(1))
    optimizer = Counting([p], lr=1.0, momentum=0.0, inner_steps=9)
    scaler = torch.amp.GradScaler("cpu", init_scale=64.0)
    scaler.scale(torch.ones(1))
    p.grad = torch.full((1,), 64.0)
    scaler.unscale_(optimizer)
    scaler.step(optimizer)
    assert p.item() == -1.0


def test_only_replicas_in_other_processes_need_it():
    optimizer = Relaxation([nn.Parameter(torch.zeros(1))])
    assert not optimizer._step_supports_amp_scaling
    assert not skips(optimizer)
    optimizer.found_inf = torch.tensor(1.0)
    assert skips(optimizer)


@pytest.mark.parametrize("found", [0.0, 1.0])
def test_without_gradients_there_is_nothing_to_unscale(found):
    optimizer = Relaxation([nn.Parameter(torch.zeros(1))])
    optimizer.found_inf, optimizer.grad_scale = torch.tensor(found), torch.tensor(8.0)
    assert skips(optimizer) == bool(found)
