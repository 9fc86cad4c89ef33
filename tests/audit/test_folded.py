import copy

import pytest
import torch
from tests.audit.zoo import digits, made
from torch import nn

from wellposed.audit._folded import ScaleShift, folded


def moved(model):
    """Statistics as after some training."""
    torch.manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            if module.affine:
                nn.init.normal_(module.weight)
                nn.init.normal_(module.bias)
    return model.eval()


@pytest.mark.parametrize("kind", ["resnet", "densenet", "mobilenet"])
def test_the_function_is_the_same_and_nothing_is_left_but_parameters(kind):
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        model = moved(made(kind))
        inputs = digits(kind, 20)["test"][0]
        right = model(inputs)
        found = folded(copy.deepcopy(model))
        torch.testing.assert_close(found(inputs), right, rtol=1e-4, atol=1e-4)
    assert not list(found.buffers())
    assert any(isinstance(m, ScaleShift) for m in found.modules())


@pytest.mark.parametrize("shape", [(6, 3), (6, 3, 5), (6, 3, 5, 4)])
@pytest.mark.parametrize("affine", [True, False])
def test_one_layer(shape, affine):
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        norm = moved((nn.BatchNorm2d if len(shape) == 4 else nn.BatchNorm1d)(3, affine=affine))
        inputs = torch.randn(shape)
        torch.testing.assert_close(folded(norm)(inputs), norm(inputs))


def test_a_norm_used_twice_stays_one_and_one_without_statistics_stays(net):
    norm, free = nn.BatchNorm1d(4), nn.BatchNorm1d(4, track_running_stats=False)
    model = folded(net(0, norm, nn.Tanh(), norm, free))
    assert model[0] is model[2]
    assert model[3] is free
