import math

import numpy as np
import pytest
import torch
from tests.audit.trainings import train

from wellposed.audit import lr_range
from wellposed.audit._lr_range import falling
from wellposed.errors import ArgumentError
from wellposed.losses import SquaredError
from wellposed.runs import Verdict


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("lr", [300.0, 50.0])
def test_a_step_size_far_too_large(subject, seed, lr):
    finding = lr_range(subject(log=train(seed, lr=lr)))
    assert finding.verdict is Verdict.WARN
    assert "too large" in finding.statement
    assert f"lr = {lr / 10:.3g} instead of {lr:.3g}" in finding.remedy


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("lr", [1e-3, 1e-4])
def test_a_step_size_far_too_small(subject, seed, lr):
    finding = lr_range(subject(log=train(seed, lr=lr)))
    assert finding.verdict is Verdict.WARN
    assert f"instead of {lr:.3g}" in finding.remedy
    assert finding.verified.endswith("equal")


@pytest.mark.parametrize("seed", range(20))
def test_a_good_step_size_raises_no_alarm(subject, seed):
    schedule = None
    if seed % 2:  # a warm-up, then a cosine
        schedule = lambda s: min(s / 0.1, 1) * (1 + math.cos(math.pi * s)) / 2 + 1e-3  # noqa: E731
    log = train(seed, examples=2000, steps=160, schedule=schedule)
    assert lr_range(subject(log=log)).verdict in {Verdict.PASS, Verdict.UNKNOWN}


def test_gradient_flow_of_a_quadratic_has_its_ratio(subject):
    """J = exp(-2t): the mean slopes of the two thirds are known, whatever the step sizes were."""
    rates = np.linspace(0.01, 0.03, 90)
    times = np.cumsum(rates)
    log = [
        {"step": k + 1, "loss": 5 * math.exp(-2 * t), "lr": r}
        for k, (t, r) in enumerate(zip(times, rates, strict=True))
    ]
    data = {"test": (torch.ones(3, 4), torch.ones(3, 3))}
    finding = lr_range(subject(data=data, loss=SquaredError(), log=log))
    first, last = (
        np.polyfit(times[s], np.exp(-2 * times[s]), 1)[0] for s in (slice(30), slice(60, 90))
    )
    assert finding.value == pytest.approx(last / first, rel=1e-3)
    assert finding.interval[0] <= finding.value <= finding.interval[1]
    assert finding.evidence["lr where it fell fastest"] == pytest.approx(rates[:9].mean(), rel=0.6)
    assert len(finding.figures) == 2


def test_the_interval_of_a_fall_covers():
    rng = np.random.default_rng(0)
    for n in (6, 30):
        x, covered = np.arange(float(n)), 0
        for _ in range(600):
            _, low, high = falling(x, 3 - 0.1 * x + rng.normal(size=n), 0.9)
            covered += low <= 0.1 <= high
        assert covered / 600 > 0.9 - 0.037  # three standard errors


@pytest.mark.parametrize("log", [None, [{"step": 1, "loss": 1.0}] * 11])
def test_what_it_cannot_read_it_says(subject, log):
    with pytest.raises(ArgumentError, match=r"^lr-range (reads|needs)"):
        lr_range(subject(log=log))


def test_odd_logs_have_an_answer(subject):
    same = [{"step": 7, "loss": 1.0, "lr": 0.0}] * 40
    assert lr_range(subject(log=same)).verdict in {Verdict.UNKNOWN, Verdict.WARN}
    rising = [{"step": k, "loss": 0.1 + 0.01 * k} for k in range(40)]
    assert lr_range(subject(log=rising)).verdict is Verdict.UNKNOWN
