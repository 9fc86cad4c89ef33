import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from wellposed.errors import ArgumentError
from wellposed.losses import CrossEntropy, SquaredError
from wellposed.optim import (
    LBFGS,
    SGD,
    SPSA,
    AdamW,
    ArmijoLBFGS,
    EntropySGD,
    KieferWolfowitz,
    MeZO,
    NewtonCG,
)
from wellposed.problem import Problem
from wellposed.regularizers import L2, AdversarialTraining, InputGradient
from wellposed.train import steps

OPTIMIZERS = {
    "sgd": lambda w: SGD(w, lr=0.1, momentum=0.9),
    "adamw": lambda w: AdamW(w, lr=0.01),
    "lbfgs": lambda w: LBFGS(w, lr=0.1, max_iter=4),
    "armijolbfgs": lambda w: ArmijoLBFGS(w, iterations=2),
    "entropysgd": lambda w: EntropySGD(w, lr=0.1, inner_steps=3, temperature=1e-6),
}


def line(seed=0):
    torch.manual_seed(seed)
    return nn.Linear(5, 3)


def descend(model, optimizer, data, *, loss=None, regularizer=None, **more):
    return list(
        steps(Problem(None, model, loss or CrossEntropy(), regularizer), optimizer, data, **more)
    )


def batches(count, size=8):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(count, size, 5, generator=generator)
    y = torch.randint(0, 3, (count, size), generator=generator)
    return list(zip(x, y, strict=True))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_equals_the_loop_one_would_write(name):
    data = batches(7)
    ours, theirs = line(), line()
    found = list(
        steps(Problem(None, ours, CrossEntropy()), OPTIMIZERS[name](ours.parameters()), data)
    )

    optimizer = OPTIMIZERS[name](theirs.parameters())
    expected = []
    for x, y in data:

        def closure(x=x, y=y):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(theirs(x), y)
            loss.backward()
            return loss

        expected.append(optimizer.step(closure).detach())

    assert torch.equal(ours.weight, theirs.weight)
    assert torch.equal(ours.bias, theirs.bias)
    assert torch.equal(torch.stack([s.objective for s in found]), torch.stack(expected))
    assert [s.index for s in found] == list(range(1, 8))


def test_a_step_says_what_it_found_and_cost():
    model, (x, y) = line(), batches(1)[0]
    expected = nn.functional.cross_entropy(model(x), y).item()
    wrong = (model(x).argmax(1) != y).sum().item()
    penalty = L2(0.5)
    problem = Problem(None, model, CrossEntropy(), penalty)
    value = problem.parts(x, y).penalty.item()

    (step,) = steps(problem, SGD(model.parameters(), lr=0.1), [(x, y)], start=41)

    assert step.index == 42
    assert step.objective.item() == pytest.approx(expected + value, rel=1e-6)
    assert step.penalty.item() == value > 0
    assert step.wrong.item() == wrong
    assert (step.examples, step.gradients, step.gradient_norm) == (8, 1, None)


def test_counts_each_gradient_that_the_optimizer_asks_for():
    model = line()
    calls = []
    model.register_forward_hook(lambda *_: calls.append(1))
    found = list(
        steps(
            Problem(None, model, CrossEntropy()), LBFGS(model.parameters(), max_iter=5), batches(3)
        )
    )
    assert sum(s.gradients for s in found) == len(calls) > 3


def test_accumulation_equals_the_gradient_of_the_union():
    # Batches of 8, 8 and 4: each counts by its size, and the penalty counts once.
    data = batches(3)
    data[2] = (data[2][0][:4], data[2][1][:4])
    whole = torch.cat([x for x, _ in data]), torch.cat([y for _, y in data])
    small, large = line().double(), line().double()
    for model, given, accumulate in ((small, data, 3), (large, [whole], 1)):
        problem = Problem(None, model, CrossEntropy(), L2(0.1))
        given = [(x.double(), y) for x, y in given]
        (step,) = steps(problem, SGD(model.parameters(), lr=0.5), given, accumulate=accumulate)
        assert step.examples == 20
        assert step.gradients == accumulate
        objective, wrong = step.objective, step.wrong
    torch.testing.assert_close(small.weight, large.weight, rtol=0, atol=1e-14)
    (step,) = steps(
        Problem(None, line().double(), CrossEntropy(), L2(0.1)),
        SGD([nn.Parameter(torch.zeros(1))], lr=0.1),
        [(x.double(), y) for x, y in data],
        accumulate=3,
    )
    torch.testing.assert_close(step.objective, objective, rtol=0, atol=1e-14)
    assert step.wrong == wrong


def test_a_penalty_of_the_batch_is_averaged_over_an_accumulation():
    data = [(x.double(), y) for x, y in batches(2)]
    data[1] = (data[1][0][:2], data[1][1][:2])
    model, term = line().double(), InputGradient(0.3, estimator="exact")
    wanted = [term.penalty(model, *batch).item() for batch in data]
    problem = Problem(None, model, CrossEntropy(), term)
    (step,) = steps(problem, SGD(model.parameters(), lr=0.0), data, accumulate=2)
    sizes = [len(y) for _, y in data]
    mean = sum(p * n for p, n in zip(wanted, sizes, strict=True)) / sum(sizes)
    assert step.penalty.item() == pytest.approx(mean, rel=1e-12)
    assert wanted[0] != pytest.approx(wanted[1], rel=1e-3)


def test_the_gradients_of_an_adversary_are_counted():
    model, data = line(), [(x.sigmoid(), y) for x, y in batches(2)]
    problem = Problem(None, model, CrossEntropy(), AdversarialTraining(0.1, steps=3))
    (step,) = steps(problem, SGD(model.parameters(), lr=0.1), data, accumulate=2)
    assert step.gradients == 2 * 4


def test_the_last_group_of_an_accumulation_may_be_shorter():
    model = line()
    found = list(
        steps(
            Problem(None, model, CrossEntropy()), SGD(model.parameters()), batches(5), accumulate=2
        )
    )
    assert [s.gradients for s in found] == [2, 2, 1]


@pytest.mark.parametrize("limit", [0.01, 100.0])
def test_clips_long_gradients_and_reports_their_length(limit):
    model, twin, data = line(), line(), batches(1)
    (free,) = steps(Problem(None, twin, CrossEntropy()), SGD(twin.parameters(), lr=0.0), data)
    norm = torch.cat([p.grad.flatten() for p in twin.parameters()]).norm()
    before = model.weight.detach().clone()
    (step,) = steps(
        Problem(None, model, CrossEntropy()),
        SGD(model.parameters(), lr=1.0),
        data,
        clip_norm=limit,
    )
    assert free.gradient_norm is None
    torch.testing.assert_close(step.gradient_norm, norm)
    expected = twin.weight.grad * min(1.0, limit / (norm.item() + 1e-6))
    torch.testing.assert_close(before - model.weight.detach(), expected, rtol=1e-4, atol=1e-7)


def test_autocast_reaches_the_forward_pass_only():
    seen = []
    model = line()
    model.register_forward_hook(lambda *seen_by: seen.append(seen_by[2].dtype))
    autocast = torch.autocast("cpu", torch.bfloat16)
    step, _ = descend(model, SGD(model.parameters()), batches(2), autocast=autocast)
    assert seen == [torch.bfloat16] * 2
    assert step.objective.dtype == model.weight.dtype == torch.float32
    assert not torch.is_autocast_enabled("cpu")


def test_regression_has_no_wrong_examples():
    model = line()
    data = [(torch.randn(4, 5), torch.randn(4, 3))] * 2
    found = list(
        steps(Problem(None, model, SquaredError()), SGD(model.parameters()), data, accumulate=2)
    )
    assert found[0].wrong is None


def test_leaving_the_loop_early_leaves_the_rest_of_the_batches():
    rest = iter(batches(5))
    model = line()
    for step in steps(Problem(None, model, CrossEntropy()), SGD(model.parameters()), rest):
        if step.index == 2:
            break
    assert len(list(rest)) == 3


class Synchronizations(TorchDispatchMode):
    """Counts the operations that wait for a device to hand out a number."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


def test_no_step_waits_for_the_device():
    model = line()
    with Synchronizations() as waits:
        list(
            steps(Problem(None, model, CrossEntropy()), SGD(model.parameters(), lr=0.1), batches(4))
        )
    assert waits.count == 0


def test_an_optimizer_with_closures_of_its_own_is_refused_before_the_first_step():
    model = line()
    with pytest.raises(ArgumentError, match="NewtonCG cannot be run by steps or fit: its closure"):
        descend(model, NewtonCG(model.parameters()), batches(1))


LOSS_ONLY = {
    "kieferwolfowitz": lambda w: KieferWolfowitz(w, lr=0.1),
    "spsa": lambda w: SPSA(w, lr=0.01, directions=2),
    "mezo": lambda w: MeZO(w, lr=0.01),
}


@pytest.mark.parametrize("name", LOSS_ONLY)
def test_an_optimizer_without_gradients_equals_the_loop_one_would_write(name):
    data = batches(4)
    ours, theirs = line(), line()
    built = []
    ours.register_forward_hook(lambda _m, _i, out: built.append(out.requires_grad))
    first, second = (LOSS_ONLY[name](m.parameters()) for m in (ours, theirs))
    found = list(steps(Problem(None, ours, CrossEntropy()), first, data))
    means = [second.step(lambda x=x, y=y: nn.functional.cross_entropy(theirs(x), y))
             for x, y in data]  # fmt: skip
    assert torch.equal(ours.weight, theirs.weight)
    assert torch.equal(ours.bias, theirs.bias)
    assert [s.objective.item() for s in found] == pytest.approx(means, rel=1e-6)
    assert sum(s.gradients for s in found) == len(built) == first.evaluations
    assert not any(built)
    assert all(w.grad is None for w in ours.parameters())


def test_without_gradients_accumulation_is_the_loss_of_the_union():
    data = batches(3)
    data[2] = (data[2][0][:4], data[2][1][:4])
    whole = torch.cat([x for x, _ in data]), torch.cat([y for _, y in data])
    small, large = line().double(), line().double()
    for model, given, accumulate in ((small, data, 3), (large, [whole], 1)):
        given = [(x.double(), y) for x, y in given]
        optimizer = KieferWolfowitz(model.parameters(), lr=0.1)
        descend(model, optimizer, given, regularizer=L2(0.1), accumulate=accumulate)
    torch.testing.assert_close(small.weight, large.weight, rtol=1e-10, atol=1e-12)


def test_a_gradient_that_is_not_computed_cannot_be_clipped():
    model = line()
    with pytest.raises(ArgumentError, match=r"clip_norm=1.0.*SPSA, which computes no gradients"):
        descend(model, SPSA(model.parameters()), batches(1), clip_norm=1.0)


def test_a_line_search_refuses_clipped_gradients():
    model = line()
    with pytest.raises(ArgumentError, match=r"clip_norm=1\.0.*ArmijoLBFGS.*line search"):
        descend(model, ArmijoLBFGS(model.parameters()), batches(1), clip_norm=1.0)
