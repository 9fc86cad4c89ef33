import torch
from scipy.optimize import brentq

from wellposed.perturb import L1


def test_cuts_all_coordinates_by_one_threshold():
    center = torch.full((1, 3), 0.5, dtype=torch.float64)
    x = center + torch.tensor([[0.4, -0.25, 0.05]])
    found = L1(0.35).project(x, center)
    torch.testing.assert_close(found - center, torch.tensor([[0.25, -0.1, 0.0]]).double())


def test_what_a_bound_takes_goes_to_the_others():
    center = torch.tensor([[0.9, 0.5]], dtype=torch.float64)
    found = L1(0.3).project(center + 1, center)
    torch.testing.assert_close(found - center, torch.tensor([[0.1, 0.2]]).double())


def test_agrees_with_a_root_finder_on_the_threshold():
    generator = torch.Generator().manual_seed(0)
    center = torch.rand(20, 50, generator=generator, dtype=torch.float64)
    x = center + 6 * torch.rand(20, 50, generator=generator, dtype=torch.float64) - 3
    x[:, :10] = (center + 0.25)[:, :10]  # equal breakpoints
    for eps in (0.01, 0.5, 5.0, 20.0):
        found = L1(eps).project(x, center)
        for row in range(20):
            u = (x - center)[row]
            room = torch.where(u > 0, 1 - center[row], center[row])

            def moved(cut, u=u, room=room):
                return u.sign() * torch.minimum((u.abs() - cut).clamp_min(0), room)

            def excess(cut, moved=moved, eps=eps):
                return float(moved(cut).abs().sum()) - eps

            cut = brentq(excess, 0, 4, xtol=1e-15) if excess(0) > 0 else 0.0
            torch.testing.assert_close(found[row], center[row] + moved(cut), rtol=0, atol=1e-12)


def test_steepest_moves_the_first_of_the_largest():
    gradient = torch.tensor([[[1.0, -3.0], [3.0, 0.0]]])
    assert torch.equal(L1(1.0).steepest(gradient), torch.tensor([[[0.0, -1.0], [0.0, 0.0]]]))
