"""A base inside shares groups and state, whatever happens to them."""

import copy
import pickle
from functools import partial

import pytest
import torch
from torch import nn

from wellposed.errors import ArgumentError
from wellposed.optim import EntropySGD, GradientNoise, Lookahead
from wellposed.optim._around import Around


class Bare(Around):
    """Nothing around the base, and one number in the groups."""

    def __init__(self, params, base=None, lr=0.05, **sgd):
        sgd = {"momentum": 0.9, "weight_decay": 0.0, "nesterov": True, **sgd}
        super().__init__(params, base, lr, sgd=sgd, own={"extra": 1.5})

    def step(self, closure=None):  # noqa: ARG002
        self.base_step()


class Another(Bare):
    """The same once more."""


def weights(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [nn.Parameter(torch.randn(n, generator=generator)) for n in (3, 5)]


def steps(params, optimizer, first, last):
    for step in range(first, last):
        generator = torch.Generator().manual_seed(step)
        for p in params:
            p.grad = torch.randn(p.shape, generator=generator)
        optimizer.step()


def assert_equal(ours, theirs):
    assert all(torch.equal(p, q) for p, q in zip(ours, theirs, strict=True))


@pytest.mark.parametrize(
    ("sgd", "torchs"),
    [
        ({}, {"momentum": 0.9, "nesterov": True}),
        ({"momentum": 0.0, "weight_decay": 0.1}, {"weight_decay": 0.1}),
        ({"nesterov": False}, {"momentum": 0.9}),
    ],
)
def test_without_a_base_it_is_sgd_bitwise(sgd, torchs):
    ours, theirs = weights(), weights()
    steps(ours, Bare(ours, lr=0.1, **sgd), 0, 20)
    steps(theirs, torch.optim.SGD(theirs, lr=0.1, fused=True, **torchs), 0, 20)
    assert_equal(ours, theirs)


@pytest.mark.parametrize("name", ["Adagrad", "Adam", "AdamW", "ASGD", "NAdam", "RMSprop", "Rprop"])
def test_around_a_base_it_is_the_base_bitwise(name):
    base = getattr(torch.optim, name)
    ours, theirs = weights(), weights()
    optimizer = Bare(ours, base, lr=0.01)
    steps(ours, optimizer, 0, 20)
    steps(theirs, base(theirs, lr=0.01), 0, 20)
    assert_equal(ours, theirs)
    assert optimizer.state.keys() == set(ours)


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))])
def test_copies_go_on_alike_and_apart(clone):
    ours = weights()
    optimizer = Bare(ours, torch.optim.AdamW)
    steps(ours, optimizer, 0, 5)
    twin = clone(optimizer)
    twins = twin.param_groups[0]["params"]
    steps(ours, optimizer, 5, 10)
    steps(twins, twin, 5, 10)
    assert_equal(ours, twins)
    steps(twins, twin, 10, 11)
    assert not torch.equal(ours[0], twins[0])


def test_a_state_of_the_base_alone_is_accepted():
    ours, theirs = weights(), weights()
    reference = torch.optim.AdamW(theirs, lr=0.03)
    steps(theirs, reference, 0, 5)
    optimizer = Bare(ours, torch.optim.AdamW)
    with torch.no_grad():
        for p, q in zip(ours, theirs, strict=True):
            p.copy_(q)
    optimizer.load_state_dict(copy.deepcopy(reference.state_dict()))
    assert optimizer.param_groups[0]["extra"] == 1.5
    steps(ours, optimizer, 5, 10)
    steps(theirs, reference, 5, 10)
    assert_equal(ours, theirs)


def test_groups_that_come_later_are_the_base_s_too():
    a, b = weights()
    optimizer = Bare([a], torch.optim.AdamW)
    optimizer.add_param_group({"params": [b], "lr": 0.5, "extra": 2.0})
    c, d = weights()
    reference = torch.optim.AdamW([c], lr=0.05)
    reference.add_param_group({"params": [d], "lr": 0.5})
    steps([a, b], optimizer, 0, 5)
    steps([c, d], reference, 0, 5)
    assert_equal([a, b], [c, d])
    assert [group["extra"] for group in optimizer.param_groups] == [1.5, 2.0]


def test_it_may_be_the_base_of_a_relaxation():
    ours, theirs = weights(), weights()
    optimizer = EntropySGD(ours, lr=0.1, inner_steps=3, base=partial(Bare, momentum=0.5))
    reference = EntropySGD(
        theirs, lr=0.1, inner_steps=3,
        base=partial(torch.optim.SGD, momentum=0.5, nesterov=True, fused=True),
    )  # fmt: skip
    steps(ours, optimizer, 0, 7)
    steps(theirs, reference, 0, 7)
    assert_equal(ours, theirs)
    twin = copy.deepcopy(optimizer)
    again = weights(1)
    with torch.no_grad():
        for p, q in zip(again, ours, strict=True):
            p.copy_(q)
    loaded = EntropySGD(again, lr=0.1, inner_steps=3, base=partial(Bare, momentum=0.5))
    loaded.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    steps(ours, optimizer, 7, 14)
    steps(theirs, reference, 7, 14)
    steps(twin.param_groups[0]["params"], twin, 7, 14)
    steps(again, loaded, 7, 14)
    assert_equal(ours, theirs)
    assert_equal(ours, twin.param_groups[0]["params"])
    assert_equal(ours, again)


def test_it_may_be_around_another_one():
    ours, theirs = weights(), weights()
    optimizer = GradientNoise(ours, lr=0.1, eta=0.0, base=Bare)
    steps(ours, optimizer, 0, 5)
    steps(theirs, Bare(theirs, lr=0.1), 0, 5)
    state = copy.deepcopy(optimizer.state_dict())
    optimizer.load_state_dict(copy.deepcopy(state))
    reference = torch.optim.SGD(theirs, lr=0.1, momentum=0.9, nesterov=True, fused=True)
    reference.load_state_dict({**state, "param_groups": reference.state_dict()["param_groups"]})
    steps(ours, optimizer, 5, 9)
    steps(theirs, reference, 5, 9)
    assert_equal(ours, theirs)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"lr": -0.1}, "lr=-0.1 was given; it is at least 0 and finite: the step size of Bare"),
        (
            {"momentum": -0.5},
            "momentum=-0.5 was given; it is at least 0 and finite",
        ),
        ({"base": torch.optim.AdamW, "momentum": 0.5}, "Bare got momentum beside a base .*AdamW"),
        ({"base": torch.optim.LBFGS}, "a base that makes a LBFGS"),
        ({"base": Lookahead}, "a base that makes a Lookahead.* goes outside"),
        ({"base": lambda params, **_: params}, "a base that makes a list"),
        ({"base": Another}, "a base that has extra too"),
    ],
)
def test_it_refuses_what_makes_no_sense(arguments, message):
    with pytest.raises(ArgumentError, match=message):
        Bare(weights(), **arguments)
