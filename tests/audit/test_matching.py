import itertools

import pytest
import torch
from torch import nn

from wellposed.audit._matching import match
from wellposed.audit._permutable import permutable, permuted


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def random_order(hidden, seed):
    g = generator(seed)
    return {h.layer: torch.randperm(h.units, generator=g) for h in hidden}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("norm", [True, False])
def test_a_permuted_twin_is_put_back_bit_by_bit(net, seed, norm):
    layers = [nn.Linear(6, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Linear(12, 9), nn.ReLU()]
    model = net(0, *(layers if norm else layers[:1] + layers[2:]), nn.Linear(9, 3))
    hidden, state = permutable(model), model.state_dict()
    twin = permuted(hidden, state, random_order(hidden, seed))
    found = match(hidden, state, twin, generator())
    back = permuted(hidden, twin, found.order)
    assert all(torch.equal(back[name], value) for name, value in state.items())
    assert found.after > found.before


def test_the_twin_of_a_convolutional_network_is_put_back(net):
    model = net(
        0, nn.Conv2d(2, 5, 3), nn.Tanh(), nn.Conv2d(5, 7, 3), nn.Tanh(), nn.Flatten(),
        nn.Linear(7 * 4, 3),
    )  # fmt: skip
    hidden, state = permutable(model), model.state_dict()
    twin = permuted(hidden, state, random_order(hidden, 3))
    back = permuted(hidden, twin, match(hidden, state, twin, generator()).order)
    assert all(torch.equal(back[name], value) for name, value in state.items())


def test_with_one_hidden_layer_the_assignment_is_the_best_of_all(net):
    one = net(0, nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2))
    torch.manual_seed(9)
    two = net(9, nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2))
    hidden, a, b = permutable(one), one.state_dict(), two.state_dict()

    def inner(order):
        state = permuted(hidden, b, {"0": torch.tensor(order)})
        return sum(
            float((a[n].double() * state[n].double()).sum())
            for n in ("0.weight", "0.bias", "2.weight")
        )

    best = max(map(inner, itertools.permutations(range(5))))
    found = match(hidden, a, b, generator())
    assert found.after == pytest.approx(best)
    assert found.before == pytest.approx(inner(range(5)))


def test_it_never_gets_worse_and_the_best_of_more_tries_is_no_worse(net):
    one = net(0, nn.Linear(4, 10), nn.ReLU(), nn.Linear(10, 10), nn.ReLU(), nn.Linear(10, 2))
    torch.manual_seed(9)
    two = net(9, nn.Linear(4, 10), nn.ReLU(), nn.Linear(10, 10), nn.ReLU(), nn.Linear(10, 2))
    hidden = permutable(one)
    found = [
        match(hidden, one.state_dict(), two.state_dict(), generator(), tries=k).after
        for k in (1, 5)
    ]
    assert found[1] >= found[0]
    assert found[0] >= match(hidden, one.state_dict(), two.state_dict(), generator()).before


def test_a_network_is_its_own_match(net):
    model = net(0, nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))
    found = match(permutable(model), model.state_dict(), model.state_dict(), generator())
    assert found.order["0"].tolist() == list(range(8))
    assert found.after == found.before
