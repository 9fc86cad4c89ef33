import pytest
import torch
from torch import nn

from wellposed.certify import trace
from wellposed.certify._operators import OPERATORS
from wellposed.certify._read import Reader, name_of
from wellposed.errors import ArgumentError


def exported(model, shape=(2,)):
    return torch.export.export(model.eval(), (torch.zeros(3, *shape),), strict=False)


def test_names_are_those_of_torch():
    graph = exported(nn.Sequential(nn.Linear(2, 2), nn.ReLU(inplace=True))).graph
    names = [name_of(node) for node in graph.nodes if node.op == "call_function"]
    assert names == ["linear", "relu_"]


def test_operations_know_their_module():
    model = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.ReLU()))
    assert trace(model, (2,)).names == ("input", "linear 0", "relu 1.0")


class Chain(nn.Module):
    """Writes into a value that is read again under its first name."""

    def forward(self, x):
        y = x * 2
        y.add_(1)
        y.mul_(3)
        return y + y.relu()


def test_a_name_that_was_written_to_means_the_result():
    x = torch.rand(5, 4, dtype=torch.float64) - 0.5
    y = (2 * x + 1) * 3
    torch.testing.assert_close(trace(Chain(), (4,))(x), y + y.relu())


class Constants(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor([0.3, 0.4]))

    def forward(self, x):
        return x * self.scale.exp() + torch.arange(2) / 2


def test_what_does_not_depend_on_the_input_is_computed():
    x = torch.rand(5, 2, dtype=torch.float64)
    model = Constants()
    torch.testing.assert_close(trace(model, (2,))(x), model(x).detach(), rtol=1e-6, atol=1e-6)


def test_a_value_that_is_no_batch_is_refused_where_it_is_made():
    model = nn.Sequential(nn.Flatten(0), nn.ReLU())
    graph = exported(model).graph
    reader = Reader({}, 3, OPERATORS)
    nodes = [node for node in graph.nodes if node.op == "call_function"]
    with pytest.raises(ArgumentError, match="whose value of shape \\(6,\\) is not a batch"):
        reader.shape(nodes[0])


class Writes(torch.nn.Module):
    def __init__(self, how):
        super().__init__()
        self.how = how

    def forward(self, x):
        y = x * 2
        return self.how(y)


def part(y):
    y[:, :1].relu_()
    return y


def view_read_later(y):
    y.view(len(y), -1).relu_()  # positive inputs would not show that y has changed
    return y


def base_read_later(y):
    z = y.flatten(1)
    y.relu_()
    return z


def all_names(y):
    z = y.view(y.shape)
    y.relu_().mul_(3)
    return z + y


@pytest.mark.parametrize("how", [part, view_read_later, base_read_later])
def test_writing_into_memory_that_is_read_under_another_name_is_refused(how):
    with pytest.raises(ArgumentError, match="which writes into a part of a value"):
        trace(Writes(how), (2, 3))


def test_names_of_the_same_value_all_mean_what_is_written():
    value = torch.randn((4, 2, 3), generator=torch.Generator().manual_seed(0)).double()
    found = trace(Writes(all_names), (2, 3))(value)
    torch.testing.assert_close(found, 12 * value.clamp(min=0))


class Drawing(nn.Module):
    """Adds a little that is drawn anew each time, too little to show in two batches."""

    def __init__(self, draw):
        super().__init__()
        self.draw = draw

    def forward(self, x):
        return x + 1e-6 * self.draw(self.training)


@pytest.mark.parametrize(
    "draw",
    [
        lambda _: torch.randn(2),
        lambda _: torch.rand(1, 2),
        lambda _: torch.bernoulli(torch.full((2,), 0.5)),
        lambda _: nn.functional.dropout(torch.ones(2)),
    ],
    ids=["randn", "rand", "bernoulli", "dropout"],
)
def test_random_constants_are_refused_however_small(draw):
    with pytest.raises(ArgumentError, match="which gives other numbers each time"):
        trace(Drawing(draw), (2,))


def test_a_dropout_of_constants_that_only_trains_is_read():
    model = Drawing(lambda training: nn.functional.dropout(torch.ones(2), training=training))
    x = torch.rand(3, 2, dtype=torch.float64)
    torch.testing.assert_close(trace(model, (2,))(x), x + 1e-6)


class Cast(nn.Module):
    """Computes in bfloat16."""

    def __init__(self):
        super().__init__()
        self.dense = nn.Linear(2, 2)

    def forward(self, x):
        with torch.autocast("cpu", torch.bfloat16):
            return self.dense(x)


def test_another_precision_is_refused():
    with pytest.raises(ArgumentError, match="wrap_with_autocast, which computes in another"):
        trace(Cast(), (2,))
