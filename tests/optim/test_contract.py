"""What every optimizer of the namespace must do, torch's own included."""

import inspect
import json
from functools import partial

import pytest
import torch
from safetensors.torch import load, save
from tests.optim.members import OURS
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from wellposed import optim
from wellposed.optim._large_sample import LargeSample

# Many evaluations per step: no step without a closure. Ours are held to test_large_sample.py.
CLOSURE_ONLY = {
    name
    for name, value in vars(optim).items()
    if isinstance(value, type) and issubclass(value, (optim.LBFGS, LargeSample))
}
LOSS_ONLY = {"KieferWolfowitz", "MeZO", "SPSA"}  # no gradients: see test_zeroth_order.py
SPARSE_ONLY = {"SparseAdam"}
PUBLIC = {
    name: value
    for name, value in vars(optim).items()
    if isinstance(value, type)
    and issubclass(value, optim.Optimizer)
    and not inspect.isabstract(value)
    and name not in {"Optimizer", *CLOSURE_ONLY, *LOSS_ONLY, *SPARSE_ONLY}
}
EVERY = {**{name: partial(cls, lr=0.01) for name, cls in PUBLIC.items()}, **OURS}

every = pytest.mark.parametrize("make", EVERY.values(), ids=EVERY)
ours = pytest.mark.parametrize("make", OURS.values(), ids=OURS)


def matrices(count=3, dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    return [nn.Parameter(torch.randn(3, 3, generator=generator).to(dtype)) for _ in range(count)]


def give_gradients(params, step):
    generator = torch.Generator().manual_seed(step)
    for p in params:
        p.grad = torch.randn(p.shape, generator=generator).to(p.dtype)


def test_everything_of_torch_is_here():
    for name in torch.optim.__all__:
        value = getattr(torch.optim, name)
        if isinstance(value, type):
            assert getattr(optim, name) is value
    for name in torch.optim.lr_scheduler.__all__:
        assert getattr(optim, name) is getattr(torch.optim.lr_scheduler, name)


def test_every_class_of_ours_is_among_the_members():
    ours = {value for value in PUBLIC.values() if value.__module__.startswith("wellposed")}
    assert ours == {make.func for make in OURS.values()}


def test_every_class_of_ours_says_whom_to_cite():
    for value in (*PUBLIC.values(), *map(vars(optim).get, CLOSURE_ONLY)):
        if value.__module__.startswith("wellposed"):
            assert value.citation.startswith("@")


@every
@pytest.mark.parametrize("at", [1, 7, 10])
def test_a_run_resumes_bitwise_at_any_step(make, at):
    straight = matrices()
    optimizer = make(straight)
    for step in range(14):
        give_gradients(straight, step)
        optimizer.step()
    first = matrices()
    before = make(first)
    for step in range(at):
        give_gradients(first, step)
        before.step()
    state = before.state_dict()
    second = [nn.Parameter(p.detach().clone()) for p in first]
    after = make(second)
    after.load_state_dict(state)
    for step in range(at, 14):
        give_gradients(second, step)
        after.step()
    assert all(torch.equal(a, b) for a, b in zip(straight, second, strict=True))


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


@ours
@pytest.mark.parametrize("evaluating", [False, True])
def test_a_run_resumes_bitwise_through_safetensors_and_json(make, evaluating):
    first = matrices()
    before = make(first)
    for step in range(7):
        give_gradients(first, step)
        before.step()
    if evaluating and hasattr(before, "eval"):
        before.eval()  # as the Hugging Face Trainer does before it saves
    second = [nn.Parameter(p.detach().clone()) for p in first]
    after = make(second)
    after.load_state_dict(through_files(before.state_dict()))
    for optimizer in (before, after):
        if hasattr(optimizer, "train"):
            optimizer.train()
    for step in range(7, 14):
        for params, optimizer in ((first, before), (second, after)):
            give_gradients(params, step)
            optimizer.step()
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@every
def test_parameters_without_gradients_are_left_alone(make):
    moving, idle = matrices(2)
    before = idle.detach().clone()
    optimizer = make([moving, idle])
    for step in range(6):
        give_gradients([moving], step)
        optimizer.step()
    assert torch.equal(idle, before)


@ours
def test_a_step_without_any_gradient_moves_nothing(make):
    params = matrices()
    before = [p.detach().clone() for p in params]
    optimizer = make(params)
    for _ in range(6):
        optimizer.step()
    assert all(torch.equal(a, b) for a, b in zip(params, before, strict=True))


@every
def test_gradients_are_not_touched(make):
    params = matrices()
    optimizer = make(params)
    give_gradients(params, 0)
    kept = [p.grad for p in params]
    values = [g.clone() for g in kept]
    for _ in range(6):
        optimizer.step()
    assert all(p.grad is g for p, g in zip(params, kept, strict=True))
    assert all(torch.equal(g, v) for g, v in zip(kept, values, strict=True))


@pytest.mark.parametrize("make", [m for n, m in EVERY.items() if n != "Rprop"])  # it ignores lr
def test_groups_keep_their_own_step_size(make):
    still, moving = matrices(2)
    before = still.detach().clone()
    optimizer = make([{"params": [still], "lr": 0.0}, {"params": [moving]}])
    for step in range(6):
        give_gradients([still, moving], step)
        optimizer.step()
    torch.testing.assert_close(still, before, rtol=0, atol=0)
    assert not torch.equal(moving, matrices(2)[1])


@every
def test_bfloat16_weights_stay_bfloat16_and_finite(make):
    params = matrices(dtype=torch.bfloat16)
    optimizer = make(params)
    for step in range(6):
        give_gradients(params, step)
        optimizer.step()
    assert all(p.dtype == torch.bfloat16 and torch.isfinite(p).all() for p in params)


class CountOps(TorchDispatchMode):
    """Counts the tensor operations dispatched while it is active."""

    total = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.total += 1
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(  # AdamW counts its steps in one tensor per parameter
    "make", [m for m in OURS.values() if "base" not in m.keywords],
    ids=[n for n, m in OURS.items() if "base" not in m.keywords],
)  # fmt: skip
def test_a_step_costs_no_more_operations_for_more_tensors(make):
    def operations(tensors):
        params = matrices(tensors)
        optimizer = make(params)
        give_gradients(params, 0)
        counts = []
        for _ in range(14):  # two cycles and their ends; the first may make state
            with CountOps() as ops:
                optimizer.step()
            counts.append(ops.total)
        return counts[7:]

    assert operations(16) == operations(4)


@ours
def test_the_global_random_generator_is_left_alone(make):
    params = matrices()
    optimizer = make(params)
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    for step in range(6):
        give_gradients(params, step)
    torch.manual_seed(3)
    for _ in range(6):
        optimizer.step()
    assert torch.equal(torch.rand(1), expected)


@ours
def test_a_closure_is_called_once_and_its_loss_returned(make):
    params = matrices()
    optimizer = make(params)
    calls = []

    def closure():
        optimizer.zero_grad()
        loss = sum(p.square().sum() for p in params)
        loss.backward()
        calls.append(loss.item())
        return loss

    for step in range(6):
        assert optimizer.step(closure).item() == calls[step]
    assert len(calls) == 6
    assert calls[-1] < calls[0]


@ours
def test_torchs_schedulers_act_on_lr(make):
    params = matrices()
    optimizer = make(params)
    scheduler = optim.CosineAnnealingLR(optimizer, T_max=4)
    initial = optimizer.param_groups[0]["lr"]
    for step in range(4):
        give_gradients(params, step)
        optimizer.step()
        scheduler.step()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.0, abs=1e-12)
    frozen = [p.detach().clone() for p in params]
    assert initial > 0
    if isinstance(optimizer, optim.Anchored) and optimizer.phase[0] == 0:
        optimizer.step()
        assert all(torch.equal(a, b) for a, b in zip(params, frozen, strict=True))


@ours
def test_named_parameters_are_accepted(make):
    model = nn.Linear(2, 2)
    optimizer = make(list(model.named_parameters()))
    give_gradients(model.parameters(), 0)
    optimizer.step()
    assert optimizer.state_dict()["param_groups"][0]["param_names"] == ["weight", "bias"]


@pytest.mark.parametrize(
    "cls",
    [
        value
        for value in (*PUBLIC.values(), *map(vars(optim).get, sorted(CLOSURE_ONLY)))
        if "wellposed" in value.__module__
    ],
)
def test_arguments_are_documented(cls):
    documented = inspect.getdoc(cls)
    for name in inspect.signature(cls).parameters:
        assert f"{name}:" in documented
