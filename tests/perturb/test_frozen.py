import random

import numpy as np
import pytest
import torch
from torch import nn

from wellposed.perturb._frozen import frozen


class Restless(nn.Module):
    """Counts its calls in a buffer and draws from all generators, in eval mode too."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 2)
        self.norm = nn.BatchNorm1d(2)
        self.register_buffer("calls", torch.zeros(()))
        self.register_buffer("nothing", None)
        self.linear.bias.requires_grad_(False)
        self.norm.eval()

    def forward(self, x):
        self.calls += 1
        self.calls = self.calls + 1
        noise = torch.rand(2) + random.random() + np.random.rand()  # noqa: NPY002
        return self.norm(self.linear(x)) + noise.float()


def state(model):
    return (
        [m.training for m in model.modules()],
        [(p.requires_grad, p.grad, p.tolist()) for p in model.parameters()],
        {name: b.tolist() for name, b in model.named_buffers()},
        torch.get_rng_state().tolist(),
        random.getstate(),
        str(np.random.get_state()),  # noqa: NPY002
    )


def test_leaves_everything_as_it_was():
    model = Restless().train()
    model.norm.eval()
    calls, before = model.calls, state(model)
    with frozen(model, 0):
        assert not any(m.training for m in model.modules())
        assert not any(p.requires_grad for p in model.parameters())
        model(torch.rand(4, 3))
    assert state(model) == before
    assert model.calls is calls


def test_leaves_everything_as_it_was_after_an_error():
    model = Restless()
    before = state(model)
    with pytest.raises(RuntimeError, match="shapes cannot"), frozen(model, 0):
        model(torch.rand(4, 7))
    assert state(model) == before


def test_a_model_that_draws_draws_the_same_each_time():
    model, x = Restless(), torch.rand(4, 3)
    answers = []
    for seed in (1, 1, 2):
        with frozen(model, seed):
            answers.append(model(x))
    assert torch.equal(answers[0], answers[1])
    assert not torch.equal(answers[0], answers[2])


@pytest.mark.parametrize("outside", [torch.no_grad, torch.inference_mode])
def test_gradients_can_be_taken_whatever_is_outside(outside):
    model = nn.Linear(3, 1)
    with outside(), frozen(model, 0):
        x = torch.ones(1, 3, requires_grad=True)
        slope = torch.autograd.grad(model(x).sum(), x)[0]
    assert torch.equal(slope, model.weight)


def test_a_model_that_writes_into_its_input_writes_into_a_copy():
    model = nn.Sequential(nn.ReLU(inplace=True), nn.Linear(3, 2))
    inputs = torch.tensor([[-1.0, 2.0, 3.0]], requires_grad=True)
    hooks = len(model._forward_pre_hooks)
    with frozen(model, 0):
        [slope] = torch.autograd.grad(model(inputs).sum(), inputs)
    assert inputs.tolist() == [[-1.0, 2.0, 3.0]]
    assert slope[0, 0] == 0
    assert len(model._forward_pre_hooks) == hooks
