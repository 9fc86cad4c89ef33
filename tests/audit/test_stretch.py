import pytest
import torch
from torch import nn
from torch.nn import functional

from wellposed.audit._stretch import stretch


def factor(module, *shape, seed=0):
    """The factor of a layer alone, at a few random inputs."""
    inputs = torch.randn(4, *shape, generator=torch.Generator().manual_seed(seed))
    [link] = stretch(module.eval(), inputs).links
    return link.factor


def norm(weight):
    return torch.linalg.matrix_norm(weight.detach(), 2).item()


def test_a_chain_of_dense_layers_has_the_product_of_their_norms(net):
    model = net()
    found = stretch(model, torch.randn(4, 4))
    assert found.bounds
    assert found.product == pytest.approx(norm(model[0].weight) * norm(model[2].weight))
    assert [link.factor for link in found.links][1] == 1
    assert found.broken == ()


def test_the_complexity_is_that_of_the_paper(net):
    model = net()
    first, last = model[0].weight.detach(), model[2].weight.detach()
    start = {"0.weight": torch.zeros_like(first), "2.weight": last - 0.1}
    found = stretch(model, torch.randn(4, 4), start)
    rows = [first.norm(dim=1).sum(), 0.1 * torch.ones_like(last).norm(dim=1).sum()]
    terms = sum((b / norm(w)) ** (2 / 3) for b, w in zip(rows, (first, last), strict=True))
    right = norm(first) * norm(last) * terms**1.5
    assert found.complexity == pytest.approx(right.item(), rel=1e-5)


@pytest.mark.parametrize(
    "module",
    [
        nn.ReLU(), nn.Tanh(), nn.Sigmoid(), nn.GELU(), nn.SiLU(), nn.Mish(), nn.SELU(),
        nn.Hardswish(), nn.Hardsigmoid(), nn.LeakyReLU(0.2), nn.LeakyReLU(3.0), nn.ELU(2.0),
        nn.PReLU(init=1.5), nn.Softplus(), nn.LogSigmoid(), nn.Softsign(), nn.Tanhshrink(),
        nn.Softshrink(), nn.ReLU6(), nn.Hardtanh(),
    ],
    ids=str,
)  # fmt: skip
def test_the_factor_of_an_activation_is_its_steepest_slope(module):
    x = torch.linspace(-40, 40, 400_001, dtype=torch.float64)
    with torch.no_grad():
        steepest = (module.double()(x).diff() / x.diff()).abs().max().item()
    found = factor(module.float(), 5)
    assert steepest - 1e-6 <= found
    exact = not isinstance(module, nn.Hardsigmoid | nn.Hardswish)
    assert found <= max(steepest, 0.25) * (1 + 2e-4) or not exact


def test_pooling():
    assert factor(nn.MaxPool2d(2), 1, 6, 6) == 1
    assert factor(nn.MaxPool2d(3, 2), 1, 7, 7) == 2
    assert factor(nn.MaxPool1d(3, 1), 2, 9) == pytest.approx(3**0.5)
    assert factor(nn.MaxPool2d(2, 1, dilation=2), 1, 7, 7) == 2
    # a mean over 4 of 4: 1 / 2
    assert factor(nn.AvgPool2d(2), 1, 6, 6) == pytest.approx(0.5, rel=5e-4)
    assert factor(nn.AdaptiveAvgPool2d(1), 1, 6, 6) == pytest.approx(1 / 6, rel=5e-4)


def test_a_single_spike_reaches_the_factor_of_overlapping_windows():
    x = torch.zeros(2, 1, 9)
    x[1, 0, 4] = 1
    [link] = stretch(nn.MaxPool1d(3, 1), x).links
    assert link.seen == pytest.approx(link.factor)


def test_batch_norm_scales_by_its_running_statistics():
    module = nn.BatchNorm1d(3)
    module.running_var.copy_(torch.tensor([4.0, 1.0, 0.25]))
    with torch.no_grad():
        module.weight.copy_(torch.tensor([1.0, -3.0, 1.0]))
    assert factor(module, 3) == pytest.approx(3, rel=1e-4)
    assert factor(nn.BatchNorm1d(3, track_running_stats=False), 3) is None
    assert factor(nn.LayerNorm(3), 3) is None


def test_functions_that_stretch_nothing_may_stand_between_layers(net):
    class Functional(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Conv2d(1, 2, 3, padding=1), nn.Linear(32, 3)

        def forward(self, x):
            return self.b(functional.max_pool2d(functional.relu(self.a(x)), 2).flatten(1))

    found = stretch(net(0, Functional()), torch.randn(3, 1, 8, 8))
    assert found.bounds
    assert found.gaps == ()


def test_what_is_no_chain_is_named(net):
    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Linear(4, 4)

        def forward(self, x):
            return x + self.inner(x)

    found = stretch(net(0, Residual(), nn.Linear(4, 3)), torch.randn(3, 4))
    assert found.gaps == ("between 0.inner (Linear) and 1 (Linear)",)
    assert not found.bounds
    last = stretch(net(0, nn.Linear(4, 4), Residual()), torch.randn(3, 4))
    assert last.gaps == ("after 1.inner (Linear)",)
    attention = stretch(net(0, nn.Linear(4, 4), nn.LayerNorm(4)), torch.randn(3, 4))
    assert attention.unknown == ("1 (LayerNorm)",)


def test_a_layer_that_stretches_more_than_it_can_is_broken(net):
    class Louder(nn.Tanh):
        def forward(self, x):
            return 5 * x

    model = net(0, nn.Linear(4, 3), nn.Tanh())
    model[1].forward = Louder().forward
    assert stretch(model, torch.randn(3, 4)).broken == ("1 (Tanh)",)


def test_rows_that_are_not_known_leave_no_complexity(net):
    conv = nn.Conv2d(1, 2, 3, padding=1, padding_mode="reflect")
    found = stretch(net(0, conv), torch.randn(2, 1, 5, 5))
    assert found.bounds
    assert found.complexity is None
    assert found.links[0].kernel == pytest.approx(norm(conv.weight.flatten(1)))
