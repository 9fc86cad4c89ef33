"""One sentence for each wrong pair."""

import pytest
import torch
from torch import nn

from wellposed.errors import ArgumentError
from wellposed.optim._features import ENTROPY, SQUARED, features_and_targets

LAYER = nn.Linear(3, 2)
FEATURES = torch.ones(4, 3)
LABELS = torch.tensor([0, 1, 1, 0])


def test_class_numbers_become_vectors_for_the_squared_error_only():
    _, values = features_and_targets((FEATURES, LABELS), LAYER, SQUARED)
    assert values.tolist() == [[1, 0], [0, 1], [0, 1], [1, 0]]
    _, classes = features_and_targets((FEATURES, LABELS.int()), LAYER, ENTROPY)
    assert classes.dtype == torch.int64
    assert torch.equal(classes, LABELS)


def test_values_stay_values():
    values = torch.randn(4, 2)
    assert features_and_targets((FEATURES, values), LAYER, SQUARED)[1] is values


WRONG = [
    (FEATURES, ENTROPY, "returned a Tensor.*features, targets"),
    ((torch.ones(4, 5), LABELS), ENTROPY, r"features of shape \(4, 5\).*\(N, 3\)"),
    ((torch.ones(0, 3), LABELS[:0]), ENTROPY, r"features of shape \(0, 3\)"),
    ((FEATURES, LABELS + 1), ENTROPY, "classes from 1 to 2.*2 outputs"),
    ((FEATURES, LABELS[:3]), ENTROPY, r"int64 and shape \(3,\).*cross-entropy takes class numbers"),
    ((FEATURES, torch.randn(4, 2)), ENTROPY, r"float32 and shape \(4, 2\).*takes class numbers"),
    ((FEATURES, torch.randn(4)), SQUARED, r"shape \(4,\).*squared error takes values.*\(4, 2\)"),
]


@pytest.mark.parametrize(("answer", "loss", "sentence"), WRONG, ids=[s[:24] for *_, s in WRONG])
def test_a_wrong_answer_is_told_so(answer, loss, sentence):
    with pytest.raises(ArgumentError, match=sentence):
        features_and_targets(answer, LAYER, loss)
