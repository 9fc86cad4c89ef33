import io

import numpy as np
import torch
from PIL import Image
from torch import nn

from wellposed.train._pictures import first_layer


def opened(data):
    return np.asarray(Image.open(io.BytesIO(data)))


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
