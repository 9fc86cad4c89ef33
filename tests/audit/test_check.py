import pytest

from wellposed.audit import BUDGETS, Check
from wellposed.audit._check import forward, require_budget
from wellposed.errors import UnknownNameError
from wellposed.runs import Finding, Verdict


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
