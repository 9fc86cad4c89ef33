import torch
from torch import nn

from wellposed.perturb import APGD, L1
from wellposed.perturb._apgd_l1 import phase_lengths


def test_three_phases_share_the_steps():
    assert phase_lengths(100) == (30, 30, 40)
    assert all(sum(phase_lengths(n)) == n and min(phase_lengths(n)) >= 0 for n in range(4, 200))


def test_moves_few_coordinates_where_few_matter():
    torch.manual_seed(0)
    model = nn.Linear(200, 2).double()
    with torch.no_grad():
        model.weight.mul_(0.01)
        model.weight[0, :3] += 5.0
    x = torch.full((20, 200), 0.5, dtype=torch.float64)
    model.bias.data = torch.tensor([-5.5, 0.0]).double()
    y = torch.zeros(20, dtype=torch.int64)
    found = APGD(50)(model, x, y, L1(0.3))
    moved = (found.examples != x).sum(1).double()
    assert found.broken.sum() == 0
    assert moved.mean() < 20
    exact = (model(x)[:, 0] - model(x)[:, 1])[0] - 0.3 * (model.weight[0] - model.weight[1]).max()
    torch.testing.assert_close(found.margin, exact.detach().expand(20), rtol=0, atol=0.05)
