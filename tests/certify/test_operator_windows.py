import pytest
import torch
from tests.certify.test_operators import kinds
from torch import nn

from wellposed.certify import trace
from wellposed.errors import ArgumentError

READ = {
    "mean": (lambda x: x.mean((2, 3)), ["Convolution", "Reshape"]),
    "mean kept": (lambda x: x.mean((-1, -2), keepdim=True), ["Convolution"]),
    "adaptive": (lambda x: nn.functional.adaptive_avg_pool2d(x, (3, 2)), ["Convolution"]),
    "windows that overlap": (lambda x: nn.functional.adaptive_avg_pool2d(x, 4), ["Mapping"]),
    "windows beyond the border": (
        lambda x: nn.functional.avg_pool2d(x, 4, 3, ceil_mode=True), ["Mapping"],
    ),
    "windows of several sizes": (
        lambda x: nn.functional.avg_pool2d(x, 2, padding=1, count_include_pad=False), ["Mapping"],
    ),
    "mean of channels": (lambda x: x.mean(1), ["Mapping"]),
    "largest of windows": (
        lambda x: nn.functional.max_pool2d(x, 3, 2, dilation=2, ceil_mode=True), ["MaxPool"],
    ),
    "largest of few": (lambda x: nn.functional.adaptive_max_pool2d(x, (3, 2)), ["MaxPool"]),
    "largest of all": (
        lambda x: x.amax((1, 3)), ["Copies", "Reshape", "MaxPool", "Reshape"],
    ),
    "largest of one axis": (
        lambda x: x.max(2).values, ["Copies", "Reshape", "MaxPool", "Reshape"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", READ)
def test_windows_are_read(name):
    function, right = READ[name]
    assert kinds(function) == right


def test_windows_of_signals_are_those_of_images_of_height_one():
    found = kinds(nn.MaxPool1d(3, 2, 1, 2, ceil_mode=True), (2, 9))
    assert found == ["Reshape", "MaxPool", "Reshape"]
    assert kinds(nn.AdaptiveMaxPool1d(3), (2, 9)) == ["Reshape", "MaxPool", "Reshape"]


def test_the_largest_of_windows_that_overlap_is_refused():
    with pytest.raises(ArgumentError, match=r"from \(6, 6\) to \(4, 4\), where windows overlap"):
        kinds(nn.AdaptiveMaxPool2d(4))


def test_the_batch_is_not_an_axis_to_take_the_largest_of():
    with pytest.raises(ArgumentError, match="applies amax, over the batch"):
        kinds(lambda x: x.amax(0), (3, 6))  # of the shape that a batch would have


def test_means_with_a_negative_divisor_have_positive_errors():
    model = nn.Sequential(nn.AvgPool2d(2, divisor_override=-3), nn.ReLU(), nn.Flatten())
    graph = trace(model, (1, 4, 4))
    one = torch.ones(1, 1, 4, 4, dtype=torch.float64)
    torch.testing.assert_close(graph.operations[1].absolute(one), one[..., ::2, ::2] * 4 / 3)
