import pytest

from wellposed.audit._compared import Compared, worst_of
from wellposed.audit._slope import Slope
from wellposed.runs import Verdict


def pair(claimed, value=1.0, error=1e-9, size=0.0):
    """A slope of exactly this value and about this error."""
    steps = (0.25, 0.125, 0.0625)
    ahead = tuple(h * value for h in steps)
    behind = tuple(-h * value for h in steps)
    return Compared("it", claimed, Slope(0.0, steps, ahead, behind, error / 64), size)


def test_errors_are_relative_to_the_larger_of_both_and_the_size():
    assert pair(1.1).value == pytest.approx(0.1 / 1.1)
    assert pair(0.9).value == pytest.approx(0.1)
    assert pair(0.9, size=10).value == pytest.approx(0.01)
    assert pair(0.0, 0.0).value == 0


@pytest.mark.parametrize(
    ("made", "verdict"),
    [
        (pair(1.0), "pass"),
        (pair(1 + 1e-5), "fail"),
        (pair(1 + 1e-5, error=1e-4), "pass"),
        (pair(1.001, error=1e-5), "fail"),
        (pair(1.5, error=0.1), "unknown"),
        (pair(0.0), "fail"),
        (pair(float("nan")), "unknown"),
    ],
    ids=range(7),
)
def test_what_differences_resolve_is_judged(made, verdict):
    assert made.verdict.value == verdict


def test_a_failure_is_proved_by_a_remainder_of_order_1():
    def bent(claimed):
        steps = (0.25, 0.125, 0.0625, 0.03125)
        ahead, behind = (tuple(s * h + h * h for h in steps) for s in (1, -1))
        return Compared("it", claimed, Slope(0.0, steps, ahead, behind, 1e-9), 0)

    assert bent(3.0).verdict is Verdict.FAIL
    assert bent(1 + 1e-3).threshold.value < bent(1 + 1e-3).interval[0]
    assert bent(1 + 1e-3).verdict is Verdict.UNKNOWN  # h^2 hides 1e-3 h at these steps


def test_the_worst_is_a_failure_before_an_unknown_before_the_largest():
    small, large = pair(1.0), pair(1 + 2e-7)
    hidden, wrong = pair(1.5, error=0.1), pair(1 + 1e-5)
    assert worst_of([small, large]) is large
    assert worst_of([large, hidden, small]) is hidden
    assert worst_of([hidden, wrong]).verdict is Verdict.FAIL
