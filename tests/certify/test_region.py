from itertools import product

import pytest
import torch
from scipy.optimize import linprog, minimize

from wellposed.certify._region import least_change, region
from wellposed.errors import ArgumentError


def rows(n=5, count=6):
    generator = torch.Generator().manual_seed(0)
    a = torch.randn((count, n), generator=generator, dtype=torch.float64)
    a[0] = 0
    a[1, 1:] = 0
    down = torch.rand((1, n), generator=generator, dtype=torch.float64)
    up = torch.rand((1, n), generator=generator, dtype=torch.float64)
    down[0, 0] = 0  # an input at its lower bound
    return a, down, up


def test_a_box_is_at_its_corners():
    a, down, up = rows()
    found, size = least_change(a, down, up, 9.0, "linf")
    corners = torch.tensor(list(product((0, 1), repeat=5)), dtype=torch.float64)
    values = a @ (torch.where(corners > 0, up, -down)).T
    torch.testing.assert_close(found, values.amin(1))
    assert (size >= found.abs()).all()


@pytest.mark.parametrize("eps", [0.05, 0.4, 1.0, 5.0])
def test_an_l1_ball_in_a_box_is_a_linear_program(eps):
    a, down, up = rows()
    found, _ = least_change(a, down, up, eps, "l1")
    for row, value in zip(a, found, strict=True):
        # d = p - q with p, q >= 0
        both = linprog(
            [*row, *-row], A_ub=[[1.0] * 10], b_ub=[eps],
            bounds=[(0, side) for side in (*up[0].tolist(), *down[0].tolist())],
        )  # fmt: skip
        assert value.item() == pytest.approx(both.fun, abs=1e-9)


@pytest.mark.parametrize("eps", [0.05, 0.4, 1.0, 5.0])
def test_an_l2_ball_in_a_box_is_a_convex_program(eps):
    a, down, up = rows()
    found, _ = least_change(a, down, up, eps, "l2")
    sides = [(-d, u) for d, u in zip(down[0].tolist(), up[0].tolist(), strict=True)]
    for row, value in zip(a, found, strict=True):
        best = minimize(
            lambda d, row=row: row.numpy() @ d, [0.0] * 5, jac=lambda _, row=row: row.numpy(),
            method="SLSQP", bounds=sides, options={"ftol": 1e-14, "maxiter": 500},
            constraints={
                "type": "ineq", "fun": lambda d: eps**2 - d @ d, "jac": lambda d: -2 * d,
            },
        )  # fmt: skip
        assert value.item() == pytest.approx(best.fun, abs=1e-6)
        assert value.item() <= best.fun + 1e-9


def test_without_a_box_it_is_the_dual_norm():
    a, _, _ = rows()
    far = torch.full((1, 5), 100.0, dtype=torch.float64)
    for norm, order in (("l2", 2), ("l1", torch.inf)):
        found, _ = least_change(a, far, far, 0.3, norm)
        torch.testing.assert_close(found, -0.3 * torch.linalg.vector_norm(a, order, dim=1))


def test_radius_zero_changes_nothing():
    a, down, up = rows()
    for norm in ("l2", "l1"):
        found, _ = least_change(a, down, up, 0.0, norm)
        assert (found <= 0).all()
        assert (found > -1e-12).all()


def test_faces_are_rounded_outward(ball):
    x = torch.tensor([[0.1, 0.5, 1.0]])
    eps = 0.1
    found = region(x, ball(eps), (0.0, 1.0))
    exact = x.double()
    assert (found.low < exact - eps)[0, :2].logical_or(found.low[0, :2] == 0).all()
    assert found.high[0, 1] > exact[0, 1] + eps
    assert found.high[0, 2] == 1
    assert (found.low >= 0).all()


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_a_radius_without_end_is_the_box_of_the_bounds(ball, norm):
    found = region(torch.rand(2, 3), ball(float("inf"), norm), (0.0, 1.0))
    assert (found.norm, found.low.max(), found.high.min()) == ("linf", 0, 1)


def test_some_of_the_examples(ball):
    x = torch.rand(4, 2)
    found = region(x, ball(0.1, "l2"), (0.0, torch.tensor([1.0, 2.0]))).select(torch.tensor([2]))
    assert torch.equal(found.center, x[2:3].double())
    assert (found.norm, found.eps) == ("l2", 0.1)
    assert len(found.low) == len(found.high) == 1


@pytest.mark.parametrize(
    ("eps", "norm", "value", "message"),
    [
        (0.1, "linf", 1.5, "lies outside the bounds"),
        (0.1, "linf", float("nan"), "lies outside the bounds"),
        (-0.1, "linf", 0.5, "a number >= 0, found eps=-0.1"),
        (float("nan"), "linf", 0.5, "a number >= 0, found eps=nan"),
        (0.1, "l3", 0.5, "of the norms linf, l2, l1, found 'l3'"),
    ],
)
def test_refusals(ball, eps, norm, value, message):
    with pytest.raises(ArgumentError, match=message):
        region(torch.full((1, 2), value), ball(eps, norm), (0.0, 1.0))
