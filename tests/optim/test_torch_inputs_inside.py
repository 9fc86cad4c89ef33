"""Every optimizer of torch, with every argument set of torch's tests, inside the other members.

`test_torch_inputs.py` has the cycle of a relaxation; here are that of a fixed point, and what works
around gradients. Each member gets each base once, with its default arguments.
"""

import copy
import inspect
from functools import partial

import pytest
import torch
from tests.optim.members import ONE_EACH
from tests.optim.tiny import copies, equal, switch, weights

from wellposed import optim

pytestmark = pytest.mark.slow
common = pytest.importorskip("torch.testing._internal.common_optimizers")
# Importing it forbids, for the whole process, to set flags such as torch.backends.cudnn.benchmark.
torch.backends.__allow_nonbracketed_mutation_flag = True

INFOS = {info.optim_cls.__name__: info for info in common.optim_db}
# LBFGS wants many gradients per step, SparseAdam sparse gradients.
BASES = [name for name in INFOS if name not in {"LBFGS", "SparseAdam"}]
SHAPES = ((4, 3), (3, 3))  # Muon is for matrices


def cases():
    for name in BASES:
        listed = common._get_optim_inputs_including_global_cliquey_kwargs(
            "cpu", torch.float32, INFOS[name], skip=("differentiable",)
        )
        for i, entry in enumerate(listed):
            kwargs = {k: v for k, v in entry.kwargs.items() if k != "differentiable"}
            yield pytest.param(name, kwargs, id=f"{name}: {i} {entry.desc}")


every = pytest.mark.parametrize(("name", "kwargs"), list(cases()))


def base_of(name, kwargs):
    """The base without its lr, and that."""
    kwargs = copy.deepcopy(kwargs)
    lr = kwargs.pop("lr", 1e-3)
    return partial(INFOS[name].optim_cls, **kwargs), lr


def steps(params, optimizer, first, last, repeat=1):
    for step in range(first, last):
        generator = torch.Generator().manual_seed(step)
        grads = [torch.randn(p.shape, generator=generator) for p in params]
        for _ in range(repeat):
            for p, grad in zip(params, grads, strict=True):
                p.grad = grad.clone()
            optimizer.step()


@every
@pytest.mark.parametrize("mean", [None, "uniform"])
def test_a_picard_cycle_resumes_bitwise(name, kwargs, mean):
    base, lr = base_of(name, kwargs)
    params = weights(shapes=SHAPES)
    made = partial(optim.Picard, base=base, lr=lr, inner_steps=3, pde_time=0.1, mean=mean)
    optimizer = made(params)
    steps(params, optimizer, 0, 5)
    twins = copies(params)
    again = made(twins)
    again.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    steps(params, optimizer, 5, 10)
    steps(twins, again, 5, 10)
    assert equal(params, twins)
    assert all(torch.isfinite(p).all() for p in params)


LIMITS = {
    "Picard": partial(optim.Picard, inner_steps=2),
    "LaplacianSmoothing": partial(optim.LaplacianSmoothing, sigma=0.0),
    "GradientNoise": partial(optim.GradientNoise, eta=0.0),
    "PolyakRuppert": optim.PolyakRuppert,
    "Lookahead": partial(optim.Lookahead, outer_lr=1.0, inner_steps=4),
}


@every
@pytest.mark.parametrize("around", LIMITS)
def test_switched_off_it_is_what_torch_has_bitwise(name, kwargs, around):
    theirs, ours = weights(shapes=SHAPES), weights(shapes=SHAPES)
    base, _ = base_of(name, kwargs)
    reference = INFOS[name].optim_cls(theirs, **copy.deepcopy(kwargs))
    lr = copy.deepcopy(kwargs.get("lr", reference.defaults["lr"]))
    optimizer = LIMITS[around](ours, base=base, lr=lr)
    steps(theirs, reference, 0, 8)
    steps(ours, optimizer, 0, 8, repeat=2 if around == "Picard" else 1)
    assert equal(ours, theirs)


AROUND = {
    name: make for name, make in ONE_EACH.items() if "base" in inspect.signature(make).parameters
}


@pytest.mark.parametrize("name", BASES)
@pytest.mark.parametrize("make", AROUND.values(), ids=AROUND)
def test_every_member_around_every_base_goes_on_from_its_state(make, name):
    made = partial(make, base=INFOS[name].optim_cls, lr=1e-2)
    params = weights(shapes=SHAPES)
    optimizer = made(params)
    steps(params, optimizer, 0, 7)
    switch(optimizer, to_anchor=True)
    twins = copies(params)
    again = made(twins)
    again.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    switch(optimizer, to_anchor=False)
    switch(again, to_anchor=False)
    steps(params, optimizer, 7, 13)
    steps(twins, again, 7, 13)
    assert equal(params, twins)
    assert not equal(params, weights(shapes=SHAPES))
    assert all(torch.isfinite(p).all() for p in params)
