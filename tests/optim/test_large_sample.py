"""What all methods for a large, fixed sample keep to, whatever they do with it."""

import copy
import json
import math

import pytest
import torch
from safetensors.torch import load, save
from torch import nn
from torch.nn import functional

from wellposed.errors import ArgumentError
from wellposed.optim import SVRG, ArmijoLBFGS, Effort, GaussNewton, NewtonCG, VarPro
from wellposed.optim._large_sample import rounding_of


def sample(seed=0):
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(60, 4, generator=generator)
    return inputs, (inputs[:, 0] + inputs[:, 1].square() > 0.5).long()


class Net(nn.Module):
    """Hidden layers and an output layer, apart from each other."""

    def __init__(self):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.hidden = nn.Sequential(nn.Linear(4, 6), nn.Tanh())
            self.output = nn.Linear(6, 2)

    def forward(self, inputs):
        return self.output(self.hidden(inputs))


class Newton:
    """NewtonCG, and how its closure looks."""

    make = staticmethod(lambda _net, weights, **own: NewtonCG(weights, **own))

    @staticmethod
    def closure(net, _optimizer, batch, spoil=1.0):
        return lambda: functional.cross_entropy(net(batch[0]), batch[1]) * spoil


class Gauss:
    """GaussNewton."""

    make = staticmethod(lambda _net, weights, **own: GaussNewton(weights, **own))

    @staticmethod
    def closure(net, _optimizer, batch, spoil=1.0):
        def closure():
            outputs = net(batch[0])
            return functional.cross_entropy(outputs, batch[1]) * spoil, outputs

        return closure


class Quasi:
    """ArmijoLBFGS."""

    make = staticmethod(lambda _net, weights, **own: ArmijoLBFGS(weights, iterations=2, **own))

    @staticmethod
    def closure(net, optimizer, batch, spoil=1.0):
        def closure():
            optimizer.zero_grad()
            loss = functional.cross_entropy(net(batch[0]), batch[1]) * spoil
            loss.backward()
            return loss

        return closure


class Projection:
    """VarPro."""

    make = staticmethod(lambda net, weights, **own: VarPro(weights, net.output, **own))

    @staticmethod
    def closure(net, _optimizer, batch, spoil=1.0):
        return lambda: (net.hidden(batch[0]) * spoil, batch[1])


class Reduced:
    """SVRG, with a snapshot of the first sample whenever there is none."""

    make = staticmethod(lambda _net, weights, **own: SVRG(weights, **{"lr": 1.0, **own}))

    @staticmethod
    def closure(net, optimizer, batch, spoil=1.0):
        closure = Quasi.closure(net, optimizer, batch, spoil)
        weights = [w for w in net.parameters() if w.requires_grad]
        if weights and not all(optimizer.state.get(w) for w in weights):
            optimizer.snapshot(closure)
        return closure


METHODS = {
    "NewtonCG": Newton,
    "GaussNewton": Gauss,
    "ArmijoLBFGS": Quasi,
    "VarPro": Projection,
    "SVRG": Reduced,
}
each = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)


def begin(method, **own):
    net = Net()
    return net, method.make(net, net.parameters(), **own)


def advance(method, net, optimizer, steps, start=0):
    for step in range(start, start + steps):
        optimizer.step(method.closure(net, optimizer, sample(step // 2)))


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def through_files(state):
    """The state as safetensors and JSON give it back."""
    tensors = {
        f"{key}/{name}": value
        for key, entry in state["state"].items()
        for name, value in entry.items()
    }
    loaded = {key: {} for key in state["state"]}
    for path, value in load(save(tensors)).items():
        key, name = path.split("/")
        loaded[int(key)][name] = value
    return {"state": loaded, "param_groups": json.loads(json.dumps(state["param_groups"]))}


@each
def test_the_loss_falls(method):
    net, optimizer = begin(method)
    batch = sample()
    before = functional.cross_entropy(net(batch[0]), batch[1]).item()
    for _ in range(8):
        optimizer.step(method.closure(net, optimizer, batch))
    assert functional.cross_entropy(net(batch[0]), batch[1]).item() < 0.8 * before


@each
@pytest.mark.parametrize("at", [1, 4])
def test_a_run_resumes_bitwise_through_safetensors_and_json(method, at):
    straight, optimizer = begin(method)
    advance(method, straight, optimizer, 7)
    first, before = begin(method)
    advance(method, first, before, at)
    second = Net()
    second.load_state_dict(first.state_dict())
    after = method.make(second, second.parameters())
    after.load_state_dict(through_files(before.state_dict()))
    assert after.effort == before.effort
    advance(method, second, after, 7 - at, start=at)
    assert same(straight, second)
    assert after.effort == optimizer.effort
    assert after.outcome == optimizer.outcome


@each
def test_a_run_is_repeated_bitwise(method):
    nets = []
    for _ in range(2):
        net, optimizer = begin(method)
        advance(method, net, optimizer, 4)
        nets.append(net)
    assert same(*nets)


@each
def test_a_copy_goes_its_own_way(method):
    net, optimizer = begin(method)
    advance(method, net, optimizer, 2)
    twin_net, twin = copy.deepcopy((net, optimizer))
    kept = copy.deepcopy(net)
    advance(method, twin_net, twin, 2, start=2)
    assert same(net, kept)
    advance(method, net, optimizer, 2, start=2)
    assert same(net, twin_net)


@each
def test_the_global_random_generator_is_left_alone(method):
    net, optimizer = begin(method)
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    advance(method, net, optimizer, 3)
    assert torch.equal(torch.rand(1), expected)


@each
def test_effort_grows_and_its_difference_is_the_cost_of_a_step(method):
    net, optimizer = begin(method)
    assert optimizer.effort == Effort()
    advance(method, net, optimizer, 1)
    first = optimizer.effort
    assert first.gradients >= 1
    advance(method, net, optimizer, 1)
    assert (optimizer.effort - first).gradients >= 1


@each
def test_frozen_weights_stay(method):
    net, optimizer = begin(method)
    net.hidden[0].bias.requires_grad_(requires_grad=False)
    before = net.hidden[0].bias.clone()
    advance(method, net, optimizer, 3)
    assert torch.equal(net.hidden[0].bias, before)
    net.hidden[0].bias.requires_grad_(requires_grad=True)
    advance(method, net, optimizer, 2, start=3)
    assert not torch.equal(net.hidden[0].bias, before)


@each
def test_named_parameters_and_one_group_are_accepted(method):
    net = Net()
    optimizer = method.make(net, net.named_parameters())
    advance(method, net, optimizer, 1)
    assert "hidden.0.weight" in optimizer.state_dict()["param_groups"][0]["param_names"]
    other = Net()
    optimizer = method.make(other, [{"params": list(other.parameters())}])
    advance(method, other, optimizer, 1)
    assert same(net, other)


@each
@pytest.mark.parametrize("spoil", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_is_refused_and_moves_nothing(method, spoil):
    net, optimizer = begin(method)
    advance(method, net, optimizer, 1)
    kept = copy.deepcopy(net)
    with pytest.raises(ArgumentError, match=r"returned a loss of (nan|inf).*not changed"):
        optimizer.step(method.closure(net, optimizer, sample(), spoil))
    assert same(net, kept)


@each
def test_a_gradient_that_is_not_finite_is_refused_and_moves_nothing(method):
    net, optimizer = begin(method)
    net.hidden[1] = Root()  # 0 at 0, with an infinite derivative
    with torch.no_grad():
        net.hidden[0].weight.zero_()
        net.hidden[0].bias.zero_()
    kept = copy.deepcopy(net)
    with pytest.raises(ArgumentError, match=r"gradient of \w+ is not finite although the loss is"):
        optimizer.step(method.closure(net, optimizer, sample()))
    assert same(net, kept)


class Root(nn.Module):
    def forward(self, inputs):
        return inputs.abs().sqrt()


@each
@pytest.mark.parametrize("call", [1, 2, 3, 4, 5])
def test_an_error_inside_the_closure_leaves_the_weights_bitwise(method, call):
    net, optimizer = begin(method)
    optimizer.param_groups[0]["iterations"] = 1
    proper, calls = method.closure(net, optimizer, sample()), []

    def closure():
        calls.append(1)
        if len(calls) == call:
            raise KeyboardInterrupt
        return proper()

    def steps():
        while True:
            kept.load_state_dict(net.state_dict())
            optimizer.step(closure)

    kept = Net()
    with pytest.raises(KeyboardInterrupt):
        steps()
    assert len(calls) == call
    assert same(net, kept)


@each
def test_without_a_closure_one_sentence_says_how_it_looks(method):
    _net, optimizer = begin(method)
    name = type(optimizer).__name__
    with pytest.raises(ArgumentError, match=rf"{name}\.step\(\) got no closure; give it one that"):
        optimizer.step()


ONE = nn.Parameter(torch.ones(1))
WRONG = [
    ([], "got no weights"),
    ([{"params": [ONE]}, {"params": [nn.Parameter(torch.ones(2))]}], "second parameter group"),
    ([ONE, nn.Parameter(torch.ones(1).double())], "kinds.*float32 on cpu, float64 on cpu"),
    ([nn.Parameter(torch.ones(1).bfloat16())], "type bfloat16.*float32"),
]


@each
@pytest.mark.parametrize(("weights", "sentence"), WRONG, ids=[s[:12] for _, s in WRONG])
def test_wrong_weights_are_refused(method, weights, sentence):
    with pytest.raises(ArgumentError, match=sentence):
        method.make(Net(), weights)


@each
def test_all_weights_frozen_is_refused(method):
    net, optimizer = begin(method)
    net.requires_grad_(requires_grad=False)
    with pytest.raises(ArgumentError, match="no weight that requires a gradient"):
        optimizer.step(method.closure(net, optimizer, sample()))


@each
def test_weights_of_another_model_are_refused(method):
    net, other = Net(), Net()
    optimizer = method.make(net, [nn.Parameter(torch.ones(2))])
    with pytest.raises(ArgumentError, match=r"depends? on none of the|left no gradient"):
        optimizer.step(method.closure(other, optimizer, sample()))


@each
def test_a_sparse_gradient_is_refused(method):
    net, optimizer = begin(method)
    net.hidden = nn.Sequential(nn.Embedding(3, 6, sparse=True))
    optimizer = method.make(net, net.parameters())
    batch = torch.arange(60) % 3, sample()[1]
    with pytest.raises(ArgumentError, match="sparse=False"):
        optimizer.step(method.closure(net, optimizer, batch))


@each
def test_it_can_be_scheduled(method):
    net, optimizer = begin(method, lr=0.5)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, float)  # 0, then 1/2
    kept = copy.deepcopy(net)
    optimizer.step(method.closure(net, optimizer, sample()))
    assert same(net, kept)
    scheduler.step()
    optimizer.step(method.closure(net, optimizer, sample()))
    assert not same(net, kept)


class Images(Net):
    """A convolution before the output layer."""

    def __init__(self):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(1)
            convolution = nn.Conv2d(2, 3, 3)
        self.hidden = nn.Sequential(
            nn.Unflatten(1, (2, 4, 4)), convolution, nn.Tanh(), nn.Flatten(), nn.Linear(12, 6)
        ).double()
        self.output = self.output.double()


@pytest.mark.simulation
@each
def test_the_memory_layout_of_the_weights_does_not_matter(method):
    generator = torch.Generator().manual_seed(4)
    inputs = torch.randn(40, 32, dtype=torch.float64, generator=generator)
    batch, nets = (inputs, (inputs[:, 0] > 0).long()), []
    for layout in (torch.contiguous_format, torch.channels_last):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            net = Images().to(memory_format=layout)
        optimizer = method.make(net, net.parameters())
        for _ in range(3):
            optimizer.step(method.closure(net, optimizer, batch))
        nets.append(net)
    assert nets[1].hidden[1].weight.is_contiguous(memory_format=torch.channels_last)
    for one, other in zip(*(net.parameters() for net in nets), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-8)


def test_rounding_is_that_of_the_type_of_the_loss():
    assert rounding_of(torch.tensor(1.0)) == pytest.approx(2**-23)
    assert rounding_of(torch.tensor(1.0).double()) == pytest.approx(2**-52)
