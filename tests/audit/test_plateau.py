import numpy as np
import pytest
from tests.audit.trainings import train

from wellposed.audit import plateau
from wellposed.errors import ArgumentError
from wellposed.runs import Verdict


def log_of(values):
    return [{"step": k, "loss": float(v)} for k, v in enumerate(values)]


def test_progress_of_a_line_is_exact(subject):
    finding = plateau(subject(log=log_of(np.linspace(1, 0.5, 65))))
    assert finding.verdict is Verdict.PASS
    # quarters of 16 and 17 records, in eight stretches each, whose means lie 16.125 records apart
    assert finding.value == pytest.approx(16.5 / 128, abs=0.5 / 128)
    assert finding.verified.endswith("equal")
    assert finding.interval[0] > 0


def test_a_stalled_training_is_found(subject):
    rng = np.random.default_rng(0)
    values = np.maximum(np.linspace(2, -3, 200), 1.0) + rng.normal(0, 0.01, 200)
    finding = plateau(subject(log=log_of(values)))
    assert finding.verdict is Verdict.WARN
    assert finding.interval[1] < 0.01
    assert finding.where == "from step 100"
    assert "[[schedule]]" in finding.remedy


def test_nothing_left_to_win_is_no_plateau(subject):
    values = np.maximum(np.linspace(2, -3, 200), 0.01)
    finding = plateau(subject(log=log_of(values)))
    assert finding.verdict is Verdict.PASS
    assert "0.5 % of it is left" in finding.statement


def test_noise_leaves_it_open(subject):
    rng = np.random.default_rng(0)
    log = log_of(1 + rng.normal(0, 0.5, 40))
    assert plateau(subject(log=log)).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize("seed", range(20))
def test_trainings_under_way_raise_no_alarm(subject, seed):
    log = train(seed, lr=0.01, steps=200, examples=2000)
    assert plateau(subject(log=log)).verdict in {Verdict.PASS, Verdict.UNKNOWN}


def test_a_flat_log_warns_and_the_interval_covers(subject):
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(150):
        low, high = plateau(subject(log=log_of(2 + rng.normal(0, 0.02, 64)))).interval
        covered += low <= 0 <= high
    assert covered >= 144  # 148.5 of 150 expected; fewer with a probability of 0.1 %


@pytest.mark.parametrize("log", [None, log_of([1.0] * 15), log_of([float("nan")] * 50)])
def test_what_it_cannot_read_it_says(subject, log):
    with pytest.raises(ArgumentError, match=r"^plateau (reads|needs)"):
        plateau(subject(log=log))
