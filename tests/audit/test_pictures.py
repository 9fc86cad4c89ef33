import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from wellposed.audit import Subject
from wellposed.audit._pictures import pictures_of
from wellposed.data import Standardization


def subject(shape, **known):
    x = torch.zeros(4, *shape)
    model = nn.Sequential(nn.Flatten(), nn.LazyLinear(3))
    model(x)
    return Subject(model, (x, torch.zeros(4, dtype=torch.int64)), **known)


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)))


def test_the_recorded_range_is_black_and_white():
    found = pictures_of(
        subject((1, 64, 64), input_range=(0.0, 2.0)), torch.full((1, 1, 64, 64), 1.0)
    )
    assert (pixels(found[0]) == 128).all()


def test_standardization_is_undone():
    known = subject((1, 8, 8), standardization=Standardization((0.5,), (0.5,)), input_range=(0, 1))
    found = pixels(pictures_of(known, torch.full((1, 1, 8, 8), 1.0))[0])
    assert found.shape == (64, 64)
    assert (found == 255).all()


@pytest.mark.parametrize("shape", [(5,), (2, 8, 8), (3, 4)])
def test_what_is_no_picture_has_none(shape):
    assert pictures_of(subject(shape), torch.zeros(2, *shape)) == []


def test_colors_stay_and_nan_is_drawn():
    x = torch.zeros(1, 3, 64, 64)
    x[:, 0], x[:, 1, 0, 0] = 1.0, float("nan")
    found = pixels(pictures_of(subject((3, 64, 64)), x)[0])
    assert found[5, 5].tolist() == [255, 0, 0]
