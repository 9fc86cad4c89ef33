from collections import OrderedDict

import pytest
import torch
from torch import nn

from wellposed.certify import trace
from wellposed.certify._convolution import Convolution
from wellposed.certify._operation import Reshape, Scale, Sum
from wellposed.errors import ArgumentError


class Calls(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def kinds(what, shape=(2, 6, 6)):
    layer = isinstance(what, nn.Module)
    model = nn.Sequential(OrderedDict(layer=what)) if layer else Calls(what)
    graph = trace(model, shape)  # which compares the values
    return [type(operation).__name__ for operation in graph.operations[1:]]


READ = {
    "constants": (lambda x: 2 - x / 3 + (x - 1) * 0.5, ["Scale"] * 4 + ["Sum"]),
    "of channels": (lambda x: x * torch.tensor([1.0, 2.0]).view(2, 1, 1), ["Scale"]),
    "with a batch axis": (lambda x: torch.ones(1, 2, 1, 1) - x, ["Scale"]),
    "negative": (lambda x: -x, ["Scale"]),
    "difference": (lambda x: torch.sub(x, x.relu(), alpha=2), ["LeakyReLU", "Sum"]),
    "weight of a constant": (
        lambda x: nn.functional.linear(x, torch.eye(6) + 1), ["Dense"],
    ),
    "in place": (lambda x: (x * 2).relu_().add_(1), ["Scale", "LeakyReLU", "Scale"]),
    "same": (
        lambda x: nn.functional.conv2d(x, torch.ones(1, 2, 3, 5), padding="same"),
        ["Convolution"],
    ),
    "valid": (
        lambda x: nn.functional.conv2d(x, torch.ones(1, 2, 2, 2), padding="valid"),
        ["Convolution"],
    ),
    "shapes": (lambda x: x.view(len(x), 2, 36).unsqueeze(1).squeeze(1).flatten(1),
               ["Reshape", "Reshape", "Reshape", "Reshape"]),
    "gate": (lambda x: x.sigmoid() * x, ["Sigmoid", "Product"]),
    "broadcast": (
        lambda x: x - x.mean((2, 3), keepdim=True), ["Convolution", "Copies", "Sum"],
    ),
    "broadcast constant": (
        lambda x: x.mean((2, 3), keepdim=True) + torch.ones(6), ["Convolution", "Copies", "Scale"],
    ),
    "square": (lambda x: x * x, ["Square"]),
    "halves": (lambda x: nn.functional.glu(x, 1), ["Copies", "Copies", "Sigmoid", "Product"]),
    "uneven padding": (
        lambda x: nn.functional.conv2d(x, torch.ones(1, 2, 2, 2), padding="same"), ["Mapping"],
    ),
    "larger": (lambda x: torch.max(x, -x), ["Scale", "Sum", "LeakyReLU", "Sum"]),
    "nobody reads it": (lambda x: (x.sin(), x + 1)[1], ["Scale"]),
    "nothing": (lambda x: nn.functional.dropout(x, 0.5, False).contiguous() + 0, ["Scale"]),
}  # fmt: skip


@pytest.mark.parametrize("name", READ)
def test_operators_are_read(name):
    function, right = READ[name]
    assert kinds(function) == right


def test_a_line_convolution_is_one_of_images_of_height_one():
    found = kinds(nn.Conv1d(2, 3, 3, 2, 1, dilation=2), (2, 9))
    assert found == ["Reshape", "Convolution", "Reshape"]


def test_batch_norm_of_vectors_and_without_weights():
    for affine in (True, False):
        norm = nn.BatchNorm1d(4, affine=affine)
        norm.running_mean.normal_(generator=torch.Generator().manual_seed(0))
        assert kinds(norm, (4,)) == ["Scale"]


REFUSED = {
    "LayerNorm 'layer' applies layer_norm, which has no bounds here": (
        nn.LayerNorm(6)
    ),
    "applies softmax": (lambda x: x.softmax(1)),
    "applies div, by a value that depends on the input": (lambda x: (x + 2) / x),
    "with rounding_mode": (lambda x: torch.div(x, 2, rounding_mode="floor")),
    "applies linear, with weights that depend": (
        lambda x: nn.functional.linear(x.flatten(1), x.view(3, 72))
    ),
    "uses the statistics of the batch": (
        nn.BatchNorm2d(2, track_running_stats=False)
    ),
    "applies reciprocal": (lambda x: 1 / (x + 2)),
    "at random even in eval mode": (lambda x: nn.functional.dropout(x, 0.5)),
    "is not a batch of examples": (lambda x: x.flatten()),
    "to torch.float64": (lambda x: x.double().float()),
}  # fmt: skip


@pytest.mark.parametrize("message", REFUSED)
def test_operators_without_bounds_are_refused_by_name(message):
    with pytest.raises(ArgumentError, match=message):
        kinds(REFUSED[message])


def test_the_message_says_what_is_known():
    with pytest.raises(ArgumentError, match="certificates know dense and convolutional layers"):
        kinds(lambda x: x.sin())


def test_classes_of_operations_are_the_expected_ones(traced):
    graph = traced("mixed")
    by_name = dict(zip(graph.names, graph.operations, strict=True))
    assert isinstance(by_name["conv2d second"], Convolution)
    assert isinstance(by_name["batch_norm norm"], Scale)
    assert isinstance(by_name["add_"], Sum)
    assert isinstance(by_name["conv1d line"], Reshape)
