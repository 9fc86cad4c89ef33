import pytest
import torch
from torch import nn

from wellposed.audit import Subject
from wellposed.errors import ArgumentError


def test_a_compiled_model_is_the_module_it_was_compiled_from(net, blobs):
    model = net()
    compiled = torch.compile(model, backend="eager")
    made = Subject(compiled, blobs(), initial=compiled.state_dict())
    assert made.model is model
    assert made.name == "Sequential"
    assert list(made.initial) == list(model.state_dict())


def test_weights_without_numbers_and_inputs_of_another_type_are_said(net, blobs):
    x, y = blobs(30)
    with pytest.raises(ArgumentError, match="has lazy layers without weights; call it once"):
        Subject(nn.Sequential(nn.LazyLinear(3)), (x, y))
    with pytest.raises(ArgumentError, match="is on the meta device"):
        Subject(net().to("meta"), (x, y))
    with pytest.raises(ArgumentError, match=r"torch\.float64 \(its weights are torch\.float32\)"):
        Subject(net(), (x.double(), y))
