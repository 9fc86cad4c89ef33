import torch
from torch import nn

from wellposed.audit._operations import as_gradients

# Of (4, 8) and (8, 3): forward, to the weights, and to the inputs of the second.
GRADIENT = 2 * (32 + 24) + 2 * (32 + 24) + 2 * 24


def test_the_unit_is_what_a_gradient_multiplies(subject, net):
    made = subject(net())
    assert as_gradients(made, 1000 * GRADIENT) == 1000
    assert as_gradients(made, 0) == 0
    assert all(p.grad is None for p in made.model.parameters())


def test_convolutions_use_a_weight_many_times(subject, net):
    torch.manual_seed(0)
    model = net(0, nn.Unflatten(1, (1, 2, 2)), nn.Conv2d(1, 3, 1), nn.AvgPool2d(2), nn.Flatten())
    assert as_gradients(subject(model), 4800) == 4800 / (2 * 2 * 3 * 4)  # no gradient to the inputs


class Uncounted(nn.Module):
    """Has no products of matrices, which are what is counted."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(5))

    def forward(self, x):
        return x[:, :3] * self.weight.sum()


def test_where_nothing_can_be_counted_each_weight_is_used_once(subject):
    assert as_gradients(subject(Uncounted()), 300) == 10


def test_a_model_that_fails_is_no_error(subject, net):
    class Once(nn.Module):
        calls = 0

        def forward(self, x):
            Once.calls += 1
            if Once.calls > 1:
                raise RuntimeError("no more")
            return x

    made = subject(net(0, nn.Linear(4, 3), Once()))
    assert as_gradients(made, 900) == 10
