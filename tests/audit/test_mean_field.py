import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from wellposed.audit import MeanField
from wellposed.errors import ArgumentError

# E phi^2, E phi'^2 and the critical variance at q = 1; chi where q settles under torch's default
# draw with fan in 256. From the study, where the last column was also measured on networks.
TABLE = {
    "relu": (0.500, 0.500, 2.000, 0.1667),
    "tanh": (0.394, 0.464, 2.536, 0.332),
    "gelu": (0.425, 0.456, 2.352, 0.0836),
    "silu": (0.356, 0.380, 2.811, 0.0835),
    "sigmoid": (0.293, 0.045, 3.409, 0.0200),
    "elu": (0.645, 0.668, 1.551, 0.322),
    "selu": (1.000, 1.072, 1.000, 0.653),
    "softplus": (0.921, 0.293, 1.085, 0.087),
    "mish": (0.452, 0.479, 2.211, 0.120),
}


def activation(name):
    return torch.sigmoid if name == "sigmoid" else getattr(functional, name, None) or torch.tanh


@pytest.mark.parametrize("name", TABLE)
def test_the_table_of_activations(name):
    power, slope, critical, chi = TABLE[name]
    phi = activation(name)
    field = MeanField(phi, 1 / 3, 1 / (3 * 256))
    assert field.power(1.0) == pytest.approx(power, abs=6e-4)
    assert field.slope(1.0) == pytest.approx(slope, abs=6e-4)
    assert field.critical_weight() == pytest.approx(critical, abs=6e-3)
    assert field.chi(field.fixed_point()) == pytest.approx(chi, abs=6e-4)


def test_relu_is_exact_and_critical_at_two():
    field = MeanField(torch.relu, 2.0)
    assert field.slope(3.7) == pytest.approx(0.5, abs=1e-12)
    assert field.forward(3.7) == pytest.approx(3.7, rel=1e-6)
    assert field.chi(1.0, fan_ratio=0.25) == pytest.approx(0.25)
    assert field.depth_scale(1.0) > 1e5
    assert MeanField(torch.relu, 2 / math.e).depth_scale(1.0) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("c", [-1.0, -0.3, 0.0, 0.5, 0.9, 1.0])
def test_correlation_of_relu_is_the_arc_cosine_kernel(c):
    exact = (math.sqrt(1 - c * c) + c * (math.pi - math.acos(c))) / math.pi
    assert MeanField(torch.relu, 2.0).correlation(c, 2.3) == pytest.approx(exact, abs=1e-3)


def test_slope_of_the_correlation_map_at_one_is_chi():
    field = MeanField(torch.tanh, 1.5, 0.1)
    q = field.fixed_point()
    slope = (1 - field.correlation(1 - 1e-4, q)) / 1e-4
    assert slope == pytest.approx(field.chi(q), rel=1e-3)


def test_a_linear_network_grows_or_dies_without_bound():
    assert MeanField(lambda x: x, 1.1).fixed_point() == math.inf
    assert MeanField(lambda x: x, 0.5).fixed_point() == 0
    assert MeanField(torch.sign, 1.0).depth_scale(1.0) == 0


def test_a_wide_random_layer_does_what_is_predicted():
    generator = torch.Generator().manual_seed(0)
    fan_in, fan_out, q = 3000, 2000, 0.8
    x = math.sqrt(q) * torch.randn(fan_in, generator=generator, dtype=torch.float64)
    w = torch.randn(fan_out, fan_in, generator=generator, dtype=torch.float64)
    w *= math.sqrt(1.7 / fan_in)
    g = torch.randn(fan_out, generator=generator, dtype=torch.float64)
    field = MeanField(functional.gelu, 1.7)
    x.requires_grad_()
    z = w @ functional.gelu(x)
    back = torch.autograd.grad(z @ g, x)[0]
    # 5 standard deviations of a mean of 2,000 or 3,000 squares: 0.16
    assert float(z.detach().square().mean()) == pytest.approx(field.forward(q), rel=0.16)
    assert float(back.square().sum() / g.square().sum()) == pytest.approx(field.chi(q), rel=0.16)
    ratio = float(back.square().mean() / g.square().mean())
    assert ratio == pytest.approx(field.chi(q, fan_out / fan_in), rel=0.16)


# The lecture's experiment: y standard normal in R^100, z = K3 K2 K1 y.
ENTRIES = {
    "normal": (1.0, lambda g, s: g.standard_normal(s)),
    "uniform 1/2": (1 / 12, lambda g, s: g.uniform(-0.5, 0.5, s)),
    "uniform 1/20": (1 / 1200, lambda g, s: g.uniform(-0.05, 0.05, s)),
    "Glorot": (1 / 100, lambda g, s: g.uniform(-math.sqrt(0.03), math.sqrt(0.03), s)),
}


@pytest.mark.parametrize("entries", ENTRIES)
def test_product_of_three_random_matrices(entries):
    """Mean (n s)^3 of the ratio, its relative variance (1 + 2/n)^3 - 1, and E|z|^2 = n (n s)^3."""
    variance, draw = ENTRIES[entries]
    n, trials = 100, 400
    field = MeanField(nn.Identity(), n * variance)
    q = 1.0
    for _ in range(3):
        q = field.forward(q)
    assert q == pytest.approx((n * variance) ** 3, rel=1e-9)
    assert field.chi(1.0) ** 3 == pytest.approx(q, rel=1e-9)
    generator = np.random.default_rng(0)
    ratios, norms = np.empty(trials), np.empty(trials)
    for t in range(trials):
        y = generator.standard_normal(n)
        z = y
        for _ in range(3):
            z = draw(generator, (n, n)) @ z
        norms[t] = z @ z
        ratios[t] = norms[t] / (y @ y)
    sd = math.sqrt((1 + 2 / n) ** 3 - 1)  # 0.247; that of the norm has a fourth factor
    assert ratios.mean() == pytest.approx(q, rel=4 * sd / math.sqrt(trials))
    assert ratios.std(ddof=1) / ratios.mean() == pytest.approx(sd, rel=4 / math.sqrt(2 * trials))
    assert norms.mean() == pytest.approx(
        n * q, rel=4 * math.sqrt((1 + 2 / n) ** 4 - 1) / math.sqrt(trials)
    )


def test_refuses_negative_variances_and_impossible_correlations():
    with pytest.raises(ArgumentError, match="at least 0"):
        MeanField(torch.tanh, -1.0)
    with pytest.raises(ArgumentError, match="in \\[-1, 1\\]"):
        MeanField(torch.tanh, 1.0).correlation(1.5, 1.0)


def test_where_nothing_is_left_all_inputs_are_the_same():
    assert MeanField(torch.relu, 0.0).correlation(0.3, 1.0) == 1.0
