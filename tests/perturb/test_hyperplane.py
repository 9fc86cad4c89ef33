import pytest
import torch
from scipy.optimize import linprog, minimize

from wellposed.perturb._hyperplane import onto_hyperplane

NORMS = {"linf": torch.inf, "l2": 2, "l1": 1}
norms = pytest.mark.parametrize("norm", NORMS)


def tasks(n, d, reach=0.7):
    """Slopes with zeros among them, boxes around 0 with some empty sides, and gaps within reach."""
    torch.manual_seed(d)
    slope = torch.randn(n, d).double() * (torch.rand(n, d) > 0.2)
    slope[:, 0] = 1.5
    low, high = -torch.rand(n, d).double(), torch.rand(n, d).double()
    low[torch.rand(n, d) < 0.2] = 0
    share = reach * torch.rand(n).double()
    most = torch.where(slope > 0, high, low)
    sign = torch.where(torch.rand(n) > 0.5, 1.0, -1.0).double()
    most = torch.where(sign.unsqueeze(1) > 0, most, torch.where(slope > 0, low, high))
    return slope, share * (slope * most).sum(1), low, high


@norms
@pytest.mark.parametrize("d", [1, 2, 7, 40])
def test_lies_on_the_hyperplane_and_in_the_box(norm, d):
    slope, gap, low, high = tasks(50, d)
    move = onto_hyperplane(norm, slope, gap, low, high)
    assert ((move >= low) & (move <= high)).all()
    torch.testing.assert_close((slope * move).sum(1), gap, rtol=1e-12, atol=1e-13)
    assert (move[slope == 0] == 0).all()


def optimum(norm, slope, gap, low, high):
    """The least norm, by a solver of linear programs or of smooth ones."""
    d = len(slope)
    bounds = list(zip(low.tolist(), high.tolist(), strict=True))
    s, g = slope.tolist(), float(gap)
    if norm == "linf":  # (m, t): -t <= m <= t
        eye = torch.eye(d).tolist()
        above = [[*row, -1] for row in eye] + [[*(-v for v in row), -1] for row in eye]
        found = linprog(
            [0] * d + [1], above, [0] * 2 * d, [[*s, 0]], [g], bounds=[*bounds, (0, None)]
        )
    elif norm == "l1":  # m = p - q
        sides = [(0, h) for _, h in bounds] + [(0, -low) for low, _ in bounds]
        found = linprog([1] * 2 * d, A_eq=[s + [-v for v in s]], b_eq=[g], bounds=sides)
    else:
        found = minimize(
            lambda m: float((m * m).sum()),
            [0.0] * d,
            jac=lambda m: 2 * m,
            bounds=bounds,
            constraints={"type": "eq", "fun": lambda m: m @ slope.numpy() - g},
            options={"ftol": 1e-11},
        )
    assert found.success
    return found.fun**0.5 if norm == "l2" else found.fun


@norms
def test_is_the_shortest_way(norm):
    for d in (2, 6):
        slope, gap, low, high = tasks(12, d)
        move = onto_hyperplane(norm, slope, gap, low, high)
        lengths = torch.linalg.vector_norm(move, NORMS[norm], dim=1)
        for row, length in zip(zip(slope, gap, low, high, strict=True), lengths, strict=True):
            assert optimum(norm, *row) == pytest.approx(float(length), rel=1e-5, abs=1e-8)


@norms
def test_agrees_with_pyautoattack(norm):
    projections = pytest.importorskip("pyautoattack.fab_projections")
    torch.manual_seed(3)
    x, slope = torch.rand(60, 30).double(), torch.randn(60, 30).double()
    level = (slope * torch.rand(60, 30)).sum(1)
    theirs = getattr(projections, f"projection_{norm}")(x, slope, level)
    move = onto_hyperplane(norm, slope, level - (slope * x).sum(1), -x, 1 - x)
    torch.testing.assert_close(move, theirs.double(), rtol=1e-4, atol=1e-6)


@norms
def test_goes_as_far_as_it_can_where_the_box_does_not_reach(norm):
    slope, _, low, high = tasks(20, 5)
    up = torch.where(slope > 0, high, low) * (slope != 0)
    most = (slope * up).sum(1)
    for factor in (1.0, 1.5, 1e6):
        move = onto_hyperplane(norm, slope, factor * most + 1e-9, low, high)
        torch.testing.assert_close(move, up, rtol=1e-6, atol=1e-6)


@norms
def test_tiny_huge_missing_and_unbounded_slopes(norm):
    slope, gap, low, high = tasks(20, 5)
    plain = onto_hyperplane(norm, slope, gap, low, high)
    for scale in (1e-200, 1e200):
        scaled = onto_hyperplane(norm, scale * slope, scale * gap, low, high)
        torch.testing.assert_close(scaled, plain, rtol=1e-9, atol=1e-12)
    nothing = onto_hyperplane(norm, 0 * slope, gap, low, high)
    assert (nothing == 0).all()
    broken = torch.full_like(slope, torch.nan)
    assert (onto_hyperplane(norm, broken, gap, low, high) == 0).all()
    open_ = torch.full_like(slope, torch.inf)
    free = onto_hyperplane(norm, slope, gap, -open_, open_)
    lengths = torch.linalg.vector_norm(free, NORMS[norm], dim=1)
    dual = torch.linalg.vector_norm(slope, {"linf": 1, "l2": 2, "l1": torch.inf}[norm], dim=1)
    torch.testing.assert_close(lengths, gap.abs() / dual, rtol=1e-12, atol=1e-15)
    assert onto_hyperplane(norm, slope[:0], gap[:0], low[:0], high[:0]).shape == (0, 5)
