import torch

from wellposed.perturb import Lighting


def test_multiplies_by_a_plane_from_1_to_what_is_left():
    x = torch.ones(20, 2, 9, 14, dtype=torch.float64)
    light = Lighting(3)(x)
    torch.testing.assert_close(light.amax((1, 2, 3)), torch.ones(20, dtype=torch.float64))
    left = torch.full((20,), 0.35, dtype=torch.float64)
    torch.testing.assert_close(light.amin((1, 2, 3)), left)
    for axis in (2, 3):
        second = light.diff(2, dim=axis)
        torch.testing.assert_close(second, torch.zeros_like(second), rtol=0, atol=1e-12)
    assert torch.equal(light[:, 0], light[:, 1])


def test_leaves_black_black():
    x = torch.zeros(3, 1, 5, 5)
    assert torch.equal(Lighting(5)(x), x)


def test_light_comes_from_all_sides():
    light = Lighting(5)(torch.ones(400, 1, 8, 8))[:, 0]
    corners = torch.stack([light[:, 0, 0], light[:, 0, -1], light[:, -1, 0], light[:, -1, -1]])
    counts = corners.argmax(0).bincount(minlength=4)
    assert (counts - 100).abs().max() < 40
