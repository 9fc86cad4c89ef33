import pytest
import torch
from torch import nn

from wellposed.certify._convolution import Convolution, average_pool
from wellposed.certify._norm_bound import matrix_bound, norm_bound
from wellposed.certify._operation import Concatenation, Dense, Reshape, Scale, Sum, count
from wellposed.errors import ArgumentError
from wellposed.linalg import spectral_norm


@pytest.mark.parametrize("kind", ["normal", "low rank", "equal", "zero", "complex", "huge", "tiny"])
def test_matrices_are_bounded_from_above_and_closely(kind):
    generator = torch.Generator().manual_seed(0)
    a = torch.randn((5, 30, 20), generator=generator, dtype=torch.float64)
    if kind == "low rank":
        a = a[:, :, :1] * a[:, :1, :]
    if kind == "equal":
        a = torch.linalg.qr(a)[0]
    if kind == "complex":
        a = a + 1j * torch.randn((5, 30, 20), generator=generator, dtype=torch.float64)
    a = a * {"zero": 0.0, "huge": 1e100, "tiny": 1e-100}.get(kind, 1.0)
    right = torch.linalg.matrix_norm(a, 2).max().item()
    found = matrix_bound(a)
    assert right * (1 - 1e-13) <= found  # the singular value itself is rounded
    assert found <= right * 1.002


def test_many_matrices_are_bounded_by_the_largest():
    a = torch.randn((200, 4, 6), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    right = torch.linalg.matrix_norm(a, 2).max().item()
    assert right <= matrix_bound(a) <= right * 1.002


SHAPE = (4, 9, 8)
CASES = {
    "plain": (nn.Conv2d(4, 5, 3, padding=1), 1.05),
    "no padding": (nn.Conv2d(4, 5, 3), 1.2),
    "strided": (nn.Conv2d(4, 5, 3, stride=2, padding=1), 1.1),
    "strides of two kinds": (nn.Conv2d(4, 5, (3, 4), stride=(2, 3), padding=(1, 2)), 1.15),
    "a stride that skips": (nn.Conv2d(4, 5, 1, stride=2), 1.002),
    "dilated": (nn.Conv2d(4, 5, 3, dilation=2, padding=2), 1.25),
    "groups": (nn.Conv2d(4, 6, 3, padding=1, groups=2), 1.1),
    "depthwise": (nn.Conv2d(4, 4, 3, padding=1, groups=4), 1.12),
}


def as_operation(module):
    out = module(torch.zeros(1, *SHAPE)).shape[1:]
    return Convolution(
        (0,), tuple(out), module.weight.detach().double(), None, SHAPE, module.stride,
        module.padding, module.dilation, module.groups,
    )  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_convolutions_are_bounded_from_above_and_closely(name):
    module, near = CASES[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module.reset_parameters()
    operation = as_operation(module)
    units = torch.eye(count(SHAPE), dtype=torch.float64).reshape(-1, *SHAPE)
    right = torch.linalg.matrix_norm(operation.apply(units).flatten(1), 2).item()
    found = norm_bound(operation)
    assert right <= found <= near * right
    assert spectral_norm(module, SHAPE).value <= found * (1 + 1e-6)  # from below, in float32


def test_average_pooling_shrinks_by_the_root_of_its_window():
    pool = average_pool((0,), SHAPE, (4, 3, 4), (3, 2), (3, 2), (0, 0))
    assert norm_bound(pool) == pytest.approx(6**-0.5, rel=1e-3)
    assert norm_bound(pool) >= 6**-0.5


def test_other_operations():
    weight = torch.diag(torch.tensor([1.0, -3.0])).double()
    assert norm_bound(Dense((0,), (2,), weight, None)) == pytest.approx(3)
    assert norm_bound(Scale((0,), (2,), weight[1], weight[0], weight[0], 3)) == 3
    assert norm_bound(Reshape((0,), (2,), (1, 2))) == 1
    assert norm_bound(Concatenation((0, 1), (4,), (2, 2))) == 1
    with pytest.raises(ArgumentError, match="a Sum of several values has no norm of its own"):
        norm_bound(Sum((0, 1), (2,), (1.0, 1.0)))
