import io

import numpy as np
import torch
from PIL import Image
from torch import nn

from wellposed.train._pictures import first_layer, is_picture, png


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


def test_first_layers_as_pictures():
    assert len(first_layer(nn.Sequential(nn.Conv2d(1, 5, 3)), (1, 8, 8))) == 5
    assert len(first_layer(nn.Linear(64, 7), (1, 8, 8))) == 7
    assert len(first_layer(nn.Linear(192, 100), (3, 8, 8))) == 64
    assert first_layer(nn.Linear(2, 7), (2,)) == []
    assert first_layer(nn.Linear(64, 7), (64,)) == []
    assert first_layer(nn.Conv2d(5, 5, 3), (5, 8, 8)) == []
    assert first_layer(nn.BatchNorm1d(3), (3,)) == []


def test_filters_share_one_scale_and_zero_is_gray():
    layer = nn.Conv2d(1, 2, 1)
    layer.weight.data = torch.tensor([2.0, -1.0]).view(2, 1, 1, 1)
    bright, dark = (opened(p)[0, 0] for p in first_layer(layer, (1, 8, 8)))
    assert (bright, dark) == (255, 64)
