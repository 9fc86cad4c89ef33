import re
import textwrap
from pathlib import Path

import pytest
import torch
from torch import nn

import wellposed.audit
from wellposed.audit import BUDGETS, CHECKS, Descent, examine
from wellposed.cli._audit_progress import value_words
from wellposed.recipe import Recipe
from wellposed.recipe._check import check as check_recipe

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


class Times(nn.Module):
    def __init__(self, factor, *, only_eval=False):
        super().__init__()
        self.factor, self.only_eval = factor, only_eval

    def forward(self, x):
        return x if self.only_eval and self.training else x * self.factor


class Torn(nn.Module):
    """Divides by what is 0 half of the time."""

    def forward(self, x):
        return x / (torch.rand_like(x) > 0.5)


NOT_FINITE = {
    "beyond float32 in eval mode": lambda: Times(1e39, only_eval=True),
    "beyond float32 after a step": lambda: Times(1e38),
    "dead": lambda: Times(0.0),
    "random": Torn,
}
QUICK = [
    "weights", "signal", "taylor", "determinism", "batch-order", "modes", "coverage", "inputs",
    "spectral-margin", "memorization", "calibration", "noise-scale", "slice",
]  # fmt: skip


@pytest.mark.parametrize("kind", NOT_FINITE)
def test_what_is_not_finite_is_told_in_words(kind, subject, net):
    model = net(0, nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 4), NOT_FINITE[kind](), nn.Linear(4, 3))
    initial = {name: value * torch.inf for name, value in model.state_dict().items()}
    made = subject(model, initial=initial, descent=Descent("sgd", 0.1, batch_size=16))
    for finding in examine(made, QUICK, "quick").findings:
        source = finding.threshold.source if finding.threshold else ""
        told = finding.statement, finding.remedy, finding.verified, source, value_words(finding)
        assert not re.search(r"\b(inf|nan)\b", " ".join(told)), finding


def test_what_remedies_say_of_a_recipe_is_a_recipe():
    recipe = """
        data = "digits"
        model = "mlp"
        optimizer = {name = "sam", lr = 0.1}
        [train]
        clip_norm = 1
        batch_size = 32
        deterministic = true
        patience = 3
        [[schedule]]
        name = "cosine"
        warmup = 0.05
        [[regularizer]]
        name = "adversarialtraining"
        eps = 0.01
    """
    check_recipe(Recipe.parse(textwrap.dedent(recipe)))
