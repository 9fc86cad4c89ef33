import io

import numpy as np
import torch
from PIL import Image

from wellposed.data import is_picture, png


def opened(data):
    return np.asarray(Image.open(io.BytesIO(data)))


def test_values_become_gray_levels_and_small_pictures_are_enlarged():
    picture = torch.tensor([[[-1.0, 0.0], [1.0, 9.0]]])
    levels = opened(png(picture, -1.0, 1.0))
    assert levels.shape == (64, 64)
    assert [levels[0, 0], levels[0, 63], levels[63, 0], levels[63, 63]] == [0, 128, 255, 255]
    assert set(np.unique(levels)) == {0, 128, 255}  # not smoothed


def test_three_channels_are_colors_and_large_pictures_keep_their_size():
    picture = torch.zeros(3, 80, 100)
    picture[1] = 1.0
    levels = opened(png(picture, 0.0, 1.0))
    assert levels.shape == (80, 100, 3)
    assert levels[5, 5].tolist() == [0, 255, 0]
    assert opened(png(torch.zeros(1, 70, 70), 0.0, 0.0)).max() == 0  # no range


def test_knows_what_is_a_picture():
    assert is_picture((1, 8, 8))
    assert is_picture((3, 8, 8))
    assert not is_picture((2, 8, 8))
    assert not is_picture((2,))


def test_larger_pictures_are_reduced_where_that_is_asked_for():
    picture = torch.zeros(1, 80, 200)
    picture[:, :, 100:] = 1
    levels = opened(png(picture, 0.0, 1.0, largest=50))
    assert levels.shape == (20, 50)
    assert (levels == np.repeat([0, 255], 25)).all()
