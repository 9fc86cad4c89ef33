import math
from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.nn import functional

from wellposed.errors import ArgumentError
from wellposed.regularizers import InputGradient

ORDERS = {"linf": 1, "l2": 2, "l1": math.inf}  # of the gradient, dual to the perturbation


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    inputs = torch.rand(9, 6, dtype=torch.float64, generator=generator)
    return inputs, torch.arange(9) % 3


@pytest.fixture
def linear():
    torch.manual_seed(0)
    return nn.Linear(6, 3).double()


@pytest.fixture
def deep():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 3)).double()


def closed_form(model, inputs, targets, order):
    """|W'(p - e_y)|_q of logistic regression."""
    p = model(inputs).softmax(1) - functional.one_hot(targets, 3)
    return torch.linalg.vector_norm(p @ model.weight, order, dim=1)


@pytest.mark.parametrize("norm", ORDERS)
@pytest.mark.parametrize("estimator", ["exact", "fd", "symmetric"])
def test_logistic_regression_in_closed_form(batch, linear, norm, estimator):
    sizes = closed_form(linear, *batch, ORDERS[norm])
    how = {"estimator": "exact"} if estimator == "exact" else {"h": 1e-5}
    if estimator == "symmetric":
        how["symmetric"] = True
    wanted = {1: sizes.mean(), 2: sizes.square().mean() / 2, "max": sizes.max()}
    for power, value in wanted.items():
        found = InputGradient(0.7, norm=norm, power=power, **how).penalty(linear, *batch)
        tolerance = {"exact": 1e-13, "fd": 1e-4, "symmetric": 1e-8}[estimator]
        torch.testing.assert_close(found, 0.7 * value, rtol=tolerance, atol=0)


@pytest.mark.parametrize("norm", ORDERS)
@pytest.mark.parametrize(("symmetric", "rate"), [(False, 2.0), (True, 4.0)])
def test_the_finite_difference_converges_at_its_rate(batch, deep, norm, symmetric, rate):
    exact = InputGradient(1.0, norm=norm, power=1, estimator="exact").penalty(deep, *batch)
    errors = [
        InputGradient(1.0, norm=norm, power=1, h=h, symmetric=symmetric).penalty(deep, *batch)
        - exact
        for h in (0.004, 0.002, 0.001)
    ]
    ratios = [(a / b).item() for a, b in pairwise(errors)]
    assert ratios == pytest.approx([rate, rate], rel=0.15)


def test_the_first_error_is_half_h_times_the_curvature(batch, deep):
    inputs, targets = batch[0][:1], batch[1][:1]

    def loss(x):
        return functional.cross_entropy(deep(x), targets)

    gradient = torch.func.grad(loss)(inputs)
    hessian = torch.func.hessian(loss)(inputs).reshape(6, 6)
    v = gradient.sign().flatten()
    h = 1e-4
    found = InputGradient(1.0, power=1, h=h).penalty(deep, inputs, targets)
    wanted = gradient.abs().sum() + h / 2 * (v @ hessian @ v)
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-8)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_with_weight_and_h_of_eps_it_is_training_by_the_fast_gradient_sign_method(
    batch, deep, dtype
):
    inputs, targets = batch[0].to(dtype), batch[1]
    model = deep.to(dtype)
    passes = []
    model.register_forward_hook(lambda *_: passes.append(1))
    InputGradient(0.1, power=1).objective(model, inputs, targets).backward()
    found = [p.grad.clone() for p in model.parameters()]
    assert len(passes) == 2

    model.zero_grad()
    x = inputs.clone().requires_grad_()
    loss = functional.cross_entropy(model(x), targets, reduction="none")
    (gradient,) = torch.autograd.grad(loss.sum(), x)
    moved = inputs + 0.1 * gradient.sign()
    functional.cross_entropy(model(moved), targets, reduction="none").mean().backward()
    assert all(torch.equal(a, p.grad) for a, p in zip(found, model.parameters(), strict=True))


@pytest.mark.parametrize("weight", [0.03, 0.1, 0.25])
def test_power_1_weighs_the_two_losses(batch, deep, weight):
    inputs, targets = batch
    h = 0.1
    x = inputs.clone().requires_grad_()
    losses = functional.cross_entropy(deep(x), targets, reduction="sum")
    (gradient,) = torch.autograd.grad(losses, x)
    clean, moved = (
        functional.cross_entropy(deep(at), targets) for at in (inputs, inputs + h * gradient.sign())
    )
    wanted = (1 - weight / h) * clean + weight / h * moved
    found = InputGradient(weight, power=1, h=h).objective(deep, inputs, targets)
    torch.testing.assert_close(found, wanted, rtol=1e-13, atol=0)
    for a, b in zip(
        *(torch.autograd.grad(v, deep.parameters()) for v in (found, wanted)), strict=True
    ):
        torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize(
    ("how", "passes"),
    [
        ({}, 2),
        ({"symmetric": True}, 3),
        ({"noise": 0.1}, 3),
        ({"steps": 2}, 3),
        ({"estimator": "exact"}, 1),
    ],
)
def test_the_forward_pass_of_the_loss_is_shared(batch, deep, how, passes):
    seen = []
    deep.register_forward_hook(lambda *_: seen.append(1))
    InputGradient(0.1, **how).objective(deep, *batch)
    assert len(seen) == passes


@pytest.mark.parametrize("estimator", ["fd", "exact"])
def test_a_share_of_the_batch_is_its_front(batch, deep, estimator):
    inputs, targets = batch
    part = InputGradient(0.3, estimator=estimator, share=0.5).penalty(deep, inputs, targets)
    front = InputGradient(0.3, estimator=estimator).penalty(deep, inputs[:5], targets[:5])
    torch.testing.assert_close(part, front, rtol=1e-12, atol=0)
    assert InputGradient(0.1, power=1, share=0.5).adversary is None


@pytest.mark.parametrize("norm", ORDERS)
@pytest.mark.parametrize("estimator", ["fd", "exact"])
def test_trimmed_logistic_regression_in_closed_form(batch, linear, norm, estimator):
    losses = functional.cross_entropy(linear(batch[0]), batch[1], reduction="none")
    kept = losses <= losses.kthvalue(6).values  # a third of the nine is left out
    sizes = closed_form(linear, *batch, ORDERS[norm])[kept]
    how = {"estimator": "exact"} if estimator == "exact" else {"h": 1e-5}
    for power, value in {
        1: sizes.mean(), 2: sizes.square().mean() / 2, "max": sizes.max(),
    }.items():  # fmt: skip
        term = InputGradient(0.7, norm=norm, power=power, trim=0.34, **how)
        tolerance = 1e-13 if estimator == "exact" else 1e-4
        found = term.penalty(linear, *batch)
        torch.testing.assert_close(found, 0.7 * value, rtol=tolerance, atol=0)


@pytest.mark.parametrize("share", [0.3, 0.5, 1.0])
@pytest.mark.parametrize("trim", [0.2, 0.5, 0.9])
@pytest.mark.parametrize("how", [{"symmetric": True}, {"steps": 2}, {"estimator": "exact"}])
def test_the_share_is_the_front_of_what_is_left(batch, deep, how, share, trim):
    inputs, targets = batch
    losses = functional.cross_entropy(deep(inputs), targets, reduction="none").tolist()
    left = sorted(range(9), key=losses.__getitem__)[: 9 - math.floor(9 * trim)]
    places = sorted(left)[: math.ceil(9 * share)]
    whole = InputGradient(0.3, **how)
    wanted = whole.penalty(deep, inputs[places], targets[places])
    found = InputGradient(0.3, share=share, trim=trim, **how).penalty(deep, inputs, targets)
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=0)
    for a, b in zip(
        *(torch.autograd.grad(v, deep.parameters()) for v in (found, wanted)), strict=True
    ):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("how", [{}, {"noise": 0.1, "steps": 2}, {"estimator": "exact"}])
def test_a_trim_of_less_than_one_input_changes_no_bit(batch, deep, how):
    terms = (InputGradient(0.3, share=0.5, trim=trim, **how) for trim in (0.0, 0.1))
    values = [term.objective(deep.eval(), *batch) for term in terms]
    assert torch.equal(*values)
    for a, b in zip(*(torch.autograd.grad(v, deep.parameters()) for v in values), strict=True):
        assert torch.equal(a, b)


def test_what_is_trimmed_has_no_say(batch, linear):
    inputs, targets = batch
    losses = functional.cross_entropy(linear(inputs), targets, reduction="none")
    worst = losses.argmax()
    far = inputs.clone()  # uphill, where the convex loss is greater still
    p = linear(inputs).softmax(1) - functional.one_hot(targets, 3)
    far[worst] += 5 * (p @ linear.weight)[worst]
    found, again, whole, moved = (
        InputGradient(1.0, trim=trim).penalty(linear, x, targets)
        for trim in (0.12, 0.0)
        for x in (inputs, far)
    )
    assert torch.equal(found, again)
    assert not torch.equal(whole, moved)


@pytest.mark.parametrize(("norm", "order"), [("linf", 1), ("l2", 2)])
def test_noise_adds_its_variance_where_the_loss_is_linear(norm, order):
    # There D = |g|_q + g . eta / h, and eta is uniform in its ball.
    generator = torch.Generator().manual_seed(0)
    model = nn.Linear(6, 1).double()
    nn.init.normal_(model.weight, generator=generator)
    g, h, noise = model.weight[0].detach(), 0.1, 0.2
    inputs = torch.zeros(20_000, 6, dtype=torch.float64)
    targets = torch.zeros(len(inputs), dtype=torch.int64)
    size = torch.linalg.vector_norm(g, order)
    second = {"linf": noise**2 / 3, "l2": noise**2 / 8}[norm] * g.square().sum() / h**2
    for power, wanted in ((1, size), (2, (size**2 + second) / 2)):
        term = InputGradient(1.0, norm=norm, power=power, h=h, noise=noise)
        found = term.penalty(model.eval(), inputs, targets, lambda outputs, _: outputs[:, 0])
        torch.testing.assert_close(found, wanted, rtol=0.02, atol=0)


def test_noise_moves_to_where_the_direction_is_taken(deep, batch):
    # A far point of a tanh network: the steepest direction there is another one than at x.
    inputs, targets = batch
    term = InputGradient(1.0, power=1, h=0.1, noise=3.0)
    found = term.penalty(deep.eval(), inputs, targets)
    generator = torch.Generator().manual_seed(0)
    far = inputs + torch.empty_like(inputs).uniform_(-3.0, 3.0, generator=generator)

    def losses(x):
        return functional.cross_entropy(deep(x), targets, reduction="none")

    g = torch.func.grad(lambda x: losses(x).sum())(far)
    wanted = (losses(far + 0.1 * g.sign()) - losses(inputs)).mean() / 0.1
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=0)
    assert torch.equal(found, term.penalty(deep, inputs, targets))
    deep.train()
    assert not torch.equal(*(term.penalty(deep, inputs, targets) for _ in range(2)))


def test_a_second_step_is_not_led_astray_by_a_crooked_loss():
    # |x|, but falling beyond 0.1: at 0.05 the slope points to the right, and a step of 1 to where
    # the loss is lower. Halfway there it points to the left.
    def loss(outputs, _):
        return torch.where(outputs > 0.1, 0.2 - outputs, outputs.abs())[:, 0]

    model = nn.Linear(1, 1, bias=False).double()
    nn.init.ones_(model.weight)
    inputs = torch.full((1, 1), 0.05, dtype=torch.float64)
    targets = torch.zeros(1, dtype=torch.int64)
    for steps, slope in ((1, -0.9), (2, 0.9)):
        term = InputGradient(1.0, power=1, h=1.0, steps=steps)
        found = term.penalty(model, inputs, targets, loss)
        assert found.item() == pytest.approx(slope, abs=1e-9)


@pytest.mark.parametrize("estimator", ["fd", "exact"])
@pytest.mark.parametrize("norm", ORDERS)
def test_where_the_gradient_is_zero_nothing_is_not_a_number(norm, estimator):
    model = nn.Linear(6, 3)
    nn.init.zeros_(model.weight)
    nn.init.zeros_(model.bias)
    term = InputGradient(0.5, norm=norm, estimator=estimator)
    value = term.objective(model, torch.rand(4, 6), torch.arange(4) % 3)
    value.backward()
    assert value.item() == pytest.approx(math.log(3), rel=1e-3)
    assert model.weight.grad.isfinite().all()


def test_derivatives_by_the_inputs_pass(batch, deep):
    # An audit differentiates by the inputs too: the maximum norm's directions are constant there.
    x = batch[0].clone().requires_grad_()
    term = InputGradient(0.2, power=1, h=0.05)
    assert torch.autograd.gradcheck(lambda x: term.penalty(deep, x, batch[1]), x)


def test_the_step_is_chosen_by_the_power():
    assert InputGradient(0.1, power=1).length == 0.1
    assert InputGradient(0.1, power=2).length == 0.01
    assert InputGradient(0.1, power=2, h=0.3).length == 0.3
    assert InputGradient(0.0, power=1).length == 0.01


def test_it_has_an_adversary_where_it_trains_on_perturbed_inputs():
    assert InputGradient(0.1).adversary is None
    assert InputGradient(0.1, power=1, h=0.2).adversary is None
    assert InputGradient(0.1, power=1, noise=0.1).adversary is None
    assert InputGradient(0.1, power=1, steps=2).adversary is None
    assert InputGradient(0.1, power=1, trim=0.2).adversary is None
    assert InputGradient(0.1, power=1).adversary.ball.eps == 0.1


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"weight": -1.0}, "finite weight >= 0"),
        ({"weight": math.inf}, "finite weight >= 0"),
        ({"norm": "l3"}, "norms linf, l2 and l1"),
        ({"power": 3}, "powers 1, 2 and 'max'"),
        ({"estimator": "fft"}, "estimators fd and exact"),
        ({"h": 0.0}, "length h > 0"),
        ({"share": 0.0}, "share of the batch"),
        ({"h": 0.1, "estimator": "exact"}, "leave out h, symmetric,"),
        ({"trim": -0.1}, "trim of the batch"),
        ({"trim": 1.0}, "trim of the batch"),
        ({"steps": 0}, "steps >= 1"),
        ({"steps": 2, "estimator": "exact"}, "leave out h, symmetric,"),
        ({"noise": -0.1}, "radius noise >= 0"),
        ({"noise": 0.1, "estimator": "exact"}, "leave out h, symmetric,"),
    ],
)
def test_what_is_outside_its_range_is_refused(arguments, words):
    with pytest.raises(ArgumentError, match=words):
        InputGradient(**{"weight": 0.1, **arguments})
