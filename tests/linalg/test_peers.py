"""Four matrices of second order against curvlinops and PyHessian, over batches of unequal size."""

import sys
import warnings

import pytest
import torch
from torch import nn

from wellposed.linalg import curvature, lanczos, random_start, spectrum

EACH, MEAN = nn.CrossEntropyLoss(reduction="none"), nn.CrossEntropyLoss()
OPERATORS = {
    "hessian": "HessianLinearOperator",
    "gauss-newton": "GGNLinearOperator",
    "fisher": "GGNLinearOperator",  # of the cross-entropy they are the same
    "empirical-fisher": "EFLinearOperator",
}


@pytest.fixture(scope="module")
def curvlinops():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its dependencies' own
        return pytest.importorskip("curvlinops")


@pytest.fixture(scope="module")
def pyhessian():
    """The module: the package hides it behind the class of the same name."""
    pytest.importorskip("pyhessian")
    return sys.modules["pyhessian.hessian"]


def network(*layers):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Unflatten(1, (1, 3, 3)), nn.Conv2d(1, 2, 2), nn.Tanh(), nn.Flatten(),
            *layers, nn.Linear(8, 4),
        ).double()  # fmt: skip


def batches(*sizes):
    generator = torch.Generator().manual_seed(1)
    n = sum(sizes)
    x = 2 * torch.randn(n, 9, dtype=torch.float64, generator=generator)
    return list(zip(x.split(list(sizes)), (torch.arange(n) % 4).split(list(sizes)), strict=True))


def count(model):
    return sum(p.numel() for p in model.parameters())


def matrix(product, n):
    return torch.stack([product(row) for row in torch.eye(n, dtype=torch.float64)], 1)


@pytest.mark.parametrize("sizes", [(12,), (9, 2, 5)], ids=["one batch", "unequal batches"])
@pytest.mark.parametrize("kind", OPERATORS)
def test_the_matrix_is_that_of_curvlinops(curvlinops, kind, sizes):
    model, data = network(), batches(*sizes)
    n = count(model)
    operator = getattr(curvlinops, OPERATORS[kind])
    theirs = operator(model, MEAN, list(model.parameters()), data) @ torch.eye(n).double()
    ours = matrix(curvature(model, EACH, data, kind), n)
    assert float(theirs.norm()) > 0.1
    torch.testing.assert_close(ours, theirs.detach(), rtol=1e-8, atol=1e-10)


def test_the_trace_agrees_with_hutchinson_s_of_curvlinops(curvlinops):
    model, data = network(), batches(9, 2, 5)
    product = curvature(model, EACH, data, "gauss-newton")
    ritz = lanczos(product, product.probe, steps=20)
    ours = spectrum(product, ritz, probes=8, depth=8)
    operator = curvlinops.GGNLinearOperator(model, MEAN, list(model.parameters()), data)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        draws = torch.stack([curvlinops.hutchinson_trace(operator, 4) for _ in range(16)])
    error = float(draws.std() / 4) + ours.trace.error
    assert abs(float(draws.mean()) - ours.trace.value) < 4 * error
    assert error < 0.2 * ours.trace.value


def test_the_largest_eigenvalues_are_those_of_pyhessian(pyhessian):
    model, data = network(nn.LayerNorm(8)), batches(9, 2, 5)
    product = curvature(model, EACH, data)
    ours = lanczos(product, product.probe, steps=40, largest=2, tolerance=1e-9).values[::-1][:2]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that its graph refers to itself
        found = pyhessian.hessian(model, MEAN, dataloader=data, cuda=False)
        values, vectors = found.eigenvalues(maxIter=200, tol=1e-9, top_n=2)
    assert ours == pytest.approx(values, rel=1e-5)
    top = torch.cat([piece.reshape(-1) for piece in vectors[0]])
    torch.testing.assert_close(product(top), values[0] * top, rtol=0, atol=1e-3 * values[0])


def test_the_product_is_that_of_pyhessian_over_unequal_batches(pyhessian):
    model, data = network(nn.LayerNorm(8)), batches(9, 2, 5)
    product = curvature(model, EACH, data)
    vector = random_start(product.probe, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that its graph refers to itself
        found = pyhessian.hessian(model, MEAN, dataloader=data, cuda=False)
        pieces = zip(vector.split([p.numel() for p in found.params]), found.params, strict=True)
        _, theirs = found.dataloader_hv_product([v.view_as(p) for v, p in pieces])
    flat = torch.cat([piece.reshape(-1) for piece in theirs])
    torch.testing.assert_close(product(vector), flat, rtol=1e-9, atol=1e-11)
