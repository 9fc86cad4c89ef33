import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy, norm

from wellposed.errors import ArgumentError
from wellposed.stats import binary_kl, binary_kl_upper, clopper_pearson, pac_bayes

chances = st.floats(0.001, 0.999)


@given(q=chances, p=chances)
def test_it_is_the_relative_entropy_of_scipy(q, p):
    assert binary_kl(q, p) == pytest.approx(entropy([q, 1 - q], [p, 1 - p]), rel=1e-9, abs=1e-14)


def test_ends():
    assert binary_kl(0, 0.5) == pytest.approx(math.log(2))
    assert binary_kl(0.2, 0) == math.inf
    assert binary_kl(1, 1) == 0


@given(q=st.floats(0, 1), bound=st.floats(0, 10))
def test_the_inverse_inverts(q, bound):
    p = binary_kl_upper(q, bound)
    assert q <= p <= 1
    if q < p < 1 - 1e-9 and bound > 1e-9:  # nearer to 1 the entropy jumps from float to float
        assert binary_kl(q, p) == pytest.approx(bound, rel=1e-6)


@given(bound=st.floats(0, 20))
def test_without_errors_it_has_a_closed_form(bound):
    # kl(0 || p) = -ln(1 - p)
    assert binary_kl_upper(0, bound) == pytest.approx(-math.expm1(-bound), abs=1e-12)


def test_pinsker_is_wider():
    for q, bound in [(0.1, 0.01), (0.4, 0.1), (0.0, 0.3)]:
        assert binary_kl_upper(q, bound) <= q + math.sqrt(bound / 2)


def test_without_a_prior_to_pay_for_it_is_wider_than_the_exact_limit():
    # One fixed classifier: Clopper and Pearson's one-sided limit is the best there is.
    for k, n in [(0, 100), (20, 100), (150, 1000)]:
        exact = clopper_pearson(k, n, 0.9)[1]
        assert exact < pac_bayes(k / n, 0, n, 0.05) < exact + 0.1


def test_the_bound_holds_at_least_at_its_level_for_posteriors_made_of_the_data():
    # Labels y = [u > 0], u ~ N(0,1), flipped in a tenth; classifiers [u > w]; P = N(0, 1);
    # Q = N(w, s^2) with w the best on the data. All of the truth is in closed form.
    generator = np.random.default_rng(0)
    grid = np.linspace(-1, 1, 41)
    wrong, n, s = 0, 40, 0.3
    dense = np.linspace(-8, 8, 4001)
    for _ in range(1000):
        u = generator.standard_normal(n)
        y = (u > 0) ^ (generator.random(n) < 0.1)
        w = grid[((u > grid[:, None]) != y).mean(1).argmin()]
        ones = norm.cdf((u - w) / s)  # chance that Q says 1
        seen = np.where(y, 1 - ones, ones).mean()
        said = norm.cdf((dense - w) / s)
        truth = np.where(dense > 0, 0.9 - 0.8 * said, 0.1 + 0.8 * said)
        error = np.trapezoid(truth * norm.pdf(dense), dense)
        complexity = (s * s + w * w - 1) / 2 - math.log(s)
        wrong += pac_bayes(seen, complexity, n, 0.1) < error
    assert wrong <= 130  # more than 130 of 1000 would refute 0.1 at 0.001


def test_what_is_no_chance_is_refused():
    for call in (
        lambda: binary_kl(1.5, 0.5),
        lambda: binary_kl_upper(-1, 1),
        lambda: binary_kl_upper(0.5, -1),
        lambda: pac_bayes(0.1, -1, 5),
        lambda: pac_bayes(0.1, 1, 0),
        lambda: pac_bayes(0.1, 1, 5, 1.0),
    ):
        with pytest.raises(ArgumentError, match="got"):
            call()
