import pytest
import torch
from tests.certify.test_operators import kinds
from torch import nn
from torch.nn import functional

from wellposed.certify import trace
from wellposed.errors import ArgumentError

A = torch.randn((6, 6), generator=torch.Generator().manual_seed(0))
READ = {
    "transposed": (nn.ConvTranspose2d(2, 3, 3, 2, 1, output_padding=1), ["Mapping"]),
    "transposed groups": (nn.ConvTranspose2d(2, 4, 2, groups=2, dilation=2), ["Mapping"]),
    "einsum": (lambda x: torch.einsum("bchw,wv->bvch", x, A), ["Mapping"]),
    "from the right": (lambda x: x @ A, ["Mapping"]),
    "from the left": (lambda x: A @ x, ["Mapping"]),
    "bilinear": (lambda x: functional.interpolate(x, scale_factor=2.0, mode="bilinear"),
                 ["Mapping"]),
    "sum": (lambda x: x.sum((1, 3)), ["Mapping"]),
    "sum kept": (lambda x: x.sum(-1, keepdim=True), ["Mapping"]),
}  # fmt: skip


@pytest.mark.parametrize("name", READ)
def test_linear_maps_are_read(name):
    function, right = READ[name]
    assert kinds(function) == right


def test_other_dimensions():
    assert kinds(nn.Conv3d(2, 3, 2), (2, 4, 4, 4)) == ["Mapping"]
    assert kinds(nn.AdaptiveAvgPool1d(3), (2, 8)) == ["Mapping"]
    assert kinds(lambda x: torch.addmm(torch.ones(2), x, A[:, :2]), (6,)) == ["Dense"]


def test_summands_are_counted():
    graph = trace(nn.ConvTranspose2d(2, 3, 3, 2), (2, 5, 5))
    assert (graph.operations[-1].terms, graph.operations[-1].back) == (2 * 2 * 2, 3 * 3 * 3)
    graph = trace(nn.Sequential(nn.Flatten(), nn.Unflatten(1, (5, 10))), (2, 5, 5))
    assert graph.operations[-1].shape == (5, 10)


REFUSED = {
    "of two values that depend on the input": lambda x: x @ x,
    "of two values": lambda x: torch.einsum("bchw,bcwv->bchv", x, -x),
    "by other factors than powers of two": lambda x: functional.interpolate(
        x, scale_factor=3.0, mode="bilinear"
    ),
    "over the batch": lambda x: x.sum(),
    "which does not work on each example alone": lambda x: torch.einsum(
        "bchw,ab->achw", x, torch.ones(3, 3)
    ),
}


@pytest.mark.parametrize("message", REFUSED)
def test_others_are_refused_by_name(message):
    with pytest.raises(ArgumentError, match=message):
        kinds(REFUSED[message])
