import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from wellposed.errors import ArgumentError
from wellposed.problem import top_k_error

NAN = float("nan")


def oracle(scores, target, k):
    if np.isnan(scores).any():
        return 1.0
    ranked = sorted(range(len(scores)), key=lambda j: (-scores[j], j))
    return float(target not in ranked[:k])


@given(
    scores=nps.arrays(
        np.float32,
        st.tuples(st.integers(1, 4), st.integers(1, 6)),
        elements=st.sampled_from([-np.inf, -1.0, 0.0, 0.5, 2.0, np.inf, np.nan]),
    ),
    data=st.data(),
)
def test_equals_ranking_with_the_lower_class_first_among_equals(scores, data):
    batch, classes = scores.shape
    rows = st.lists(st.integers(0, classes - 1), min_size=batch, max_size=batch)
    targets = data.draw(rows)
    k = data.draw(st.integers(1, classes))
    found = top_k_error(torch.from_numpy(scores), torch.tensor(targets), k)
    assert found.tolist() == [oracle(s, y, k) for s, y in zip(scores, targets, strict=True)]


def test_top_1_is_what_argmax_predicts():
    outputs = torch.randn(200, 10).bfloat16()  # many ties
    targets = torch.randint(10, (200,))
    assert torch.equal(top_k_error(outputs, targets), (outputs.argmax(1) != targets).float())


def test_more_guesses_never_hurt_and_all_of_them_suffice():
    outputs, targets = torch.randn(50, 6), torch.randint(6, (50,))
    errors = [top_k_error(outputs, targets, k).sum().item() for k in range(1, 7)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] == 0


def test_a_tie_goes_to_the_lower_class():
    tie = torch.zeros(3, 3)
    assert top_k_error(tie, torch.tensor([0, 1, 2])).tolist() == [0, 1, 1]
    assert top_k_error(tie, torch.tensor([0, 1, 2]), 2).tolist() == [0, 0, 1]


@pytest.mark.parametrize("k", [1, 2, 3])
def test_nan_anywhere_is_an_error(k):
    outputs = torch.tensor([[NAN, 0.0, 0.0], [0.0, NAN, 5.0], [NAN, NAN, NAN], [1.0, 0.0, 0.0]])
    assert top_k_error(outputs, torch.tensor([0, 2, 1, 0]), k).tolist() == [1, 1, 1, 0]


def test_needs_no_gradient_and_takes_any_integers():
    outputs = torch.randn(4, 3, requires_grad=True)
    targets = torch.tensor([0, 1, 2, 0], dtype=torch.uint8)
    for k in (1, 2):
        found = top_k_error(outputs, targets, k)
        assert not found.requires_grad
        assert torch.equal(found, top_k_error(outputs, targets.long(), k))


@pytest.mark.parametrize("k", [0, -1, 4])
def test_k_outside_the_classes_is_refused(k):
    with pytest.raises(ArgumentError, match=f"from 1 to the number of classes, 3, got k={k}"):
        top_k_error(torch.zeros(2, 3), torch.tensor([0, 1]), k)


@pytest.mark.parametrize("targets", [torch.zeros(2), torch.zeros(2, 3, dtype=torch.int64)])
def test_targets_that_are_no_class_numbers_are_refused(targets):
    with pytest.raises(ArgumentError, match="needs targets that are class numbers"):
        top_k_error(torch.zeros(2, 3), targets)
