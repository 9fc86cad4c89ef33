import numpy as np
import pytest

from wellposed.audit import throughput
from wellposed.errors import ArgumentError
from wellposed.runs import Verdict


def clock(seconds, cpu=None, every=10):
    """Records after so many seconds each."""
    total = np.cumsum(seconds)
    rows = [{"step": every * k, "seconds": float(t)} for k, t in enumerate(total)]
    if cpu is not None:
        rows = [
            row | {"cpu_seconds": float(t)} for row, t in zip(rows, np.cumsum(cpu), strict=True)
        ]
    return rows


def usual(seed, n=100, scatter=0.1):
    """Log-normal times, with an evaluation every tenth record that takes half as long again."""
    seconds = np.exp(np.random.default_rng(seed).normal(0, scatter, n))
    seconds[::10] *= 1.5
    return seconds


def test_a_stalled_clock_is_found_and_its_cost_is_exact(subject):
    seconds = np.ones(100)
    seconds[60] = 51
    cpu = np.full(100, 0.9)
    finding = throughput(subject(clock=clock(seconds, cpu)))
    assert finding.verdict is Verdict.WARN
    assert finding.value == pytest.approx(50 / (98 + 51))
    assert finding.where == "step 600"
    assert "waited" in finding.remedy
    assert finding.verified.endswith("equal")
    cpu[60] = 51
    assert "worked" in throughput(subject(clock=clock(seconds, cpu))).remedy
    assert "data loading" in throughput(subject(clock=clock(seconds))).remedy


def test_a_clock_that_slows_down_is_found(subject):
    finding = throughput(subject(clock=clock(usual(0) * np.linspace(1, 3, 100))))
    assert finding.verdict is Verdict.WARN
    assert finding.unit == "times"
    assert finding.interval[0] > 1.25
    assert "grows with time" in finding.remedy


def test_a_clock_that_may_slow_down_is_left_open(subject):
    finding = throughput(subject(clock=clock(usual(0, scatter=0.2) * np.linspace(1, 1.6, 100))))
    assert finding.verdict is Verdict.UNKNOWN
    assert finding.interval[0] > 1
    assert finding.interval[1] > 1.25


@pytest.mark.parametrize("seed", range(20))
def test_a_steady_clock_raises_no_alarm(subject, seed):
    finding = throughput(subject(clock=clock(usual(seed, scatter=0.3))))
    assert finding.verdict is Verdict.PASS


@pytest.mark.parametrize(
    "records",
    [None, [], clock(np.ones(19)), [{"step": 1, "seconds": 1.0}] * 40, ["x"] * 40,
     [{"step": k} for k in range(40)]],
)  # fmt: skip
@pytest.mark.wrong_types
def test_what_it_cannot_read_it_says(subject, records):
    with pytest.raises(ArgumentError, match=r"^throughput (reads|needs)"):
        throughput(subject(clock=records))


def test_a_clock_that_goes_back_is_read_where_it_goes_on(subject):
    rows = clock(np.ones(60))
    rows[30]["seconds"] = 0.0
    finding = throughput(subject(clock=rows))
    assert finding.verified.startswith("nothing")
