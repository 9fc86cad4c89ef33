import torch
from torch import nn

from wellposed.init import Default


def test_changes_nothing(generator):
    layer = nn.Linear(4, 3)
    before = layer.weight.clone(), layer.bias.clone()
    state = generator.get_state()
    Default()(layer, torch.zeros(2, 4), generator)
    assert torch.equal(layer.weight, before[0])
    assert torch.equal(layer.bias, before[1])
    assert torch.equal(generator.get_state(), state)


def test_layers_draw_what_the_docstring_says():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layer = nn.Linear(300, 400)
    assert layer.weight.abs().max() <= 300**-0.5
    torch.testing.assert_close(layer.weight.var().item(), 1 / 900, rtol=0.02, atol=0)
