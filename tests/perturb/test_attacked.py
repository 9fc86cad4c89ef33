import torch

from wellposed.perturb import Attacked


def test_accuracy_is_the_share_that_is_not_broken():
    counts = torch.zeros(4, dtype=torch.int64)
    broken = torch.tensor([True, False, False, False])
    assert Attacked(torch.zeros(4, 2), broken, torch.zeros(4), counts, counts).accuracy == 0.75
