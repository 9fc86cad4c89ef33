import pytest
import torch
from torch import nn
from torch.nn import functional

from wellposed.errors import ArgumentError
from wellposed.regularizers import Trades
from wellposed.regularizers._trades import divergence


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    return torch.rand(8, 6, generator=generator), torch.arange(8) % 3


def network(norm):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(6, 16), nn.BatchNorm1d(16) if norm else nn.Identity(), nn.Tanh(), nn.Linear(16, 3)
    )


def plain_loop(model, inputs, targets, eps, beta, steps, step):
    """The method as its paper writes it down, f(x) anew wherever it is needed."""
    model.eval()
    x = (inputs + torch.empty_like(inputs).normal_(std=0.001)).clamp(
        min=inputs - eps, max=inputs + eps
    )
    x = x.clamp(0, 1)
    for _ in range(steps):
        x = x.detach().requires_grad_()
        value = functional.kl_div(
            model(x).log_softmax(1), model(inputs).softmax(1), reduction="sum"
        )
        (gradient,) = torch.autograd.grad(value, x)
        x = (x + step * gradient.sign()).clamp(min=inputs - eps, max=inputs + eps).clamp(0, 1)
    model.train()
    robust = functional.kl_div(
        model(x.detach()).log_softmax(1), model(inputs).softmax(1), reduction="batchmean"
    )
    return functional.cross_entropy(model(inputs), targets) + beta * robust


@pytest.mark.parametrize("norm", [False, True])
def test_it_is_its_plain_loop_without_the_redundant_passes(batch, norm):
    eps, beta, steps, step = 0.1, 6.0, 3, 0.05
    model, passes = network(norm), []
    handle = model.register_forward_hook(lambda *_: passes.append(1))
    torch.manual_seed(5)
    found = Trades(eps, beta=beta, steps=steps, step=step).objective(model, *batch)
    handle.remove()
    assert len(passes) == steps + 2 + norm

    other = network(norm)
    torch.manual_seed(5)
    wanted = plain_loop(other, *batch, eps, beta, steps, step)
    torch.testing.assert_close(found, wanted)
    found.backward()
    wanted.backward()
    for a, b in zip(model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-5, atol=1e-6)


def test_labels_play_no_part_in_r(batch):
    model = network(norm=False)
    term = Trades(0.1, steps=2)
    found = []
    for targets in (batch[1], batch[1].flip(0)):
        torch.manual_seed(1)
        found.append(term.penalty(model, batch[0], targets))
    assert torch.equal(*found)


def test_the_divergence_is_that_of_the_probabilities():
    a, b = torch.randn(5, 4, dtype=torch.float64), torch.randn(5, 4, dtype=torch.float64)
    p, q = a.softmax(1), b.softmax(1)
    torch.testing.assert_close(divergence(a, b), (p * (p / q).log()).sum(1))
    assert torch.equal(divergence(a, a), torch.zeros(5, dtype=torch.float64))
    huge = torch.tensor([[1e4, 0.0], [0.0, 1e4]])
    assert divergence(huge, huge.flip(0)).isfinite().all()


def test_what_is_no_classifier_is_refused(batch):
    with pytest.raises(ArgumentError, match=r"classes >= 2\), got \(8, 1\)"):
        Trades(0.1).objective(nn.Linear(6, 1), batch[0], batch[1].float())


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("arguments", "words"),
    [({"beta": -1.0}, "beta >= 0"), ({"bn": "off"}, "bn eval and train"), ({"steps": 0}, "steps")],
)
def test_what_is_outside_its_range_is_refused(arguments, words):
    with pytest.raises(ArgumentError, match=words):
        Trades(**{"eps": 0.1, **arguments})
