from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image

from wellposed.errors import ArgumentError
from wellposed.perturb import Compression


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("severity", [1, 3, 5])
def test_is_pillows_round_trip(channels, severity):
    levels = torch.randint(
        256, (3, channels, 13, 18), generator=torch.Generator().manual_seed(0), dtype=torch.uint8
    )
    y = Compression(severity)(levels.double() / 51 - 2, (-2.0, 3.0))
    for image, found in zip(levels, y, strict=True):
        file = BytesIO()
        pixels = image.movedim(0, 2).numpy()
        mode = pixels[:, :, 0] if channels == 1 else pixels
        Image.fromarray(mode).save(file, "JPEG", quality=int(Compression.scale[severity - 1]))
        right = np.asarray(Image.open(file)).reshape(13, 18, channels)
        torch.testing.assert_close(
            (found + 2) * 51, torch.from_numpy(right.copy()).double().movedim(2, 0)
        )


def test_a_gray_of_the_256_stays():
    x = torch.full((2, 1, 8, 8), 128 / 255)
    torch.testing.assert_close(Compression(1)(x), x)


def test_takes_images_of_one_pixel():
    assert Compression(1)(torch.rand(2, 3, 1, 1)).shape == (2, 3, 1, 1)


def test_refuses_other_channels():
    with pytest.raises(ArgumentError, match="1 or 3 channels, got 2; leave it out"):
        Compression(1)(torch.rand(2, 2, 8, 8))
