import pytest
import torch

from wellposed.data import Elastic, Rotation
from wellposed.data._warp import _read
from wellposed.errors import ArgumentError


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def ramps(n, height=33, width=33):
    """Images whose two channels are their own row and column, from the center."""
    y = torch.arange(height) - (height - 1) / 2
    x = torch.arange(width) - (width - 1) / 2
    return torch.stack(torch.meshgrid(y, x, indexing="ij")).expand(n, 2, height, width)


def inner(image):
    return image[..., 10:23, 10:23]


def test_sampling_reads_where_it_is_told():
    x = ramps(1)
    y = _read(x, x[:, 0] + 1.5, x[:, 1] - 0.25)
    torch.testing.assert_close(inner(y[:, 0]), inner(x[:, 0] + 1.5), rtol=0, atol=1e-4)
    torch.testing.assert_close(inner(y[:, 1]), inner(x[:, 1] - 0.25), rtol=0, atol=1e-4)


def test_sampling_outside_repeats_the_border():
    x = ramps(1)
    y = _read(x, x[:, 0] + 100, x[:, 1])
    torch.testing.assert_close(y[:, 0], torch.full((1, 33, 33), 16.0), rtol=0, atol=1e-4)


def test_rotation_turns_about_the_center_by_uniform_angles():
    x = ramps(3000)
    y = inner(Rotation(40)(x, generator()))
    rows, columns = inner(x[:, 0]), inner(x[:, 1])
    norm = (rows**2 + columns**2).sum((1, 2))
    cosine = (y[:, 0] * rows + y[:, 1] * columns).sum((1, 2)) / norm
    sine = (y[:, 1] * rows - y[:, 0] * columns).sum((1, 2)) / norm
    torch.testing.assert_close(cosine**2 + sine**2, torch.ones(3000), rtol=0, atol=1e-4)
    degrees = torch.rad2deg(torch.atan2(sine, cosine))
    assert degrees.abs().max() <= 40.01
    assert abs(degrees.mean()) < 1.5
    assert degrees.std() == pytest.approx(80 / 12**0.5, rel=0.04)


@pytest.mark.parametrize("smoothness", [1.0, 4.0])
def test_elastic_has_its_displacement_at_every_pixel_and_is_smooth(smoothness):
    pixels = 0.7
    x = ramps(4000, 12, 12)
    moved = Elastic(pixels, smoothness)(x, generator())
    field = (moved - x)[..., 3:9, 3:9]
    # Near the border displaced pixels are cut off; inside, displacement has the stated size.
    rms = field.square().mean(0).sqrt()
    torch.testing.assert_close(rms, torch.full_like(rms, pixels), rtol=0.1, atol=0)
    assert field.mean().abs() < 0.02
    rough = (field[..., 1:, :] - field[..., :-1, :]).square().mean().sqrt()
    assert rough == pytest.approx(pixels / (2**0.5 * smoothness), rel=0.2)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (lambda: Rotation(181), "degrees in"),
        (lambda: Rotation(float("nan")), "degrees in .*nan"),
        (lambda: Elastic(-1.0), "pixels >= 0"),
        (lambda: Elastic(1.0, 0.0), "smoothness in"),
    ],
)
def test_refuses_settings_out_of_range(settings, sentence):
    with pytest.raises(ArgumentError, match=sentence):
        settings()
