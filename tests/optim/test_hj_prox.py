"""The sampled proximal operator against closed forms, and the failures it must not hide."""

import math

import pytest
import torch
from scipy.special import erfc

from wellposed.errors import ArgumentError
from wellposed.optim import HJProx, hj_prox


def absolute(y):
    return y.abs().sum(1)


def half_square(y):
    return 0.5 * y.square().sum(1)


def point(*values):
    return torch.tensor(values, dtype=torch.float64)


def within(found, expected, bias=0.0):
    """Four standard errors, which the result itself states, beside a known bias."""
    assert isinstance(found, HJProx)
    assert (found.prox - expected).norm().item() <= 4 * found.standard_error + bias


def viscous_absolute(x, t, beta):
    """u of |x|, by Cole-Hopf in closed form."""
    s = math.sqrt(2 * t / beta)
    a = math.exp(-beta * x) * erfc((t - x) / s) + math.exp(beta * x) * erfc((t + x) / s)
    return -math.log(0.5 * math.exp(beta * t / 2) * a) / beta


@pytest.mark.parametrize("t", [0.1, 0.5, 2.0])
@pytest.mark.parametrize("x", [-1.3, 0.05, 0.4])
@pytest.mark.parametrize("delta", [0.5, 0.1])
def test_absolute_value_at_its_own_smoothing(x, t, delta):
    # The reference is exact at this delta: what is left is the error of sampling.
    found = hj_prox(absolute, point(x), t, delta=delta, samples=40_000)
    h = 1e-5
    up, down = (viscous_absolute(x + s * h, t, 1 / delta) for s in (1, -1))
    slope = (up - down) / (2 * h)
    assert found.delta == delta
    within(found, point(x - t * slope), bias=1e-6)
    assert found.gradient.item() == pytest.approx(slope, abs=4 * found.standard_error / t + 1e-6)
    error = 4 * delta * (1 / found.ess) ** 0.5
    assert found.envelope == pytest.approx(viscous_absolute(x, t, 1 / delta), abs=error)


@pytest.mark.parametrize("x", [-3.0, 0.2, 1.5, 40.0])
def test_absolute_value_becomes_soft_threshold_as_the_smoothing_vanishes(x):
    found = hj_prox(absolute, point(x), 0.5, delta=1e-4, samples=4000)
    expected = math.copysign(max(abs(x) - 0.5, 0.0), x)
    within(found, point(expected), bias=1e-3)
    moreau = abs(x) - 0.25 if abs(x) > 0.5 else x * x
    assert found.envelope == pytest.approx(moreau, abs=2e-3)
    assert found.delta == 1e-4


@pytest.mark.parametrize("d", [1, 3, 10])
def test_quadratics_for_any_smoothing(d):
    # prox = (I + tA)^-1 (x + tAc), whatever delta; u adds delta/2 log det (I + tA).
    generator = torch.Generator().manual_seed(d)
    root = torch.randn(d, d, generator=generator, dtype=torch.float64)
    A = root @ root.T / d
    c, x = torch.randn(2, d, generator=generator, dtype=torch.float64)
    inverse = torch.linalg.inv(torch.eye(d).double() + 0.5 * A)
    for delta in (1.0, 0.01):
        found = hj_prox(
            lambda y: 0.5 * torch.einsum("ni,ij,nj->n", y - c, A, y - c),
            x, 0.5, delta=delta, samples=20_000,
        )  # fmt: skip
        within(found, inverse @ (x + 0.5 * A @ c))
        envelope = 0.5 * (x - c) @ A @ inverse @ (x - c) - delta / 2 * torch.logdet(inverse)
        assert found.delta == delta
        assert found.envelope == pytest.approx(
            envelope.item(), abs=4 * delta * (1 / found.ess) ** 0.5
        )


@pytest.mark.parametrize("t", [0.1, 0.5, 2.0])
def test_linear_plus_quadratic_and_logarithm(t):
    x = point(0.3, 2.0)
    found = hj_prox(lambda y: y.sum(1) + half_square(y), x, t, delta=0.01, samples=20_000)
    within(found, (x - t) / (1 + t))

    def barrier(y):
        return torch.where(y > 0, -y.clamp(min=1e-300).log(), torch.inf).sum(1)

    found = hj_prox(barrier, x, t, delta=1e-3, samples=20_000)
    within(found, (x + (x * x + 4 * t).sqrt()) / 2, bias=1e-3)


def test_outside_the_domain_the_smoothing_grows_until_the_samples_reach_it():
    def barrier(y):
        return torch.where(y > 0, -y.clamp(min=1e-300).log(), torch.inf).sum(1)

    found = hj_prox(barrier, point(-3.0), 1.0, delta=1e-3, samples=20_000)
    within(found, point((13**0.5 - 3) / 2), bias=2e-3)
    assert found.delta == 1e-3


def test_a_concave_function_before_its_caustic():
    # -y^2/2 -> prox x / (1 - t), u = -x^2 / (2 (1 - t)) for t < 1.
    found = hj_prox(lambda y: -half_square(y), point(1.0), 0.5, delta=1e-3, samples=40_000)
    within(found, point(2.0))
    assert found.envelope == pytest.approx(-1.0, abs=2e-3)


def test_the_error_falls_as_the_root_of_the_samples_and_is_what_it_says():
    x = point(1.0, -0.5, 2.0)
    ratios, errors = [], {500: [], 8000: []}
    for samples, found in errors.items():
        for seed in range(60):
            r = hj_prox(half_square, x, 1.0, delta=0.1, samples=samples, noise_seed=seed)
            found.append((r.prox - x / 2).norm().item() ** 2)
            ratios.append(found[-1] / r.standard_error**2)
    # 120 ratios whose mean is 1, each a mean of 3 squares: standard error below 0.1.
    assert sum(ratios) / 120 == pytest.approx(1.0, abs=0.35)
    gain = sum(errors[500]) / sum(errors[8000])
    assert math.log(gain) / math.log(16) == pytest.approx(1.0, abs=0.3)


def test_the_effective_sample_size_is_that_of_the_theory():
    # y ~ N(0, dt I) with weights exp(-|y|^2 / 2d): share (sqrt(1 + 2t) / (1 + t))^n.
    for n in (1, 5, 10):
        found = hj_prox(half_square, torch.zeros(n).double(), 1.0, samples=100_000, adapt=False)
        assert found.ess / 100_000 == pytest.approx((3**0.5 / 2) ** n, rel=0.05)


def naive(f, x, t, delta, samples):
    generator = torch.Generator().manual_seed(0)
    y = x + (delta * t) ** 0.5 * torch.randn(samples, len(x), generator=generator).double()
    weights = torch.softmax(-f(y) / delta, 0)
    return weights @ y, 1 / weights.square().sum().item()


@pytest.mark.parametrize(
    ("f", "x", "t", "expected"),
    [
        (absolute, point(5.0), 1.0, point(4.0)),
        (half_square, torch.linspace(-3, 3, 10).double(), 1.0, torch.linspace(-1.5, 1.5, 10)),
    ],
    ids=["|x| far away", "ten dimensions"],
)
def test_degenerate_weights_are_noticed_and_cured(f, x, t, expected):
    # The plain average is finite, smooth, and wrong by far; nothing overflows.
    wrong, ess = naive(f, x, t, 0.01, 1000)
    assert torch.isfinite(wrong).all()
    assert (wrong - expected).norm() > 0.5
    assert ess < 10
    with pytest.raises(ArgumentError, match=r"effective of 1000 samples.*try adapt=True"):
        hj_prox(f, x, t, delta=0.01, adapt=False)
    found = hj_prox(f, x, t, delta=0.01)
    assert found.delta == 0.01
    assert found.ess >= 50
    within(found, expected)
    assert found.standard_error < 0.02
    assert found.evaluations > 1000


def test_a_smoothing_that_cannot_be_reached_is_reported_as_it_is():
    x = torch.linspace(-3, 3, 20).double()
    found = hj_prox(half_square, x, 1.0, delta=0.01)
    assert found.ess >= 50
    assert found.delta > 0.01
    assert found.standard_error > 0.1
    within(found, x / 2)


@pytest.mark.parametrize("d", [100, 1000])
def test_too_many_dimensions_are_refused(d):
    with pytest.raises(ArgumentError, match=rf"in {d} dimensions.*fewer dimensions"):
        hj_prox(half_square, torch.ones(d).double(), 1.0)


def test_the_evaluations_are_counted():
    calls = []
    found = hj_prox(lambda y: calls.append(len(y)) or absolute(y), point(5.0), 1.0, delta=0.01)
    assert found.evaluations == sum(calls)
    assert set(calls) == {1000}


def test_seeds_decide_and_the_global_generator_is_left_alone():
    state = torch.get_rng_state()
    a, b, c = (hj_prox(absolute, point(1.0), 0.5, noise_seed=s) for s in (0, 0, 1))
    assert torch.equal(a.prox, b.prox)
    assert not torch.equal(a.prox, c.prox)
    assert torch.equal(torch.get_rng_state(), state)


def test_float32_is_kept_and_no_graph_is_built():
    weight = torch.ones((), requires_grad=True)
    found = hj_prox(lambda y: weight * absolute(y), torch.ones(3), 0.5)
    assert found.prox.dtype == torch.float32
    assert not found.prox.requires_grad


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": torch.ones(2, 2)}, r"x of shape \(2, 2\).*try x.flatten"),
        ({"x": torch.ones(2, dtype=torch.int64)}, "torch.int64"),
        ({"t": 0.0}, "t=0"),
        ({"t": math.inf}, "t=inf"),
        ({"delta": -1.0}, "delta=-1"),
        ({"samples": 1}, "samples=1"),
        ({"min_ess": 1000.0}, "min_ess=1000 with samples=1000"),
        ({"min_ess": 0.5}, "min_ess=0.5"),
        ({"f": lambda y: y}, r"returned \(1000, 1\).*\(1000,\)"),
        ({"f": lambda _: 3.0}, r"returned 3.0"),
        ({"f": lambda y: y[:, 0].sqrt()}, "nan at .* of 1000 points; return inf"),
        ({"f": lambda y: y[:, 0] + math.inf}, "0.0 effective of 1000 samples"),
        ({"f": lambda y: y[:, 0] - math.inf}, "-inf at one of 1000 points.*bounded from below"),
    ],
)
def test_what_has_no_meaning_is_refused(change, message):
    arguments = {"f": absolute, "x": torch.zeros(1), "t": 0.5, **change}
    with pytest.raises(ArgumentError, match=message) as caught:
        hj_prox(arguments.pop("f"), arguments.pop("x"), arguments.pop("t"), **arguments)
    assert "\n" not in str(caught.value)
