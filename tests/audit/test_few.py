import torch
from torch import nn

from wellposed.audit._few import few


class Wide:
    """400 examples of 100,000 numbers that are made when they are taken."""

    def __len__(self):
        return 400

    def take(self, rows):
        return torch.zeros(1, 100_000).expand(len(rows), -1), torch.zeros(len(rows), dtype=int)


def test_small_examples_are_all_taken(subject):
    made = subject()
    assert few(made, "train", 1000) == 60
    assert few(made, "train", 7) == 7


def test_large_ones_make_a_table_of_bounded_size_and_never_fewer_than_200(subject):
    made = subject(nn.Identity(), data={"test": Wide()}, classes=())
    assert few(made, "test", 1000) == 200
    assert few(made, "test", 50) == 50
