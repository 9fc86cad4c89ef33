from math import sqrt

import numpy as np
import pytest
from scipy.stats import multinomial, norm

from wellposed.errors import ArgumentError
from wellposed.stats import paired_shares


def coverage(n, lost, gained, level):
    """The probability that the interval holds the difference: summed, not sampled."""
    counts = [(a, b) for a in range(n + 1) for b in range(n + 1 - a)]
    bounds = np.array([paired_shares(a, b, n, level) for a, b in counts])
    inside = (bounds[:, 0] <= lost - gained) & (lost - gained <= bounds[:, 1])
    table = [(a, b, n - a - b) for a, b in counts]
    rest = max(0.0, 1 - lost - gained)
    return (multinomial.pmf(table, n, [lost, gained, rest]) * inside).sum()


@pytest.mark.parametrize("n", [10, 30, 60])
def test_covers_near_its_level_everywhere(n):
    shares = (0.0, 0.01, 0.05, 0.1, 0.2, 0.4)
    covered = [coverage(n, lost, gained, 0.95) for lost in shares for gained in shares]
    assert min(covered) > 0.93
    assert coverage(n, 0.3, 0.2, 0.5) == pytest.approx(0.5, abs=0.15 / sqrt(n / 10))


def test_a_known_value():
    # Of 98 + 2 cases, (9 + 1)/100 and (1 + 1)/100: 0.08 and the deviation sqrt(0.12 - 0.08^2)/10.
    half = norm.ppf(0.975) * sqrt(0.12 - 0.0064) / 10
    assert paired_shares(9, 1, 98) == pytest.approx((0.08 - half, 0.08 + half), abs=1e-12)


def test_is_the_textbook_interval_for_many_cases():
    n, lost, gained = 10**8, 3 * 10**7, 10**7
    half = norm.ppf(0.95) * sqrt((0.4 - 0.04) / n)
    assert paired_shares(lost, gained, n, 0.9) == pytest.approx((0.2 - half, 0.2 + half), abs=1e-8)


@pytest.mark.parametrize("n", [1, 2, 10, 500])
def test_holds_its_estimate_and_turns_its_sign_with_the_roles(n):
    for lost in {0, n // 3, n}:
        for gained in {0, (n - lost) // 2, n - lost}:
            low, high = paired_shares(lost, gained, n)
            assert -1 <= low <= (lost - gained) / n <= high <= 1
            assert paired_shares(gained, lost, n) == pytest.approx((-high, -low), abs=1e-12)


def test_refuses_what_are_no_counts():
    with pytest.raises(ArgumentError, match="at least one case, got n=0"):
        paired_shares(0, 0, 0)
    for lost, gained in ((-1, 0), (0, -1), (3, 3)):
        with pytest.raises(ArgumentError, match=f"lost={lost}, gained={gained}, n=5"):
            paired_shares(lost, gained, 5)
    with pytest.raises(ArgumentError, match="between 0 and 1, got level"):
        paired_shares(1, 1, 5, 95)
