import numpy as np
import pytest

from wellposed.errors import ArgumentError
from wellposed.stats import newcombe


# Newcombe (1998), Table II, method 10.
@pytest.mark.parametrize(
    ("a", "b", "interval"),
    [
        ((56, 70), (48, 80), (0.0524, 0.3339)),
        ((9, 10), (3, 10), (0.1705, 0.8090)),
        ((6, 7), (2, 7), (0.0582, 0.8062)),
        ((5, 56), (0, 29), (-0.0381, 0.1926)),
        ((0, 10), (0, 20), (-0.1611, 0.2775)),
        ((10, 10), (0, 20), (0.6791, 1.0)),
    ],
    ids=range(6),
)
def test_the_interval_is_the_published_one(a, b, interval):
    assert newcombe(a, b) == pytest.approx(interval, abs=6e-5)


def test_the_interval_covers_at_its_level():
    # Newcombe's Table III gives a mean coverage of 0.9602 for method 10.
    generator = np.random.default_rng(0)
    shares, covered = generator.uniform(0.01, 0.4, size=(1000, 2)), 0
    for p, q in shares:
        a, b = (int(generator.binomial(n, s)) for n, s in ((200, p), (90, q)))
        low, high = newcombe((a, 200), (b, 90))
        covered += low <= p - q <= high
    # exactly 0.95 would leave 0.93 to 0.97 with probability 0.004
    assert 0.935 <= covered / 1000 <= 0.98


def test_what_is_no_count_is_refused():
    with pytest.raises(ArgumentError, match="got n=0"):
        newcombe((0, 0), (1, 2))
    with pytest.raises(ArgumentError, match="got level"):
        newcombe((0, 1), (1, 2), 95)
