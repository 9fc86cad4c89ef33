import pytest
import torch
from torch import nn
from torch.nn import functional

from wellposed.errors import ArgumentError
from wellposed.regularizers import AdversarialTraining


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    return torch.rand(8, 6, generator=generator), torch.arange(8) % 2


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 2))


def same_gradients(value, wanted, model):
    ours, theirs = (torch.autograd.grad(v, tuple(model.parameters())) for v in (value, wanted))
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-7)


def test_logistic_regression_in_closed_form():
    # With bounds far away the worst margin is m - eps |w_y - w_other|_q.
    torch.manual_seed(0)
    model = nn.Linear(6, 2).double()
    inputs, targets = torch.randn(7, 6, dtype=torch.float64), torch.arange(7) % 2
    outputs, w = model(inputs), model.weight
    margin = (outputs[:, 0] - outputs[:, 1]) * (1 - 2 * targets)
    for norm, order in (("linf", 1), ("l2", 2), ("l1", torch.inf)):
        term = AdversarialTraining(0.3, norm=norm, step=0.3, init="zero", bounds=(-100.0, 100.0))
        lost = 0.3 * torch.linalg.vector_norm(w[0] - w[1], order)
        worst = functional.softplus(lost - margin).mean()
        objective = term.objective(model, inputs, targets)
        torch.testing.assert_close(objective, worst, rtol=1e-12, atol=0)
        gap = worst - functional.softplus(-margin).mean()
        torch.testing.assert_close(term.penalty(model, inputs, targets), gap)


def test_fast_fgsm_is_its_plain_loop(batch, model):
    inputs, targets = batch
    eps = 0.1
    torch.manual_seed(3)
    found = AdversarialTraining(eps).objective(model, inputs, targets)

    torch.manual_seed(3)
    delta = torch.empty_like(inputs).uniform_(-eps, eps)
    x = (inputs + delta).clamp(0, 1).requires_grad_()
    (gradient,) = torch.autograd.grad(functional.cross_entropy(model(x), targets), x)
    moved = x.detach() + 1.25 * eps * gradient.sign()
    moved = moved.clamp(min=inputs - eps, max=inputs + eps).clamp(0, 1)
    wanted = functional.cross_entropy(model(moved), targets)
    torch.testing.assert_close(found, wanted)
    same_gradients(found, wanted, model)


def test_n_fgsm_is_its_plain_loop(batch, model):
    inputs, targets = batch
    eps = 0.1
    torch.manual_seed(4)
    found = AdversarialTraining(eps, init="wide").objective(model, inputs, targets)

    torch.manual_seed(4)
    noise = torch.empty_like(inputs).uniform_(-2 * eps, 2 * eps)
    x = (inputs + noise).clamp(0, 1).requires_grad_()
    (gradient,) = torch.autograd.grad(functional.cross_entropy(model(x), targets), x)
    moved = (x.detach() + eps * gradient.sign()).clamp(0, 1)
    wanted = functional.cross_entropy(model(moved), targets)
    torch.testing.assert_close(found, wanted)
    same_gradients(found, wanted, model)


def test_pgd_is_its_plain_loop(batch, model):
    inputs, targets = batch
    eps, step = 0.1, 0.04
    term = AdversarialTraining(eps, steps=4, step=step, init="zero")
    found = term.objective(model, inputs, targets)

    x = inputs
    for _ in range(4):
        x = x.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(functional.cross_entropy(model(x), targets), x)
        x = (x + step * gradient.sign()).clamp(min=inputs - eps, max=inputs + eps).clamp(0, 1)
    wanted = functional.cross_entropy(model(x.detach()), targets)
    torch.testing.assert_close(found, wanted)
    same_gradients(found, wanted, model)


def test_no_forward_pass_is_redundant(batch, model):
    seen = []
    model.register_forward_hook(lambda *_: seen.append(1))
    AdversarialTraining(0.1, steps=3).objective(model, *batch)
    assert len(seen) == 3 + 1


def test_the_step_is_chosen_by_the_number_of_steps():
    steps = {k: AdversarialTraining(0.1, steps=k).adversary.step for k in (1, 4)}
    assert steps == {1: pytest.approx(0.125), 4: pytest.approx(0.05)}
    assert AdversarialTraining(0.1, init="wide").adversary.step == pytest.approx(0.1)
    assert AdversarialTraining(0.1, step=0.07).adversary.step == 0.07


def test_the_mode_of_the_search_is_explicit(batch):
    # Batch norm with the statistics of the batch takes another way than with running ones.
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2))
    modes = {"eval": [], "train": []}
    for bn, seen in modes.items():
        handle = model.register_forward_pre_hook(lambda m, _, seen=seen: seen.append(m.training))
        AdversarialTraining(0.1, steps=2, bn=bn).objective(model, *batch)
        handle.remove()
    assert modes == {"eval": [False, False, True], "train": [True, True, True]}


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"eps": 0.0}, "radius eps > 0"),
        ({"norm": "l3"}, "norms linf, l2 and l1"),
        ({"steps": 0}, "steps >= 1"),
        ({"init": "near"}, "has init"),
        ({"bn": "both"}, "bn eval and train"),
    ],
)
def test_what_is_outside_its_range_is_refused(arguments, words):
    with pytest.raises(ArgumentError, match=words):
        AdversarialTraining(**{"eps": 0.1, **arguments})
