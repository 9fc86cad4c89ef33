import numpy as np
import pytest
import torch
from torch import nn

from wellposed.audit import Subject
from wellposed.audit._probabilities import said
from wellposed.errors import ArgumentError


def subject(outputs, labels, **known):
    """A model that passes its inputs on."""
    data = (torch.as_tensor(outputs), torch.as_tensor(labels))
    return Subject(nn.Identity(), data, **known)


def test_logits_and_what_follows_from_them():
    found = said(subject([[0.0, 2.0], [1.0, 1.0]], [1, 0]), "calibration", "test", None)
    assert found.logits.tolist() == [[0, 2], [1, 1]]
    assert found.guess.tolist() == [1, 0]
    assert not found.probabilities
    assert found.chances[1].tolist() == [0.5, 0.5]
    assert found.scaled(2).logits.tolist() == [[0, 1], [0.5, 0.5]]
    assert found.select(np.array([1])).labels.tolist() == [0]


def test_probabilities_are_taken_as_they_are():
    p = [[0.9, 0.1], [0.0, 1.0]]
    found = said(subject(p, [0, 1]), "calibration", "test", None)
    assert found.probabilities
    assert found.chances == pytest.approx(np.array(p), abs=1e-7)


@pytest.mark.parametrize(
    ("outputs", "labels", "known", "message"),
    [
        ([[0.0, 1.0], [float("nan"), 1.0]], [0, 1], {}, "1 of 2 test examples are not finite"),
        ([[0.0, 1.0], [float("inf"), 1.0]], [0, 1], {}, "1 of 2 test examples are not finite"),
        ([[0.0, 1.0], [0.0, 1.0]], [1, 1], {}, "all 2 test examples are of class 1"),
        ([[0.0, 1.0], [0.0, 1.0]], [1, -100], {}, "the test labels are -100 to 1"),
        ([[0.0], [1.0]], [0, 1], {"classes": ["a"]}, "a model with a logit for each"),
        ([[0.0, 1.0], [0.0, 1.0]], [0.5, 1.0], {}, "is about classifiers"),
    ],
)
def test_says_what_is_wrong(outputs, labels, known, message):
    with pytest.raises(ArgumentError, match=message):
        said(subject(outputs, labels, **known), "calibration", "test", None)
