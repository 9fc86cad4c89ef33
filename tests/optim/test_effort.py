"""Counting."""

import pytest

from wellposed.optim import Effort


def test_a_difference_is_taken_count_by_count():
    assert Effort(5, 4, 3, 2) - Effort(1, 2, 3, 0) == Effort(4, 2, 0, 2)


def test_everything_in_gradients():
    assert Effort(losses=6, gradients=3, products=5).gradient_equivalents == pytest.approx(16)


def test_it_reads_a_group_and_nothing_else_of_it():
    group = {"losses": 1, "gradients": 2, "products": 3, "solves": 4, "lr": 0.5}
    assert Effort.of(group) == Effort(1, 2, 3, 4)
