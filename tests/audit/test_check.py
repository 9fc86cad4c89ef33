import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from wellposed.audit import BUDGETS, Check, Descent, Subject, examine, plan
from wellposed.audit._check import forward, require_budget
from wellposed.errors import UnknownNameError
from wellposed.runs import Finding, Verdict

COUNTED = [
    "signal", "collapse", "dead-units", "taylor", "adjoint", "determinism", "batch-order", "modes",
    "coverage", "sharpness", "spectrum", "saddle", "noise-scale", "slice", "plane", "relaxed-slice",
]  # fmt: skip


class Multiplications(TorchDispatchMode):
    """Counts floating-point operations of matrix products and convolutions, also backward."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        found = func(*args, **(kwargs or {}))
        if func._overloadpacket in flop_registry:
            kwargs = (kwargs or {}) | {"out_val": found}
            self.count += flop_registry[func._overloadpacket](*args, **kwargs)
        return found


@pytest.fixture
def pictures():
    """A convolutional network with a train part of 96 small pictures, and a test part of 32."""

    def make(**more):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = nn.Sequential(
                nn.Conv2d(2, 4, 3, padding=1), nn.Tanh(), nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(),
                nn.Flatten(), nn.Linear(144, 12), nn.Tanh(), nn.Linear(12, 3),
            )  # fmt: skip
            parts = {
                part: (torch.randn(n, 2, 6, 6), torch.arange(n) % 3)
                for part, n in (("train", 96), ("test", 32))
            }
        return Subject(model.eval(), parts, **more)

    return make


@pytest.fixture
def counted(pictures):
    """(stated, counted) gradient evaluations of one example, by the name of a check."""

    def count(name):
        made = pictures()
        x, y = made.take("train", 32)
        with Multiplications() as one:
            torch.autograd.grad(made.objective(x, y), made.parameters)
        agenda = plan(made, [name])
        with Multiplications() as all_of_it:
            finding = examine(made, agenda).findings[0]
        assert not finding.statement.startswith("Not checked")
        return agenda.total, all_of_it.count / one.count * 32

    return count


def batch_order(subject, *, examples=5):
    return Finding("batch-order", Verdict.PASS, f"{examples} looked at.")


@pytest.fixture
def check():
    return Check(
        batch_order,
        family="derivatives",
        question="?",
        cost=lambda subject, examples=5: forward(examples * len(subject.parts)),
        settings={"quick": {"examples": 30}, "standard": {}},
    )


def test_its_name_is_that_of_its_function(check):
    assert check.name == "batch-order"


def test_its_cost_follows_the_settings_of_the_budget(check, subject):
    made = subject()  # with two parts
    assert [check.gradients(made, budget) for budget in BUDGETS] == [20, 3, 0]


@pytest.mark.parametrize(("examples", "cost"), [(0, 0), (1, 0), (2, 1), (3, 1), (100, 33)])
def test_a_forward_pass_is_a_third_of_a_gradient(examples, cost):
    assert forward(examples) == cost


def test_a_budget_has_one_of_three_names():
    assert [require_budget(name) for name in BUDGETS] == ["quick", "standard", "deep"]
    with pytest.raises(UnknownNameError, match=r"no budget is called 'standart'.*'standard'"):
        require_budget("standart")


@pytest.mark.parametrize("name", COUNTED)
def test_what_a_check_states_is_what_it_computes(name, counted):
    stated, spent = counted(name)
    assert stated / 1.5 < spent < 1.5 * stated


def test_shared_work_is_stated_once_and_by_whoever_is_alone(pictures):
    alone = {name: plan(pictures(), [name]).total for name in ("sharpness", "spectrum", "saddle")}
    assert alone["sharpness"] < alone["spectrum"] < alone["saddle"]
    together = plan(pictures(), list(alone))
    assert together.gradients[0] == alone["sharpness"]
    assert together.total == alone["saddle"]
    assert plan(pictures(), ["saddle", "noise-scale"]).gradients[1] == 2 * 96


def test_adam_has_a_krylov_run_of_its_own(pictures):
    adam = plan(
        pictures(descent=Descent("adamw", 1e-3, betas=(0.9, 0.999))), ["sharpness", "spectrum"]
    )
    plain = plan(pictures(), ["sharpness", "spectrum"])
    assert adam.gradients[1] == plan(pictures(), ["spectrum"]).total > plain.gradients[1]
