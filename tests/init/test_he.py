import pytest
import torch
from jaxtyping import TypeCheckError
from scipy.stats import kurtosis
from torch import nn

from wellposed.errors import ArgumentError
from wellposed.init import He


@pytest.mark.parametrize("distribution", ["uniform", "normal"])
@pytest.mark.parametrize("mode", ["fan_in", "fan_out"])
@pytest.mark.parametrize(
    ("layer", "fans"),
    [(nn.Linear(300, 400), (300, 400)), (nn.Conv2d(40, 80, 5), (25 * 40, 25 * 80))],
)
def test_variance_is_2_over_the_fan(layer, fans, mode, distribution, generator):
    He(mode, distribution)(layer, None, generator)
    w = layer.weight.detach()
    assert w.var().item() == pytest.approx(2 / fans[mode == "fan_out"], rel=0.02)
    right = {"uniform": -1.2, "normal": 0.0}[distribution]
    assert kurtosis(w.flatten().numpy()) == pytest.approx(right, abs=0.1)


def test_keeps_the_mean_square_through_relu(generator):
    layers = [m for _ in range(8) for m in (nn.Linear(500, 500, bias=False), nn.ReLU())]
    model = nn.Sequential(*layers)
    He()(model, None, generator)
    inputs = torch.randn(200, 500, generator=generator)
    # After the ReLU half of the mean square of the layer is left, which is that of the inputs.
    assert model(inputs).square().mean().item() == pytest.approx(1, rel=0.3)


def test_unknown_modes_and_distributions_are_refused():
    refusals = (ArgumentError, TypeCheckError)
    with pytest.raises(refusals, match=r"fan_in or fan_out, got mode='fan'|Actual value: 'fan'"):
        He("fan")
    with pytest.raises(refusals, match=r"normal or uniform, got .*'cauchy'|Actual value: 'cauchy'"):
        He(distribution="cauchy")
