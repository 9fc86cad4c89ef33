import copy
import random
import warnings
from contextlib import suppress

import numpy as np
import pytest
import torch
from torch import nn

from wellposed.audit._subject import weights_digest
from wellposed.audit._untouched import untouched


class Noise(nn.Module):
    """Draws from a generator of its own."""

    def __init__(self):
        super().__init__()
        self.source = torch.Generator().manual_seed(3)

    def forward(self, inputs):
        return inputs + torch.rand(inputs.shape, generator=self.source)


@pytest.fixture
def model(net):
    made = net(0, nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), Noise(), nn.Linear(8, 3))
    made[1].eval()
    made[0].bias.requires_grad_(False)
    made(torch.randn(5, 4)).sum().backward()
    made.register_forward_hook(lambda *_: None)
    return made


def state(model):
    """Everything of a model and of the generators that a bit can tell apart."""
    grads = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    return {
        "weights": weights_digest(model.state_dict()),
        "grads": (weights_digest(grads), sorted(grads), [id(g) for g in grads.values()]),
        "wants": [p.requires_grad for p in model.parameters()],
        "identity": [id(t) for t in [*model.parameters(), *model.buffers(), *model.modules()]],
        "modes": [m.training for m in model.modules()],
        "hooks": [list(m._forward_hooks) + list(m._backward_hooks) for m in model.modules()],
        "torch": torch.get_rng_state().tolist(),
        "own": model[3].source.get_state().tolist(),
        "numpy": np.random.get_state(legacy=True)[1].tolist(),  # noqa: NPY002 - the global one
    }


def weight(model):
    with torch.no_grad():
        model[0].weight[0, 0] += 1e-7


def sign_of_zero(model):
    model[1].running_mean.neg_()


def buffer(model):
    model.train()
    model(torch.ones(5, 4))
    model[1].eval()


def more_gradient(model):
    model(torch.ones(5, 4)).sum().backward()


def no_gradient(model):
    model.zero_grad()


def new_gradient(model):
    model[4].weight.grad = model[4].weight.grad.clone()


def first_gradient(model):
    model[0].bias.grad = torch.ones(8)


def replaced_gradient(model):
    model[4].weight.grad = None
    model(torch.ones(5, 4)).sum().backward()


def wants(model):
    model[4].weight.requires_grad_(False)


def freed(model):
    model[0].bias.requires_grad_(True)


def mode(model):
    model[2].eval()


def hook(model):
    model[1].register_forward_hook(lambda *_: None)


def backward_hook(model):
    model[1].register_full_backward_hook(lambda *_: None)


def unhook(model):
    model._forward_hooks.clear()


def double(model):
    model.double()


def another_parameter(model):
    model[0].weight = nn.Parameter(torch.zeros(8, 4))


def another_part(model):
    model[0] = nn.Linear(4, 8)


def another_buffer(model):
    model.register_buffer("extra", torch.zeros(1))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (weight, {"the values of 0.weight"}),
        (sign_of_zero, None),
        (buffer, None),
        (more_gradient, None),
        (no_gradient, None),
        (new_gradient, {"the gradient of 4.weight"}),
        (first_gradient, {"the gradient of 0.bias"}),
        (replaced_gradient, None),
        (wants, {"requires_grad of 4.weight"}),
        (freed, {"requires_grad of 0.bias"}),
        (mode, {"the mode of 2"}),
        (hook, {"the hooks of 1"}),
        (backward_hook, {"the hooks of 1"}),
        (unhook, {"the hooks of the model"}),
        (double, None),
        (another_parameter, {"the parameters of 0"}),
        (another_part, {"the parts of the model"}),
        (another_buffer, {"the buffers of the model"}),
    ],
    ids=lambda item: getattr(item, "__name__", ""),
)
@pytest.mark.parametrize("raises", [False, True])
def test_every_bit_comes_back_and_is_named(model, change, named, raises):
    before = state(model)
    with suppress(ZeroDivisionError), untouched(model) as changed:
        change(model)
        assert state(model) != before
        if raises:
            raise ZeroDivisionError
    assert state(model) == before
    assert changed
    if named is not None:
        assert set(changed) == named


def test_a_block_that_only_draws_is_not_blamed(model):
    before = state(model)
    with untouched(model) as changed:
        model[3](model[2](torch.ones(5, 8)))
        np.random.rand()  # noqa: NPY002
        torch.rand(3)
    assert state(model) == before
    assert changed == []


@pytest.mark.wrong_types  # the run-time check of types draws from Python's generator as well
def test_python_s_generator_is_put_back(model):
    before = random.getstate()
    with untouched(model):
        random.random()
    assert random.getstate() == before


def test_nan_and_tied_weights_are_no_change(net):
    first = nn.Linear(4, 4)
    model = net(0, first, first)
    with torch.no_grad():
        first.weight[0, 0] = float("nan")
    with untouched(model) as changed:
        model(torch.ones(2, 4))
    assert changed == []


def test_a_model_in_bfloat16_and_one_without_weights(net):
    for model in (net().bfloat16(), nn.Identity()):
        before = copy.deepcopy(model.state_dict())
        with untouched(model) as changed, torch.no_grad():
            for p in model.parameters():
                p.zero_()
        assert len(changed) == len(before)
        assert weights_digest(before) == weights_digest(model.state_dict())


def test_a_scripted_module_and_sparse_gradients_are_left_alone_too():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scripting is on its way out
        scripted = torch.jit.script(nn.Sequential(nn.Linear(3, 2), nn.Tanh()))
    with untouched(scripted) as changed:
        scripted(torch.ones(1, 3))
    assert changed == []
    words = nn.Embedding(5, 2, sparse=True)
    words(torch.tensor([1, 3])).sum().backward()
    with untouched(words) as changed:
        pass
    assert changed == []
    with untouched(words) as changed:
        words.weight.grad = words.weight.grad * 2
    assert changed == ["the gradient of weight"]
