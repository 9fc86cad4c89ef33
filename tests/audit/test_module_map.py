import pytest
import torch
from torch import nn

from wellposed.audit._module_map import ModuleMap, innermost, module_calls
from wellposed.audit._twin import twin


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def test_a_module_maps_inputs_and_parameters(subject, generator):
    made = twin(subject(), "x", 3)
    calls = module_calls(made)
    assert [call.name for call in calls] == ["0", "1", "2"]
    first = ModuleMap(calls[0], generator)
    assert first.names == ["input 0", "weight", "bias"]
    x, w, b = (torch.randn_like(v) for v in first.values)
    (found,) = first([x, w, b])
    torch.testing.assert_close(found, x @ w.T + b)
    assert torch.equal(made.model[0].weight, first.values[1])


def test_it_is_taken_beside_the_zeros_of_a_relu(subject, net, generator):
    model = net(0, nn.Linear(4, 8), nn.ReLU(inplace=True), nn.ReLU(inplace=True), nn.Linear(8, 3))
    calls = module_calls(twin(subject(model), "x", 3))
    met = calls[2].args[0]
    second = ModuleMap(calls[2], generator)
    assert (met == 0).any()
    assert not (second.values[0] == 0).any()
    assert (second.values[0] - met).abs().max() < 0.5 * met.abs().max()
    before = second.values[0].clone()
    second(second.values)
    assert torch.equal(second.values[0], before)  # although the module writes into its input


def test_inputs_that_must_be_positive_stay_positive(subject, net, generator):
    class Log(nn.Module):
        def forward(self, inputs):
            return inputs.log()

    model = net(0, nn.Softmax(1), Log(), nn.Linear(4, 3))
    x = torch.zeros(9, 4)
    x[:, 0] = 20
    made = subject(model, data=(x, torch.arange(9) % 3))
    calls = module_calls(twin(made, "x", 3))
    assert (ModuleMap(calls[1], generator).values[0] > 0).all()


def test_integers_are_held_fixed(subject, net, generator):
    tokens = (torch.randint(0, 5, (9, 4)), torch.arange(9) % 3)
    model = net(0, nn.Embedding(5, 2), nn.Flatten(), nn.Linear(8, 3))
    calls = module_calls(twin(subject(model, data=tokens), "x", 4))
    assert ModuleMap(calls[0], generator).names == ["weight"]


def test_the_first_call_of_a_shared_module_counts(subject, net):
    shared = nn.Linear(4, 4)
    model = net(0, shared, nn.Tanh(), shared, nn.Linear(4, 3))
    assert len(module_calls(twin(subject(model), "x", 3))) == 3


def test_innermost():
    assert innermost(["", "a", "a.b", "c", "cd"]) == ["a.b", "c", "cd"]
    assert innermost([""]) == [""]
    assert innermost([]) == []
