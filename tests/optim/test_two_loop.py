"""The two-loop recursion against the dense matrices it stands for."""

import pytest
import torch

from wellposed.optim._two_loop import is_usable, two_loop


def pairs(count, n, seed=0):
    """Steps, and changes of a strictly convex function."""
    generator = torch.Generator().manual_seed(seed)
    steps = torch.randn(count, n, dtype=torch.float64, generator=generator)
    root = torch.randn(n, n, dtype=torch.float64, generator=generator)
    return steps, steps @ (root @ root.T + torch.eye(n, dtype=torch.float64))


def dense(steps, changes, order):
    s, y = steps[order[-1]], changes[order[-1]]
    n = len(s)
    eye = torch.eye(n, dtype=torch.float64)
    h = (s @ y) / (y @ y) * eye
    for i in order:
        s, y = steps[i], changes[i]
        rho = 1 / (s @ y)
        left = eye - rho * torch.outer(s, y)
        h = left @ h @ left.T + rho * torch.outer(s, s)
    return h


@pytest.mark.parametrize("order", [[0], [0, 1, 2], [2, 0, 1], [1, 2]])
def test_it_is_the_dense_inverse_bfgs_matrix(order):
    steps, changes = pairs(3, 6)
    g = torch.linspace(-1, 2, 6, dtype=torch.float64)
    torch.testing.assert_close(
        two_loop(g, steps, changes, order), dense(steps, changes, order) @ g, rtol=1e-11, atol=1e-12
    )


def test_the_newest_pair_satisfies_the_secant_equation():
    steps, changes = pairs(4, 6)
    torch.testing.assert_close(
        two_loop(changes[2], steps, changes, [3, 0, 1, 2]), steps[2], rtol=1e-11, atol=1e-11
    )


def test_without_pairs_it_is_the_identity():
    g = torch.ones(3)
    found = two_loop(g, torch.zeros(2, 3), torch.zeros(2, 3), [])
    assert torch.equal(found, g)
    assert found is not g


@pytest.mark.parametrize("n", [2, 5, 9])
def test_with_exact_line_search_a_quadratic_is_solved_in_n_steps(n):
    generator = torch.Generator().manual_seed(n)
    root = torch.randn(n, n, dtype=torch.float64, generator=generator)
    a = root @ root.T + torch.eye(n, dtype=torch.float64)
    w = torch.randn(n, dtype=torch.float64, generator=generator)
    steps, changes = torch.zeros(n, n, dtype=torch.float64), torch.zeros(n, n, dtype=torch.float64)
    norms = [float((a @ w).norm())]
    for k in range(n):
        g = a @ w
        d = -two_loop(g, steps, changes, list(range(k)))
        alpha = -(g @ d) / (d @ a @ d)
        steps[k], changes[k] = alpha * d, alpha * (a @ d)
        w = w + alpha * d
        norms.append(float((a @ w).norm()))
    assert norms[-1] < 1e-9 * norms[0]
    assert norms[-2] > 1e-9 * norms[0]  # not sooner


def test_pairs_without_positive_curvature_are_not_usable():
    s = torch.tensor([1.0, 0.0])
    assert is_usable(s, torch.tensor([1e-3, 5.0]))
    assert not is_usable(s, torch.tensor([-1.0, 5.0]))
    assert not is_usable(s, torch.tensor([1e-8, 5.0]))
    assert not is_usable(torch.zeros(2), torch.zeros(2))
