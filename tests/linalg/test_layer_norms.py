import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from wellposed.errors import ArgumentError
from wellposed.linalg import operator_norm, row_norms, spectral_norm
from wellposed.linalg._layer_norms import linear_part


def matrix(module, shape):
    """The operator as a dense matrix, column by column."""
    size = int(torch.tensor(shape).prod())
    basis = torch.eye(size, dtype=torch.float64).reshape(size, *shape)
    with torch.no_grad():
        return linear_part(module)(basis).flatten(1).T


LAYERS = {
    "dense": (lambda: nn.Linear(7, 5), (7,)),
    "dense over places": (lambda: nn.Linear(4, 6, bias=False), (3, 4)),
    "plain": (lambda: nn.Conv2d(2, 3, 3), (2, 6, 5)),
    "padded": (lambda: nn.Conv2d(2, 3, 3, padding=1), (2, 5, 5)),
    "same": (lambda: nn.Conv2d(2, 3, 3, padding="same", bias=False), (2, 5, 4)),
    "strided": (lambda: nn.Conv2d(2, 3, 3, stride=2, padding=1), (2, 6, 7)),
    "dilated": (lambda: nn.Conv2d(1, 3, 2, dilation=2), (1, 6, 6)),
    "groups": (lambda: nn.Conv2d(4, 6, 3, groups=2, padding=2), (4, 4, 4)),
    "depthwise": (lambda: nn.Conv2d(4, 4, 3, groups=4, padding=1), (4, 5, 5)),
    "one dimension": (lambda: nn.Conv1d(3, 4, 5, stride=3), (3, 20)),
    "three dimensions": (lambda: nn.Conv3d(1, 2, 2, padding=1), (1, 3, 3, 4)),
    "transposed": (lambda: nn.ConvTranspose2d(3, 2, 3, stride=2, padding=1), (3, 4, 4)),
    "circular": (
        lambda: nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular"),
        (2, 6, 5),
    ),
}


@pytest.fixture(params=LAYERS)
def layer(request):
    make, shape = LAYERS[request.param]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return make().double(), shape


def test_the_norm_is_the_largest_singular_value_of_the_matrix(layer):
    module, shape = layer
    right = torch.linalg.matrix_norm(matrix(module, shape), 2).item()
    found = spectral_norm(module, shape)
    # a residual of 1e-3 in the square leaves at most 5e-4; from below
    assert found.value == pytest.approx(right, rel=5e-4)
    assert found.value <= right * (1 + 1e-12)
    assert found.residual < 2e-3


def test_rows_are_those_of_the_matrix(layer):
    module, shape = layer
    right = matrix(module, shape).norm(dim=1)
    torch.testing.assert_close(row_norms(module, shape).flatten(), right)


def test_a_reference_is_subtracted(layer):
    module, shape = layer
    before = matrix(module, shape)
    old = module.weight.detach().clone()
    with torch.no_grad():
        module.weight += torch.randn(old.shape, generator=torch.Generator().manual_seed(1))
    right = (matrix(module, shape) - before).norm(dim=1)
    torch.testing.assert_close(row_norms(module, shape, old).flatten(), right)


def test_a_circular_convolution_is_diagonal_under_fourier():
    # Sedghi, Gupta and Long (2019): the singular values are those of one small matrix per
    # frequency, the transform of the kernel.
    torch.manual_seed(0)
    module = nn.Conv2d(3, 4, 3, padding=1, padding_mode="circular", bias=False).double()
    symbol = torch.fft.fft2(module.weight.detach(), s=(8, 8)).permute(2, 3, 0, 1)
    right = torch.linalg.matrix_norm(symbol, 2).max().item()
    assert spectral_norm(module, (3, 8, 8)).value == pytest.approx(right, rel=5e-4)


def test_the_kernel_as_a_matrix_has_another_norm():
    module = nn.Conv2d(1, 1, 3, padding=1, bias=False).double()
    nn.init.ones_(module.weight)
    # the kernel as a matrix: 3; in the interior a constant input becomes 9 times itself
    assert torch.linalg.matrix_norm(module.weight.flatten(1), 2).item() == pytest.approx(3)
    assert 8.5 < spectral_norm(module, (1, 20, 20)).value < 9


def test_the_norm_of_any_linear_operator():
    # The second difference on 50 places: 4 sin^2(50 pi / 102).
    def second(x):
        return 2 * x - nn.functional.pad(x, (1, 0))[:-1] - nn.functional.pad(x, (0, 1))[1:]

    right = 4 * torch.sin(torch.tensor(50 * torch.pi / 102, dtype=torch.float64)).item() ** 2
    found = operator_norm(second, torch.zeros(50, dtype=torch.float64), tolerance=1e-8)
    assert found.value == pytest.approx(right, rel=1e-8)
    assert found.products > 20
    assert operator_norm(lambda x: 0 * x, torch.zeros(30)).value == 0


def test_a_large_dense_layer_is_not_decomposed(monkeypatch):
    monkeypatch.setattr("wellposed.linalg._layer_norms._DENSE", 60)
    torch.manual_seed(0)
    module = nn.Linear(80, 60, bias=True)
    right = torch.linalg.matrix_norm(module.weight.detach(), 2).item()
    found = spectral_norm(module, (80,))
    assert found.products > 0
    assert found.value == pytest.approx(right, rel=2e-3)


def test_nothing_is_left_behind():
    module = nn.Conv2d(1, 2, 3)
    before = module.weight.detach().clone()
    spectral_norm(module, (1, 6, 6))
    row_norms(module, (1, 6, 6))
    assert module.weight.grad is None
    assert torch.equal(module.weight, before)
    assert module.bias.any()


@pytest.mark.parametrize("wrap", [parametrizations.weight_norm, parametrizations.spectral_norm])
def test_a_parametrized_layer_is_left_as_it_is(wrap):
    torch.manual_seed(0)
    layer = wrap(nn.Conv2d(2, 3, 3, padding=1)).eval()
    plain = nn.Conv2d(2, 3, 3, padding=1)
    with torch.no_grad():
        plain.weight.copy_(layer.weight)
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    torch.testing.assert_close(row_norms(layer, (2, 5, 5)), row_norms(plain, (2, 5, 5)))
    found, expected = (spectral_norm(m, (2, 5, 5)).value for m in (layer, plain))
    assert found == pytest.approx(expected, rel=1e-6)
    assert all(torch.equal(value, before[name]) for name, value in layer.state_dict().items())


def test_what_has_no_known_norm_is_said():
    with pytest.raises(ArgumentError, match="found a LayerNorm"):
        spectral_norm(nn.LayerNorm(4), (4,))
    with pytest.raises(ArgumentError, match="found a ReLU"):
        row_norms(nn.ReLU(), (4,))
    for mode, side in (("reflect", 6), ("circular", 2)):
        module = nn.Conv2d(1, 1, 3, padding=1, padding_mode=mode)
        with pytest.raises(ArgumentError, match="count twice"):
            row_norms(module, (1, side, side))
