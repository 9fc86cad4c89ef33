from pathlib import Path

import pytest

import wellposed.audit
from wellposed.audit import BUDGETS, CHECKS

FAMILIES = [
    "weights", "signal", "derivatives", "data", "generalization", "calibration", "invariance",
    "robustness", "curvature", "landscape", "training",
]  # fmt: skip


def test_names_are_those_of_public_functions_and_no_two_are_the_same():
    names = [check.name for check in CHECKS]
    assert len(set(names)) == len(names)
    for check in CHECKS:
        assert getattr(wellposed.audit, check.run.__name__) is check.run


def test_no_check_is_called_like_another_family():
    families = {check.family for check in CHECKS}
    assert all(c.name not in families or c.name == c.family for c in CHECKS)


def test_families_run_one_after_the_other_in_their_order():
    order = [FAMILIES.index(check.family) for check in CHECKS]
    assert order == sorted(order)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_a_check_says_what_it_answers_and_what_it_costs(check, subject, blobs):
    assert check.question.endswith("?")
    assert check.run.__doc__
    assert set(check.settings) <= set(BUDGETS)
    assert check.settings
    made = subject(data={"train": blobs(9000, 1), "test": blobs(30, 2)})  # enough for each budget
    costs = [check.gradients(made, budget) for budget in BUDGETS if budget in check.settings]
    assert costs == sorted(costs)
    assert all(cost >= 0 for cost in costs)


def test_the_guide_lists_every_check_with_its_question():
    guide = (Path(__file__).parents[2] / "docs" / "guide" / "audit.md").read_text()
    assert [c.name for c in CHECKS if f"| `{c.name}` | {c.question} |" not in guide] == []
    assert f"{len(CHECKS)} checks in eleven families" in guide
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    assert f"{len(CHECKS)} checks of signal" in readme
