import pytest
import torch
from torch import nn

from wellposed.audit import Subject
from wellposed.audit._curve import bezier, find_curve
from wellposed.audit._landscape import Landscape


def test_the_ends_are_exact_and_the_middle_bend_is_the_straight_line():
    start, end = {"w": torch.tensor([0.1, 0.3])}, {"w": torch.tensor([1.0, 2.0])}
    bend = {"w": (start["w"] + end["w"]) / 2}
    assert bezier(start, bend, end, 0) is start
    assert bezier(start, bend, end, 1) is end
    for t in (0.25, 0.5):
        right = (1 - t) * start["w"] + t * end["w"]
        torch.testing.assert_close(bezier(start, bend, end, t)["w"], right)


class Ring(nn.Module):
    """The loss is 0 on a circle around 0 and has a hill in the middle of it."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.tensor([[-1.0, 0.05]]))

    def forward(self, inputs):
        return self.w.square().sum().expand(len(inputs), 1)


def test_a_curve_goes_around_a_hill():
    data = (torch.zeros(40, 1), torch.zeros(40))
    subject = Subject(Ring(), {"train": data}, lambda z, _: (z[:, 0] - 1).square())
    land = Landscape(subject, "barrier", 40)
    start, end = land.weights, {"w": torch.tensor([[1.0, 0.05]])}
    middle = {"w": torch.tensor([[0.0, 0.05]])}
    bend = find_curve(land, start, end, rows=range(40), gradients=40 * 300, lr=0.05)
    straight, curved = (
        max(float(land.losses(bezier(start, b, end, t / 20)).mean()) for t in range(21))
        for b in (middle, bend)
    )
    # the best quadratic curve, through (0, h) with the top at h/2 + 0.025, stays below 0.1
    assert straight == pytest.approx((1 - 0.05**2) ** 2)
    assert curved < 0.15
    assert torch.equal(subject.model.w.detach(), torch.tensor([[-1.0, 0.05]]))


def test_it_is_the_same_every_time(net, blobs):
    model = net()
    other = {n: v + 0.1 for n, v in model.state_dict().items()}
    found = []
    for _ in range(2):
        land = Landscape(Subject(model, {"train": blobs(60)}), "barrier", 60)
        found.append(find_curve(land, land.weights, other, rows=range(0, 60, 2), gradients=600))
    assert all(torch.equal(found[0][n], found[1][n]) for n in found[0])
