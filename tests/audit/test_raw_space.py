import pytest
import torch
from torch import nn

from wellposed import data
from wellposed.audit import Subject
from wellposed.audit._raw_space import FromRaw, raw_space
from wellposed.errors import ArgumentError


def net(features=64):
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(features, 10))


@pytest.fixture(scope="module")
def digits():
    return data.load(data.Digits(), seed=0)


def test_a_standardized_network_is_a_function_of_raw_inputs(digits):
    model = net()
    space = raw_space(Subject(model, digits), "robustness", 30)
    assert space.bounds == (0.0, 1.0)
    assert space.part == "test"
    assert ((space.inputs >= 0) & (space.inputs <= 1)).all()
    inputs, labels = Subject(model, digits).take("test", 30)
    assert torch.allclose(space.model(space.inputs), model(inputs), atol=1e-5)
    assert (space.labels == labels).all()
    assert space.moved == 0


def test_without_a_standardization_inputs_are_raw():
    x, y = torch.rand(20, 64), torch.arange(20) % 10
    space = raw_space(Subject(net(), (x, y), input_range=(0.0, 1.0)), "robustness", None)
    assert torch.equal(space.inputs, x)
    assert torch.equal(FromRaw(net(), None)(x), net()(x))


def test_the_range_is_widened_to_what_was_found_but_not_by_rounding():
    y = torch.arange(20) % 10
    a_bit = torch.rand(20, 64).mul(1.04)
    a_bit[0, 0] = 1.04
    found = raw_space(Subject(net(), (a_bit, y), input_range=(0.0, 1.0)), "robustness", None)
    assert found.bounds == (0.0, pytest.approx(1.04))
    rounded = torch.rand(20, 64)
    rounded[0, 0] = 1 + 2e-7
    found = raw_space(Subject(net(), (rounded, y), input_range=(0.0, 1.0)), "robustness", None)
    assert found.bounds == (0.0, 1.0)
    assert found.inputs.max() <= 1


def test_what_has_no_small_changes_or_no_range_is_refused():
    y = torch.arange(20) % 10
    tokens = Subject(
        nn.Sequential(nn.Embedding(5, 4), nn.Flatten(), nn.Linear(12, 10)),
        (torch.randint(5, (20, 3)), y),
    )
    with pytest.raises(ArgumentError, match="leave it out for tokens"):
        raw_space(tokens, "robustness", None)
    x = torch.rand(20, 64)
    with pytest.raises(ArgumentError, match="which is not known here"):
        raw_space(Subject(net(), (x, y)), "robustness", None)
    with pytest.raises(ArgumentError, match="outside their range"):
        raw_space(Subject(net(), (3 * x, y), input_range=(0.0, 1.0)), "robustness", None)
    values = Subject(nn.Linear(64, 1), (x, x[:, :1]), nn.MSELoss(reduction="none"))
    with pytest.raises(ArgumentError, match="is about classifiers"):
        raw_space(values, "robustness", None)
    x[3, 4] = torch.nan
    with pytest.raises(ArgumentError, match="finite inputs"):
        raw_space(Subject(net(), (x, y), input_range=(0.0, 1.0)), "robustness", None)


def test_a_standardization_of_another_network_is_refused(digits):
    class Lossy:
        def apply(self, raw):
            return raw * 0

        def undo(self, inputs):
            return inputs

    x, y = torch.rand(50, 64), torch.arange(50) % 10
    subject = Subject(net(), (x, y), input_range=(0.0, 1.0), standardization=Lossy())
    with pytest.raises(ArgumentError, match="would judge another network"):
        raw_space(subject, "robustness", None)
