import torch

from wellposed.perturb import Linf


def test_projects_onto_a_box():
    center = torch.tensor([[0.5, 0.02, 0.98, 0.5]], dtype=torch.float64)
    x = torch.tensor([[0.9, -1.0, 2.0, 0.45]], dtype=torch.float64)
    found = Linf(0.1).project(x, center)
    torch.testing.assert_close(found, torch.tensor([[0.6, 0.0, 1.0, 0.45]]).double())


def test_loses_less_than_an_ulp_by_rounding_inward():
    generator = torch.Generator().manual_seed(0)
    center = torch.rand(50, 100, generator=generator)
    found = Linf(0.1).project(center + 1, center, (-5, 5))
    assert (Linf(0.1).distance(found, center) <= 0.1).all()
    assert (found - center - 0.1).abs().max() <= 1.2e-7


def test_random_points_are_uniform_in_the_box_that_the_bounds_leave():
    center = torch.tensor([[0.0, 1.0, 0.5]]).expand(20_000, 3)
    x = Linf(0.2).random(center, generator=torch.Generator().manual_seed(0)).double()
    middle, width = torch.tensor([0.1, 0.9, 0.5]).double(), torch.tensor([0.2, 0.2, 0.4]).double()
    error = 4 * width / (12 * len(x)) ** 0.5
    assert ((x.mean(0) - middle).abs() < error).all()
    torch.testing.assert_close(x.var(0), width**2 / 12, rtol=0.05, atol=0)
