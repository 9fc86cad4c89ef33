"""The inputs on which torch tests its own optimizers, over EntropySGD and what else has a base.

Every argument set of torch's tests for SGD goes to the built-in inner SGD, every set for the other
optimizers to a base inside; what torch expects of SGD then, we expect of EntropySGD, and what it
expects to be refused is refused.
"""

import copy
import warnings
from functools import partial

import pytest
import torch
from torch import nn

from wellposed.optim import (
    EntropySGD,
    GradientNoise,
    LaplacianSmoothing,
    PolyakRuppert,
    Relaxation,
)

pytestmark = pytest.mark.slow
common = pytest.importorskip("torch.testing._internal.common_optimizers")
# Importing it forbids, for the whole process, to set flags such as torch.backends.cudnn.benchmark.
torch.backends.__allow_nonbracketed_mutation_flag = True

INFOS = {info.optim_cls.__name__: info for info in common.optim_db}
# LBFGS wants many gradients per step, SparseAdam sparse gradients.
BASES = [name for name in INFOS if name not in {"LBFGS", "SparseAdam"}]


def inputs(name):
    """Argument sets, with the implementations that torch has for them, each once."""
    listed = common._get_optim_inputs_including_global_cliquey_kwargs(
        "cpu", torch.float32, INFOS[name], skip=("differentiable",)
    )
    for entry in listed:
        entry.kwargs.pop("differentiable", None)
    return {f"{i} {entry.desc}": entry.kwargs for i, entry in enumerate(listed)}


def make(name, kwargs):
    """EntropySGD with these arguments in its inner steps: a function of the parameters."""
    kwargs = copy.deepcopy(kwargs)
    if name == "SGD":
        plain = {"momentum": 0.0, "nesterov": False, "lr": 1e-3}
        return partial(EntropySGD, inner_steps=3, gamma=0.1, **{**plain, **kwargs})
    lr = kwargs.pop("lr", 1e-3)
    base = partial(INFOS[name].optim_cls, **kwargs)
    return partial(EntropySGD, inner_steps=3, gamma=0.1, lr=lr, base=base)


def cases():
    return [
        pytest.param(name, kwargs, id=f"{name}: {description}")
        for name in BASES
        for description, kwargs in inputs(name).items()
    ]


every = pytest.mark.parametrize(("name", "kwargs"), cases())


def matrices(dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    return [nn.Parameter(torch.randn(4, 3, generator=generator).to(dtype)) for _ in range(3)]


def steps(params, optimizer, first, last):
    for step in range(first, last):
        generator = torch.Generator().manual_seed(step)
        for p in params:
            p.grad = torch.randn(p.shape, generator=generator).to(p.dtype)
        optimizer.step()


@every
def test_it_resumes_from_its_state_bitwise(name, kwargs):
    params = matrices()
    optimizer = make(name, kwargs)(params)
    steps(params, optimizer, 0, 5)
    twins = [nn.Parameter(p.detach().clone()) for p in params]
    again = make(name, kwargs)(twins)
    again.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    steps(params, optimizer, 5, 10)
    steps(twins, again, 5, 10)
    assert all(torch.equal(p, q) for p, q in zip(params, twins, strict=True))
    assert all(torch.isfinite(p).all() for p in params)


@every
def test_without_pull_and_mean_it_is_what_torch_has(name, kwargs):
    theirs, ours = matrices(), matrices()
    arguments = copy.deepcopy(kwargs)
    reference = INFOS[name].optim_cls(theirs, **arguments)
    lr = arguments.pop("lr", reference.defaults["lr"])
    if name == "SGD":
        optimizer = Relaxation(ours, lr=lr, **{"momentum": 0.0, "nesterov": False, **arguments})
    else:
        base = partial(INFOS[name].optim_cls, **arguments)
        optimizer = Relaxation(ours, base, lr=lr, inner_steps=4)
    steps(theirs, reference, 0, 10)
    steps(ours, optimizer, 0, 10)
    assert all(torch.equal(p, q) for p, q in zip(ours, theirs, strict=True))


AROUND = {
    "GradientNoise": GradientNoise,
    "LaplacianSmoothing": LaplacianSmoothing,
    "PolyakRuppert": partial(PolyakRuppert, start=2),
}
around = pytest.mark.parametrize("outer", AROUND.values(), ids=AROUND)


def put_around(outer, name, kwargs):
    """The optimizer of torch with these arguments inside: a function of the parameters."""
    kwargs = copy.deepcopy(kwargs)
    lr = kwargs.pop("lr", 1e-3)
    return partial(outer, lr=lr, base=partial(INFOS[name].optim_cls, **kwargs))


@every
@around
def test_what_is_around_a_base_resumes_from_its_state_bitwise(outer, name, kwargs):
    params = matrices()
    optimizer = put_around(outer, name, kwargs)(params)
    steps(params, optimizer, 0, 5)
    twins = [nn.Parameter(p.detach().clone()) for p in params]
    again = put_around(outer, name, kwargs)(twins)
    again.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    copied = copy.deepcopy(optimizer)
    copies = copied.param_groups[0]["params"]
    for group, made in ((params, optimizer), (twins, again), (copies, copied)):
        steps(group, made, 5, 10)
    assert all(torch.equal(p, q) for p, q in zip(params, twins, strict=True))
    assert all(torch.equal(p, q) for p, q in zip(params, copies, strict=True))
    assert all(torch.isfinite(p).all() for p in params)


@every
def test_where_nothing_is_done_around_a_base_it_is_what_torch_has(name, kwargs):
    theirs = matrices()
    reference = INFOS[name].optim_cls(theirs, **{"lr": 1e-3, **copy.deepcopy(kwargs)})
    steps(theirs, reference, 0, 10)
    for outer in (
        partial(GradientNoise, eta=0.0), partial(LaplacianSmoothing, sigma=0.0), PolyakRuppert
    ):  # fmt: skip
        ours = matrices()
        steps(ours, put_around(outer, name, kwargs)(ours), 0, 10)
        assert all(torch.equal(p, q) for p, q in zip(ours, theirs, strict=True))


@every
def test_copies_go_on_alike(name, kwargs):
    params = matrices()
    optimizer = make(name, kwargs)(params)
    steps(params, optimizer, 0, 4)
    twin = copy.deepcopy(optimizer)
    steps(params, optimizer, 4, 9)
    twins = twin.param_groups[0]["params"]
    steps(twins, twin, 4, 9)
    assert all(torch.equal(p, q) for p, q in zip(params, twins, strict=True))


@every
def test_without_gradients_nothing_moves(name, kwargs):
    params = matrices()
    before = [p.detach().clone() for p in params]
    optimizer = make(name, kwargs)(params)
    for _ in range(4):
        optimizer.step()
    assert all(torch.equal(p, b) for p, b in zip(params, before, strict=True))


@every
def test_the_objective_goes_down(name, kwargs):
    if name in {"Adadelta", "Adafactor"}:
        kwargs = {**kwargs, "lr": 1.0 if name == "Adadelta" else 0.05}
    p = matrices()[0]
    optimizer = make(name, kwargs)([p])
    sign = -1 if kwargs.get("maximize") else 1

    def closure():
        optimizer.zero_grad()
        loss = p.square().sum()
        (sign * loss).backward()
        return loss

    first = optimizer.step(closure)
    for _ in range(30):
        last = optimizer.step(closure)
    assert last < first


@pytest.mark.parametrize("name", ["SGD", "AdamW"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.complex64])
def test_other_dtypes(name, dtype):
    for kwargs in inputs(name).values():
        if kwargs.get("fused") and dtype.is_complex:
            continue  # torch's fused kernels are for real numbers
        params = matrices(dtype)
        optimizer = make(name, kwargs)(params)
        steps(params, optimizer, 0, 5)
        with optimizer.at_anchor():
            assert all(torch.isfinite(p.abs()).all() for p in params)
        assert all(p.dtype == dtype for p in params)


@pytest.mark.parametrize("schedule", range(len(INFOS["SGD"].scheduler_inputs[0])))
def test_torchs_schedulers(schedule):
    p = matrices()[0]
    optimizer = EntropySGD([p], lr=0.01, inner_steps=3)
    scheduler = INFOS["SGD"].scheduler_inputs[0][schedule](optimizer)
    first = p.square().sum().item()
    for _ in range(20):
        p.grad = 2 * p.detach()
        optimizer.step()
        if isinstance(scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau):
            scheduler.step(p.square().sum().item())
        else:
            scheduler.step()
    assert p.square().sum().item() < first


@pytest.mark.parametrize(
    "case",
    INFOS["SGD"].optim_error_inputs_func("cpu", torch.float32),
    ids=lambda case: case.optimizer_error_input.desc,
)
def test_what_torch_refuses_is_refused(case):
    entry = case.optimizer_error_input
    params = matrices() if entry.params is None else entry.params
    if case.error_type is UserWarning:
        with pytest.warns(UserWarning, match=case.error_regex):
            EntropySGD(params, **entry.kwargs)
        return
    with warnings.catch_warnings(), pytest.raises(case.error_type):
        EntropySGD(params, **entry.kwargs)
