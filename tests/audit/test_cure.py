import pytest
import torch
from tests.audit.deep import chain, examples
from torch import nn

from wellposed.audit import Subject
from wellposed.audit._cure import IN_RECIPES, INITIALIZERS, NORMALIZED, Cure, anew, cure
from wellposed.recipe import Recipe
from wellposed.recipe._check import check


def spread(model):
    """Largest over smallest root mean square weight: what these tests make small."""
    sizes = [float(p.detach().square().mean().sqrt()) for p in model.parameters() if p.dim() > 1]
    return max(sizes) / min(sizes)


def test_takes_the_first_that_is_enough_and_leaves_the_model_alone():
    model = chain(3, 12)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    found = cure(Subject(model, examples()), spread, enough=1e9)
    assert found.name == "wellposed.init.He()"
    assert list(found.tried) == [found.name]
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


def test_tries_all_and_takes_the_best_where_none_is_enough():
    model = chain(3, 12)
    values = iter([5.0, 4.0, 2.0, 3.0, 7.0])
    found = cure(Subject(model, examples()), lambda _: next(values), enough=1.0)
    assert list(found.tried) == [*(name for name, _ in INITIALIZERS), NORMALIZED]
    assert (found.name, found.value) == (INITIALIZERS[2][0], 2.0)


def test_the_same_seed_gives_the_same_weights():
    subject = Subject(chain(3, 12), examples())
    assert cure(subject, spread, enough=0) == cure(subject, spread, enough=0)


def test_normalization_is_measured_with_outputs_of_mean_0_and_variance_1():
    model = nn.Sequential(nn.Linear(12, 6), nn.ReLU(), nn.Linear(6, 3))
    x = examples()["train"][0]

    def deviation(twin):
        out = twin[0](x)
        return float(out.mean(0).abs().max() + (out.var(0, correction=0) - 1).abs().max())

    found = cure(Subject(model, examples()), lambda m: deviation(m.requires_grad_(False)), enough=0)
    assert found.tried[NORMALIZED] < 1e-3


def test_what_has_no_layers_or_cannot_be_copied_is_not_cured():
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.eye(12))
            self.kept = self.w * 1.0  # no leaf: torch cannot copy it

        def forward(self, x):
            return x @ self.w

    found = cure(Subject(Own(), examples()), lambda _: 1.0, enough=0)
    assert (found.name, found.value) == ("", None)


def test_a_recipe_s_words_mean_the_same_initializer():
    assert list(IN_RECIPES) == [name for name, _ in INITIALIZERS]
    for name, initializer in INITIALIZERS:
        text = f'{IN_RECIPES[name]}\ndata = "digits"\nmodel = "mlp"\noptimizer = "sgd"'
        same = check(Recipe.parse(text)).init()
        assert type(same) is type(initializer)
        assert getattr(same, "gain", 1.0) == pytest.approx(getattr(initializer, "gain", 1.0), 1e-4)


def test_remedies_are_told_in_python_and_in_a_recipe():
    assert anew() == 'wellposed.init.He(), in a recipe init = "he"'
    assert Cure("wellposed.init.He()", 1.0, {}).words == anew()
    assert Cure(NORMALIZED, 1.0, {}).words == NORMALIZED
