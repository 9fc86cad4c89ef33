import torch
from scipy.optimize import brentq

from wellposed.perturb import L2


def test_scales_the_displacement_where_no_bound_is_near():
    center = torch.full((2, 2), 0.5, dtype=torch.float64)
    move = torch.tensor([[0.3, 0.4], [0.03, 0.04]], dtype=torch.float64)
    found = L2(0.25).project(center + move, center)
    expected = center + move * torch.tensor([[0.5], [1.0]])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)


def test_agrees_with_a_root_finder_on_the_multiplier():
    generator = torch.Generator().manual_seed(0)
    center = torch.rand(20, 50, generator=generator, dtype=torch.float64)
    x = center + 6 * torch.rand(20, 50, generator=generator, dtype=torch.float64) - 3
    for eps in (0.01, 0.5, 2.0, 3.5):
        found = L2(eps).project(x, center)
        for row in range(20):
            u, low, high = (x - center)[row], -center[row], 1 - center[row]

            def excess(s, u=u, low=low, high=high, eps=eps):
                return float((s * u).clamp(low, high).norm()) - eps

            s = brentq(excess, 0, 1, xtol=1e-15) if excess(1) > 0 else 1.0
            expected = center[row] + (s * u).clamp(low, high)
            torch.testing.assert_close(found[row], expected, rtol=0, atol=1e-12)


def test_finds_the_clipped_set_where_each_step_clips_one_coordinate_more():
    d = 40
    center = torch.zeros(1, d, dtype=torch.float64)
    x = 0.5 ** torch.arange(d, dtype=torch.float64).view(1, d) * 100
    high = 0.45 ** torch.arange(d, dtype=torch.float64)
    found = L2(0.9 * float(high.norm())).project(x, center, (0.0, high))
    assert abs(float(found.norm()) / float(high.norm()) - 0.9) < 1e-12
    free = found[0] < high * (1 - 1e-9)
    ratio = (found / x)[0][free]
    assert torch.allclose(ratio, ratio[0].expand_as(ratio))
    assert (high[~free] <= ratio[0] * x[0][~free] * (1 + 1e-12)).all()


def test_points_outside_the_bounds_are_moved_to_the_nearest_ones():
    center = torch.zeros(1000, 2)
    x = L2(0.5).random(center, generator=torch.Generator().manual_seed(0))
    on_a_face = (x == 0).any(1).double().mean()
    assert abs(on_a_face - 0.75) < 0.06  # all but the quarter whose coordinates are both positive


def test_a_radius_whose_square_is_too_large():
    center = torch.zeros(1, 2, dtype=torch.float64)
    x, bounds = torch.full((1, 2), 1e305, dtype=torch.float64), (-torch.inf, torch.inf)
    found = L2(1e300).project(x, center, bounds)
    assert found.isfinite().all()
    assert (found > 0).all()
