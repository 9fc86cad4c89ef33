import io

import numpy as np
import pytest
import torch
from PIL import Image

from wellposed.audit import Subject
from wellposed.audit._invariance_figures import (
    accuracy_curves,
    consistency_curves,
    pictured,
    pictures,
)
from wellposed.audit._response import Plain, Response
from wellposed.perturb import Rotation
from wellposed.stats import wilson

TARGETS = torch.tensor([0, 0, 1, 2, 2, 2])
PLAIN = Plain("test", TARGETS, torch.tensor([1, 0, 1, 2, 2, 0]), (0.0, 1.0), 0, 1, 6)
GUESSES = tuple(torch.tensor([0, 0, 1, 2, 2, 2]) * (k < 3) for k in range(5))
RESPONSE = Response(Rotation, GUESSES, ("",) * 5)


def test_curves_show_shares_of_right_and_of_unchanged_with_their_intervals():
    accuracy = accuracy_curves(PLAIN, (RESPONSE,), 0.95)
    line = accuracy.series[0]
    assert line.name == "Rotation"
    assert line.x == (0, 1, 2, 3, 4, 5)
    assert line.y == pytest.approx((4 / 6, 1, 1, 1, 2 / 6, 2 / 6))
    assert (line.low[0], line.high[0]) == wilson(4, 6)
    assert accuracy.marks[0].value == 0.5
    same = consistency_curves(PLAIN, (RESPONSE,), 0.95).series[0]
    assert same.y == pytest.approx((1, 4 / 6, 4 / 6, 4 / 6, 2 / 6, 2 / 6))


def test_examples_are_of_different_classes_and_rightly_seen_if_there_are_such():
    assert pictured(PLAIN, 6).tolist() == [1, 2, 3]
    assert pictured(PLAIN, 1).tolist() == [0]


def subject(channels=1, names=("sandal", "shirt", "bag")):
    data = (torch.rand(6, channels, 4, 4), TARGETS)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16 * channels, 3))
    return Subject(model, {"test": data}, classes=names)


def test_pictures_are_those_images_with_what_the_network_says():
    rows = torch.tensor([0, 3])
    images = [torch.full((2, 1, 4, 4), severity / 5) for severity in range(6)]
    (sheet,) = pictures(subject(), PLAIN, RESPONSE, rows, images)
    assert [picture.caption for picture in sheet.rows[0]] == [
        "0: shirt (wrong)", "1: sandal", "2: sandal", "3: sandal", "4: sandal", "5: sandal",
    ]  # fmt: skip
    assert sheet.rows[1][4].caption == "4: sandal (wrong)"
    for severity, picture in enumerate(sheet.rows[1]):
        levels = np.asarray(Image.open(io.BytesIO(picture.png)))
        assert (levels == 51 * severity).all()
    assert "Degrees: 5, 10, 15, 25, 40" in sheet.note


def test_what_is_no_picture_is_not_shown():
    images = [torch.zeros(1, 2, 4, 4)] * 6
    assert pictures(subject(2), PLAIN, RESPONSE, torch.tensor([0]), images) == ()
