"""Edges of stability against the roots of the recurrences on a quadratic."""

import numpy as np
import pytest
import torch

from wellposed.audit import Descent
from wellposed.audit._edge import edge

LR = 0.1
METHODS = {
    "gradient descent": Descent("sgd", LR),
    "heavy ball": Descent("sgd", LR, momentum=0.9),
    "nesterov": Descent("sgd", LR, momentum=0.9, nesterov=True),
}


def growth(descent, curvature):
    """The largest growth per step of torch's own SGD on a quadratic."""
    x = torch.ones(1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.SGD(
        [x], lr=descent.lr, momentum=descent.momentum, nesterov=descent.nesterov
    )
    sizes = []
    for _ in range(400):
        x.grad = curvature * x.detach()
        optimizer.step()
        sizes.append(abs(float(x.detach())) + 1e-300)
    return np.log(max(sizes[-20:])) - np.log(max(sizes[180:200]))


@pytest.mark.parametrize("descent", METHODS.values(), ids=METHODS)
def test_torchs_sgd_contracts_just_inside_and_grows_just_outside(descent):
    limit = edge(descent)
    assert growth(descent, 0.97 * limit.limit) < 0
    assert growth(descent, 1.03 * limit.limit) > 0
    assert limit.exact
    assert not limit.preconditioned


def test_adam_with_its_preconditioner_held_still():
    # m <- b m + (1 - b) a x, x <- x - lr m: the eigenvalues of the step's matrix.
    found = edge(Descent("adam", LR, betas=(0.9, 0.999)))
    assert found.limit == pytest.approx(38 / LR)
    assert found.preconditioned
    for factor, grows in ((0.99, False), (1.01, True)):
        a, b = factor * found.limit, 0.9
        step = np.array([[1 - LR * (1 - b) * a, -LR * b], [(1 - b) * a, b]])
        assert (np.abs(np.linalg.eigvals(step)).max() > 1) == grows


def test_rmsprop_and_what_is_not_known():
    assert edge(Descent("rmsprop", LR)).limit == pytest.approx(20)
    assert edge(Descent("rmsprop", LR)).preconditioned
    assert not edge(Descent("lion", LR)).exact
