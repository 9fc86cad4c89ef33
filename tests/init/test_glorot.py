import pytest
import torch
from jaxtyping import TypeCheckError
from scipy.stats import kurtosis
from torch import nn

from wellposed.errors import ArgumentError
from wellposed.init import Glorot

# Standard error of a variance from n draws: at most sqrt(2/n) of it, here 0.4 %; tests allow 2 %.


@pytest.mark.parametrize("distribution", ["uniform", "normal"])
@pytest.mark.parametrize("gain", [1.0, 5 / 3])
@pytest.mark.parametrize(
    ("layer", "fans"), [(nn.Linear(300, 400), 700), (nn.Conv2d(40, 80, 5), 25 * 120)]
)
def test_variance_is_2_gain_squared_over_both_fans(layer, fans, gain, distribution, generator):
    Glorot(gain, distribution)(layer, None, generator)
    w = layer.weight.detach()
    assert w.var().item() == pytest.approx(2 * gain**2 / fans, rel=0.02)
    assert abs(w.mean().item()) < 5 * (2 * gain**2 / fans / w.numel()) ** 0.5
    right = {"uniform": -1.2, "normal": 0.0}[distribution]
    assert kurtosis(w.flatten().numpy()) == pytest.approx(right, abs=0.1)


def test_keeps_the_variance_forward_and_backward_through_square_layers(generator):
    layers = nn.Sequential(*(nn.Linear(400, 400, bias=False) for _ in range(8)))
    Glorot()(layers, None, generator)
    inputs = torch.randn(200, 400, generator=generator, requires_grad=True)
    outputs = layers(inputs)
    outputs.backward(torch.randn(200, 400, generator=generator))
    assert outputs.var().item() == pytest.approx(1, rel=0.2)
    assert inputs.grad.var().item() == pytest.approx(1, rel=0.2)


@pytest.mark.parametrize("gain", [0.0, -1.0])
def test_gains_that_are_not_positive_are_refused(gain):
    with pytest.raises(ArgumentError, match=r"Glorot needs gain > 0, got .*; try 1"):
        Glorot(gain)


def test_unknown_distributions_are_refused():
    with pytest.raises(
        (ArgumentError, TypeCheckError), match=r"normal, got .*'cauchy'|value: 'cauchy'"
    ):
        Glorot(distribution="cauchy")
