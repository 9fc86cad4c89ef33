"""Vectors and parameters, there and back."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from wellposed.errors import ArgumentError
from wellposed.linalg import flatten, unflatten

shapes = st.lists(st.lists(st.integers(0, 3), max_size=3), min_size=1, max_size=4)


@given(shapes)
def test_there_and_back_is_the_identity(sizes):
    generator = torch.Generator().manual_seed(0)
    tensors = [torch.randn(size, generator=generator) for size in sizes]
    vector = flatten(tensors, tensors)
    assert vector.shape == (sum(t.numel() for t in tensors),)
    back = unflatten(vector, tensors)
    assert all(torch.equal(a, b) for a, b in zip(tensors, back, strict=True))


def test_the_pieces_are_views():
    like = [torch.zeros(2, 2), torch.zeros(3)]
    vector = torch.zeros(7)
    unflatten(vector, like)[1][0] = 5.0
    assert vector[4] == 5.0


def test_the_vector_is_new_memory_even_for_one_tensor():
    weights = torch.ones(3)
    flatten([weights], [weights])[0] = 2.0
    assert weights[0] == 1.0


def test_what_is_missing_counts_as_zeros():
    like = [torch.ones(2), torch.ones(3)]
    assert flatten([None, like[1]], like).tolist() == [0, 0, 1, 1, 1]


def test_memory_layout_does_not_change_the_order():
    images = torch.arange(16.0).reshape(1, 4, 2, 2)
    turned = images.contiguous(memory_format=torch.channels_last)
    assert torch.equal(flatten([turned], [turned]), flatten([images], [images]))


def test_a_sparse_gradient_is_refused():
    embedding = torch.nn.Embedding(4, 2, sparse=True)
    embedding(torch.tensor([1])).sum().backward()
    with pytest.raises(ArgumentError, match=r"gradient is sparse.*sparse=False"):
        flatten([embedding.weight.grad], [embedding.weight])


def test_a_vector_of_another_length_is_refused():
    with pytest.raises(ArgumentError, match=r"shape \(5,\) was given for 6 weights"):
        unflatten(torch.zeros(5), [torch.zeros(2, 3)])
